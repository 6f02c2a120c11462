"""Runs, closed days, and what a closed day posted: entries, positions, gaps, discounts.

Loads what clearing and closing decide from, and keeps what they decided. A day is closed in one
transaction that checks, under the write lock, that nothing has changed since the plan was made.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, fields
from datetime import date
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, Table, delete, func, select

from cardcore.text import Text
from settlement.clearing.tally import DiscountRow
from settlement.day_seals import SignedSeal
from settlement.days.aside import decode_aside, encode_aside
from settlement.days.closing import ClearingState, ClosedDay, ClosePlan, signed_seal
from settlement.days.load_log import LogEnd
from settlement.days.rulings import AppliedRuling
from settlement.days.run import GapRow, StoredRun
from settlement.intake.refusals import refusals_end
from settlement.ledger.entries import ChainEnd, Entry, EntryKind, Posting
from settlement.ledger.positions import Position
from settlement.people.actions import Actor
from settlement.seal import canonical_json
from settlement.store.database import Database
from settlement.store.files import read_refusals, ready_files, settle_files
from settlement.store.registry import registry_end
from settlement.store.rulings import read_proven_book
from settlement.store.tables import (
    DAYS,
    DISCOUNTS,
    ENTRIES,
    GAPS,
    POSITIONS,
    POSTINGS,
    RUNS,
)

#: The columns of a closed day that name somebody.
_ACTORS = ("closed_by", "confirmed_by")


def load_clearing_state(database: Database) -> ClearingState:
    """What a clearing run or a close starts from, all of one moment."""
    with database.read() as connection:
        return _clearing_state(connection)


def close_day(
    database: Database, plan: Callable[[ClearingState], ClosePlan | None]
) -> ClosePlan | None:
    """Decide under the write lock and keep the whole plan, or nothing when there is none.

    `plan` returns None when what it was computed from is no longer so.
    """

    def decide(connection: Connection) -> ClosePlan | None:
        decided = plan(_clearing_state(connection))
        if decided is not None:
            _keep_day(connection, decided)
        return decided

    return database.write(decide)


def save_run(database: Database, run: StoredRun) -> None:
    """Keep a run. A run is a function of its inputs: a row that says something else under its name
    was changed, and goes.
    """

    def keep(connection: Connection) -> None:
        if not _is_kept(connection, run):
            connection.execute(delete(RUNS).where(RUNS.c.run_id == run.run_id))
            connection.execute(
                RUNS.insert(),
                {
                    "run_id": run.run_id,
                    "settlement_day": run.settlement_day,
                    "registry_sha256": run.registry_sha256,
                    "review_sha256": run.review_sha256,
                    "outputs": canonical_json([list(each) for each in run.outputs]).decode(),
                    "totals": canonical_json(run.totals).decode(),
                    "output_hash": run.output_hash,
                    "load_logs": _encode(run.load_logs),
                    "rulings": _encode(run.rulings),
                },
            )

    database.write(keep)


def _is_kept(connection: Connection, run: StoredRun) -> bool:
    try:
        return _run(connection, run.run_id) == run
    except ValueError:
        return False


def load_run(database: Database, run_id: str) -> StoredRun | None:
    """One run, or None."""
    with database.read() as connection:
        return _run(connection, run_id)


def load_provisional_runs(database: Database) -> tuple[StoredRun, ...]:
    """Runs that no day was closed on, by day."""
    query = select(RUNS).where(RUNS.c.run_id.not_in(select(DAYS.c.run_id)))
    with database.read() as connection:
        rows = connection.execute(query.order_by(RUNS.c.settlement_day, RUNS.c.run_id)).mappings()
        return tuple(_stored_run(row) for row in rows)


def load_closed_days(database: Database) -> tuple[ClosedDay, ...]:
    """Every closed day, in order."""
    with database.read() as connection:
        return _closed_days(connection)


def load_newest_seal(database: Database, label: str) -> SignedSeal | None:
    """The seal of the day that was closed last, as everybody is told of it; None before the first.
    `label` is that of the key under it.
    """
    query = select(DAYS).order_by(DAYS.c.settlement_day.desc()).limit(1)
    with database.read() as connection:
        days = _days(connection, query)
    return signed_seal(label, days[0]) if days else None


def load_day(database: Database, settlement_day: date) -> ClosedDay | None:
    """One closed day; None when it is not closed."""
    days = load_days(database, (settlement_day,))
    return days[0] if days else None


def load_days(database: Database, settlement_days: Sequence[date]) -> tuple[ClosedDay, ...]:
    """Those of these days that are closed, in order."""
    query = select(DAYS).where(DAYS.c.settlement_day.in_(settlement_days))
    with database.read() as connection:
        return _days(connection, query.order_by(DAYS.c.settlement_day))


def load_days_around(
    database: Database, settlement_day: date, count: int
) -> tuple[tuple[ClosedDay, ...], tuple[ClosedDay, ...]]:
    """The closed days up to this one, and those after it: at most `count`, nearest first."""
    until = select(DAYS).where(DAYS.c.settlement_day <= settlement_day)
    after = select(DAYS).where(DAYS.c.settlement_day > settlement_day)
    with database.read() as connection:
        return (
            _days(connection, until.order_by(DAYS.c.settlement_day.desc()).limit(count)),
            _days(connection, after.order_by(DAYS.c.settlement_day).limit(count)),
        )


def load_reviewing_days(database: Database, after: date) -> tuple[ClosedDay, ...]:
    """The closed days after this one that may have decided records of earlier days again, in order:
    those with a review, those that read what load hosts allowed, and those that believed what a
    card stated.
    """
    query = (
        select(DAYS)
        .join(RUNS, RUNS.c.run_id == DAYS.c.run_id)
        .where(
            DAYS.c.settlement_day > after,
            RUNS.c.review_sha256.is_not(None)
            | RUNS.c.load_logs.is_not(None)
            | RUNS.c.totals.not_like('%"statement_proven":0%'),
        )
    )
    with database.read() as connection:
        return _days(connection, query.order_by(DAYS.c.settlement_day))


def load_entries(
    database: Database,
    settlement_day: date | None = None,
    accounts: Collection[str] | None = None,
) -> tuple[Entry, ...]:
    """Ledger entries as stored: the whole ledger, those of a day, or of these only the ones that
    have a posting on one of the accounts.
    """
    asked = select(ENTRIES)
    if settlement_day is not None:
        asked = asked.where(ENTRIES.c.settlement_day == settlement_day)
    if accounts is not None:
        touched = select(POSTINGS.c.entry).where(
            POSTINGS.c.entry == ENTRIES.c.number, POSTINGS.c.account.in_(accounts)
        )
        asked = asked.where(touched.exists())
    numbers = asked.with_only_columns(ENTRIES.c.number)
    with database.read() as connection:
        lines: dict[int, list[Posting]] = {}
        query = select(POSTINGS).where(POSTINGS.c.entry.in_(numbers))
        ordered = query.order_by(POSTINGS.c.entry, POSTINGS.c.line)
        for row in connection.execute(ordered).mappings():
            posting = Posting(**{each.name: row[each.name] for each in fields(Posting)})
            lines.setdefault(row["entry"], []).append(posting)
        heads = connection.execute(asked.order_by(ENTRIES.c.number)).mappings()
        return tuple(
            Entry(
                **{
                    **dict(head),
                    "kind": EntryKind(head["kind"]),
                    "postings": tuple(lines.pop(head["number"], ())),
                }
            )
            for head in heads
        )


def load_positions(
    database: Database, settlement_day: date, accounts: Collection[str] | None = None
) -> tuple[Position, ...]:
    """A closed day's positions, all or those of these accounts, by account."""
    query = select(POSITIONS).where(POSITIONS.c.settlement_day == settlement_day)
    if accounts is not None:
        query = query.where(POSITIONS.c.account.in_(accounts))
    with database.read() as connection:
        rows = connection.execute(query.order_by(POSITIONS.c.account)).mappings()
        return tuple(_value(Position, row) for row in rows)


