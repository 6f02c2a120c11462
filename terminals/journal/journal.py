"""The journal: what a terminal knows after power came back.

Decides what is on disk before the card is told to move money, what is there after, and which
serial a record gets. Leaves what a tap means to the session and how files are sent to `upload`.

One SQLite file serves all terminals of one collector (采集点: a depot, a station, a shop). Its
tables stand in `schema.sql`. A tap passes through these states::

    (nothing) ──intent──► OPEN ──record──► RECORDED   in the next batch file, unless held back
                            ├──void────► VOID         the card was not debited; no record, no hole
                            ├──lapse───► LAPSED       the card can no longer say; stays unresolved
                            └──forge───► FORGED       the card's own MAC was wrong

OPEN is the grey record (灰记录): a torn tap waiting for its card. The intent is durable before
DEBIT or CREDIT is sent, the outcome after. Serials are given with the record, never before, so a
void tap leaves no hole (断号).

What is guaranteed. Every step is one transaction in WAL mode with synchronous FULL: after a step
returned it survives power loss; one that did not return happened whole or not at all. The log
holds only what the main file does not, so a log cut at any byte re-opens with every transaction
that stands whole before the cut. A main file that is cut or overwritten is found when it is opened
and named (`JournalDamagedError`); `salvage` then keeps every row that can still be read. A full
disk refuses the step and leaves no trace of it.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from cardcore.records.record import TransactionRecord, decode_record, encode_record
from terminals.errors import JournalDamagedError, JournalError, JournalFullError
from terminals.journal.migration import FORMAT_VERSION, migrate
from terminals.taps import Intent, TapOutcome, TapState

BUSY_TIMEOUT_S = 10.0
MAGIC = b"SQLite format 3\x00"
#: Steps between two checkpoints: about 20 MiB of log, and one tap in five hundred waits for one.
CHECKPOINT_STEPS = 1_000
#: The smallest page SQLite knows; with fewer bytes it takes a file for an empty one.
FIRST_PAGE_BYTES_MIN = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """What the journal holds under a request id. `outcome` is None while the tap is open."""

    same_content: bool
    card_number: str
    outcome: TapOutcome | None
    record: TransactionRecord | None


@dataclass(frozen=True, slots=True)
class RequestKey:
    """A request id and the hash of what it asks for."""

    request_id: str
    content_hash: bytes


@dataclass(frozen=True, slots=True)
class Unresolved:
    """Taps of a terminal that are open or lapsed: how many and how much."""

    records: int = 0
    amount_fen: int = 0


def _no_step(_: str) -> None:
    """Nobody watches the steps."""


class Journal:
    """An open journal. One writer at a time; a second process waits for the first."""

    def __init__(self, database: sqlite3.Connection, on_step: Callable[[str], None]) -> None:
        self._database = database
        self._steps = 0
        self.on_step = on_step

    @classmethod
    def open(cls, path: Path, *, sender: int, on_step: Callable[[str], None] = _no_step) -> Self:
        """Open or create the journal of a collector and check it whole. One of an older format
        becomes one of today's.

        `on_step` hears the name of every step before and after it is durable. Raises
        `JournalDamagedError` when the file cannot be trusted, `JournalError` when it belongs to
        another collector or to a newer program.
        """
        if not path.exists():
            if beside(path, "-wal").exists():
                raise JournalDamagedError(f"{path} is gone, its write-ahead log is there")
            create(path, sender)
        # Creation ends with a rename of a whole file, so one without a first page was cut later.
        # SQLite would take it for a new file and write to it.
        with path.open("rb") as file:
            head = file.read(FIRST_PAGE_BYTES_MIN)
        if len(head) < FIRST_PAGE_BYTES_MIN or not head.startswith(MAGIC):
            raise JournalDamagedError(f"{path} has lost its first page")
        database = connect(path)
        try:
            migrate(database, _check(database, path, sender), path)
        except sqlite3.Error as error:
            database.close()
            raise translate(error) from error
        except BaseException:
            database.close()
            raise
        return cls(database, on_step)

    def close(self) -> None:
        """Close the file; its write-ahead log is folded in."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, step: str) -> Iterator[sqlite3.Connection]:
        """One durable step, whole or not at all. Names heard: `step`, then before, written,
        durable.
        """
        self.on_step(f"{step} before")
        try:
            self._database.execute("BEGIN IMMEDIATE")
            yield self._database
            self.on_step(f"{step} written")
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise translate(error) from error
        except BaseException:
            self._roll_back()
            raise
        self.on_step(f"{step} durable")
        self._steps += 1
        if self._steps % CHECKPOINT_STEPS == 0:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _roll_back(self) -> None:
        # SQLite itself rolls back on some errors, a full disk among them.
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def query(self, sql: str, *parameters: object) -> list[Any]:
        """Rows of one reading statement."""
        try:
            return self._database.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise translate(error) from error

    def sender(self) -> int:
        """The code under which this collector signs its files."""
        return int(self.query("SELECT sender FROM collector")[0][0])

    def find_answer(self, key: RequestKey) -> Answer | None:
        """What this request was answered with, or None when it has no tap."""
        rows = self.query(
            "SELECT q.content_hash, t.card_number, t.outcome, r.record FROM requests q "
            "JOIN taps t ON t.id = q.tap LEFT JOIN records r ON r.position = t.position "
            "WHERE q.request_id = ?",
            key.request_id,
        )
        if not rows:
            return None
        content_hash, card_number, outcome, record = rows[0]
        return Answer(
            content_hash == key.content_hash,
            card_number,
            None if outcome is None else TapOutcome(outcome),
            None if record is None else decode_record(record),
        )

    def open_intent(self, card_number: str, application: int) -> Intent | None:
        """The torn tap of this purse, if it has one; there is never more than one."""
        rows = self.query(
            f"SELECT id, request_id, draft FROM taps "  # noqa: S608 - a constant
            f"WHERE card_number = ? AND application = ? AND state = {TapState.OPEN:d}",
            card_number,
            application,
        )
        return Intent(rows[0][0], rows[0][1], decode_record(rows[0][2])) if rows else None

    def store_intent(self, key: RequestKey, draft: TransactionRecord, trace: bytes) -> int:
        """Make an intent durable before the card is told; returns the tap's number.

        Raises `JournalFullError` with nothing stored when there is no room.
        """
        with self.transaction("intent") as database:
            tap = database.execute(
                "INSERT INTO taps (request_id, card_number, terminal, state, draft, trace_before, "
                "application) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(key.request_id, draft.card_number, draft.terminal, TapState.OPEN),
                    *(encode_record(draft), trace, draft.application),
                ),
            ).lastrowid
            assert tap is not None
            self._add_request(key, tap)
        return tap

    def store_record(
        self,
        tap: int,
        outcome: TapOutcome,
        record: TransactionRecord,
        trace: bytes,
        also_answers: RequestKey | None = None,
    ) -> TransactionRecord:
        """End an open tap with its record; gives the record its serial and returns it so.

        `also_answers` is a later request that this record answers: the second try after a tear.
        """
        with self.transaction("record") as database:
            serial, count, debit_fen, load_fen = self._totals(record.terminal)
            record = replace(record, terminal_serial=serial + 1)
            amount_fen = record.amount_fen
            debit_fen += 0 if record.is_load else amount_fen
            load_fen += amount_fen if record.is_load else 0
            position = database.execute(
                "INSERT INTO records (tap, terminal, serial, record, lifetime_records, "
                "lifetime_debit_fen, lifetime_load_fen) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(tap, record.terminal, record.terminal_serial, encode_record(record)),
                    *(count + 1, debit_fen, load_fen),
                ),
            ).lastrowid
            self._end(tap, TapState.RECORDED, outcome, trace, position)
            if also_answers is not None:
                self._add_request(also_answers, tap)
        return record

    def store_void(self, tap: int, trace: bytes) -> None:
        """End an open tap that never reached the card's purse; its request is free again."""
        with self.transaction("void") as database:
            self._end(tap, TapState.VOID, None, trace)
            database.execute(
                "DELETE FROM requests "
                "WHERE request_id = (SELECT request_id FROM taps WHERE id = ?)",
                (tap,),
            )

    def store_end(self, tap: int, state: TapState, outcome: TapOutcome, trace: bytes) -> None:
        """End an open tap without a record: LAPSED or FORGED."""
        assert state in {TapState.LAPSED, TapState.FORGED}, state
        with self.transaction(state.name.lower()):
            self._end(tap, state, outcome, trace)

    def unresolved(self, terminal: str) -> Unresolved:
        """Taps of a terminal that no record tells of."""
        rows = [
            row
            for state in (TapState.OPEN, TapState.LAPSED)
            for row in self.query(
                f"SELECT draft FROM taps WHERE state = {state:d} AND terminal = ?",  # noqa: S608 - a constant
                terminal,
            )
        ]
        return Unresolved(len(rows), sum(decode_record(row[0]).amount_fen for row in rows))

    def trace(self, terminal: str, serial: int) -> bytes:
        """The APDUs behind a record, all its visits; empty when there is no such record."""
        rows = self.query(
            "SELECT t.trace_before, t.trace_after FROM records r JOIN taps t ON t.id = r.tap "
            "WHERE r.terminal = ? AND r.serial = ?",
            terminal,
            serial,
        )
        return b"".join(rows[0]) if rows else b""

    def _add_request(self, key: RequestKey, tap: int) -> None:
        self._database.execute(
            "INSERT INTO requests (request_id, content_hash, tap) VALUES (?, ?, ?)",
            (key.request_id, key.content_hash, tap),
        )

    def _end(
        self,
        tap: int,
        state: TapState,
        outcome: TapOutcome | None,
        trace: bytes,
        position: int | None = None,
    ) -> None:
        changed = self._database.execute(
            "UPDATE taps SET state = ?, outcome = ?, trace_after = ?, position = ? "  # noqa: S608 - a constant
            f"WHERE id = ? AND state = {TapState.OPEN:d}",
            (state, outcome, trace, position, tap),
        ).rowcount
        # Two processes at one journal cannot end a tap twice: the second finds it ended.
        if changed != 1:
            raise JournalError(f"tap {tap} is not open")

    def _totals(self, terminal: str) -> tuple[int, int, int, int]:
        """Last serial and life-long records, debits and loads of a terminal."""
        rows = self._database.execute(
            "SELECT max(r.serial, c.serial_floor), r.lifetime_records, r.lifetime_debit_fen, "
            "r.lifetime_load_fen FROM records r, collector c WHERE r.terminal = ? "
            "ORDER BY r.serial DESC LIMIT 1",
            (terminal,),
        ).fetchall()
        if rows:
            serial, count, debit_fen, load_fen = rows[0]
            return serial, count, debit_fen, load_fen
        floor = self._database.execute("SELECT serial_floor FROM collector").fetchone()[0]
        return floor, 0, 0, 0


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return."""
    try:
        database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        # SQLite's own checkpoints leave frames in the log that are in the main file already. Cut
        # such a log, and old pages would come back beside new ones. Ours empty it.
        database.execute("PRAGMA wal_autocheckpoint = 0")
    except sqlite3.Error as error:
        database.close()
        raise translate(error) from error
    return database


def beside(path: Path, suffix: str) -> Path:
    """A companion of a file: its write-ahead log, or its unfinished copy."""
    return path.with_name(path.name + suffix)


def create(path: Path, sender: int) -> None:
    """Make a whole journal beside its place, then move it there: it exists whole or not at all."""
    fresh = beside(path, ".new")
    for leftover in (fresh, beside(path, ".new-journal")):
        leftover.unlink(missing_ok=True)
    database = sqlite3.connect(fresh, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = FULL")
        schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        database.executescript(f"BEGIN; {schema} PRAGMA user_version = {FORMAT_VERSION};")
        database.execute("INSERT INTO collector VALUES (?, 0)", (sender,))
        database.execute("COMMIT")
    except sqlite3.Error as error:
        raise translate(error) from error
    finally:
        database.close()
    os.replace(fresh, path)  # noqa: PTH105 - beside os.fsync
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _check(database: sqlite3.Connection, path: Path, sender: int) -> int:
    """That the file is whole and this collector's; its format."""
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        damage = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        owner = database.execute("SELECT sender FROM collector").fetchall()
        # SQLite reads a last page that is cut as if it ended in zeros. Once the log is folded in,
        # the file must be as long as its pages.
        busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        page_bytes = database.execute("PRAGMA page_size").fetchone()[0]
    except sqlite3.Error as error:
        raise translate(error) from error
    if not busy and path.stat().st_size != pages * page_bytes:
        raise JournalDamagedError(f"{path} is not as long as its {pages} pages")
    if damage != "ok" or len(owner) != 1:
        raise JournalDamagedError(f"{path}: {damage}")
    if owner[0][0] != sender:
        raise JournalError(f"{path} belongs to sender {owner[0][0]}, not to {sender}")
    return int(version)


def translate(error: sqlite3.Error) -> JournalError:
    """An error of SQLite in the journal's own terms."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return JournalFullError("the disk of the journal is full")
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return JournalDamagedError(str(error))
    return JournalError(str(error))
