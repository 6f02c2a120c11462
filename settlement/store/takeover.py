"""Files of opening balances: append-only.

Decides nothing. Their rows stay in the raw files, which are the only truth; here stands what each
file is and whose cards are in it.
"""

from collections.abc import Callable
from dataclasses import fields

from sqlalchemy import Connection, RowMapping, select

from settlement.intake.answers import Acknowledgement
from settlement.intake.takeover import StoredOpenings, decode_scopes, encode_scopes
from settlement.store.database import Database
from settlement.store.tables import OPENING_FILES


def load_openings(database: Database) -> tuple[tuple[StoredOpenings, str], ...]:
    """Every kept file with the hash that stands in its row, by its content hash."""
    with database.read() as connection:
        return _load(connection)


def add_openings(
    database: Database,
    place: Callable[[tuple[StoredOpenings, ...]], StoredOpenings | Acknowledgement],
) -> Acknowledgement:
    """Decide again inside the writing transaction, by the files there are now, and keep the file if
    it is still new.
    """

    def decide(connection: Connection) -> Acknowledgement:
        decided = place(tuple(file for file, _ in _load(connection)))
        if isinstance(decided, Acknowledgement):
            return decided
        row = {field.name: getattr(decided, field.name) for field in fields(StoredOpenings)}
        row |= {"scopes": encode_scopes(decided.scopes), "row_hash": decided.row_hash}
        connection.execute(OPENING_FILES.insert(), row)
        return decided.acknowledgement()

    return database.write(decide)


def _load(connection: Connection) -> tuple[tuple[StoredOpenings, str], ...]:
    query = select(OPENING_FILES).order_by(OPENING_FILES.c.content_hash)
    return tuple((_stored(row), row["row_hash"]) for row in connection.execute(query).mappings())


def _stored(row: RowMapping) -> StoredOpenings:
    values = {field.name: row[field.name] for field in fields(StoredOpenings)}
    return StoredOpenings(**{**values, "scopes": decode_scopes(row["scopes"])})
