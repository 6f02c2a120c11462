"""Sequences of a sender, in any order of arrival: what is missing, and what is ready."""

import hashlib
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.records.batch import Batch, BatchHeader, BatchTotals
from settlement.intake.answers import (
    MISSING_RANGES_MAX,
    Acknowledgement,
    FileAnswer,
    SequenceRange,
    StoredFile,
)
from settlement.intake.decide import FileHistory, place_file
from settlement.store.database import Database
from settlement.store.files import add_file, load_files, load_open_files

NOW = datetime(2018, 9, 2, tzinfo=UTC)
DAY = date(2018, 9, 1)
SENDER, OTHER = 7, 8


def arrive(database: Database, sequence: int, sender: int = SENDER) -> Acknowledgement:
    """An empty file of that sequence comes in."""
    header = BatchHeader(sender, sequence, DAY, 1, NOW.replace(tzinfo=None), 0, 0)
    content_hash = hashlib.sha256(f"{sender}/{sequence}".encode()).hexdigest()
    batch = Batch(header, b"", (), BatchTotals(0, 0, 0, 0), content_hash)

    def place(history: FileHistory) -> StoredFile | Acknowledgement:
        return place_file(batch, 64, history, NOW)

    return add_file(database, place, batch, (), ())


def holes(present: set[int], below: int) -> tuple[SequenceRange, ...]:
    """By looking at every number."""
    found: list[SequenceRange] = []
    for number in sorted(set(range(1, below)) - present):
        if found and found[-1][1] == number - 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return tuple(found)


@settings(max_examples=25)
@given(st.lists(st.integers(1, 14), unique=True, max_size=14))
def test_a_file_is_told_what_is_missing_before_it_and_waits_for_exactly_that(
    order: list[int],
) -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        Database.sqlite(Path(folder) / "control.sqlite") as database,
    ):
        arrive(database, 3, OTHER)
        present: set[int] = set()
        for sequence in order:
            answer = arrive(database, sequence)
            assert answer.missing == holes(present, sequence)
            assert (answer.answer is FileAnswer.ACCEPTED) == (answer.missing == ())
            present.add(sequence)
            ready = {
                row.file.sequence: row.is_ready
                for row in load_open_files(database)
                if row.file.sender == SENDER
            }
            assert ready == {each: not holes(present, each) for each in present}
        assert [row.is_ready for row in load_files(database) if row.file.sender == OTHER] == [False]


@pytest.mark.parametrize("filled", [None, 1, 2 * MISSING_RANGES_MAX + 1])
def test_of_too_many_holes_the_first_are_named(tmp_path: Path, filled: int | None) -> None:
    with Database.sqlite(tmp_path / "control.sqlite") as database:
        present = set(range(2, 2 * MISSING_RANGES_MAX + 20, 2))
        for sequence in sorted(present):
            answer = arrive(database, sequence)
        assert answer.missing == holes(present, max(present))[:MISSING_RANGES_MAX]
        if filled is not None:
            arrive(database, filled)
            present.add(filled)
        late = arrive(database, max(present) + 5)
        assert late.missing == holes(present, max(present) + 5)[:MISSING_RANGES_MAX]
