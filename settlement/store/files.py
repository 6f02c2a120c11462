"""Batch files: what was received, what was answered, which are ready.

Loads what intake and clearing decide from, and keeps what they decided. Which files are ready is a
question of `readiness`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from datetime import date
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    func,
    or_,
    select,
    tuple_,
    update,
)

from cardcore.records.batch import Batch, BatchHeader
from cardcore.records.record import VERSION
from settlement.intake.answers import (
    MISSING_RANGES_MAX,
    Acknowledgement,
    FactFileRow,
    FileAnswer,
    FileLine,
    FileRow,
    SequenceRange,
    SerialRun,
    StoredFile,
    decode_detail,
    decode_ranges,
    encode_detail,
    encode_ranges,
)
from settlement.intake.decide import FileHistory
from settlement.intake.refusals import Refusal
from settlement.store.database import Database
from settlement.store.readiness import judge_files
from settlement.store.tables import FACTS, FILE_TERMINALS, FILES, REFUSALS

_STORED = [FILES.c[field.name] for field in fields(StoredFile)]
#: So many prefixes or keys are asked for in one question.
_ASKED_AT_ONCE = 200


def load_history(database: Database, batch: Batch, serials: Sequence[SerialRun]) -> FileHistory:
    """What is known that bears on one file, which holds these serials of its terminals."""
    with database.read() as connection:
        return _history(connection, batch, serials)


def add_file(
    database: Database,
    place: Callable[[FileHistory], StoredFile | Acknowledgement],
    batch: Batch,
    facts: Sequence[FactFileRow],
    serials: Sequence[SerialRun],
) -> Acknowledgement:
    """Decide again inside the writing transaction, and keep the file if it is still new.

    Another process may have kept the same file, or an earlier one of its sender, since the
    caller looked; then the answer follows what is true now.
    """

    def decide(connection: Connection) -> Acknowledgement:
        decided = place(_history(connection, batch, serials))
        if isinstance(decided, Acknowledgement):
            return decided
        _keep_file(connection, decided, facts, serials)
        return decided.acknowledgement()

    return database.write(decide)


def remember_refusal(database: Database, refusal: Acknowledgement) -> None:
    """Keep a refused file's hash, claim and answer in the audit."""
    row = {
        "content_hash": refusal.content_hash,
        "sender_claim": refusal.sender,
        "sequence_claim": refusal.sequence,
        "answer": refusal.answer,
        "detail": encode_detail(refusal.detail),
        "is_alarm": refusal.answer.is_alarm,
        "received_at": refusal.received_at,
    }
    database.write(lambda connection: connection.execute(REFUSALS.insert(), row))


def load_refusals(database: Database) -> tuple[Refusal, ...]:
    """Every refused file, in the order of receipt."""
    with database.read() as connection:
        return read_refusals(connection)


def read_refusals(connection: Connection) -> tuple[Refusal, ...]:
    """The same, within a transaction."""
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
                detail=decode_detail(row["detail"]),
            ),
            bool(row["is_alarm"]),
        )
        for row in rows
    )


def load_files(database: Database, prefixes: Sequence[str] = ("",)) -> tuple[FileRow, ...]:
    """Every kept file, or those whose content hash begins with one of these (whole hashes, or the
    first sixteen digits, as decisions name files), by sender and sequence.
    """
    found: dict[str, FileRow] = {}
    with database.read() as connection:
        for asked in _portions(prefixes):
            rows = _load(connection, _file_query().where(_begins_with(asked)))
            found |= {row.file.content_hash: row for row in rows}
    return tuple(sorted(found.values(), key=lambda row: (row.file.sender, row.file.sequence)))


def load_file_lines(database: Database, prefixes: Sequence[str] = ("",)) -> tuple[FileLine, ...]:
    """The same as people list it: without the facts, which are by far the most."""
    found: dict[str, FileLine] = {}
    with database.read() as connection:
        for asked in _portions(prefixes):
            rows = connection.execute(_file_query().where(_begins_with(asked))).mappings().all()
            judged = judge_files(connection, rows)
            for row in rows:
                file = _stored_file(row)
                is_ready = file.content_hash in judged.ready
                is_aside = file.content_hash in judged.aside
                line = FileLine(file, row["settlement_day"], is_ready, is_aside)
                found[file.content_hash] = line
    return tuple(sorted(found.values(), key=lambda line: (line.file.sender, line.file.sequence)))


