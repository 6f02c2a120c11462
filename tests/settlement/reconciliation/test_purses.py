"""A card with two purses is one card and two chains; an event without a purse is in neither."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.records.payloads import LoanPayload
from cardcore.records.record import COUNTER_NOT_READ, TransactionRecord, encode_record
from settlement.dispositions import Disposition, Note, Reason, RecordMac
from settlement.facts.columns import PROOF_BITS
from settlement.registry.placing import OWN, PlacedNumbers
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    DAY,
    GATE,
    KIOSK,
    Desk,
    Proven,
    chain,
    debit,
    proven,
)

NEXT_DAY = DAY + timedelta(days=1)
MICROPAYMENT = 1
LOAN_TEXT = LoanPayload("0123456789", DAY + timedelta(days=30)).encode()


def in_purse(records: list[TransactionRecord], application: int) -> list[TransactionRecord]:
    """The same life in another purse of the card: the same counters, other serials."""
    return [
        replace(each, application=application, terminal_serial=each.terminal_serial + 100)
        for each in records
    ]


def loan(card: int = 1, **values: object) -> TransactionRecord:
    """A book lent: the card answered, no purse moved."""
    record = debit(
        card,
        kind=RecordKind.LOAN,
        sector=Sector.LIBRARY,
        application=4,
        balance_before_fen=0,
        balance_after_fen=0,
        amount_fen=0,
        tariff_fen=0,
        transaction_type=TransactionType.NONE,
        offline_counter=COUNTER_NOT_READ,
        tac=bytes(range(8)),
        payload=LOAN_TEXT,
        terminal_serial=50,
    )
    return replace(record, **values)  # type: ignore[arg-type] # the caller names fields


def test_two_purses_of_one_card_are_two_chains_with_the_same_counters(tmp_path: Path) -> None:
    transit, micropayment = chain(1, 1000, -160, -160), in_purse(chain(1, 2000, -500, -400), 1)
    desk = Desk(tmp_path)
    rows = proven(*transit, *micropayment)
    totals = desk.run(rows).clearing.totals
    assert desk.reasons(rows) == [Reason.NONE] * 6
    assert (totals.gaps_open, totals.float_fen, totals.card_balance_fen) == (0, 1780, 1780)


def test_taken_for_one_purse_the_same_records_would_be_a_clone(tmp_path: Path) -> None:
    """The rule is what keeps an honest card from looking like two."""
    transit, other = chain(1, 1000, -160, -160), in_purse(chain(1, 2000, -500, -400), 0)
    desk = Desk(tmp_path)
    rows = proven(*transit, *other)
    totals = desk.run(rows).clearing.totals
    assert totals.notes["card_counter_reused"] == 6
    assert totals.accepted == 6  # the card signed each of them: what it signed is paid


def test_a_gap_in_one_purse_is_none_in_the_other(tmp_path: Path) -> None:
    transit, micropayment = chain(1, 1000, -160, -160), in_purse(chain(1, 2000, -500, -400), 1)
    desk = Desk(tmp_path)
    first = desk.run(proven(*transit, micropayment[0], micropayment[2])).clearing.totals
    assert (first.gaps_open, first.open_gap_fen) == (1, 500)
    # The very counter that misses there, and money for it, but in the wrong purse.
    late = replace(micropayment[1], application=0, terminal_serial=900)
    desk.run(proven(late), day=NEXT_DAY)
    assert desk.reasons(proven(late)) == [Reason.NONE]
    assert all(Note.CARD_COUNTER_REGRESSED in Note(e.notes) for e in desk.verdicts().values())
    third = desk.run(proven(micropayment[1]), day=NEXT_DAY + timedelta(days=1)).clearing.totals
    assert desk.reasons(proven(micropayment[1])) == [Reason.NONE]
    assert third.gaps_open == 1  # what the other purse signed, and has no place for
    assert third.card_balance_fen + third.open_gap_fen == third.float_fen


#: The numbers of the city, as its registry has them.
NUMBERS = (
    PlacedNumbers(
        0, "05845840FFFFFFFF", 310487 * 10**13, 310488 * 10**13 - 1, date.min, date.max, "x", OWN
    ),
)


RIDE = chain(1, 1000, -160)[1]


@pytest.mark.parametrize(
    "lie",
    [replace(RIDE, issuer=bytes(8)), replace(RIDE, card_number="0999" + RIDE.card_number[4:])],
    ids=["issuer", "prefix"],
)
def test_one_ride_under_other_issuers_and_prefixes_is_paid_once(
    tmp_path: Path, lie: TransactionRecord
) -> None:
    life = chain(1, 1000, -160)
    desk = Desk(tmp_path, numbers=NUMBERS)
    lie = replace(lie, terminal_serial=77)
    rows = proven(*life, lie)
    totals = desk.run(rows).clearing.totals
    assert (totals.charged_fen, totals.float_fen, totals.gaps_open) == (160, 840, 0)
    assert desk.reasons(rows)[2] == Reason.FOREIGN_CARD
    assert (totals.claims, totals.claims_fen) == (1, 160)


def test_events_without_a_purse_are_accepted_and_move_nothing(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160)
    events = [loan(psam_sequence=7), loan(psam_sequence=8, terminal_serial=51)]
    desk = Desk(tmp_path)
    rows = proven(*life[:2], *events, *life[2:])
    outcome = desk.run(rows)
    totals = outcome.clearing.totals
    assert desk.reasons(rows) == [Reason.NONE] * 5
    assert (totals.accepted, totals.gaps_open, totals.charged_fen) == (5, 0, 320)
    assert (totals.float_fen, totals.card_balance_fen) == (680, 680)


def test_an_event_without_a_purse_moves_nothing_whatever_it_says(tmp_path: Path) -> None:
    greedy = loan(amount_fen=4_000_000, tariff_fen=4_000_000, balance_before_fen=9_999)
    desk = Desk(tmp_path)
    totals = desk.run(proven(greedy)).clearing.totals
    assert (totals.accepted, totals.charged_fen, totals.tariff_fen, totals.float_fen) == (
        1,
        0,
        0,
        0,
    )


@pytest.mark.parametrize("days_between", [0, 1])
def test_a_copy_of_an_event_is_known_again(tmp_path: Path, days_between: int) -> None:
    desk = Desk(tmp_path)
    rows = proven(loan())
    if days_between:
        desk.run(rows)
        again = [*rows, *proven(loan(psam_sequence=99, terminal_serial=51))]
        desk.run(again, day=NEXT_DAY)
        assert desk.reasons(again) == [Reason.DUPLICATE, Reason.NONE]
    else:
        desk.run([*rows, *rows])
        assert sorted(desk.reasons([*rows, *rows])) == [Reason.DUPLICATE, Reason.NONE]


def test_two_events_of_one_psam_sequence_are_no_clone(tmp_path: Path) -> None:
    """A card has no counter for them: two PSAMs may well have counted alike."""
    desk = Desk(tmp_path)
    rows = proven(loan(), loan(psam="2" * 20, terminal=GATE, operator=201))
    desk.run(rows)
    assert desk.reasons(rows) == [Reason.NONE, Reason.NONE]


@pytest.mark.parametrize(
    ("proof", "disposition"),
    [
        (ProofReason.PROVEN, Disposition.ACCEPTED),
        (ProofReason.WRONG, Disposition.CLAIM),
        (ProofReason.UNKNOWN_VERSION, Disposition.CLAIM),
    ],
)
def test_an_event_is_as_good_as_what_was_signed(
    tmp_path: Path, proof: ProofReason, disposition: Disposition
) -> None:
    desk = Desk(tmp_path)
    totals = desk.run([(encode_record(loan()), proof)]).clearing.totals
    (verdict,) = desk.verdicts().values()
    assert (verdict.disposition, totals.float_fen, totals.gaps_open) == (disposition, 0, 0)


def test_a_record_mac_that_does_not_hold_is_noted_and_holds_no_proven_money(
    tmp_path: Path,
) -> None:
    life = chain(1, 1000, -160, -160)
    desk = Desk(tmp_path)
    wrong: Proven = (
        encode_record(life[1]),
        ProofReason.PROVEN | RecordMac.WRONG << PROOF_BITS,
    )
    rows = [*proven(life[0]), wrong, *proven(life[2])]
    totals = desk.run(rows).clearing.totals
    assert desk.reasons(rows) == [Reason.NONE] * 3
    assert totals.notes["record_mac_wrong"] == 1
    assert [each.notes for each in desk.verdicts().values() if each.notes] == [
        Note.RECORD_MAC_WRONG
    ]
    assert totals.charged_fen == 320


def test_terminals_count_events_and_sum_only_what_moved(tmp_path: Path) -> None:
    from cardcore.records.batch import DeviceRegister

    desk = Desk(tmp_path)
    life = chain(1, 1000, -160)
    event = loan(terminal_serial=2, amount_fen=777)
    registers = [
        DeviceRegister(KIOSK, 1, 1, 1, 0, 1000, 0, 0),
        DeviceRegister(BUS, 1, 2, 2, 160, 0, 0, 0),
    ]
    desk.run(proven(*life, event), registers=registers)
    assert desk.table("register_differences") == []
