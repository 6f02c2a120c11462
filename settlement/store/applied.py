"""Which rulings closed days have applied, and which the next one will find.

Decides nothing: each ruling is applied by one closed day, so those that none has applied are left.
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
    """Those that no closed day has applied, in order; those that none ever does are among them."""
    query = (
        select(RUNS.c.rulings)
        .join(DAYS, DAYS.c.run_id == RUNS.c.run_id)
        .where(RUNS.c.rulings.is_not(None))
    )
    with database.read() as connection:
        told = connection.execute(query).scalars().all()
    done = {number for each in told for number, *_ in json.loads(each)}
    made = load_rulings(database, 0, rulings_end(database).count)
    return tuple(each for each in made if each.number not in done)


def load_applied(database: Database, applied: Iterable[AppliedRuling]) -> tuple[Ruling, ...]:
    """Those that a run applied, as the audit log has them now. Nothing is decided by them any more,
    so they are not proven again.
    """
    numbers = {each.number for each in applied}
    if not numbers:
        return ()
    return tuple(each for each in load_book(database).rulings() if each.number in numbers)
