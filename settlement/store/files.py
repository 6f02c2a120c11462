"""Batch files: what was received, what was answered, which are ready.

Loads what intake and clearing decide from, and keeps what they decided. Readiness is a query:
a file is ready when as many files of its sender stand before it as its sequence says.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select, update

from settlement.intake.answers import (
    Acknowledgement,
    FactFileRow,
    FileAnswer,
    FileRow,
    StoredFile,
    decode_ranges,
    encode_ranges,
)
from settlement.intake.decide import FileHistory
from settlement.store.database import Database
from settlement.store.tables import FACTS, FILES, REFUSALS

_STORED = [FILES.c[field.name] for field in fields(StoredFile)]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused file as the audit remembers it."""

    number: int
    acknowledgement: Acknowledgement


def load_history(database: Database, content_hash: str, sender: int, sequence: int) -> FileHistory:
    """What is known that bears on one file."""
    with database.read() as connection:
        return _history(connection, content_hash, sender, sequence)


def add_file(
    database: Database,
    place: Callable[[FileHistory], StoredFile | Acknowledgement],
    candidate: StoredFile,
    facts: Sequence[FactFileRow],
) -> Acknowledgement:
    """Decide again inside the writing transaction, and keep the file if it is still new.

    Another process may have kept the same file, or an earlier one of its sender, since the
    caller looked; then the answer follows what is true now.
    """

    def decide(connection: Connection) -> Acknowledgement:
        decided = place(
            _history(connection, candidate.content_hash, candidate.sender, candidate.sequence)
        )
        if isinstance(decided, Acknowledgement):
            return decided
        _keep_file(connection, decided, facts)
        return decided.acknowledgement()

    return database.write(decide)


def remember_refusal(database: Database, refusal: Acknowledgement) -> None:
    """Keep a refused file's hash, claim and answer in the audit."""
    row = {
        "content_hash": refusal.content_hash,
        "sender_claim": refusal.sender,
        "sequence_claim": refusal.sequence,
        "answer": refusal.answer,
        "detail": refusal.detail,
        "is_alarm": refusal.answer.is_alarm,
        "received_at": refusal.received_at,
    }
    database.write(lambda connection: connection.execute(REFUSALS.insert(), row))


def load_refusals(database: Database) -> tuple[Refusal, ...]:
    """Every refused file, in the order of receipt."""
    with database.read() as connection:
        rows = connection.execute(select(REFUSALS).order_by(REFUSALS.c.number)).mappings()
        return tuple(
            Refusal(
                row["number"],
                Acknowledgement(
                    answer=FileAnswer(row["answer"]),
                    content_hash=row["content_hash"],
                    received_at=row["received_at"],
                    sender=row["sender_claim"],
                    sequence=row["sequence_claim"],
                    detail=row["detail"],
                ),
            )
            for row in rows
        )


def load_files(database: Database) -> tuple[FileRow, ...]:
    """Every kept file, by sender and sequence."""
    with database.read() as connection:
        return _load(connection, _file_query())


def load_day_files(database: Database, settlement_day: date) -> tuple[FileRow, ...]:
    """The files a closed day settled, by content hash."""
    with database.read() as connection:
        query = _file_query().where(FILES.c.settlement_day == settlement_day)
        return _by_hash(_load(connection, query))


def ready_files(connection: Connection) -> tuple[FileRow, ...]:
    """Files that are ready and not in a closed day, by content hash."""
    waiting = _load(connection, _file_query().where(FILES.c.settlement_day.is_(None)))
    return _by_hash(tuple(row for row in waiting if row.is_ready))


def settle_files(
    connection: Connection, content_hashes: Sequence[str], settlement_day: date
) -> None:
    """Mark files with the day that settled them. A file is settled once."""
    for content_hash in content_hashes:
        changed = connection.execute(
            update(FILES)
            .where(FILES.c.content_hash == content_hash, FILES.c.settlement_day.is_(None))
            .values(settlement_day=settlement_day)
        )
        assert changed.rowcount == 1, content_hash


