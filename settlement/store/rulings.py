"""The audit log: read in order, added to, never updated.

Decides nothing: which entry may be made stands in `settlement.rulings`, and is asked under the
write lock. Who is a person and what was ruled is read from the log each time: it is the work of few
people. Whoever decides by it reads it proven; whoever lists it reads what stands there.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from cardcore.text import Text
from settlement.errors import AuditEntryError, reason_of
from settlement.people.signing import SigningKey
from settlement.rulings.book import Answered, RulingBook, read_proposal, ruling_of
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import (
    LOG_START,
    Act,
    LogEntry,
    NewEntry,
    RulingsEnd,
    broken_entry,
    end_of,
    sign_entry,
)
from settlement.rulings.proof import UNREADABLE, prove_log
from settlement.rulings.ruling import Ruling
from settlement.seal import GENESIS, canonical_json
from settlement.store.database import Database, Transaction
from settlement.store.tables import AUDIT_LOG, DAYS, REGISTRY_CHANGES

_AnswerT = TypeVar("_AnswerT")
_PROPOSALS = AUDIT_LOG.alias("proposals")
#: Ends of logs that this process has proven, the latest last: a close asks several times.
_proven: dict[RulingsEnd, None] = {}
_PROVEN_MAX = 8


def load_log(database: Database) -> tuple[LogEntry, ...]:
    """Every entry, in order."""
    with database.read() as connection:
        return read_log(connection)


def load_book(database: Database) -> RulingBook:
    """What the log says."""
    with database.read() as connection:
        return read_book(connection)


def load_proven_book(database: Database) -> RulingBook:
    """The same, proven: for whoever decides by it."""
    with database.read() as connection:
        return read_proven_book(connection)


def load_rulings(database: Database, after: int, upto: int) -> tuple[Ruling, ...]:
    """Those that were approved by log entries numbered after < n <= upto, in order. Money moves by
    them: raises `AuditEntryError` where the log is not what people signed.
    """
    book = load_proven_book(database)
    return tuple(each for each in book.rulings() if after < each.number <= upto)


def read_rulings(connection: Connection, kinds: Collection[RulingKind]) -> tuple[Ruling, ...]:
    """Those of these kinds, in order, within a transaction; not proven, so that what is damaged can
    still be listed.
    """
    # The engine looks for the word; whether it is the kind is seen in what is read.
    named = or_(*(_PROPOSALS.c.content.contains(f'"kind":"{each.value}"') for each in kinds))
    found = (_ruling(row) for row in connection.execute(_approved().where(named)).mappings())
    return tuple(each for each in found if each.kind in kinds)


def load_rulings_about(
    database: Database, items: Collection[str]
) -> Mapping[str, tuple[Ruling, ...]]:
    """What was ruled about each of these subjects, in order; those nothing was ruled about are left
    out.
    """
    book = load_book(database)
    return {item: tuple(found) for item in items if (found := book.about(item))}


def rulings_end(database: Database) -> RulingsEnd:
    """Where the log ends."""
    with database.read() as connection:
        return log_end(connection)


def log_end(connection: Connection) -> RulingsEnd:
    """The same, within a transaction."""
    columns = AUDIT_LOG.c
    query = select(columns.number, columns.hash).order_by(columns.number.desc()).limit(1)
    last = connection.execute(query).one_or_none()
    return RulingsEnd() if last is None else RulingsEnd(*last)


def read_book(connection: Connection) -> RulingBook:
    """What the log says, within a transaction. Raises `AuditEntryError` where it says nothing that
    can be read.
    """
    return _book_of(read_log(connection))


def read_proven_book(connection: Connection) -> RulingBook:
    """The same, once it is proven that people signed it so, and that nothing is cut off that stood
    under a day's seal. Raises `AuditEntryError` for the first entry of which that is not true.
    """
    log = read_log(connection)
    end = end_of(log[-1]) if log else LOG_START
    # Links are made again each time; whoever signed the same entries did so for good.
    faults = [] if broken_entry(log) is None and end in _proven else prove_log(log)
    if faults:
        raise AuditEntryError(faults[0].number, faults[0].text)
    sealed = connection.execute(select(func.max(DAYS.c.audit_entries))).scalar_one() or 0
    if sealed > end.count:
        gone = Text("已缺失：已关闭的日涵盖它", "is gone: a closed day covers it")
        raise AuditEntryError(end.count + 1, gone)
    _proven[end] = None
    while len(_proven) > _PROVEN_MAX:
        _proven.pop(next(iter(_proven)))
    return _book_of(log)


def _book_of(log: Iterable[LogEntry]) -> RulingBook:
    book = RulingBook()
    for entry in log:
        try:
            book.enter(entry)
        except UNREADABLE as error:
            raise AuditEntryError(entry.number, reason_of(error)) from error
    return book


def read_log(connection: Connection) -> tuple[LogEntry, ...]:
    """Every entry, in order, within a transaction. Raises `AuditEntryError` for the log of another
    city.
    """
    rows = connection.execute(select(AUDIT_LOG).order_by(AUDIT_LOG.c.number)).mappings()
    log = tuple(_entry(row) for row in rows)
    if log and log[0].what.content.get("city") != _city_link(connection):
        raise AuditEntryError(
            log[0].number, Text("审计日志始于另一城市", "the log was begun in another city")
        )
    return log


def load_city_link(database: Database) -> str:
    """What tells this city from every other: how its registry began."""
    with database.read() as connection:
        return _city_link(connection)


def _city_link(connection: Connection) -> str:
    columns = REGISTRY_CHANGES.c
    first = select(columns.hash).order_by(columns.number).limit(1)
    return connection.execute(first).scalar_one_or_none() or GENESIS


def keep_act(
    database: Database,
    key: SigningKey,
    decide: Callable[[RulingBook], NewEntry | _AnswerT],
    effect: Callable[[Transaction, NewEntry], None] | None = None,
) -> LogEntry | _AnswerT:
    """Decide under the write lock by what the log says, and keep the act or nothing. `effect` makes
    what follows from it in the same transaction.
    """

    def in_transaction(connection: Connection) -> LogEntry | _AnswerT:
        decided = decide(read_proven_book(connection))
        if not isinstance(decided, NewEntry):
            return decided
        if effect is not None:
            effect(connection, decided)
        return add_entry(connection, decided, key)

    return database.write(in_transaction)


def add_entry(connection: Connection, what: NewEntry, key: SigningKey) -> LogEntry:
    """Sign an act and keep it behind the end of the log."""
    entry = sign_entry(what, key, log_end(connection))
    connection.execute(AUDIT_LOG.insert(), _row(entry))
    return entry


def _approved() -> Select[Any]:
    """Every approval with the proposal that it answers."""
    return (
        select(AUDIT_LOG, *(each.label(f"of_{each.name}") for each in _PROPOSALS.c))
        .join(_PROPOSALS, _PROPOSALS.c.number == AUDIT_LOG.c.proposal)
        .where(AUDIT_LOG.c.act == Act.APPROVE.value)
        .order_by(AUDIT_LOG.c.number)
    )


def _entry(row: RowMapping, prefix: str = "") -> LogEntry:
    def cell(name: str) -> Any:  # noqa: ANN401 - of any column
        return row[f"{prefix}{name}"]

    number = cell("number")
    try:
        content = dict(json.loads(cell("content")))
        canonical_json(content)  # what cannot be written so cannot have been signed
        what = NewEntry(Act(cell("act")), cell("by"), cell("at"), content, cell("proposal"))
    except (ValueError, TypeError, RecursionError) as error:
        raise AuditEntryError(number, reason_of(error)) from error
    return LogEntry(number, what, cell("signature"), cell("previous_hash"), cell("hash"))


def _ruling(row: RowMapping) -> Ruling:
    approved = _entry(row)
    try:
        proposal = read_proposal(_entry(row, "of_"))
    except UNREADABLE as error:
        raise AuditEntryError(row["of_number"], reason_of(error)) from error
    answer = Answered(approved.number, approved.what.by, approved.what.at, is_approved=True)
    return ruling_of(proposal, answer)


def _row(entry: LogEntry) -> dict[str, Any]:
    what = entry.what
    return {
        "number": entry.number,
        "act": what.act.value,
        "proposal": what.proposal,
        "by": what.by,
        "at": what.at,
        "content": canonical_json(what.content).decode(),
        "signature": entry.signature,
        "previous_hash": entry.previous_hash,
        "hash": entry.hash,
    }
