"""A tap ends once, and a salvage takes of the write-ahead log only what is not out of date."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from cardcore.records.record import TransactionRecord, decode_record
from terminals.errors import JournalError
from terminals.journal.journal import Journal, RequestKey
from terminals.journal.salvage import salvage
from terminals.taps import TapOutcome, TapState
from tests.support.records import a_bus_ride
from tests.terminals.equipment import SENDER, an_open_journal, records_of, rides

RIDE = a_bus_ride(terminal_serial=0)
Ending = Callable[[Journal, int, TransactionRecord], object]
ENDINGS: dict[str, Ending] = {
    "record": lambda journal, tap, ride: journal.store_record(
        tap, TapOutcome.APPROVED, ride, b"trace"
    ),
    "void": lambda journal, tap, _: journal.store_void(tap, b"trace"),
    "lapse": lambda journal, tap, _: journal.store_end(
        tap, TapState.LAPSED, TapOutcome.UNRESOLVED, b"trace"
    ),
    "forgery": lambda journal, tap, _: journal.store_end(
        tap, TapState.FORGED, TapOutcome.CARD_FORGED, b"trace"
    ),
}


def everything(journal: Journal) -> list[object]:
    return [
        journal.query(f"SELECT * FROM {table} ORDER BY 1, 2")
        for table in ("taps", "records", "requests")
    ]


@pytest.mark.parametrize("second", ENDINGS)
@pytest.mark.parametrize("first", ENDINGS)
def test_a_tap_that_has_ended_is_not_ended_again(tmp_path: Path, first: str, second: str) -> None:
    with an_open_journal(tmp_path) as journal:
        tap = journal.store_intent(RequestKey("ride", b"h" * 32), RIDE, b"")
        ENDINGS[first](journal, tap, RIDE)
        before = everything(journal)
        with pytest.raises(JournalError, match="is not open"):
            ENDINGS[second](journal, tap, RIDE)
        assert everything(journal) == before


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_ending_ends_its_own_tap_and_no_other(tmp_path: Path, ending: str) -> None:
    with an_open_journal(tmp_path) as journal:
        taps = [
            journal.store_intent(
                RequestKey(f"ride {number}", b"h" * 32),
                a_bus_ride(terminal_serial=0, card_number=f"0310487{number:013}"),
                b"",
            )
            for number in range(3)
        ]
        ENDINGS[ending](journal, taps[1], RIDE)
        states = journal.query("SELECT state = ? FROM taps ORDER BY id", TapState.OPEN)
        assert states == [(1,), (0,), (1,)]


def test_a_salvage_takes_no_page_of_a_log_that_was_folded_in_before(tmp_path: Path) -> None:
    """After a checkpoint the next commits overwrite the log from its start, and behind them lie
    frames of the time before: whole, committed once, and older than the file itself.
    """
    path = tmp_path / "depot.journal"
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 8)
        database = sqlite3.connect(path, isolation_level=None)
        try:
            # What a checkpoint by another program does, which does not cut the log as ours do.
            assert database.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()[0] == 0
            database.execute("UPDATE taps SET trace_before = x'AA'")
            database.execute("PRAGMA wal_checkpoint(RESTART)")
            rides(journal, 9, 1)
            whole = records_of(journal)
            states = journal.query("SELECT id, state, trace_before FROM taps ORDER BY id")
            crashed = tmp_path / "crashed"
            crashed.mkdir()
            for name in ("depot.journal", "depot.journal-wal"):
                shutil.copyfile(tmp_path / name, crashed / name)
        finally:
            database.close()
    log = (crashed / "depot.journal-wal").read_bytes()
    salts = {log[at + 8 : at + 16] for at in range(32, len(log), 24 + 4096)}
    assert len(salts) > 1, "the log has frames of two times"
    target = tmp_path / "salvaged"
    salvage(crashed / "depot.journal", target, sender=SENDER, last_sequence=0)
    with Journal.open(target, sender=SENDER) as journal:
        assert [decode_record(each) for each in records_of(journal)] == [
            decode_record(each) for each in whole
        ]
        assert journal.query("SELECT id, state, trace_before FROM taps ORDER BY id") == states
