"""Which rulings closed days have applied, and which the next one will find.

Decides nothing: rulings are applied in their order, so the newest one that a closed day applied
says which are left.
"""

import json
from collections.abc import Iterable

from sqlalchemy import select

from settlement.days.rulings import AppliedRuling
from settlement.rulings.ruling import Ruling
from settlement.store.database import Database
from settlement.store.rulings import load_book, load_rulings, rulings_end
from settlement.store.tables import DAYS, RUNS


def load_new_rulings(database: Database) -> tuple[Ruling, ...]:
    """Those made since the last one that a closed day applied, in order."""
    query = (
        select(RUNS.c.rulings)
        .join(DAYS, DAYS.c.run_id == RUNS.c.run_id)
        .where(RUNS.c.rulings.is_not(None))
        .order_by(RUNS.c.settlement_day.desc())
        .limit(1)
    )
    with database.read() as connection:
        newest = connection.execute(query).scalar_one_or_none()
    applied = 0 if newest is None else max(number for number, *_ in json.loads(newest))
    return load_rulings(database, applied, rulings_end(database).count)


def load_applied(database: Database, applied: Iterable[AppliedRuling]) -> tuple[Ruling, ...]:
    """Those that a run applied, as the audit log has them now. Nothing is decided by them any more,
    so they are not proven again.
    """
    numbers = {each.number for each in applied}
    if not numbers:
        return ()
    return tuple(each for each in load_book(database).rulings() if each.number in numbers)
