"""The registry's chain of changes: loaded in order, added to, never updated.

Decides nothing: which changes may be made, and what holds on a day, stands in
`settlement.registry`. Whatever is added is decided again under the write lock.
"""

import json
from collections.abc import Callable, Collection, Iterable
from datetime import date
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy import Connection, RowMapping, func, select

from settlement.errors import RegistryRowError, reason_of
from settlement.people.actions import Action, Actor, ActorError
from settlement.registry.book import (
    BEGINNING,
    FOREVER,
    AnyDated,
    Book,
    Change,
    NewChange,
    Registry,
    RegistryEnd,
    book_of,
    chain_changes,
    registry_of,
)
from settlement.registry.decide import (
    Decided,
    Refused,
    RegistryConflictError,
    decide_register,
)
from settlement.registry.rows import (
    KINDS,
    LoadHostRow,
    NameRow,
    ParticipantRow,
    RegistryRow,
    SenderRow,
    TacKeyRow,
    content_of,
)
from settlement.seal import canonical_json
from settlement.store.database import Database
from settlement.store.tables import DAYS, REGISTRY_CHANGES

_RefusalT = TypeVar("_RefusalT")


def change_registry(
    database: Database,
    decide: Callable[[Book, date | None], Decided | _RefusalT],
    action: Action,
) -> Decided | _RefusalT:
    """Decide under the write lock, from the registry and the last closed day, and keep every change
    of the decision or none.
    """

    def in_transaction(connection: Connection) -> Decided | _RefusalT:
        last_closed = connection.execute(select(func.max(DAYS.c.settlement_day))).scalar_one()
        decided = decide(book_of(_changes(connection)), last_closed)
        if isinstance(decided, Decided):
            add_changes(connection, decided.changes, action)
        return decided

    return database.write(in_transaction)


def read_for_change(database: Database) -> tuple[Book, date | None]:
    """What a change is decided from: the registry, and the last closed day."""
    with database.read() as connection:
        last_closed = connection.execute(select(func.max(DAYS.c.settlement_day))).scalar_one()
        return book_of(_changes(connection)), last_closed


def register(
    database: Database, offered: Iterable[AnyDated], action: Action
) -> tuple[NewChange, ...]:
    """Add the rows that are not held yet, all or none, and return what was added.

    Raises `RegistryConflictError`, with nothing added, when one contradicts a held row.
    """
    rows = tuple(offered)
    decided = change_registry(database, lambda book, _: decide_register(book, rows), action)
    if isinstance(decided, Refused):
        raise RegistryConflictError(decided)
    return decided.changes


def load_registry(database: Database) -> Registry:
    """The whole registry with the days of every row."""
    return registry_of(book_of(load_changes(database)))


def load_changes(database: Database) -> tuple[Change, ...]:
    """The whole chain of changes, in order."""
    with database.read() as connection:
        return tuple(_changes(connection))


def load_public_key(database: Database, sender: int, key_version: int, day: date) -> bytes | None:
    """The public key of a sender on a day (32 bytes of Ed25519, 65 of SM2), or None when it is not
    registered then.
    """
    changes = _sender_changes(database, sender, key_version)
    held = Book(each.what for each in changes).on("sender", f"{sender}/{key_version}", day)
    return None if held is None else _public_key(held.row)


def load_public_keys_ever(database: Database, sender: int, key_version: int) -> tuple[bytes, ...]:
    """Every public key that was ever registered so, for whoever proves old files again: what is
    revoked now was right then.
    """
    rows = [each.what.row for each in _sender_changes(database, sender, key_version)]
    return tuple(dict.fromkeys(_public_key(row) for row in rows if row is not None))


def load_host_key(database: Database, issuer: str, key_version: int, day: date) -> bytes | None:
    """The public key of an issuer's load host on a day, or None when it is not registered then."""
    book = Book(each.what for each in _host_changes(database, issuer, key_version))
    held = book.on("load_host", f"{issuer}/{key_version}", day)
    return None if held is None else _public_key(held.row)


def load_host_keys_ever(database: Database, issuer: str, key_version: int) -> tuple[bytes, ...]:
    """Every key that was ever registered so, for whoever proves old files again."""
    rows = [each.what.row for each in _host_changes(database, issuer, key_version)]
    return tuple(dict.fromkeys(_public_key(row) for row in rows if row is not None))


def load_participants(database: Database, codes: Collection[int]) -> tuple[ParticipantRow, ...]:
    """The participants of these codes as they are called last, by code."""
    rows = _latest(database, "participant", {str(code) for code in codes})
    return tuple(sorted(row for row in rows if isinstance(row, ParticipantRow)))


def load_names(database: Database, keys: Collection[tuple[str, int]]) -> tuple[NameRow, ...]:
    """What people last called the lines, stations and vehicles of these (kind, code), by both."""
    rows = _latest(database, "name", {f"{kind}/{code}" for kind, code in keys})
    return tuple(sorted(row for row in rows if isinstance(row, NameRow)))


