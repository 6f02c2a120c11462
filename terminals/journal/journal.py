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

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from cardcore.records.record import TransactionRecord, decode_record, encode_record
from cardcore.text import Text
from terminals.errors import JournalDamagedError, JournalError
from terminals.journal.disk import (
    beside,
    check_first_page,
    check_journal,
    connect,
    create,
    translate,
)
from terminals.journal.migration import migrate
from terminals.taps import Intent, TapOutcome, TapState

#: Steps between two checkpoints: about 20 MiB of log, and one tap in five hundred waits for one.
CHECKPOINT_STEPS = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the journal holds under a request id. `outcome` is None while the tap is open."""

    same_content: bool
    card_number: str
    application: int
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
                raise JournalDamagedError(
                    Text(
                        f"{path} 不在了，其预写日志还在",
                        f"{path} is gone, its write-ahead log is there",
                    )
                )
            create(path, sender)
        check_first_page(path)
        database = connect(path)
        try:
            migrate(database, check_journal(database, path, sender), path)
        except sqlite3.Error as error:
            database.close()
            raise translate(error) from error
        except BaseException:
            database.close()
            raise
        return cls(database, on_step)

    @classmethod
    def open_to_read(cls, path: Path) -> Self:
        """An existing journal, of any format and as it is: nothing is checked, nothing can be
        written. Raises `JournalError`, as its questions do when the file is damaged.
        """
        try:
            database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise translate(error) from error
        return cls(database, _no_step)

    def close(self) -> None:
        """Close the file; its write-ahead log is folded in."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def transaction(self, step: str, *, force: bool = True) -> Iterator[sqlite3.Connection]:
        """One step, whole or not at all. Names heard: `step`, then before, written, durable.

        Without `force` it is not forced to the disk: it becomes durable with the next step that
        is, and nothing that stood before it is in danger.
        """
        self.on_step(f"{step} before")
        try:
            if not force:
                self._database.execute("PRAGMA synchronous = NORMAL")
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
        finally:
            if not force:
                self._database.execute("PRAGMA synchronous = FULL")
        self.on_step(f"{step} durable" if force else f"{step} kept")
        self._steps += 1
        if self._steps % CHECKPOINT_STEPS == 0:
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _roll_back(self) -> None:
        # SQLite itself rolls back on some errors, a full disk among them.
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")

    def query(self, sql: str, *parameters: object) -> list[Any]:
        """Rows of one reading statement; its parameters in order, or one mapping by name."""
        named = parameters[0] if parameters and isinstance(parameters[0], dict) else parameters
        try:
            return self._database.execute(sql, named).fetchall()
        except sqlite3.Error as error:
            raise translate(error) from error

    def sender(self) -> int:
        """The code under which this collector signs its files."""
        return int(self.query("SELECT sender FROM collector")[0][0])

    def find_answer(self, key: RequestKey) -> Answer | None:
        """What this request was answered with, or None when it has no tap."""
        rows = self.query(
            "SELECT q.content_hash, t.card_number, t.application, t.outcome, r.record "
            "FROM requests q "
            "JOIN taps t ON t.id = q.tap LEFT JOIN records r ON r.position = t.position "
            "WHERE q.request_id = ?",
            key.request_id,
        )
        if not rows:
            return None
        content_hash, card_number, application, outcome, record = rows[0]
        return Answer(
            content_hash == key.content_hash,
            card_number,
            application,
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
        with self.transaction("record"):
            serial, count, debit_fen, load_fen = self._totals(record.terminal)
            record = replace(record, terminal_serial=serial + 1)
            amount_fen = record.amount_fen
            debit_fen += 0 if record.is_load else amount_fen
            load_fen += amount_fen if record.is_load else 0
            position = self._add_record(tap, record, (count + 1, debit_fen, load_fen))
            self._end(tap, TapState.RECORDED, outcome, trace, position)
            if also_answers is not None:
                self._add_request(also_answers, tap)
        return record

    def next_serial(self, terminal: str) -> int:
        """The serial that the terminal's next record will have."""
        try:
            return self._totals(terminal)[0] + 1
        except sqlite3.Error as error:
            raise translate(error) from error

    def store_event(self, key: RequestKey, record: TransactionRecord, trace: bytes) -> None:
        """Keep the finished record of an event in which no purse moved, with the serial it names.

        Raises `JournalError` when the terminal has given that serial to another record since.
        """
        assert not record.kind.moves_purse, record.kind
        with self.transaction("event") as database:
            serial, count, debit_fen, load_fen = self._totals(record.terminal)
            if record.terminal_serial != serial + 1:
                raise JournalError(
                    Text(
                        f"{record.id}：终端已用到流水号 {serial}",
                        f"{record.id}: the terminal has gone on to serial {serial}",
                    )
                )
            data = encode_record(record)
            tap = database.execute(
                "INSERT INTO taps (request_id, card_number, terminal, state, outcome, draft, "
                "trace_before, application) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(key.request_id, record.card_number, record.terminal, TapState.RECORDED),
                    *(TapOutcome.APPROVED, data, trace, record.application),
                ),
            ).lastrowid
            assert tap is not None
            totals = (count + 1, debit_fen, load_fen)
            position = self._add_record(tap, record, totals)
            database.execute("UPDATE taps SET position = ? WHERE id = ?", (position, tap))
            self._add_request(key, tap)

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

    def _add_record(
        self, tap: int, record: TransactionRecord, totals: tuple[int, int, int]
    ) -> int | None:
        return self._database.execute(
            "INSERT INTO records (tap, terminal, serial, record, lifetime_records, "
            "lifetime_debit_fen, lifetime_load_fen) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (tap, record.terminal, record.terminal_serial, encode_record(record), *totals),
        ).lastrowid

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
            raise JournalError(Text(f"刷卡 {tap} 已结束", f"tap {tap} is not open"))

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
