"""Run a clearing: nothing is posted by it.

Owns the commit points of a run: its registry and review, named by their bytes; output files, whose
names and bytes follow from its inputs; one row. A process killed at any of them leaves only what a
repeat uses again or sweeps away.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime

from cardcore.keys import KeyService
from settlement.city import City
from settlement.days.aside import SetAside
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.days.run import RunInputs, RunReport, StoredRun
from settlement.engine import Engine
from settlement.errors import RunDiffersError
from settlement.people.actions import Actor, Actors
from settlement.service.gathering import closed_inputs, gather_inputs
from settlement.service.healing.around import with_healing
from settlement.service.keeping import KeptFiles
from settlement.service.runs import compute_run, damaged_outputs
from settlement.store import days as day_store
from settlement.watching import OnProgress, OnStep, be_silent, pass_by


@dataclass(frozen=True, slots=True)
class RunResult:
    """A cleared day, provisional until it is closed. `totals` has the keys of the command line."""

    run: StoredRun
    is_closed: bool
    file_count: int
    set_aside: tuple[SetAside, ...]


def run_clearing(
    city: City,
    settlement_day: date | None,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    by: Actor,
    on_step: OnStep = pass_by,
    on_progress: OnProgress = be_silent,
) -> RunResult | DayAnswer:
    """Clear the open day, or the stated one, over its ready files; nothing is posted yet. A file
    that cannot be judged is set aside, by name.

    Records that could not be judged before are asked about again, in the name of `by`, which may
    raise `KeyServiceUnavailableError` with nothing changed. The same inputs give the stored result,
    its bytes verified. A closed day is computed again, aside, and must come out the same; otherwise
    `RunDiffersError`.
    """
    now = now.astimezone(UTC)

    def work() -> RunResult | DayAnswer:
        return _clear(city, settlement_day, key_service, engine, now, by, on_step, on_progress)

    return with_healing(city, key_service, engine, now, by, work)


def _clear(
    city: City,
    settlement_day: date | None,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    by: Actor,
    on_step: OnStep,
    on_progress: OnProgress,
) -> RunResult | DayAnswer:
    with city.clearing():
        for day in day_store.load_closed_days(city.database):
            if day.settlement_day == settlement_day:
                return _clear_again(city, day, engine, on_progress)
        kept = KeptFiles(city, key_service)
        found = gather_inputs(city, settlement_day, key_service, kept, Actors(by), now)
        if isinstance(found, DayAnswer):
            return found
        on_step("inputs_kept")
        run = _stored_run(city, found.inputs, engine, on_step, on_progress)
    files = len(found.inputs.files)
    return RunResult(run, is_closed=False, file_count=files, set_aside=found.set_aside)


def _stored_run(
    city: City, inputs: RunInputs, engine: Engine, on_step: OnStep, on_progress: OnProgress
) -> StoredRun:
    """The run of these inputs as it is stored, if it is whole: nothing is posted by it."""
    folder = city.run_folder(inputs.settlement_day, inputs.run_id)
    stored = day_store.load_run(city.database, inputs.run_id)
    if stored is not None and not damaged_outputs(folder, stored):
        return stored
    return provide_run(city, inputs, engine, on_step, on_progress).run


def provide_run(
    city: City, inputs: RunInputs, engine: Engine, on_step: OnStep, on_progress: OnProgress
) -> RunReport:
    """The run of these inputs, computed. What a clearing stored of it is not believed: whoever can
    write into the folder can write the row and the hashes that go with it.
    """
    folder = city.run_folder(inputs.settlement_day, inputs.run_id)
    report = compute_run(city, inputs, folder, engine, on_progress)
    on_step("outputs_kept")
    day_store.save_run(city.database, report.run)
    on_step("run_kept")
    return report


def _clear_again(city: City, day: ClosedDay, engine: Engine, on_progress: OnProgress) -> RunResult:
    stored = day_store.load_run(city.database, day.run_id)
    assert stored is not None, day  # the database refers to it
    inputs = closed_inputs(city, day, stored)
    with city.scratch("again") as scratch:
        again = compute_run(city, inputs, scratch, engine, on_progress).run
    if again != stored:
        raise RunDiffersError(day.run_id, stored.output_hash, again.output_hash)
    files = len(inputs.files)
    return RunResult(stored, is_closed=True, file_count=files, set_aside=day.set_aside)
