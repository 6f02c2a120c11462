"""Close a day.

Owns the commit points of a close: the sealed document; one SQL transaction with everything the day
consists of. Two who close at once get the same closed day.
"""

import shutil
from datetime import UTC, date, datetime

from cardcore.keys import KeyService
from settlement.city import City
from settlement.days.closing import (
    ClearingState,
    ClosedDay,
    ClosePlan,
    encode_seal,
    is_current,
    plan_close,
)
from settlement.days.opening import DayAnswer
from settlement.days.run import RunReport
from settlement.durable import write_durable
from settlement.engine import Engine
from settlement.people.actions import Actor, Actors
from settlement.service.clear import provide_run
from settlement.service.gathering import Gathered, choose_day, gather_inputs
from settlement.service.healing.around import with_healing
from settlement.service.keeping import KeptFiles
from settlement.store import days as day_store
from settlement.watching import OnProgress, OnStep, be_silent, pass_by


def close_day(
    city: City,
    settlement_day: date | None,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    by: Actor,
    on_step: OnStep = pass_by,
    on_progress: OnProgress = be_silent,
    *,
    second: Actor | None = None,
) -> ClosedDay | DayAnswer:
    """Close the oldest ready day, or the stated one, over exactly its files that are ready; `by`
    stands under the seal. A day that is out of bounds is closed only with a `second` person, who
    then stands there, too. Files that cannot be judged are set aside, and named under the seal.

    Two who close at once get the same closed day; so does whoever closes a closed day again. The
    key service is asked as by `run_clearing`.
    """
    now, actors = now.astimezone(UTC), Actors(by, second)

    def work() -> ClosedDay | DayAnswer:
        return _choose_and_close(
            city, settlement_day, key_service, engine, now, actors, on_step, on_progress
        )

    return with_healing(city, key_service, engine, now, by, work)


def _choose_and_close(
    city: City,
    settlement_day: date | None,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    actors: Actors,
    on_step: OnStep,
    on_progress: OnProgress,
) -> ClosedDay | DayAnswer:
    kept = KeptFiles(city, key_service)
    if settlement_day is None:
        # Chosen once: whoever presses at the same moment means this day and not the next one.
        state = day_store.load_clearing_state(city.database)
        chosen = choose_day(city, state, None, key_service, kept, actors, now)
        if isinstance(chosen, DayAnswer):
            return chosen
        settlement_day = chosen
    with city.clearing():
        return _close(
            city, settlement_day, key_service, kept, engine, now, actors, on_step, on_progress
        )


def _close(
    city: City,
    settlement_day: date,
    key_service: KeyService,
    kept: KeptFiles,
    engine: Engine,
    now: datetime,
    by: Actors,
    on_step: OnStep,
    on_progress: OnProgress,
) -> ClosedDay | DayAnswer:
    while True:
        for day in day_store.load_closed_days(city.database):
            if day.settlement_day == settlement_day:
                return day
        found = gather_inputs(city, settlement_day, key_service, kept, by, now)
        if isinstance(found, DayAnswer):
            return found
        on_step("inputs_kept")
        report = provide_run(city, found.inputs, engine, on_step, on_progress)
        plan = _store_day(city, found, report, now, by, on_step)
        if plan is not None:
            _sweep(city, plan.day)
            return plan.day


def _store_day(
    city: City,
    found: Gathered,
    report: RunReport,
    now: datetime,
    by: Actors,
    on_step: OnStep,
) -> ClosePlan | None:
    def plan(state: ClearingState) -> ClosePlan | None:
        if not is_current(found.inputs, state, found.faults):
            return None
        decided = plan_close(
            report, found.inputs, state, now, by.first, by.confirming, found.set_aside
        )
        # Under the write lock, before the commit: a closed day always has its document, and a
        # close that is repeated after a crash writes its own over a leftover one.
        write_durable(city.seal_path(decided.day.settlement_day), encode_seal(decided))
        on_step("seal_kept")
        return decided

    stored = day_store.close_day(city.database, plan)
    on_step("day_kept")
    return stored


def _sweep(city: City, day: ClosedDay) -> None:
    """Remove what provisional runs left for days that cannot open any more, and what killed tasks
    left beside the closed run: no row refers to any of it.
    """
    closed = {each.run_id for each in day_store.load_closed_days(city.database)}
    for folder in city.runs_folder(day.settlement_day).parent.iterdir():
        if date.fromisoformat(folder.name) <= day.settlement_day:
            for run in folder.iterdir():
                if run.name not in closed:
                    shutil.rmtree(run)
    for leftover in city.run_folder(day.settlement_day, day.run_id).rglob("*.partial"):
        leftover.unlink()