def load_tac_keys(database: Database) -> tuple[TacKeyRow, ...]:
    """The TAC keys that are registered without an end; they are asked for with every file."""
    with database.read() as connection:
        book = Book(each.what for each in _changes(connection, "tac_key"))
    return tuple(
        each.row
        for each in book.all("tac_key")
        if each.valid_to == FOREVER and isinstance(each.row, TacKeyRow)
    )


def load_card_numbers(database: Database) -> Registry:
    """Whose card numbers are whose, and nothing else of the registry: asked with every file."""
    with database.read() as connection:
        kinds = ("card_numbers", "centre")
        return registry_of(Book(each.what for kind in kinds for each in _changes(connection, kind)))


def load_ended_keys(database: Database) -> tuple[tuple[str, int], ...]:
    """Label and version of the TAC keys that were registered and are not any more."""
    with database.read() as connection:
        changes = [each.what for each in _changes(connection, "tac_key")]
    book = Book(changes)
    ever = {(row.label, row.version): each.subject for each in changes
            if isinstance(row := each.row, TacKeyRow)}  # fmt: skip
    return tuple(
        name for name, subject in sorted(ever.items())
        if not any(each.valid_to == FOREVER for each in book.rows("tac_key", subject))
    )  # fmt: skip


def registry_end(connection: Connection) -> RegistryEnd:
    """Where the chain of changes ends."""
    last = connection.execute(
        select(REGISTRY_CHANGES.c.number, REGISTRY_CHANGES.c.hash)
        .order_by(REGISTRY_CHANGES.c.number.desc())
        .limit(1)
    ).one_or_none()
    return RegistryEnd() if last is None else RegistryEnd(*last)


def _sender_changes(database: Database, sender: int, key_version: int) -> list[Change]:
    with database.read() as connection:
        return _changes(connection, "sender", f"{sender}/{key_version}")


def _host_changes(database: Database, issuer: str, key_version: int) -> list[Change]:
    with database.read() as connection:
        return _changes(connection, "load_host", f"{issuer}/{key_version}")


def _latest(database: Database, kind: str, subjects: Collection[str]) -> list[RegistryRow]:
    """The last row of each subject, in order of days."""
    query = select(REGISTRY_CHANGES).order_by(REGISTRY_CHANGES.c.number)
    query = query.where(REGISTRY_CHANGES.c.kind == kind, REGISTRY_CHANGES.c.subject.in_(subjects))
    with database.read() as connection:
        book = Book(_change(row).what for row in connection.execute(query).mappings())
    return [rows[-1].row for subject in sorted(subjects) if (rows := book.rows(kind, subject))]


def _public_key(row: RegistryRow) -> bytes:
    assert isinstance(row, SenderRow | LoadHostRow), row
    return bytes.fromhex(row.public_key)


def _changes(
    connection: Connection, kind: str | None = None, subject: str | None = None
) -> list[Change]:
    query = select(REGISTRY_CHANGES).order_by(REGISTRY_CHANGES.c.number)
    if kind is not None:
        query = query.where(REGISTRY_CHANGES.c.kind == kind)
    if subject is not None:
        query = query.where(REGISTRY_CHANGES.c.subject == subject)
    return [_change(row) for row in connection.execute(query).mappings()]


#: A registry is the work of few, and names each of them in thousands of rows.
_actor = lru_cache(maxsize=64)(Actor.from_code)


def _change(row: RowMapping) -> Change:
    try:
        content = None if row["content"] is None else json.loads(row["content"])
        what = NewChange(
            row["kind"],
            row["subject"],
            None if content is None else KINDS[row["kind"]].make(content),
            BEGINNING if row["valid_from"] is None else row["valid_from"],
            FOREVER if row["valid_to"] is None else row["valid_to"],
        )
        action = Action(_actor(row["changed_by"]), row["changed_at"], row["why"])
    except (ValueError, KeyError, AttributeError, ActorError) as error:
        raise RegistryRowError(row["number"], reason_of(error)) from error
    return Change(row["number"], what, action, row["previous_hash"], row["hash"])


def add_changes(connection: Connection, new: Iterable[NewChange], action: Action) -> None:
    """Keep changes that were decided, in the transaction of whoever decided them."""
    changes = chain_changes(new, action, registry_end(connection))
    if changes:
        connection.execute(REGISTRY_CHANGES.insert(), [_row(each) for each in changes])


def _row(change: Change) -> dict[str, Any]:
    what = change.what
    content = None if what.row is None else canonical_json(content_of(what.row)).decode()
    return {
        "number": change.number,
        "kind": what.kind,
        "subject": what.subject,
        "content": content,
        "valid_from": None if what.valid_from == BEGINNING else what.valid_from,
        "valid_to": None if what.valid_to == FOREVER else what.valid_to,
        "changed_by": change.action.by.code,
        "why": change.action.why,
        "changed_at": change.action.at,
        "previous_hash": change.previous_hash,
        "hash": change.hash,
    }
