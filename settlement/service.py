"""Load, decide, store: receive a file, run a clearing, close a day.

Decides nothing itself: answers come from `intake`, days and plans from `window`, dispositions
from reconciliation. What it owns is the order of the commit points. A process killed at any of
them leaves only what a repeat uses again or sweeps away:

* a file: raw bytes on the disk under their hash; fact files, whose names and bytes follow from the
  raw file; one SQL transaction that makes the file visible,
* a run: its registry and review, named by their bytes; output files, whose names and bytes follow
  from its inputs; one row,
* a close: the sealed document; one SQL transaction with everything the day consists of.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from cardcore.batch import Batch
from cardcore.keys import KeyService
from settlement.city import City, make_folder, sync_folder, write_durable
from settlement.engine import Engine
from settlement.errors import RunDiffersError
from settlement.facts import write_facts
from settlement.intake import (
    Acknowledgement,
    FileHistory,
    StoredFile,
    place_file,
    prove_file,
    read_claim,
)
from settlement.registry import encode_registry
from settlement.review import keep_review, prove_in_city
from settlement.runs import OnProgress, compute_run, damaged_outputs, read_report
from settlement.store import days as day_store
from settlement.store.files import add_file, load_day_files, load_history, remember_refusal
from settlement.store.registry import load_public_key, load_registry
from settlement.window import (
    ClosedDay,
    ClosePlan,
    DayAnswer,
    FactFileRow,
    FileRow,
    OfficeState,
    RunInputs,
    RunReport,
    StoredRun,
    encode_seal,
    is_current,
    open_day,
    plan_close,
)

#: Told the name of each commit point as it is passed.
OnStep = Callable[[str], None]


def pass_by(_: str) -> None:
    """Nobody is watching the commit points."""


def be_silent(_done: int, _total: int) -> None:
    """Nobody is watching the progress."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """A cleared day, provisional until it is closed. `totals` has the keys of the command line."""

    run: StoredRun
    is_closed: bool
    file_count: int


def receive_file(
    city: City, data: bytes, key_service: KeyService, now: datetime, on_step: OnStep = pass_by
) -> Acknowledgement:
    """Take in one batch file and answer it. `now` carries its zone.

    A refused file changes nothing and is remembered in the audit. Raises
    `KeyServiceUnavailableError`, with nothing changed, when its TACs cannot be proven now, and
    `UnknownKeyError` when the key service holds no TAC key of this city.
    """
    now = now.astimezone(UTC)
    answer = _receive(city, data, key_service, now, on_step)
    if not answer.answer.is_kept:
        remember_refusal(city.database, answer)
    return answer


def _receive(
    city: City, data: bytes, key_service: KeyService, now: datetime, on_step: OnStep
) -> Acknowledgement:
    claim = read_claim(data, now)
    if isinstance(claim, Acknowledgement):
        return claim
    public_key = load_public_key(city.database, claim.sender, claim.key_version)
    batch = prove_file(data, claim, public_key, now)
    if isinstance(batch, Acknowledgement):
        return batch
    header = batch.header
    known = load_history(city.database, batch.content_hash, header.sender, header.sequence)
    candidate = place_file(batch, len(data), known, now)
    if isinstance(candidate, Acknowledgement):
        return candidate
    proof = prove_in_city(city, batch.records, key_service)
    on_step("tacs_proven")
    write_durable(city.raw_path(batch.content_hash), data)
    on_step("raw_kept")
    facts = keep_facts(city, batch, proof)
    on_step("facts_kept")

    def place(history: FileHistory) -> StoredFile | Acknowledgement:
        # What was true before the proof may have changed: decide on what is true now.
        decided = place_file(batch, len(data), history, now)
        on_step("row_decided")
        return decided

    answer = add_file(city.database, place, candidate, facts)
    on_step("row_kept")
    return answer


def keep_facts(city: City, batch: Batch, proof: bytes) -> tuple[FactFileRow, ...]:
    """Write a file's facts, on the disk before this returns."""
    folder = city.facts_folder(batch.content_hash)
    make_folder(folder)
    written = write_facts(batch.records, proof, batch.content_hash, city.bucket_count, folder)
    sync_folder(folder)
    return tuple(
        FactFileRow(each.bucket, each.rows, each.sha256, each.unjudged) for each in written
    )


def run_clearing(
    city: City,
    settlement_day: date | None,
    key_service: KeyService,
    engine: Engine,
    on_step: OnStep = pass_by,
    on_progress: OnProgress = be_silent,
) -> RunResult | DayAnswer:
    """Clear every ready file into the open day, or the stated one; nothing is posted yet.

    Records that could not be judged before are asked about again, which may raise
    `KeyServiceUnavailableError` with nothing changed. The same inputs give the stored result, its
    bytes verified. A closed day is computed again, aside, and must come out the same; otherwise
    `RunDiffersError`.
    """
    with city.clearing():
        for day in day_store.load_closed_days(city.database):
            if day.settlement_day == settlement_day:
                return _clear_again(city, day, engine, on_progress)
        inputs = gather_inputs(city, settlement_day, key_service)
        if isinstance(inputs, DayAnswer):
            return inputs
        on_step("inputs_kept")
        run = _provide_run(city, inputs, engine, on_step, on_progress).run
    return RunResult(run, is_closed=False, file_count=len(inputs.files))


