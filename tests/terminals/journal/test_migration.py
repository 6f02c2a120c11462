"""A journal that an older program wrote: its files stay the same bytes, its open tap is settled.

`format_2.sqlite` was written by the program of format 2, with the published test keys: two loads
and a ride that are in file 1, a second ride that is in none, a copy of the first ride still to be
sent, and a torn ride of the second card.
"""

import hashlib
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.chip.card import Card
from cardcore.keys import ProofReason
from cardcore.records.batch import decode_batch
from cardcore.records.kinds import RecordFlag
from cardcore.records.record import RECORD_BYTES, V1_RECORD_BYTES, decode_record
from terminals.errors import JournalError
from terminals.journal.journal import Journal
from terminals.journal.migration import FORMAT_VERSION, migrate
from terminals.journal.salvage import salvage
from terminals.journal.upload import build_batch, plan_batch
from terminals.link.connection import InProcessConnection
from terminals.taps import TapOutcome
from tests.terminals.equipment import (
    KEYS,
    NOON,
    SENDER,
    SIGNING,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    load,
    proof,
    records_of,
    sign,
)
from tests.terminals.faults import TornConnection

OLD = Path(__file__).with_name("format_2.sqlite")
#: What the older program made of file 1.
FILE_BYTES, FILE_HASH = 864, "31a632badf5f41efd8fb2acad7ba6e5f598a7182cc0e214470868985a19ca9c4"
SECOND, TORN = NOON + timedelta(minutes=1), NOON + timedelta(minutes=2)


def an_old_journal(folder: Path) -> Path:
    path = folder / "depot.journal"
    shutil.copy(OLD, path)
    return path


def the_torn_card(folder: Path) -> Card:
    """The card as it left the field: the same taps again, at a journal that nobody keeps."""
    folder.mkdir()
    card, other = a_card(1), a_card(2)
    with an_open_journal(folder) as journal:
        load(card, journal, name="load one")
        load(other, journal, name="load two")
        bus = a_terminal("bus", journal)
        bus.tap(InProcessConnection(card), a_request("ride", "bus"), NOON)
        bus.tap(InProcessConnection(card), a_request("second ride", "bus"), SECOND)
        torn = TornConnection(other, 5, after=True)
        result = bus.tap(torn, a_request("torn", "bus"), TORN)
    assert result.outcome is TapOutcome.CARD_REMOVED
    return other


def format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


def test_a_file_that_was_planned_before_stays_the_same_bytes(tmp_path: Path) -> None:
    path = an_old_journal(tmp_path)
    assert format_of(path) == 2
    with Journal.open(path, sender=SENDER) as journal:
        data = build_batch(journal, 1, sign)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (FILE_BYTES, FILE_HASH)
    assert format_of(path) == FORMAT_VERSION


def test_older_records_go_up_in_a_file_of_their_version_before_the_others(tmp_path: Path) -> None:
    with Journal.open(an_old_journal(tmp_path), sender=SENDER) as journal:
        before = records_of(journal)
        load(a_card(3), journal, name="a load of today")
        planned = [plan_batch(journal, key_version=1, now=TORN) for _ in range(3)]
        assert planned == [2, 3, None]
        old, new = (
            decode_batch(build_batch(journal, number, sign), KEYS.public_key(SIGNING))
            for number in (2, 3)
        )
        assert {len(each) for each in before} == {V1_RECORD_BYTES}
        assert len(records_of(journal)[-1]) == RECORD_BYTES
    assert (old.header.version, old.header.record_count) == (1, 2)
    serials = [decode_record(old.records[at : at + RECORD_BYTES]) for at in (0, RECORD_BYTES)]
    assert [(each.version, each.terminal_serial) for each in serials] == [(1, 2), (1, 1)]
    assert (new.header.version, new.header.record_count) == (2, 1)


def test_a_request_of_before_has_its_answer_and_the_torn_tap_is_settled(tmp_path: Path) -> None:
    card = the_torn_card(tmp_path / "scratch")
    with Journal.open(an_old_journal(tmp_path), sender=SENDER) as journal:
        bus = a_terminal("bus", journal)
        untouched = TornConnection(card, 0, after=False)
        known = bus.tap(untouched, a_request("ride", "bus"), TORN)
        assert (known.outcome, untouched.count) == (TapOutcome.APPROVED, 0)
        result = bus.tap(InProcessConnection(card), a_request("torn", "bus"), TORN)
        assert result.outcome is TapOutcome.RECOVERED
        record = result.record
        assert record is not None
        assert (record.version, record.application) == (2, 0)
        assert record.flags == RecordFlag.RECOVERED
        assert proof(record) is ProofReason.PROVEN
        assert journal.unresolved(record.terminal).records == 0


def test_a_tap_that_cannot_come_along_is_named_and_nothing_is_changed(tmp_path: Path) -> None:
    path = an_old_journal(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        (draft,) = database.execute("SELECT draft FROM taps WHERE state = 1").fetchone()
        longer = draft[:146] + bytes((3,)) + b"abc" + draft[150:]
        database.execute("UPDATE taps SET draft = ? WHERE state = 1", (longer,))
        database.commit()
    with pytest.raises(JournalError, match="Let its card come back"):
        Journal.open(path, sender=SENDER)
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(taps)")]
    assert format_of(path) == 2
    assert "application" not in columns


def test_salvage_of_an_older_journal_makes_one_of_today(tmp_path: Path) -> None:
    card, target = the_torn_card(tmp_path / "scratch"), tmp_path / "salvaged"
    report = salvage(an_old_journal(tmp_path), target, sender=SENDER, last_sequence=1)
    assert (report.records, report.open_taps) == (4, 1)
    with Journal.open(target, sender=SENDER) as journal:
        assert {len(each) for each in records_of(journal)} == {V1_RECORD_BYTES}
        terminal = a_terminal("bus", journal)
        result = terminal.tap(InProcessConnection(card), a_request("torn", "bus"), TORN)
        assert result.outcome is TapOutcome.RECOVERED
        assert [plan_batch(journal, key_version=1, now=TORN) for _ in range(3)] == [2, 3, None]


def test_two_programs_that_open_an_older_journal_at_once_both_get_it(tmp_path: Path) -> None:
    path = an_old_journal(tmp_path)
    with closing(sqlite3.connect(path, isolation_level=None)) as late:
        seen = int(late.execute("PRAGMA user_version").fetchone()[0])
        Journal.open(path, sender=SENDER).close()
        migrate(late, seen, path)  # what it saw is not true any more
    assert format_of(path) == FORMAT_VERSION
