"""R4: what a card stated proves a torn debit only where nobody else can have been paid."""

import pytest

from cardcore.records.kinds import RecordFlag
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    METRO,
    METRO_COLLECTOR,
    TAC_MISSING,
    Town,
    altered,
    at,
)

FARE_FEN, LOAD_FEN = 160, 10_000
#: After so many days without a file no late one can hold the missing debit.
LATE_DAYS = 3


def torn(record: bytes) -> bytes:
    """What the terminal wrote down of a tap that was torn before the card gave its TAC."""
    return altered(altered(record, "tac", bytes(8)), "flags", int(RecordFlag.TAC_MISSING))


@pytest.mark.xfail(strict=True, reason="statements prove loads so far, and no torn debits")
def test_torn_debit_between_two_statements_that_fall_short_by_its_amount(town: Town) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    true = card.pay(town.bus, FARE_FEN, at("08:00"))
    lost = torn(card.pay(town.bus, 200, at("09:00")))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [true, lost]))
    for _ in range(LATE_DAYS):
        town.settle((BUS_COLLECTOR, []))
    assert town.fate(lost) == ACCEPTED
    assert "STATEMENT_PROVEN" in town.noted(lost).notes
    town.expect(paid={BUS: FARE_FEN + 200}, billed={AGENT: 2 * LOAD_FEN})


def test_with_two_claimants_a_torn_debit_stays_a_claim(town: Town) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    lost = card.pay(town.gate, 200, at("09:00"))
    rival = altered(lost, "terminal", bytes.fromhex(town.bus.number))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle(
        (AGENT_HOST, [first, second]),
        (BUS_COLLECTOR, [torn(rival)]),
        (METRO_COLLECTOR, [torn(lost)]),
    )
    for _ in range(LATE_DAYS):
        town.settle((BUS_COLLECTOR, []))
    assert {town.fate(torn(each)) for each in (rival, lost)} == {TAC_MISSING}
    town.expect(billed={AGENT: 2 * LOAD_FEN})


def test_a_torn_debit_that_no_statement_misses_moves_nothing(town: Town) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    true = card.pay(town.bus, FARE_FEN, at("08:00"))
    invented = torn(altered(altered(true, "psam_sequence", 77), "terminal_serial", 77))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [true, invented]))
    for _ in range(LATE_DAYS):
        town.settle((BUS_COLLECTOR, []))
    assert town.fate(invented) == TAC_MISSING
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: 2 * LOAD_FEN})


def test_a_torn_debit_that_the_card_proves_later_is_paid_once(town: Town) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    ride = card.pay(town.gate, FARE_FEN, at("08:00"))
    town.settle((AGENT_HOST, [first]), (METRO_COLLECTOR, [torn(ride)]))
    assert town.fate(torn(ride)) == TAC_MISSING
    recovered = altered(ride, "flags", int(RecordFlag.RECOVERED))
    town.settle((METRO_COLLECTOR, [recovered]))
    assert town.fate(recovered) == ACCEPTED
    town.settle((METRO_COLLECTOR, [torn(ride), ride]))
    town.expect(paid={METRO: FARE_FEN}, billed={AGENT: LOAD_FEN})
