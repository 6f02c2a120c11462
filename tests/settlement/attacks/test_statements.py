"""R4: what a card stated proves a torn debit only where nobody else can have been paid."""

from datetime import UTC, datetime, timedelta

import pytest

from cardcore.records.kinds import RecordFlag, Sector
from settlement.people.actions import Action
from settlement.registry.book import Dated
from settlement.registry.rows import HotlistRow
from settlement.service.registering import register_rows
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    METRO,
    METRO_COLLECTOR,
    TAC_MISSING,
    Card,
    Terminal,
    Town,
    altered,
    at,
)
from tests.settlement.device_files import CLERK, DAY

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


@pytest.mark.parametrize("is_recovered", [True, False])
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


def a_claimant_is_believed(town: Town) -> tuple[Card, bytes, bytes]:
    """A card, what its gate debited between two statements and sent to nobody, and what the bus
    invented there and was paid for.
    """
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    ride = card.pay(town.gate, 200, at("09:00"))
    invented = altered(ride, "terminal", bytes.fromhex(town.bus.number))
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [torn(invented)]))
    wait_for_late_files(town)
    assert town.fate(torn(invented)) == ACCEPTED
    return card, ride, invented


def test_what_is_taken_back_is_told_of_its_record_and_leaves_no_contradiction(town: Town) -> None:
    _, ride, invented = a_claimant_is_believed(town)
    closed = town.settle((METRO_COLLECTOR, [ride]))
    assert town.fate(torn(invented)) == TAC_MISSING
    assert town.noted(torn(invented)).notes == {"TAKEN_BACK"}
    assert town.told(torn(invented)) == {}
    assert town.told(ride) == {"card_float": 200, f"operator/{METRO}": -200}
    proof = town.totals(closed)["float_proof"]
    assert (proof["contradictions"], proof["missing_debits_fen"], proof["claims"]) == (0, 0, 1)
    # Once and for ever: it comes again, and nothing moves; nor by more days.
    town.settle((METRO_COLLECTOR, [ride]), (BUS_COLLECTOR, [torn(invented)]))
    wait_for_late_files(town)
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})


def test_the_claimant_that_gave_back_is_paid_when_its_card_did_sign(town: Town) -> None:
    """Both have a TAC: more was debited than the statements leave room for, which is named."""
    card, ride, _ = a_claimant_is_believed(town)
    town.settle((METRO_COLLECTOR, [ride]))
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})
    lost = card.pay(town.bus, 200, at("09:00"), psam_sequence=town.gate.sequence)
    closed = town.settle((BUS_COLLECTOR, [lost]))
    assert town.fate(lost) == ACCEPTED
    assert town.totals(closed)["float_proof"]["contradictions"] == 1
    town.expect(paid={METRO: 200, BUS: 200}, billed={AGENT: 2 * LOAD_FEN})


@pytest.mark.parametrize("is_together", [True, False])
def test_several_debits_may_take_the_place_of_one(
    town: Town,
    is_together: bool,  # noqa: FBT001 - a case
) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    rides = [card.pay(town.gate, fen, at(f"09:0{n}")) for n, fen in enumerate((150, 50))]
    bare = altered(altered(rides[0], "terminal", bytes.fromhex(town.bus.number)), "amount_fen", 200)
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"))
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [torn(bare)]))
    wait_for_late_files(town)
    for sent in [rides] if is_together else [rides[:1], [], rides[1:]]:
        closed = town.settle((METRO_COLLECTOR, sent))
    assert town.totals(closed)["float_proof"]["contradictions"] == 0
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})


def test_what_a_listed_card_s_claimant_holds_in_suspense_is_given_back(town: Town) -> None:
    card = town.card(1)
    listed = Dated(HotlistRow(card.number, 5), DAY)
    register_rows(town.city, [listed], Action(CLERK, datetime(2018, 8, 30, tzinfo=UTC)))
    first = card.load(town.kiosk, LOAD_FEN, at("07:00", -1))
    ride = card.pay(town.gate, 200, at("09:00"), hotlist_version=0)
    invented = altered(ride, "terminal", bytes.fromhex(town.bus.number))
    invented = altered(invented, "hotlist_version", 5)
    second = card.load(town.kiosk, LOAD_FEN, at("10:00"), hotlist_version=0)
    town.settle((AGENT_HOST, [first, second]), (BUS_COLLECTOR, [torn(invented)]))
    wait_for_late_files(town)
    town.expect(held={BUS: 200}, billed={AGENT: 2 * LOAD_FEN})
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


def test_junk_of_a_terminal_that_nobody_registered_is_no_rival_claimant(town: Town) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    lost = torn(card.pay(town.gate, 200, at("08:00")))
    second = card.load(town.kiosk, LOAD_FEN, at("09:00"))
    nowhere = Terminal("0" * 11 + "9", BUS, Sector.TRANSIT, "9" * 20)
    junk = torn(Card(card.number, 5000, 2, 5).pay(nowhere, 1, at("08:40")))
    town.settle((AGENT_HOST, [first, second]), (METRO_COLLECTOR, [lost]), (BUS_COLLECTOR, [junk]))
    wait_for_late_files(town)
    assert (town.fate(lost), town.fate(junk)) == (ACCEPTED, TAC_MISSING)
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})


@pytest.mark.parametrize("is_together", [True, False])
def test_a_torn_debit_sent_again_under_another_serial_is_one_claimant_and_paid_once(
    town: Town,
    is_together: bool,  # noqa: FBT001 - a case
) -> None:
    card = town.card(1)
    first = card.load(town.kiosk, LOAD_FEN, at("07:00"))
    lost = torn(card.pay(town.gate, 200, at("08:00")))
    second = card.load(town.kiosk, LOAD_FEN, at("09:00"))
    again = altered(lost, "terminal_serial", 77)
    town.settle((AGENT_HOST, [first, second]))
    for sent in [[lost, again]] if is_together else [[lost], [again]]:
        town.settle((METRO_COLLECTOR, sent))
    wait_for_late_files(town)
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})
    wait_for_late_files(town)
    closed = town.settle((METRO_COLLECTOR, [altered(lost, "terminal_serial", 78)]))
    town.expect(paid={METRO: 200}, billed={AGENT: 2 * LOAD_FEN})
    # What waited beside the one that stands is a claim no more.
    assert town.totals(closed)["float_proof"]["claims"] == 0


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
