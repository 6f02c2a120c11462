"""Rows of the public registry: loaded whole, added all together or not at all.

Decides nothing: which rows are new, and which contradict held ones, stands in
`settlement.registry`.
"""

from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import Connection, Table, select

from settlement.registry import (
    HotlistRow,
    NameRow,
    ParticipantRow,
    Registry,
    RegistryRow,
    SenderRow,
    TacKeyRow,
    TerminalRow,
    additions,
)
from settlement.store.database import Database
from settlement.store.tables import HOTLIST, NAMES, PARTICIPANTS, SENDERS, TAC_KEYS, TERMINALS

# Participants first: the others refer to them.
_TABLES: dict[str, tuple[Table, type[RegistryRow]]] = {
    "participants": (PARTICIPANTS, ParticipantRow),
    "senders": (SENDERS, SenderRow),
    "terminals": (TERMINALS, TerminalRow),
    "names": (NAMES, NameRow),
    "hotlist": (HOTLIST, HotlistRow),
    "tac_keys": (TAC_KEYS, TacKeyRow),
}


def register(database: Database, offered: Registry) -> Registry:
    """Add the rows that are new, in one transaction, and return them.

    Raises `RegistryConflictError`, with nothing added, when one contradicts a held row.
    """

    def decide(connection: Connection) -> Registry:
        new = additions(_load(connection), offered)
        for kind, (table, _) in _TABLES.items():
            rows = [asdict(row) for row in getattr(new, kind)]
            if rows:
                connection.execute(table.insert(), rows)
        return new

    return database.write(decide)


def load_registry(database: Database) -> Registry:
    """The whole registry, rows sorted by key."""
    with database.read() as connection:
        return _load(connection)


def load_public_key(database: Database, sender: int, key_version: int) -> bytes | None:
    """A sender's public key (32 bytes of Ed25519, 65 of SM2), or None when not registered."""
    query = select(SENDERS.c.public_key).where(
        SENDERS.c.sender == sender, SENDERS.c.key_version == key_version
    )
    with database.read() as connection:
        text: str | None = connection.execute(query).scalar_one_or_none()
    return None if text is None else bytes.fromhex(text)


def load_tac_keys(database: Database) -> tuple[TacKeyRow, ...]:
    """The TAC keys alone: they are asked for with every file."""
    with database.read() as connection:
        rows: tuple[TacKeyRow, ...] = _rows(connection, "tac_keys")
    return rows


def _load(connection: Connection) -> Registry:
    return Registry(**{kind: _rows(connection, kind) for kind in _TABLES})


def _rows(connection: Connection, kind: str) -> tuple[Any, ...]:
    table, row_type = _TABLES[kind]
    query = select(*(table.c[field.name] for field in fields(row_type)))
    return tuple(sorted(row_type(*row) for row in connection.execute(query)))