def find_record(database: Database, terminal: str, serial: int) -> tuple[str, ...]:
    """Content hashes of exactly the files that hold a record of this terminal and serial."""
    query = (
        select(FILE_TERMINALS.c.content_hash)
        .where(
            FILE_TERMINALS.c.terminal == terminal,
            FILE_TERMINALS.c.last_serial >= serial,
            FILE_TERMINALS.c.first_serial <= serial,
        )
        .order_by(FILE_TERMINALS.c.content_hash)
    )
    with database.read() as connection:
        return tuple(connection.execute(query).scalars())


def count_serials(database: Database) -> int:
    """How many runs of serials are kept of all files together."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(FILE_TERMINALS)).scalar_one()


def count_kept_serials(database: Database, content_hash: str, serials: Sequence[SerialRun]) -> int:
    """How many of these runs of serials are kept of a file."""
    columns = FILE_TERMINALS.c
    key = tuple_(columns.terminal, columns.last_serial, columns.first_serial, columns.content_hash)
    with database.read() as connection:
        return sum(
            connection.execute(
                select(func.count())
                .select_from(FILE_TERMINALS)
                .where(
                    key.in_(
                        [
                            (each.terminal, each.last_serial, each.first_serial, content_hash)
                            for each in asked
                        ]
                    )
                )
            ).scalar_one()
            for asked in _portions(serials)
        )


def load_day_files(database: Database, settlement_day: date) -> tuple[FileRow, ...]:
    """The files a closed day settled, by content hash."""
    with database.read() as connection:
        query = _file_query().where(FILES.c.settlement_day == settlement_day)
        return _by_hash(_load(connection, query))


def load_open_files(database: Database) -> tuple[FileRow, ...]:
    """Files that no closed day has settled, ready or waiting, by content hash."""
    with database.read() as connection:
        return _by_hash(_load(connection, _file_query().where(FILES.c.settlement_day.is_(None))))


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


def replace_facts(database: Database, content_hash: str, facts: Sequence[FactFileRow]) -> None:
    """Keep what the facts of a file that no day has settled are now, made again from its raw
    bytes.
    """

    def keep(connection: Connection) -> None:
        for each in facts:
            connection.execute(
                update(FACTS)
                .where(FACTS.c.content_hash == content_hash, FACTS.c.bucket == each.bucket)
                .values(sha256=each.sha256, unjudged_count=each.unjudged_count)
            )

    database.write(keep)


def _keep_file(
    connection: Connection,
    file: StoredFile,
    facts: Sequence[FactFileRow],
    serials: Sequence[SerialRun],
) -> None:
    row = {field.name: getattr(file, field.name) for field in fields(StoredFile)}
    row |= {"missing": encode_ranges(file.missing), "row_hash": file.row_hash}
    connection.execute(FILES.insert(), row)
    if facts:
        connection.execute(
            FACTS.insert(), [{"content_hash": file.content_hash} | asdict(each) for each in facts]
        )
    if serials:
        connection.execute(
            FILE_TERMINALS.insert(),
            [{"content_hash": file.content_hash} | asdict(each) for each in serials],
        )


def _file_query() -> Select[Any]:
    return select(*_STORED, FILES.c.row_hash, FILES.c.settlement_day).order_by(
        FILES.c.sender, FILES.c.sequence
    )


def _begins_with(prefixes: Sequence[str]) -> ColumnElement[bool]:
    # A range, so that the key's own index answers. Behind a hexadecimal digit comes no "g".
    column = FILES.c.content_hash
    return or_(*(and_(column >= each, column < f"{each}g") for each in prefixes))


def _portions(asked: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """So that no question grows beyond what a database takes."""
    for start in range(0, len(asked), _ASKED_AT_ONCE):
        yield asked[start : start + _ASKED_AT_ONCE]


def _load(connection: Connection, query: Select[Any]) -> tuple[FileRow, ...]:
    rows = connection.execute(query).mappings().all()
    facts: dict[str, list[FactFileRow]] = {row["content_hash"]: [] for row in rows}
    # Of these files alone: the facts of closed days are by far the most, and seldom asked for.
    asked = query.with_only_columns(FILES.c.content_hash).order_by(None)
    ready = judge_files(connection, rows).ready
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
            is_ready=row["content_hash"] in ready,
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


def _history(connection: Connection, batch: Batch, serials: Sequence[SerialRun]) -> FileHistory:
    sender, sequence = batch.header.sender, batch.header.sequence
    same_content = connection.execute(
        select(*_STORED).where(FILES.c.content_hash == batch.content_hash)
    ).mappings()
    first = same_content.one_or_none()
    same_sequence = connection.execute(
        select(FILES.c.content_hash).where(FILES.c.sender == sender, FILES.c.sequence == sequence)
    ).scalar_one_or_none()
    return FileHistory(
        same_content=_stored_file(first) if first is not None else None,
        same_sequence=same_sequence,
        missing=_missing_below(connection, sender, sequence),
        went_back=_went_back(connection, batch.header, serials),
    )


def _went_back(
    connection: Connection, header: BatchHeader, serials: Sequence[SerialRun]
) -> tuple[str, int] | None:
    """The first terminal of a file of an old version whose new program has sent lower serials. Only
    files of the same sender count: nobody else can lock a terminal out.
    """
    if header.version == VERSION:
        return None
    last = {each.terminal: each.last_serial for each in serials}
    for asked in _portions(sorted(last)):
        newer = connection.execute(
            select(FILE_TERMINALS.c.terminal, func.min(FILE_TERMINALS.c.first_serial))
            .join(FILES, FILES.c.content_hash == FILE_TERMINALS.c.content_hash)
            .where(
                FILES.c.sender == header.sender,
                FILES.c.version == VERSION,
                FILE_TERMINALS.c.terminal.in_(asked),
            )
            .group_by(FILE_TERMINALS.c.terminal)
            .order_by(FILE_TERMINALS.c.terminal)
        )
        for terminal, first_serial in newer:
            if first_serial < last[terminal]:
                return terminal, first_serial
    return None


def _missing_below(connection: Connection, sender: int, sequence: int) -> tuple[SequenceRange, ...]:
    """Holes in a sender's sequence below one, the first of them.

    The file before it has been told its own; unless one of those has come since, they are what is
    missing still, and no other file is read.
    """
    before = connection.execute(
        select(FILES.c.sequence, FILES.c.missing)
        .where(FILES.c.sender == sender, FILES.c.sequence < sequence)
        .order_by(FILES.c.sequence.desc())
        .limit(1)
    ).one_or_none()
    highest, told = (0, ()) if before is None else (before[0], decode_ranges(before[1]))
    if told and _has_come(connection, sender, told):
        told = _holes(connection, sender, highest)
    if highest + 1 < sequence:
        told = (*told, (highest + 1, sequence - 1))
    return told[:MISSING_RANGES_MAX]


def _has_come(connection: Connection, sender: int, ranges: Sequence[SequenceRange]) -> bool:
    """Whether a file of the sender lies in one of these."""
    of_sender = select(FILES.c.sequence).where(FILES.c.sender == sender).limit(1)
    return any(
        connection.execute(of_sender.where(FILES.c.sequence.between(first, last))).first()
        for first, last in ranges
    )


def _holes(connection: Connection, sender: int, highest: int) -> tuple[SequenceRange, ...]:
    """Holes in a sender's sequence up to a file that is there, by looking at all of them."""
    before = func.coalesce(func.lag(FILES.c.sequence).over(order_by=FILES.c.sequence), 0)
    present = (
        select(FILES.c.sequence, before.label("before"))
        .where(FILES.c.sender == sender, FILES.c.sequence <= highest)
        .subquery()
    )
    holes = connection.execute(
        select(present.c.before, present.c.sequence)
        .where(present.c.sequence > present.c.before + 1)
        .order_by(present.c.sequence)
        .limit(MISSING_RANGES_MAX)
    )
    return tuple((low + 1, high - 1) for low, high in holes)
