"""Records that cannot be read out yet: held back until their day, then sent once, in any order."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.records.batch import Batch, DeviceRegister, decode_batch
from cardcore.records.record import RECORD_BYTES, TransactionRecord, decode_record
from terminals.errors import JournalDamagedError
from terminals.journal import upload
from terminals.journal.journal import Journal, RequestKey
from terminals.journal.salvage import salvage
from terminals.journal.upload import (
    batches,
    build_batch,
    hold_back,
    pending_batches,
    plan_batch,
    read_again,
    store_answer,
    write_batch,
)
from terminals.taps import TapOutcome
from tests.terminals.equipment import (
    KEYS,
    NOON,
    SENDER,
    SIGNING,
    an_open_journal,
    records_of,
    rides,
    sign,
)
from tests.terminals.faults import run_and_kill

TODAY, DAY = NOON.date(), timedelta(days=1)
BUS = "584000000001"
RECORDS_MAX = 3


def a_file(journal: Journal, sequence: int) -> Batch:
    return decode_batch(build_batch(journal, sequence, sign), KEYS.public_key(SIGNING))


def serials(batch: Batch) -> list[int]:
    return [
        decode_record(batch.records[start : start + RECORD_BYTES]).terminal_serial
        for start in range(0, len(batch.records), RECORD_BYTES)
    ]


def plan(journal: Journal, days: int = 0) -> int | None:
    return plan_batch(journal, key_version=1, now=NOON + days * DAY)


def test_held_record_goes_up_on_its_day_and_the_others_before_it(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 4)
        assert hold_back(journal, BUS, 2, TODAY + 2 * DAY)
        assert [plan(journal, days) for days in range(4)] == [1, None, 2, None]
        assert [serials(a_file(journal, number)) for number in (1, 2)] == [[1, 3, 4], [2]]
        assert [each.records for each in batches(journal)] == [3, 1]


def test_day_without_anything_but_held_records_makes_no_file(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 1)
        hold_back(journal, BUS, 1, TODAY + DAY)
        assert plan(journal) is None
        assert batches(journal) == ()


def test_register_never_goes_back_when_an_older_record_follows(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 4)
        hold_back(journal, BUS, 2, TODAY + DAY)
        hold_back(journal, BUS, 4, TODAY + 2 * DAY)
        for days in range(3):
            plan(journal, days)
        registers = [a_file(journal, number).registers for number in (1, 2, 3)]
        # Serial 4 is in no file until the third, so nothing speaks of it before.
        assert registers == [
            (DeviceRegister(BUS, 1, 3, 3, 0, 0, 0, 0),),
            (DeviceRegister(BUS, 2, 3, 3, 0, 0, 0, 0),),
            (DeviceRegister(BUS, 4, 4, 4, 0, 0, 0, 0),),
        ]


def test_register_does_not_speak_of_a_held_record_that_another_terminal_overtook(
    tmp_path: Path,
) -> None:
    with an_open_journal(tmp_path) as journal:
        paper = Paper()
        for terminal in (BUS, BUS, "584000000002"):
            add_record(journal, paper, terminal, 100)
        hold_back(journal, BUS, 2, TODAY + DAY)
        plan(journal)
        plan(journal, 1)
        assert a_file(journal, 1).registers == (
            DeviceRegister(BUS, 1, 1, 1, 100, 0, 0, 0),
            DeviceRegister("584000000002", 1, 1, 1, 100, 0, 0, 0),
        )
        assert a_file(journal, 2).registers == (DeviceRegister(BUS, 2, 2, 2, 200, 0, 0, 0),)


def test_asking_again_changes_nothing_not_even_the_day(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        assert hold_back(journal, BUS, 1, TODAY + DAY)
        assert hold_back(journal, BUS, 1, TODAY + 5 * DAY)
        assert plan(journal) == 1
        assert hold_back(journal, BUS, 1, TODAY)
        assert plan(journal) is None
        assert plan(journal, 1) == 2


@pytest.mark.parametrize("was_held", [False, True])
def test_record_in_a_file_is_not_held_and_the_file_stays_as_it_is(
    tmp_path: Path, *, was_held: bool
) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        if was_held:
            hold_back(journal, BUS, 1, TODAY)
        plan(journal)
        data = build_batch(journal, 1, sign)
        assert not hold_back(journal, BUS, 1, TODAY + DAY)
        assert build_batch(journal, 1, sign) == data
        assert plan(journal, 9) is None


def test_record_that_is_not_there_cannot_be_held(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal, pytest.raises(KeyError):
        hold_back(journal, BUS, 1, TODAY)


def test_copy_of_a_held_record_waits_with_it(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        hold_back(journal, BUS, 1, TODAY + DAY)
        read_again(journal, BUS, 1, 2)
        read_again(journal, BUS, 2, 1)
        assert [plan(journal, days) for days in range(3)] == [1, 2, None]
        assert [serials(a_file(journal, number)) for number in (1, 2)] == [[2, 2], [1, 1, 1]]


def test_file_whose_record_is_gone_from_the_journal_is_damage(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 2)
        plan(journal)
        journal.query("DELETE FROM records WHERE position = 1")
        with pytest.raises(JournalDamagedError, match="planned with 2 records, 1 are there"):
            build_batch(journal, 1, sign)


def test_salvaged_record_goes_on_waiting_for_its_day(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 4)
        hold_back(journal, BUS, 2, TODAY + DAY)
        hold_back(journal, BUS, 3, TODAY + 2 * DAY)
        plan(journal)
        plan(journal, 1)
    target = tmp_path / "salvaged"
    salvage(tmp_path / "depot.journal", target, sender=SENDER, last_sequence=2)
    with Journal.open(target, sender=SENDER) as journal:
        assert [plan(journal, days) for days in range(4)] == [3, None, 4, None]
        assert [serials(a_file(journal, number)) for number in (3, 4)] == [[1, 2, 4], [3]]


def test_kill_at_every_step_changes_no_byte_of_any_file(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    with an_open_journal(origin) as journal:
        rides(journal, 1, 3)

    def send(folder: Path, hear: Callable[[str], None]) -> dict[str, bytes]:
        outbox = folder / "outbox"
        outbox.mkdir(exist_ok=True)
        with an_open_journal(folder, hear) as journal:
            hold_back(journal, BUS, 1, TODAY + DAY)
            read_again(journal, BUS, 1, 1)
            for days in range(2):
                plan(journal, days)
                for batch in pending_batches(journal):
                    write_batch(journal, batch.sequence, sign, outbox)
                    store_answer(journal, batch.sequence, {"answer": "ACCEPTED"}, settled=True)
            assert all(batch.settled for batch in batches(journal))
        return {path.name: path.read_bytes() for path in outbox.glob("*.ocb")}

    steps: list[str] = []
    shutil.copytree(origin, tmp_path / "whole")
    expected = send(tmp_path / "whole", steps.append)
    assert len(expected) == 2
    assert {"hold before", "hold written", "hold durable"} < set(steps)
    for number in range(len(steps)):
        folder = tmp_path / f"killed {number}"
        shutil.copytree(origin, folder)

        def work(hear: Callable[[str], None], folder: Path = folder) -> None:
            count = itertools.count()
            send(folder, lambda _: hear(str(next(count))))

        assert run_and_kill(work, str(number)), steps[number]
        assert send(folder, lambda _: None) == expected, steps[number]


@cache
def a_draft() -> TransactionRecord:
    with tempfile.TemporaryDirectory() as folder, an_open_journal(Path(folder)) as journal:
        rides(journal, 1, 1)
        return decode_record(records_of(journal)[0])


@dataclass
class Paper:
    """What a clerk would note of a journal: each record, the day it waits for, its copies."""

    records: list[tuple[str, int, int]] = field(default_factory=list)  # terminal, serial, amount
    until: dict[int, date] = field(default_factory=dict)
    copies: dict[int, int] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    copies_sent: list[tuple[int, int]] = field(default_factory=list)

    def may_go(self, index: int, day: date) -> bool:
        return self.until.get(index, day) <= day

    def next_file(self, day: date) -> tuple[list[int], list[int]]:
        """Indexes of the records and of the copies that the next file of a day holds."""
        copies = [
            (index, copy)
            for index in sorted(self.copies)
            for copy in range(self.copies[index])
            if (index, copy) not in self.copies_sent
            and (index in self.sent or self.may_go(index, day))
        ][:RECORDS_MAX]
        new = [
            index
            for index in range(len(self.records))
            if index not in self.sent and self.may_go(index, day)
        ][: RECORDS_MAX - len(copies)]
        self.copies_sent += copies
        self.sent += new
        return new, [index for index, _ in copies]

    def registers(self, new: list[int]) -> list[DeviceRegister]:
        result = []
        for terminal in sorted({self.records[index][0] for index in new}):
            of_file = [self.records[i][1] for i in new if self.records[i][0] == terminal]
            last = max(self.records[i][1] for i in self.sent if self.records[i][0] == terminal)
            spent = sum(fen for each, serial, fen in self.records
                        if each == terminal and serial <= last)  # fmt: skip
            result.append(DeviceRegister(terminal, min(of_file), last, last, spent, 0, 0, 0))
        return result


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ride"), st.integers(0, 1), st.integers(0, 300)),
        st.tuples(st.just("ride"), st.integers(0, 1), st.integers(0, 300)),
        st.tuples(st.just("hold"), st.integers(0, 4), st.integers(0, 3)),
        st.tuples(st.just("again"), st.integers(0, 4), st.integers(1, 2)),
        st.tuples(st.just("plan"), st.integers(0, 1), st.just(0)),
    ),
    min_size=8,
    max_size=30,
)


@contextmanager
def a_journal_with_small_files() -> Iterator[Journal]:
    with (
        tempfile.TemporaryDirectory() as folder,
        pytest.MonkeyPatch.context() as patch,
        an_open_journal(Path(folder)) as journal,
    ):
        patch.setattr(upload, "RECORDS_MAX", RECORDS_MAX)
        yield journal


@settings(max_examples=100, deadline=None)
@given(steps=STEPS)
def test_whatever_is_held_every_record_goes_up_once_on_its_day_in_order(
    steps: list[tuple[str, int, int]],
) -> None:
    paper, today, files = Paper(), TODAY, dict[int, bytes]()
    with a_journal_with_small_files() as journal:

        def plan_and_compare() -> bool:
            new, copies = paper.next_file(today)
            now = NOON + (today - TODAY)
            sequence = plan_batch(journal, key_version=1, now=now)
            assert sequence == (len(files) + 1 if new or copies else None)
            if sequence is not None:
                files[sequence] = build_batch(journal, sequence, sign)
                batch = decode_batch(files[sequence], KEYS.public_key(SIGNING))
                expected = [paper.records[index][1] for index in (*new, *copies)]
                assert serials(batch) == expected
                assert list(batch.registers) == paper.registers(new)
                assert batches(journal)[-1].records == len(expected)
            return sequence is not None

        for action, first, second in steps:
            if action == "ride":
                add_record(journal, paper, f"58400000000{first + 1}", second)
            elif action == "plan":
                today += first * DAY
                plan_and_compare()
            elif first < len(paper.records):
                index = len(paper.records) - 1 - first
                terminal, serial, _ = paper.records[index]
                if action == "again":
                    read_again(journal, terminal, serial, second)
                    paper.copies[index] = max(second, paper.copies.get(index, 0))
                else:
                    waits = hold_back(journal, terminal, serial, today + second * DAY)
                    assert waits == (index not in paper.sent)
                    if waits:
                        paper.until.setdefault(index, today + second * DAY)
        today += 10 * DAY
        while plan_and_compare():
            pass
        assert sorted(paper.sent) == list(range(len(paper.records)))
        assert {number: build_batch(journal, number, sign) for number in files} == files


def add_record(journal: Journal, paper: Paper, terminal: str, amount_fen: int) -> None:
    draft = replace(a_draft(), terminal=terminal, terminal_serial=0, amount_fen=amount_fen)
    key = RequestKey(f"{len(paper.records)}", b"")
    tap = journal.store_intent(key, draft, b"")
    record = journal.store_record(tap, TapOutcome.APPROVED, draft, b"")
    paper.records.append((terminal, record.terminal_serial, amount_fen))
