"""Records of the journal into signed batch files, and what the back office said of them.

Decides which records stand in which file, and what a terminal's register says at its end. Leaves
the bytes of the file to `cardcore.batch` and the sending to whoever has a network.

A file is planned first: one committed row says which positions of the journal it holds and what
its registers are. From then on the same sequence is always the same bytes, so a file that was cut,
lost or never answered is made again and sent again, and the back office sees a repetition. The
next file begins where this one ends; records of several business days may share one. What a
collector reads out of a terminal a second time goes up a second time, behind the new records.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from cardcore.batch import RECORDS_MAX, BatchHeader, DeviceRegister, encode_batch
from cardcore.digits import decode_date
from cardcore.records import FIELD
from terminals.journal import Journal, sync_folder

Sign = Callable[[bytes], bytes]

_REGISTER_COLUMNS = (
    "terminal, first_serial, last_serial, lifetime_records, lifetime_debit_fen, "
    "lifetime_load_fen, unresolved_records, unresolved_fen"
)


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A planned file: what it holds and what was answered. `answer` is None before the first."""

    sequence: int
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
    """Send a record so many times more, in the next file; asking again changes nothing.

    `KeyError` when the journal holds no such record.
    """
    with journal.transaction("repeat") as database:
        row = database.execute(
            "SELECT position FROM records WHERE terminal = ? AND serial = ?", (terminal, serial)
        ).fetchone()
        if row is None:
            raise KeyError((terminal, serial))
        database.executemany(
            "INSERT OR IGNORE INTO repeats (position, copy) VALUES (?, ?)",
            [(row[0], copy) for copy in range(1, copies + 1)],
        )


def plan_batch(journal: Journal, *, key_version: int, now: datetime) -> int | None:
    """Give the next records a file; its sequence, or None when there is nothing to send.

    At most `RECORDS_MAX` records go into one, so a long backlog takes several calls.
    """
    with journal.transaction("batch") as database:
        sequence, after = database.execute(
            "SELECT coalesce(max(sequence), 0) + 1, coalesce(max(last_position), 0) FROM batches"
        ).fetchone()
        repeats = database.execute(
            "SELECT record, position, copy FROM repeats JOIN records USING (position) "
            "WHERE sequence IS NULL ORDER BY position, copy LIMIT ?",
            (RECORDS_MAX,),
        ).fetchall()
        rows = database.execute(
            "SELECT position, terminal, serial, record, lifetime_records, lifetime_debit_fen, "
            "lifetime_load_fen FROM records WHERE position > ? ORDER BY position LIMIT ?",
            (after, RECORDS_MAX - len(repeats)),
        ).fetchall()
        if not rows and not repeats:
            return None
        first_serials: dict[str, int] = {}
        totals: dict[str, tuple[int, ...]] = {}
        for _, terminal, serial, _, *lifetime in rows:
            first_serials.setdefault(terminal, serial)
            totals[terminal] = (serial, *lifetime)
        database.execute(
            "INSERT INTO batches (sequence, first_position, last_position, business_day, "
            "key_version, created_at, settled) VALUES (?, ?, ?, ?, ?, ?, 0)",
            (
                *(sequence, after + 1, rows[-1][0] if rows else after),
                max(
                    _business_day(record)
                    for record in (*(row[3] for row in rows), *(row[0] for row in repeats))
                ).isoformat(),
                key_version,
                now.replace(microsecond=0).isoformat(),
            ),
        )
        database.executemany(
            "UPDATE repeats SET sequence = ? WHERE position = ? AND copy = ?",
            [(sequence, position, copy) for _, position, copy in repeats],
        )
        database.executemany(
            f"INSERT INTO batch_registers (sequence, {_REGISTER_COLUMNS}) "  # noqa: S608 - constants
            f"VALUES ({sequence}, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (terminal, first, *totals[terminal], *_unresolved(journal, terminal))
                for terminal, first in first_serials.items()
            ],
        )
    return int(sequence)


def build_batch(journal: Journal, sequence: int, sign: Sign) -> bytes:
    """The bytes of a planned file, the same at every call. `KeyError` when it was never planned."""
    planned = journal.query(
        "SELECT first_position, last_position, business_day, key_version, created_at "
        "FROM batches WHERE sequence = ?",
        sequence,
    )
    if not planned:
        raise KeyError(sequence)
    first, last, business_day, key_version, created_at = planned[0]
    records = [
        row[0]
        for row in journal.query(
            "SELECT record FROM records WHERE position BETWEEN ? AND ? ORDER BY position",
            first,
            last,
        )
    ] + [
        row[0]
        for row in journal.query(
            "SELECT record FROM repeats JOIN records USING (position) WHERE sequence = ? "
            "ORDER BY position, copy",
            sequence,
        )
    ]
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
        record_count=len(records),
        register_count=len(registers),
    )
    return encode_batch(header, records, registers, sign)


def write_batch(journal: Journal, sequence: int, sign: Sign, outbox: Path) -> Path:
    """Put a planned file into the outbox, whole or not at all; safe to repeat."""
    path = outbox / batch_name(journal.sender(), sequence)
    fresh = path.with_suffix(".part")
    data = build_batch(journal, sequence, sign)
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    journal.on_step("outbox written")
    fresh.replace(path)
    sync_folder(outbox)
    journal.on_step("outbox durable")
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
        "SELECT sequence, last_position - first_position + 1 + (SELECT count(*) FROM repeats "
        "WHERE repeats.sequence = batches.sequence), settled, answer FROM batches ORDER BY sequence"
    )
    return tuple(
        BatchStatus(sequence, records, bool(settled), json.loads(answer) if answer else None)
        for sequence, records, settled, answer in rows
    )


def pending_batches(journal: Journal) -> tuple[BatchStatus, ...]:
    """Files still to be sent, in order: never answered, or answered with "send it again"."""
    return tuple(batch for batch in batches(journal) if not batch.settled)


def _unresolved(journal: Journal, terminal: str) -> tuple[int, int]:
    unresolved = journal.unresolved(terminal)
    return unresolved.records, unresolved.amount_fen


def _business_day(record: bytes) -> date:
    field = FIELD["business_day"]
    return decode_date(record[field.offset : field.offset + field.length])
