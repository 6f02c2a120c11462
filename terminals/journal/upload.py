"""Records of the journal into signed batch files, and what the back office said of them.

Decides which records stand in which file, and what a terminal's register says at its end. Leaves
the bytes of the file to `cardcore.records.batch` and the sending to whoever has a network.

A file is planned first: one committed row says which positions of the journal it holds and what
its registers are. From then on the same sequence is always the same bytes, so a file that was cut,
lost or never answered is made again and sent again, and the back office sees a repetition. Records
of several business days may share one.

A file takes every record that is in none yet, in the order of the journal, but for those held back
(`hold_back`): a bus that did not come home is read out on a later day, when others have sent newer
records. What a collector reads out of a terminal a second time goes up a second time, behind the
new records, never before the record itself may go.

A register never speaks of records that no file has reached. It gives the terminal's life-long
totals at its newest record in this file or an earlier one, and an older record that is held back
still is counted in them. So the back office names a difference on the day the newer records come,
and none on the day that brings the older one, whose register has not gone back.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from itertools import takewhile
from pathlib import Path
from sqlite3 import Connection
from typing import Any

from cardcore.digits import decode_date
from cardcore.keys import Algorithm
from cardcore.records.batch import RECORDS_MAX, BatchHeader, DeviceRegister, encode_batch
from cardcore.records.record import BYTES_OF_VERSION, FIELD
from cardcore.text import Text
from terminals.errors import JournalDamagedError
from terminals.journal.disk import write_whole
from terminals.journal.journal import Journal

Sign = Callable[[bytes], bytes]

_REGISTER_COLUMNS = (
    "terminal, first_serial, last_serial, lifetime_records, lifetime_debit_fen, "
    "lifetime_load_fen, unresolved_records, unresolved_fen"
)
# Two ordered halves that SQLite merges, so a long backlog is neither sorted nor read whole.
_RECORDS_TO_SEND = """
SELECT position, record, terminal, serial, false AS is_held FROM records
WHERE position > ? AND position NOT IN (SELECT position FROM holds)
UNION ALL
SELECT position, record, terminal, serial, true FROM holds JOIN records USING (position)
WHERE sequence IS NULL AND until <= ?
ORDER BY position LIMIT ?
"""
_REPEATS_TO_SEND = """
SELECT position, record, copy FROM repeats JOIN records USING (position)
WHERE sequence IS NULL AND length(record) = ?
AND position NOT IN (SELECT position FROM holds WHERE sequence IS NULL AND until > ?)
ORDER BY position, copy LIMIT ?
"""
_RECORDS_OF_BATCH = """
SELECT record, position FROM records
WHERE position BETWEEN ? AND ? AND position NOT IN (SELECT position FROM holds)
UNION ALL
SELECT record, position FROM holds JOIN records USING (position) WHERE sequence = ?
ORDER BY position
"""
_REPEATS_OF_BATCH = """
SELECT record FROM repeats JOIN records USING (position) WHERE sequence = ?
ORDER BY position, copy
"""
# Up to the last position of the newest file only what is held back still is in no file.
_NEWEST_SENT = """
SELECT serial, lifetime_records, lifetime_debit_fen, lifetime_load_fen FROM records
WHERE terminal = ? AND position <= ?
AND NOT EXISTS (SELECT 1 FROM holds WHERE position = records.position AND sequence IS NULL)
ORDER BY serial DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A planned file: what it holds and what was answered. `answer` is None before the first."""

    sequence: int
    key_version: int  # of the sender's signing key, chosen when the file was planned
    records: int
    settled: bool
    answer: Mapping[str, object] | None


def batch_name(sender: int, sequence: int) -> str:
    """The name of a file in the outbox.

    >>> batch_name(101, 7)
    '00000101-00000007.ocb'
    """
    return f"{sender:08d}-{sequence:08d}.ocb"


def read_again(journal: Journal, terminal: str, serial: int, copies: int) -> None:
    """Send a record so many times more, in the next file that it may go into; asking again
    changes nothing.

    `KeyError` when the journal holds no such record.
    """
    with journal.transaction("repeat") as database:
        position = _position(database, terminal, serial)
        database.executemany(
            "INSERT OR IGNORE INTO repeats (position, copy) VALUES (?, ?)",
            [(position, copy) for copy in range(1, copies + 1)],
        )


def hold_back(journal: Journal, terminal: str, serial: int, until: date) -> bool:
    """Keep a finished record out of every file made before that day; whether it waits for its day.

    A record waits for the day that was stated first: asking again changes nothing. One that is in
    a file already goes up with it; that changes nothing either and gives False. `KeyError` when
    the journal holds no such record.
    """
    with journal.transaction("hold") as database:
        position = _position(database, terminal, serial)
        _, after = _last_batch(database)
        if position > after:
            database.execute(
                "INSERT OR IGNORE INTO holds (position, until) VALUES (?, ?)",
                (position, until.isoformat()),
            )
        waits = database.execute(
            "SELECT sequence IS NULL FROM holds WHERE position = ?", (position,)
        ).fetchone()
    return waits is not None and bool(waits[0])


def plan_batch(journal: Journal, *, key_version: int, now: datetime) -> int | None:
    """Give the records that may go up by now a file; its sequence, or None without any.

    At most `RECORDS_MAX` records go into one, so a long backlog takes several calls.
    """
    with journal.transaction("batch") as database:
        last_sequence, after = _last_batch(database)
        sequence, today = last_sequence + 1, now.date().isoformat()
        rows, repeats = _to_send(database, after, today)
        if not rows and not repeats:
            return None
        last = max(after, rows[-1][0]) if rows else after
        database.execute(
            "INSERT INTO batches (sequence, first_position, last_position, record_count, "
            "business_day, key_version, created_at, settled) VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
            (
                *(sequence, after + 1, last, len(rows) + len(repeats)),
                max(_business_day(row[1]) for row in (*rows, *repeats)).isoformat(),
                key_version,
                now.replace(microsecond=0).isoformat(),
            ),
        )
        database.executemany(
            "UPDATE holds SET sequence = ? WHERE position = ?",
            [(sequence, position) for position, _, _, _, is_held in rows if is_held],
        )
        database.executemany(
            "UPDATE repeats SET sequence = ? WHERE position = ? AND copy = ?",
            [(sequence, position, copy) for position, _, copy in repeats],
        )
        first_serials: dict[str, int] = {}
        for _, _, terminal, serial, _ in rows:
            first_serials[terminal] = min(serial, first_serials.get(terminal, serial))
        database.executemany(
            f"INSERT INTO batch_registers (sequence, {_REGISTER_COLUMNS}) "  # noqa: S608 - constants
            f"VALUES ({sequence}, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    *(terminal, first),
                    *database.execute(_NEWEST_SENT, (terminal, last)).fetchone(),
                    *_unresolved(journal, terminal),
                )
                for terminal, first in first_serials.items()
            ],
        )
    return sequence


def _to_send(database: Connection, after: int, today: str) -> tuple[list[Any], list[Any]]:
    """New records and copies for one file: of the oldest version that any are of."""
    for size in BYTES_OF_VERSION.values():
        repeats = database.execute(_REPEATS_TO_SEND, (size, today, RECORDS_MAX)).fetchall()
        room = RECORDS_MAX - len(repeats)
        waiting = database.execute(_RECORDS_TO_SEND, (after, today, room))
        # A journal goes from one version to the next, never back.
        rows = list(takewhile(lambda row: len(row[1]) == size, waiting))  # noqa: B023
        if rows or repeats:
            return rows, repeats
    return [], []


def build_batch(
    journal: Journal, sequence: int, sign: Sign, algorithm: Algorithm = Algorithm.ED25519
) -> bytes:
    """The bytes of a planned file, the same at every call. `algorithm` is that of the key `sign`
    uses. `KeyError` when it was never planned, `JournalDamagedError` when the journal has lost a
    record of it.
    """
    planned = journal.query(
        "SELECT first_position, last_position, record_count, business_day, key_version, "
        "created_at FROM batches WHERE sequence = ?",
        sequence,
    )
    if not planned:
        raise KeyError(sequence)
    first, last, record_count, business_day, key_version, created_at = planned[0]
    records = [
        *(row[0] for row in journal.query(_RECORDS_OF_BATCH, first, last, sequence)),
        *(row[0] for row in journal.query(_REPEATS_OF_BATCH, sequence)),
    ]
    if len(records) != record_count:
        raise JournalDamagedError(
            Text(
                f"文件 {sequence} 计划有 {record_count} 条记录，现有 {len(records)} 条",
                f"file {sequence} was planned with {record_count} records, {len(records)} are "
                "there",
            )
        )
    registers = [
        DeviceRegister(*row)
        for row in journal.query(
            f"SELECT {_REGISTER_COLUMNS} FROM batch_registers "  # noqa: S608 - constants
            "WHERE sequence = ? ORDER BY terminal",
            sequence,
        )
    ]
    header = BatchHeader(
        sender=journal.sender(),
        sequence=sequence,
        business_day=date.fromisoformat(business_day),
        key_version=key_version,
        created_at=datetime.fromisoformat(created_at),
        record_count=record_count,
        register_count=len(registers),
        signature_algorithm=algorithm,
        version=records[0][0],
    )
    return encode_batch(header, records, registers, sign)


def write_batch(
    journal: Journal,
    sequence: int,
    sign: Sign,
    outbox: Path,
    algorithm: Algorithm = Algorithm.ED25519,
) -> Path:
    """Put a planned file into the outbox, whole or not at all; safe to repeat."""
    path = outbox / batch_name(journal.sender(), sequence)
    write_whole(path, build_batch(journal, sequence, sign, algorithm), journal.on_step)
    return path


def store_answer(
    journal: Journal, sequence: int, answer: Mapping[str, object], *, settled: bool
) -> None:
    """Keep what the back office answered. Once an answer settled a file, later ones are ignored:
    they are answers to repetitions.
    """
    text = json.dumps(answer, ensure_ascii=False, sort_keys=True)
    with journal.transaction("answer") as database:
        database.execute(
            "UPDATE batches SET answer = ?, settled = ? WHERE sequence = ? AND settled = 0",
            (text, int(settled), sequence),
        )


def batches(journal: Journal) -> tuple[BatchStatus, ...]:
    """Every planned file, in order."""
    rows = journal.query(
        "SELECT sequence, key_version, record_count, settled, answer FROM batches ORDER BY sequence"
    )
    return tuple(
        BatchStatus(sequence, version, records, bool(settled), json.loads(answer or "null"))
        for sequence, version, records, settled, answer in rows
    )


def pending_batches(journal: Journal) -> tuple[BatchStatus, ...]:
    """Files still to be sent, in order: never answered, or answered with "send it again"."""
    return tuple(batch for batch in batches(journal) if not batch.settled)


def _position(database: Connection, terminal: str, serial: int) -> int:
    row = database.execute(
        "SELECT position FROM records WHERE terminal = ? AND serial = ?", (terminal, serial)
    ).fetchone()
    if row is None:
        raise KeyError((terminal, serial))
    return int(row[0])


def _last_batch(database: Connection) -> tuple[int, int]:
    """The last sequence, and the position up to which every record is in a file or held back."""
    sequence, position = database.execute(
        "SELECT coalesce(max(sequence), 0), coalesce(max(last_position), 0) FROM batches"
    ).fetchone()
    return int(sequence), int(position)


def _unresolved(journal: Journal, terminal: str) -> tuple[int, int]:
    unresolved = journal.unresolved(terminal)
    return unresolved.records, unresolved.amount_fen


def _business_day(record: bytes) -> date:
    field = FIELD["business_day"]
    return decode_date(record[field.offset : field.offset + field.length])