def load_gaps(database: Database, settlement_day: date) -> tuple[GapRow, ...]:
    """The gaps as a closed day left them."""
    query = select(GAPS).where(GAPS.c.settlement_day == settlement_day)
    with database.read() as connection:
        rows = connection.execute(
            query.order_by(GAPS.c.issuer, GAPS.c.card_number, GAPS.c.application, GAPS.c.gap)
        ).mappings()
        return tuple(_value(GapRow, row) for row in rows)


def load_discounts(database: Database, settlement_day: date) -> tuple[DiscountRow, ...]:
    """A closed day's discounts, by operator and class."""
    query = select(DISCOUNTS).where(DISCOUNTS.c.settlement_day == settlement_day)
    with database.read() as connection:
        ordered = query.order_by(DISCOUNTS.c.operator, DISCOUNTS.c.fare_class)
        return tuple(_value(DiscountRow, row) for row in connection.execute(ordered).mappings())


def load_balances(database: Database) -> dict[str, int]:
    """Every account's balance in fen, debits positive."""
    query = select(POSTINGS.c.account, func.sum(POSTINGS.c.amount_fen))
    with database.read() as connection:
        ordered = query.group_by(POSTINGS.c.account).order_by(POSTINGS.c.account)
        return {account: int(balance) for account, balance in connection.execute(ordered)}


