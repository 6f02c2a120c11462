"""The load host's log: files received, and the loads they list.

Loads what intake and the match of loads decide from, and keeps what intake decided. Rows are only
added. What stands behind a hole is kept and not read (`settlement.intake.load_log.read_reach`).
"""

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from cardcore.records.kinds import Funding
from cardcore.records.load_log import AllowedLoad, LoadLogFile
from settlement.intake.answers import (
    Acknowledgement,
    FileAnswer,
    SequenceRange,
    decode_ranges,
    encode_ranges,
)
from settlement.intake.load_log import (
    LoadLogHistory,
    LoggedLoad,
    LogReach,
    StoredLoadLog,
    read_reach,
)
from settlement.intake.signed_file import issuer_of
from settlement.store.database import Database
from settlement.store.tables import ALLOWED_LOADS, LOAD_LOGS

_STORED = [LOAD_LOGS.c[field.name] for field in fields(StoredLoadLog)]
_BYTES = frozenset({"random", "mac1", "mac2"})
#: So many cards are asked for in one question.
_ASKED_AT_ONCE = 200


def load_log_history(database: Database, file: LoadLogFile) -> LoadLogHistory:
    """What is known that bears on one file."""
    with database.read() as connection:
        return _history(connection, file)


def add_load_log(
    database: Database,
    place: Callable[[LoadLogHistory], StoredLoadLog | Acknowledgement],
    file: LoadLogFile,
) -> Acknowledgement:
    """Decide again inside the writing transaction, and keep the file and its entries if it is still
    new.
    """

    def decide(connection: Connection) -> Acknowledgement:
        decided = place(_history(connection, file))
        if isinstance(decided, Acknowledgement):
            return decided
        row = {field.name: getattr(decided, field.name) for field in fields(StoredLoadLog)}
        row |= {"missing": encode_ranges(decided.missing), "row_hash": decided.row_hash}
        connection.execute(LOAD_LOGS.insert(), row)
        rows = entry_rows(decided.issuer, decided.content_hash, file.loads)
        connection.execute(ALLOWED_LOADS.insert(), rows)
        return decided.acknowledgement()

    return database.write(decide)


def load_load_logs(database: Database) -> tuple[tuple[StoredLoadLog, str], ...]:
    """Every kept file with the hash that stands in its row, by issuer and number."""
    query = select(LOAD_LOGS).order_by(LOAD_LOGS.c.issuer, LOAD_LOGS.c.first_number)
    with database.read() as connection:
        return tuple(
            (_stored(row), row["row_hash"]) for row in connection.execute(query).mappings()
        )


def load_reach(database: Database) -> tuple[LogReach, ...]:
    """How far the log of each issuer is there without a hole."""
    return read_reach(file for file, _ in load_load_logs(database))


def load_allowed(database: Database, first: date, last: date) -> tuple[LoggedLoad, ...]:
    """The loads in files that hosts made from one day to another, by issuer and number: those
    before any hole.
    """
    found: list[LoggedLoad] = []
    files = [file for file, _ in load_load_logs(database)]
    reach = {each.issuer: each.last_number for each in read_reach(files)}
    with database.read() as connection:
        for file in files:
            is_asked = first <= file.created_at.date() <= last
            if is_asked and file.last_number <= reach[file.issuer]:
                query = select(ALLOWED_LOADS).where(
                    ALLOWED_LOADS.c.issuer == file.issuer,
                    ALLOWED_LOADS.c.number.between(file.first_number, file.last_number),
                )
                rows = connection.execute(query.order_by(ALLOWED_LOADS.c.number)).mappings()
                day = file.created_at.date()
                found += [LoggedLoad(file.issuer, day, _load(row)) for row in rows]
    return tuple(found)


def load_allowed_of_cards(
    database: Database, card_numbers: Sequence[str]
) -> tuple[LoggedLoad, ...]:
    """Every load of these cards that was ever allowed, by issuer and number: those before any
    hole.
    """
    found: list[LoggedLoad] = []
    reach = {each.issuer: each.last_number for each in load_reach(database)}
    query = select(ALLOWED_LOADS, LOAD_LOGS.c.created_at).join(
        LOAD_LOGS, LOAD_LOGS.c.content_hash == ALLOWED_LOADS.c.content_hash
    )
    with database.read() as connection:
        for start in range(0, len(card_numbers), _ASKED_AT_ONCE):
            asked = card_numbers[start : start + _ASKED_AT_ONCE]
            rows = connection.execute(query.where(ALLOWED_LOADS.c.card_number.in_(asked)))
            found += [
                LoggedLoad(row["issuer"], row["created_at"].date(), _load(row))
                for row in rows.mappings()
                if row["number"] <= reach[row["issuer"]]
            ]
    return tuple(sorted(found, key=lambda each: (each.issuer, each.load.number)))


