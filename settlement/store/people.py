"""Secrets that were wrong: counted, never taken back.

Decides nothing: what they come to stands in `settlement.people.tries`.
"""

from collections.abc import Callable

from sqlalchemy import Connection, select

from settlement.people.tries import WrongTry
from settlement.store.database import Database
from settlement.store.rulings import log_end
from settlement.store.tables import WRONG_SECRETS


def load_tries(database: Database, person: str) -> tuple[WrongTry, ...]:
    """Every wrong secret of a person, in order."""
    with database.read() as connection:
        return _tries(connection, person)


def load_try_numbers(database: Database) -> tuple[int, ...]:
    """The numbers of all wrong secrets, in order."""
    with database.read() as connection:
        query = select(WRONG_SECRETS.c.number).order_by(WRONG_SECRETS.c.number)
        return tuple(connection.execute(query).scalars())


def count_wrong_try(database: Database, make: Callable[[int], WrongTry]) -> tuple[WrongTry, ...]:
    """Keep that a secret was wrong while the audit log had so many entries; all of that person."""

    def keep(connection: Connection) -> tuple[WrongTry, ...]:
        wrong = make(log_end(connection).count)
        row = {"person": wrong.person, "at": wrong.at, "log_count": wrong.log_count}
        connection.execute(WRONG_SECRETS.insert(), row)
        return _tries(connection, wrong.person)

    return database.write(keep)


def _tries(connection: Connection, person: str) -> tuple[WrongTry, ...]:
    columns = WRONG_SECRETS.c
    query = select(columns.person, columns.at, columns.log_count).where(columns.person == person)
    return tuple(WrongTry(*row) for row in connection.execute(query.order_by(columns.number)))
