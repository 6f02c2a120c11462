"""Work of a city done over what is whole: a run starts from bytes of earlier days.

Decides when something is made again without anybody asking: the last closed day before the work,
all of it when the work meets damage that lies deeper. Leaves making it again to `rebuilding`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

import duckdb

from cardcore.keys import KeyService
from settlement.city import City
from settlement.engine import Engine
from settlement.errors import StoredBytesError
from settlement.people.actions import Actor
from settlement.service.healing.rebuilding import rebuild
from settlement.service.runs import damaged_outputs
from settlement.store import days as day_store

_Answer = TypeVar("_Answer")


def with_healing(
    city: City,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    by: Actor,
    work: Callable[[], _Answer],
) -> _Answer:
    """What `work` answers, over a last closed day that is whole: the next day starts from it. Where
    `work` meets damage that lies deeper, all is made whole that can be, and it is done once more.
    """
    days = day_store.load_closed_days(city.database)
    run = day_store.load_run(city.database, days[-1].run_id) if days else None
    if run is not None and damaged_outputs(city.run_folder(run.settlement_day, run.run_id), run):
        rebuild(city, key_service, engine, now, by)
    try:
        return work()
    except (StoredBytesError, duckdb.Error):
        if not rebuild(city, key_service, engine, now, by).made_again:
            raise
    return work()