def load_day_of(database: Database, number: int, issuer: str | None = None) -> date | None:
    """The day on which the host made the file with an entry; None when no file has it. Without an
    issuer, of the first that has it.
    """
    query = (
        select(LOAD_LOGS.c.created_at)
        .join(ALLOWED_LOADS, LOAD_LOGS.c.content_hash == ALLOWED_LOADS.c.content_hash)
        .where(ALLOWED_LOADS.c.number == number)
        .order_by(ALLOWED_LOADS.c.issuer)
    )
    if issuer is not None:
        query = query.where(ALLOWED_LOADS.c.issuer == issuer)
    with database.read() as connection:
        found = connection.execute(query.limit(1)).scalar_one_or_none()
    return None if found is None else found.date()


def count_allowed_before(database: Database, day: date) -> int:
    """How many loads stand in files that hosts made before a day."""
    query = select(func.coalesce(func.sum(LOAD_LOGS.c.entry_count), 0))
    with database.read() as connection:
        return int(connection.execute(query.where(LOAD_LOGS.c.created_at < day)).scalar_one())


def load_entry_rows(database: Database) -> dict[tuple[str, int], dict[str, Any]]:
    """Every entry's row as it stands, by issuer and number."""
    with database.read() as connection:
        rows = connection.execute(select(ALLOWED_LOADS)).mappings()
        return {(row["issuer"], row["number"]): dict(row) for row in rows}


def entry_rows(
    issuer: str, content_hash: str, loads: Sequence[AllowedLoad]
) -> list[dict[str, Any]]:
    """The rows of a file's entries as they have to stand."""
    return [
        {"issuer": issuer, "content_hash": content_hash}
        | {
            field.name: _cell(field.name, getattr(load, field.name))
            for field in fields(AllowedLoad)
        }
        for load in loads
    ]


def _cell(name: str, value: Any) -> Any:  # noqa: ANN401 - of any column
    if name == "funding":
        return int(value)
    return value.hex() if name in _BYTES else value


def _load(row: RowMapping) -> AllowedLoad:
    values = {field.name: row[field.name] for field in fields(AllowedLoad)}
    values |= {name: bytes.fromhex(values[name]) for name in _BYTES}
    return AllowedLoad(**{**values, "funding": Funding(values["funding"])})


def _stored(row: RowMapping) -> StoredLoadLog:
    values = {field.name: row[field.name] for field in fields(StoredLoadLog)}
    values["answer"] = FileAnswer(row["answer"])
    values["missing"] = decode_ranges(row["missing"])
    return StoredLoadLog(**values)


def _history(connection: Connection, file: LoadLogFile) -> LoadLogHistory:
    issuer, first = issuer_of(file.header), file.header.first_number
    end = first + file.header.entry_count
    columns = LOAD_LOGS.c
    same_content = (
        connection.execute(select(*_STORED).where(columns.content_hash == file.content_hash))
        .mappings()
        .one_or_none()
    )
    of_issuer = select(LOAD_LOGS).where(columns.issuer == issuer)
    nearest = of_issuer.where(columns.first_number < end).order_by(columns.first_number.desc())
    last = connection.execute(nearest.limit(1)).mappings().one_or_none()
    behind = connection.execute(
        of_issuer.where(columns.first_number == end).with_only_columns(columns.previous)
    ).scalar_one_or_none()
    last_end = 0 if last is None else last["first_number"] + last["entry_count"]
    return LoadLogHistory(
        same_content=None if same_content is None else _stored(same_content),
        same_numbers=last["content_hash"] if last is not None and last_end > first else None,
        before=last["digest"] if last is not None and last_end == first else None,
        after=behind,
        missing=_missing_below(connection, issuer, first),
    )


def _missing_below(connection: Connection, issuer: str, number: int) -> tuple[SequenceRange, ...]:
    """Holes in the log of an issuer below a number: only the files beside a hole are read."""
    columns = LOAD_LOGS.c
    end = columns.first_number + columns.entry_count
    before = func.coalesce(func.lag(end).over(order_by=columns.first_number), 1)
    present = (
        select(columns.first_number, end.label("end"), before.label("before"))
        .where(columns.issuer == issuer, columns.first_number < number)
        .subquery()
    )
    holes = connection.execute(
        select(present.c.before, present.c.first_number)
        .where(present.c.first_number > present.c.before)
        .order_by(present.c.first_number)
    )
    ranges = [(low, high - 1) for low, high in holes]
    highest = connection.execute(select(func.coalesce(func.max(present.c.end), 1))).scalar_one()
    if highest < number:
        ranges.append((highest, number - 1))
    return tuple(ranges)
