"""Secrets that were wrong: counted, never taken back.

Decides nothing: what they come to stands in `settlement.people.tries`.
"""

from sqlalchemy import Connection, select

from settlement.people.tries import WrongTry
from settlement.store.tables import WRONG_SECRETS


def wrong_tries(connection: Connection, person: str) -> tuple[WrongTry, ...]:
    """Every wrong secret of a person, in order."""
    columns = WRONG_SECRETS.c
    query = select(columns.person, columns.at, columns.log_count).where(columns.person == person)
    return tuple(WrongTry(*row) for row in connection.execute(query.order_by(columns.number)))


def add_wrong_try(connection: Connection, wrong: WrongTry) -> None:
    """Keep that a secret was wrong."""
    row = {"person": wrong.person, "at": wrong.at, "log_count": wrong.log_count}
    connection.execute(WRONG_SECRETS.insert(), row)