def close_day(
    city: City,
    settlement_day: date | None,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    on_step: OnStep = pass_by,
    on_progress: OnProgress = be_silent,
) -> ClosedDay | DayAnswer:
    """Close the open day, or the stated one, over exactly the files that are ready.

    Two who close at once get the same closed day; so does whoever closes a closed day again. The
    key service is asked as by `run_clearing`.
    """
    now = now.astimezone(UTC)
    if settlement_day is None:
        # Chosen once: whoever presses at the same moment means this day and not the next one.
        office = day_store.load_office(city.database)
        chosen = _choose_day(city, office, None, key_service)
        if isinstance(chosen, DayAnswer):
            return chosen
        settlement_day = chosen
    with city.clearing():
        return _close(city, settlement_day, key_service, engine, now, on_step, on_progress)


def _close(
    city: City,
    settlement_day: date,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    on_step: OnStep,
    on_progress: OnProgress,
) -> ClosedDay | DayAnswer:
    while True:
        for day in day_store.load_closed_days(city.database):
            if day.settlement_day == settlement_day:
                return day
        inputs = gather_inputs(city, settlement_day, key_service)
        if isinstance(inputs, DayAnswer):
            return inputs
        on_step("inputs_kept")
        report = _provide_run(city, inputs, engine, on_step, on_progress)
        plan = _store_day(city, inputs, report, now, on_step)
        if plan is not None:
            _sweep(city, plan.day)
            return plan.day
        # A file came in while the run was computed: the day takes it too.


def gather_inputs(
    city: City, stated: date | None, key_service: KeyService
) -> RunInputs | DayAnswer:
    """What a run over the files ready now, and over what can be judged by now, is made of."""
    office = day_store.load_office(city.database)
    settlement_day = _choose_day(city, office, stated, key_service)
    if isinstance(settlement_day, DayAnswer):
        return settlement_day
    # First the review: a key that shows itself is registered, and the registry is an input too.
    review = keep_review(city, office, key_service)
    return _inputs(
        city, settlement_day, office.last_closed, _keep_registry(city), review, office.ready
    )


def still_made_of(city: City, run: StoredRun) -> bool:
    """Whether a provisional run is over exactly the files ready now and the registry as it is."""
    office = day_store.load_office(city.database)
    inputs = _inputs(
        city,
        run.settlement_day,
        office.last_closed,
        _keep_registry(city),
        run.review_sha256,
        office.ready,
    )
    return inputs.run_id == run.run_id


def closed_inputs(city: City, day: ClosedDay, run: StoredRun) -> RunInputs:
    """What a closed day's run was made of, by the rows of its files."""
    closed = day_store.load_closed_days(city.database)
    before = [each for each in closed if each.settlement_day < day.settlement_day]
    return _inputs(
        city,
        day.settlement_day,
        before[-1] if before else None,
        run.registry_sha256,
        run.review_sha256,
        load_day_files(city.database, day.settlement_day),
    )


def _inputs(
    city: City,
    settlement_day: date,
    previous: ClosedDay | None,
    registry_sha256: str,
    review_sha256: str | None,
    files: tuple[FileRow, ...],
) -> RunInputs:
    return RunInputs(
        settlement_day=settlement_day,
        scheme=city.scheme.name,
        bucket_count=city.bucket_count,
        previous_run=None if previous is None else previous.run_id,
        previous_output_hash=None if previous is None else previous.output_hash,
        registry_sha256=registry_sha256,
        review_sha256=review_sha256,
        files=files,
    )


def _choose_day(
    city: City, office: OfficeState, stated: date | None, key_service: KeyService
) -> date | DayAnswer:
    last = None if office.last_closed is None else office.last_closed.settlement_day
    ready = [row.file for row in office.ready]
    has_review = stated is None and not ready and keep_review(city, office, key_service) is not None
    return open_day(last, ready, stated, has_review=has_review)


def _keep_registry(city: City) -> str:
    """Keep what a run may read of the registry under its hash: a row that is registered later
    changes later runs only.
    """
    held = load_registry(city.database)
    part = replace(held, senders=(), names=())
    data = encode_registry(part)
    sha256 = hashlib.sha256(data).hexdigest()
    if not city.input_path(sha256).exists():
        write_durable(city.input_path(sha256), data)
    return sha256


def _provide_run(
    city: City, inputs: RunInputs, engine: Engine, on_step: OnStep, on_progress: OnProgress
) -> RunReport:
    """The run of these inputs: the stored one when its bytes are whole, else computed."""
    folder = city.run_folder(inputs.settlement_day, inputs.run_id)
    stored = day_store.load_run(city.database, inputs.run_id)
    if stored is not None and not damaged_outputs(folder, stored):
        return read_report(inputs, stored, folder)
    report = compute_run(city, inputs, folder, engine, on_progress)
    on_step("outputs_kept")
    if stored is not None and stored != report.run:
        raise RunDiffersError(stored.run_id, stored.output_hash, report.run.output_hash)
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
    return RunResult(stored, is_closed=True, file_count=len(inputs.files))


def _store_day(
    city: City, inputs: RunInputs, report: RunReport, now: datetime, on_step: OnStep
) -> ClosePlan | None:
    def plan(office: OfficeState) -> ClosePlan | None:
        if not is_current(inputs, office):
            return None
        decided = plan_close(report, inputs, office.last_closed, office.ledger_end, now)
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
