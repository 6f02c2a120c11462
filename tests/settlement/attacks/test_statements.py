"""R4: what a card stated proves a torn debit only where nobody else can have been paid."""

from datetime import timedelta

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


def torn(record: bytes) -> bytes:
    """What the terminal wrote down of a tap that was torn before the card gave its TAC."""
    return altered(altered(record, "tac", bytes(8)), "flags", int(RecordFlag.TAC_MISSING))


def wait_for_late_files(town: Town) -> None:
    """The scheme's late days go by; nothing comes but what does every day."""
    for _ in range(2):
        town.now += timedelta(days=town.city.scheme.late_days)
        town.settle((BUS_COLLECTOR, []))


def test_torn_debit_between_two_statements_that_fall_short_by_its_amount(town: Town) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    true = card.pay(town.bus, FARE_FEN, at("08:00"))
    lost = torn(card.pay(town.bus, 200, at("09:00")))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [true, lost]))
    assert town.fate(lost) == TAC_MISSING
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: 2 * LOAD_FEN})
    wait_for_late_files(town)
    assert town.fate(lost) == ACCEPTED
    assert "STATEMENT_PROVEN" in town.noted(lost).notes
    assert town.told(lost) == {"card_float": 200, f"operator/{BUS}": -200}
    town.expect(paid={BUS: FARE_FEN + 200}, billed={AGENT: 2 * LOAD_FEN})


_OPEN = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="what statements proved is not taken back yet"
)


@pytest.mark.parametrize("is_recovered", [True, pytest.param(False, marks=_OPEN)])
def test_a_tac_that_proves_another_debit_there_later_takes_its_place(
    town: Town,
    is_recovered: bool,  # noqa: FBT001 - a case
) -> None:
    """The claimant gives back what it got; the holder pays once."""
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    ride = card.pay(town.gate, 200, at("09:00"))
    invented = torn(altered(ride, "terminal", bytes.fromhex(town.bus.number)))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    sent = torn(ride) if is_recovered else invented
    sender, owner = (METRO_COLLECTOR, METRO) if is_recovered else (BUS_COLLECTOR, BUS)
    town.settle((AGENT_HOST, [first, second]), (sender, [sent]))
    wait_for_late_files(town)
    town.expect(paid={owner: 200}, billed={AGENT: 2 * LOAD_FEN})
    town.settle((METRO_COLLECTOR, [ride]))
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})


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
    wait_for_late_files(town)
    assert {town.fate(torn(each)) for each in (rival, lost)} == {TAC_MISSING}
    town.expect(billed={AGENT: 2 * LOAD_FEN})


@pytest.mark.parametrize("amount_fen", [FARE_FEN, 1, 2**32 - 1])
def test_a_torn_debit_that_no_statement_misses_moves_nothing(town: Town, amount_fen: int) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    true = card.pay(town.bus, FARE_FEN, at("08:00"))
    invented = altered(altered(true, "psam_sequence", 77), "terminal_serial", 77)
    invented = torn(altered(invented, "amount_fen", amount_fen))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [true, invented]))
    wait_for_late_files(town)
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
