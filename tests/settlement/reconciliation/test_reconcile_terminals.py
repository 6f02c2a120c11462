"""Terminals: serials that are missing, come late or twice, and registers that do not add up."""

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.keys import ProofReason
from cardcore.records.batch import DeviceRegister
from cardcore.records.record import TransactionRecord, encode_record
from settlement.dispositions import Note, Reason
from settlement.ledger.accounts import Account, AccountKind
from settlement.ledger.movements import Gross
from settlement.reconciliation.inputs import file_number
from settlement.reconciliation.terminals import SerialGap, continue_serials
from settlement.registry.rows import TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    COLLECTOR,
    DAY,
    STRANGER,
    Desk,
    Proven,
    chain,
    debit,
    proven,
)

NEXT_DAY = DAY + timedelta(days=1)


@given(st.lists(st.sets(st.integers(1, 30)), max_size=4))
def test_open_serial_gaps_are_exactly_the_serials_nobody_delivered(days: list[set[int]]) -> None:
    gaps: tuple[SerialGap, ...] = ()
    last, seen = 0, set[int]()
    for serials in days:
        gaps = continue_serials(gaps, last, sorted(serials), DAY)
        seen |= serials
        last = max(seen, default=0)
        missing = [n for gap in gaps for n in range(gap.first_serial, gap.last_serial + 1)]
        assert sorted(missing) == sorted(set(range(1, last + 1)) - seen)
        assert len(missing) == len(set(missing))


def test_a_gap_keeps_the_day_it_was_opened_when_only_a_part_comes(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160, -160, -160)
    desk = Desk(tmp_path)
    outcome = desk.run(proven(life[0], life[1], life[5]))
    bus = int(BUS, 16)
    assert desk.table("terminal_gaps") == [(bus, 2, 4, DAY, 1)]
    assert outcome.buckets[0].gap_count == 1
    desk.run(proven(life[3]), day=NEXT_DAY)
    assert desk.table("terminal_gaps") == [(bus, 2, 2, DAY, 1), (bus, 4, 4, DAY, 1)]
    desk.run(proven(life[2], life[4]), day=NEXT_DAY + timedelta(days=1))
    assert desk.table("terminal_gaps") == [(bus, 2, 2, DAY, 2), (bus, 4, 4, DAY, 2)]
    desk.run(day=NEXT_DAY + timedelta(days=2))
    assert desk.table("terminal_gaps") == []


def _register(last: int, records: int, debit_fen: int) -> DeviceRegister:
    return DeviceRegister(BUS, 1, last, records, debit_fen, 0, 0, 0)


@pytest.mark.parametrize(
    ("register", "differences"),
    [
        (_register(2, 2, 320), 0),
        (_register(2, 3, 320), 1),
        (_register(2, 2, 319), 1),
        (_register(3, 3, 480), 1),
    ],
)
def test_the_increase_of_a_register_is_the_records_between(
    tmp_path: Path, register: DeviceRegister, differences: int
) -> None:
    desk = Desk(tmp_path)
    desk.run(proven(*chain(1, 1000, -160, -160)), registers=[register])
    assert len(desk.table("register_differences")) == differences


def test_a_register_goes_on_from_the_closed_day_and_copies_count_once(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(*life[:2]), registers=[_register(1, 1, 160)])
    desk.run(
        proven(life[2], life[2], life[3], life[1]),
        day=NEXT_DAY,
        registers=[_register(3, 3, 480), _register(2, 2, 320)],
    )
    assert desk.table("register_differences") == []


def test_a_lost_record_shows_in_the_register_without_any_serial(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(*life[:2]), registers=[_register(2, 2, 320)])
    ((terminal, last, before, *sums),) = desk.table("register_differences")
    assert (terminal, last, before) == (int(BUS, 16), 2, 0)
    assert sums == [2, 320, 0, 1, 160, 0]


def test_a_serial_used_by_two_movements_is_noted_on_both_and_by_copies_on_none(
    tmp_path: Path,
) -> None:
    life = chain(1, 1000, -160, -160)
    rival = replace(life[2], terminal_serial=1)
    desk = Desk(tmp_path)
    desk.run(proven(*life[:2], life[1]))
    assert desk.table("conflicts") == []
    desk.run(proven(life[1], rival), day=NEXT_DAY)
    assert desk.reasons(proven(life[1], rival)) == [Reason.DUPLICATE, Reason.NONE]
    assert sorted(each.notes for each in desk.verdicts().values()) == [
        0,
        Note.TERMINAL_SERIAL_REUSED,
    ]