def _keep_file(connection: Connection, file: StoredFile, facts: Sequence[FactFileRow]) -> None:
    row = {field.name: getattr(file, field.name) for field in fields(StoredFile)}
    row |= {"missing": encode_ranges(file.missing), "row_hash": file.row_hash}
    connection.execute(FILES.insert(), row)
    if facts:
        connection.execute(
            FACTS.insert(), [{"content_hash": file.content_hash} | asdict(each) for each in facts]
        )


def _file_query() -> Select[Any]:
    # Sequences are unique for a sender and count from 1: the n-th file with sequence n has all
    # its predecessors beside it.
    rank = func.row_number().over(partition_by=FILES.c.sender, order_by=FILES.c.sequence)
    ready = select(FILES.c.content_hash, (rank == FILES.c.sequence).label("is_ready")).subquery()
    return (
        select(*_STORED, FILES.c.row_hash, FILES.c.settlement_day, ready.c.is_ready)
        .join(ready, ready.c.content_hash == FILES.c.content_hash)
        .order_by(FILES.c.sender, FILES.c.sequence)
    )


def _load(connection: Connection, query: Select[Any]) -> tuple[FileRow, ...]:
    rows = connection.execute(query).mappings().all()
    facts: dict[str, list[FactFileRow]] = {row["content_hash"]: [] for row in rows}
    # Of these files alone: the facts of closed days are by far the most, and seldom asked for.
    asked = query.with_only_columns(FILES.c.content_hash).order_by(None)
    held = connection.execute(
        select(FACTS)
        .where(FACTS.c.content_hash.in_(asked))
        .order_by(FACTS.c.content_hash, FACTS.c.bucket)
    )
    for content_hash, *rest in held:
        if content_hash in facts:
            facts[content_hash].append(FactFileRow(*rest))
    return tuple(
        FileRow(
            file=_stored_file(row),
            row_hash=row["row_hash"],
            facts=tuple(facts[row["content_hash"]]),
            settlement_day=row["settlement_day"],
            is_ready=bool(row["is_ready"]),
        )
        for row in rows
    )


def _stored_file(row: RowMapping) -> StoredFile:
    values = {field.name: row[field.name] for field in fields(StoredFile)}
    values["answer"] = FileAnswer(row["answer"])
    values["missing"] = decode_ranges(row["missing"])
    return StoredFile(**values)


def _by_hash(rows: tuple[FileRow, ...]) -> tuple[FileRow, ...]:
    return tuple(sorted(rows, key=lambda row: row.file.content_hash))


def _history(connection: Connection, content_hash: str, sender: int, sequence: int) -> FileHistory:
    same_content = connection.execute(
        select(*_STORED).where(FILES.c.content_hash == content_hash)
    ).mappings()
    first = same_content.one_or_none()
    same_sequence = connection.execute(
        select(FILES.c.content_hash).where(FILES.c.sender == sender, FILES.c.sequence == sequence)
    ).scalar_one_or_none()
    return FileHistory(
        same_content=_stored_file(first) if first is not None else None,
        same_sequence=same_sequence,
        missing=_missing_below(connection, sender, sequence),
    )


def _missing_below(
    connection: Connection, sender: int, sequence: int
) -> tuple[tuple[int, int], ...]:
    """Holes in a sender's sequence below one: only the files beside a hole are read."""
    before = func.coalesce(func.lag(FILES.c.sequence).over(order_by=FILES.c.sequence), 0)
    present = (
        select(FILES.c.sequence, before.label("before"))
        .where(FILES.c.sender == sender, FILES.c.sequence < sequence)
        .subquery()
    )
    holes = connection.execute(
        select(present.c.before, present.c.sequence)
        .where(present.c.sequence > present.c.before + 1)
        .order_by(present.c.sequence)
    )
    ranges = [(low + 1, high - 1) for low, high in holes]
    highest = connection.execute(
        select(func.coalesce(func.max(present.c.sequence), 0))
    ).scalar_one()
    if highest + 1 < sequence:
        ranges.append((highest + 1, sequence - 1))
    return tuple(ranges)