def _keep_day(connection: Connection, plan: ClosePlan) -> None:
    day = plan.day.settlement_day
    actors = {name: _code(getattr(plan.day, name)) for name in _ACTORS}
    set_aside = encode_aside(plan.day.set_aside) if plan.day.set_aside else None
    connection.execute(DAYS.insert(), {**asdict(plan.day), **actors, "set_aside": set_aside})
    settle_files(connection, [row.file.content_hash for row in plan.files], day)
    _insert(connection, ENTRIES, [_entry_row(entry) for entry in plan.entries])
    postings = [_posting_row(entry, each) for entry in plan.entries for each in entry.postings]
    _insert(connection, POSTINGS, postings)
    _insert(connection, POSITIONS, _day_rows(day, plan.positions))
    _insert(connection, GAPS, _day_rows(day, plan.gaps))
    _insert(connection, DISCOUNTS, _day_rows(day, plan.discounts))
    # Provisional runs of this day and of days that can no longer open have served.
    connection.execute(
        delete(RUNS).where(
            RUNS.c.settlement_day <= day, RUNS.c.run_id.not_in(select(DAYS.c.run_id))
        )
    )


def _clearing_state(connection: Connection) -> ClearingState:
    days = _closed_days(connection)
    return ClearingState(
        last_closed=days[-1] if days else None,
        ready=ready_files(connection),
        ledger_end=_ledger_end(connection),
        registry_end=registry_end(connection),
        rulings_end=read_proven_book(connection).end,
        refusals_end=refusals_end(read_refusals(connection)),
    )


def _closed_days(connection: Connection) -> tuple[ClosedDay, ...]:
    return _days(connection, select(DAYS).order_by(DAYS.c.settlement_day))


def _days(connection: Connection, query: Select[Any]) -> tuple[ClosedDay, ...]:
    return tuple(_closed_day(row) for row in connection.execute(query).mappings())


def _closed_day(row: RowMapping) -> ClosedDay:
    actors = {name: _actor(row[name]) for name in _ACTORS}
    return ClosedDay(**{**row, **actors, "set_aside": decode_aside(row["set_aside"])})


def _actor(code: str | None) -> Actor | None:
    return None if code is None else Actor.from_code(code)


def _code(actor: Actor | None) -> str | None:
    return None if actor is None else actor.code


def _ledger_end(connection: Connection) -> ChainEnd:
    last = connection.execute(
        select(POSTINGS.c.entry, POSTINGS.c.hash)
        .order_by(POSTINGS.c.entry.desc(), POSTINGS.c.line.desc())
        .limit(1)
    ).one_or_none()
    return ChainEnd() if last is None else ChainEnd(*last)


def _run(connection: Connection, run_id: str) -> StoredRun | None:
    row = connection.execute(select(RUNS).where(RUNS.c.run_id == run_id)).mappings().one_or_none()
    return None if row is None else _stored_run(row)


def _stored_run(row: RowMapping) -> StoredRun:
    try:
        return StoredRun(
            run_id=row["run_id"],
            settlement_day=row["settlement_day"],
            registry_sha256=row["registry_sha256"],
            review_sha256=row["review_sha256"],
            outputs=tuple((path, sha256) for path, sha256 in json.loads(row["outputs"])),
            totals=json.loads(row["totals"]),
            output_hash=row["output_hash"],
            load_logs=tuple(LogEnd(*each) for each in json.loads(row["load_logs"] or "[]")),
            rulings=tuple(AppliedRuling(*each) for each in json.loads(row["rulings"] or "[]")),
        )
    except (TypeError, ValueError) as error:
        run_id = row["run_id"]
        reason = Text(f"runs 表 {run_id} 行被改动", f"runs row {run_id} was changed")
        raise ValueError(reason) from error


def _encode(ends: Sequence[LogEnd] | Sequence[AppliedRuling]) -> str | None:
    return canonical_json([each.content() for each in ends]).decode() if ends else None


def _value(kind: type[Any], row: RowMapping) -> Any:  # noqa: ANN401 - the caller names the kind
    return kind(**{field.name: row[field.name] for field in fields(kind)})


def _entry_row(entry: Entry) -> dict[str, Any]:
    return {field.name: getattr(entry, field.name) for field in fields(Entry)[:-1]}


def _posting_row(entry: Entry, posting: Posting) -> dict[str, Any]:
    return {"entry": entry.number} | asdict(posting)


def _day_rows(
    settlement_day: date, rows: Sequence[Position] | Sequence[GapRow] | Sequence[DiscountRow]
) -> list[dict[str, Any]]:
    return [{"settlement_day": settlement_day} | asdict(row) for row in rows]


def _insert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(table.insert(), rows)