def test_what_was_never_proven_proves_no_serial(tmp_path: Path) -> None:
    """R7: nobody fills or opens a hole with records that no card signed."""
    life = chain(1, 1000, -160, -160, -160)
    desk = Desk(tmp_path)
    desk.run([*proven(life[0], life[1], life[3]), (encode_record(life[2]), ProofReason.WRONG)])
    assert desk.table("terminal_gaps") == [(int(BUS, 16), 2, 2, DAY, 1)]
    far = (encode_record(replace(life[3], terminal_serial=4_000_000)), ProofReason.WRONG)
    desk.run([far], day=NEXT_DAY)
    assert desk.table("terminal_gaps") == [(int(BUS, 16), 2, 2, DAY, 1)]


def test_who_does_not_collect_for_a_terminal_touches_nothing_of_it(tmp_path: Path) -> None:
    """R7: records, registers and serials of a bus, sent by the metro's collector."""
    life = chain(1, 1000, -160, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(*life[:2]), registers=[_register(1, 1, 160)])
    theirs = proven(life[2], replace(life[3], terminal_serial=9))
    outcome = desk.run(theirs, day=NEXT_DAY, registers=[_register(9, 9, 9999)], sender=201)
    totals = outcome.clearing.totals
    assert desk.reasons(theirs) == [Reason.NOT_YOUR_TERMINAL] * 2
    assert (totals.rejected, totals.charged_fen, totals.float_fen) == (2, 0, 840)
    assert desk.table("terminal_gaps") == []
    assert desk.table("register_differences") == []
    third = desk.run(proven(*life[2:]), day=NEXT_DAY + timedelta(days=1))
    assert desk.reasons(proven(*life[2:])) == [Reason.NONE] * 2
    assert third.clearing.totals.float_fen == 520


def held(record: TransactionRecord) -> Proven:
    return encode_record(record), ProofReason.UNKNOWN_VERSION


def test_a_link_of_the_chain_that_is_judged_again_is_no_second_link(tmp_path: Path) -> None:
    """A ride at a terminal registered late, whose card has a gap behind it."""
    life = chain(1, 1000, -160, -160, -160)
    first = proven(life[0], replace(life[1], terminal=STRANGER))
    desk = Desk(tmp_path)
    desk.run(first)
    desk.terminals += (TerminalRow(STRANGER, BUS_OPERATOR, "bus"),)
    key = (file_number(desk.hash_of(first)), 1)
    # The card's next ride is missing, so its chain is looked at closely.
    files = (proven(replace(life[3], terminal_serial=9)),)
    outcome = desk.run(*files, day=NEXT_DAY, review={key: ProofReason.PROVEN})
    assert desk.verdicts()[key].reason == Reason.NONE
    assert [gap[4] for gap in desk.gaps()] == [160]
    account = Account(AccountKind.SUSPENSE, COLLECTOR)
    assert outcome.clearing.participants[COLLECTOR] == {account: Gross(debit_fen=160)}
    assert outcome.clearing.totals.float_fen == 680


def test_a_record_judged_later_is_no_second_record_of_its_terminal(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160)
    first = [*proven(life[0]), held(life[1])]
    desk = Desk(tmp_path)
    desk.run(first)
    key = (file_number(desk.hash_of(first)), 1)
    registers = [_register(2, 2, 320)]
    desk.run(proven(life[2]), day=NEXT_DAY, registers=registers, review={key: ProofReason.PROVEN})
    ((_, _, _, *sums),) = desk.table("register_differences")
    assert sums == [2, 320, 0, 1, 160, 0]  # what came in today


def test_serials_start_at_one() -> None:
    assert continue_serials((), 0, [3], date(2018, 9, 1)) == (SerialGap(1, 2, DAY),)


def test_a_review_asks_nothing_of_a_bucket_in_which_nothing_came(tmp_path: Path) -> None:
    """Cards of the other bucket have no facts in the run, neither new ones nor taken up again."""
    first = [held(debit(1, terminal=STRANGER))]
    desk = Desk(tmp_path, buckets=2)
    desk.run(first, proven(*chain(2, 1000), *chain(3, 1000), *chain(4, 1000)))
    key = (file_number(desk.hash_of(first)), 0)
    outcome = desk.run(day=NEXT_DAY, review={key: ProofReason.PROVEN})
    assert outcome.clearing.totals.records == 0
    assert desk.verdicts()[key].reason == Reason.TERMINAL_UNKNOWN
