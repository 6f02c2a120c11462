"""A clearing run between the city's folder and the reconciliation: inputs proven, outputs kept.

Decides which bytes a run may start from and how its result is kept on the disk. Leaves computing
to `settlement.service.computation` and the rows to the store. A run never starts from bytes that
are not what their hash says: what is damaged although it was proven before the run stops it, by
name, instead of changing a sum.
"""

from pathlib import Path

from cardcore.records.batch import DeviceRegister, read_registers
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.run import GapRow, RunInputs, RunReport, StoredRun
from settlement.durable import make_folder, sync_file, sync_folder
from settlement.engine import Engine
from settlement.errors import StoredBytesError, hash_differs
from settlement.facts import columnar
from settlement.intake.answers import FileRow
from settlement.reconciliation.inputs import file_number, file_prefix
from settlement.registry.book import Registry
from settlement.registry.documents import decode_registry
from settlement.registry.placing import place
from settlement.service.computation import (
    ComputationOutcome,
    ComputationTask,
    ReviewRequest,
    gaps_path,
    read_outcome,
    reconcile_run,
)
from settlement.service.proven import (
    entries_between,
    hash_of,
    participant_of_file,
    proven_bytes,
    proven_facts,
)
from settlement.store.days import load_closed_days, load_run
from settlement.store.files import load_files
from settlement.watching import OnProgress


def compute_run(
    city: City,
    inputs: RunInputs,
    folder: Path,
    engine: Engine,
    on_progress: OnProgress,
) -> RunReport:
    """Compute a run into `folder`; its files are on the disk before this returns.

    Raises `StoredBytesError` when something it would start from is damaged, and what the engine
    raises.
    """
    sha256 = inputs.registry_sha256
    registry = decode_registry(proven_bytes(city.input_path(sha256), sha256))
    closed = _days_behind(city, inputs)
    runs = [(day.settlement_day, city.run_folder(day.settlement_day, day.run_id)) for day in closed]
    before = _prove_previous(city, closed[-1], runs[-1][1]) if closed else None
    request = ComputationTask(
        settlement_day=inputs.settlement_day,
        scheme=city.scheme,
        bucket_count=inputs.bucket_count,
        facts=tuple(fact for row in inputs.files for fact in proven_facts(city, row, registry)),
        registers=tuple(
            (participant_of_file(row, registry), each)
            for row in inputs.files
            for each in _registers(city, row)
        ),
        registry=place(registry, city.scheme.name),
        previous=runs[-1][1] if runs else None,
        history=tuple(runs),
        review=_review(city, inputs, registry),
        load_log=entries_between(city, before.load_logs if before else (), inputs.load_logs),
    )
    make_folder(folder)
    outcome = reconcile_run(request, folder, engine, on_progress)
    _make_durable(folder, outcome)
    return _report(inputs, folder, outcome)


def read_report(inputs: RunInputs, run: StoredRun, folder: Path) -> RunReport:
    """The report of a run computed before, from its files."""
    return _report(inputs, folder, read_outcome(folder, run.outputs))


def damaged_outputs(folder: Path, run: StoredRun) -> tuple[Path, ...]:
    """The files of a run that are absent or not what was stored."""
    return tuple(folder / name for name, sha256 in run.outputs if hash_of(folder / name) != sha256)


def _days_behind(city: City, inputs: RunInputs) -> tuple[ClosedDay, ...]:
    """The closed days up to the one that the inputs stand on."""
    closed = load_closed_days(city.database)
    names = [day.run_id for day in closed]
    return () if inputs.previous_run is None else closed[: names.index(inputs.previous_run) + 1]


def _review(city: City, inputs: RunInputs, registry: Registry) -> ReviewRequest | None:
    """The review of a run, and the facts of the closed days' files it names."""
    if inputs.review_sha256 is None:
        return None
    path = city.review_path(inputs.review_sha256)
    if hash_of(path) != inputs.review_sha256:
        raise StoredBytesError(path, hash_differs(inputs.review_sha256))
    with columnar.connect(path.parent) as connection:
        named = connection.execute(
            "SELECT DISTINCT file FROM read_parquet($path)", {"path": str(path)}
        ).fetchall()
    settled = {file for (file,) in named} - {file_number(each) for each in inputs.file_hashes}
    rows = load_files(city.database, [file_prefix(file) for file in sorted(settled)])
    facts = [fact for row in rows for fact in proven_facts(city, row, registry)]
    return ReviewRequest(str(path), tuple(facts))


def _registers(city: City, row: FileRow) -> tuple[DeviceRegister, ...]:
    """The device registers of a batch file, from the raw bytes: the only truth."""
    if not row.file.register_count:
        return ()
    data = proven_bytes(city.raw_path(row.file.content_hash), row.file.content_hash)
    return read_registers(data)


def _prove_previous(city: City, day: ClosedDay, folder: Path) -> StoredRun:
    """Prove what the next day reads whole of the last closed one. Decisions of all closed days
    are read too, for the few keys that come again; `verify` proves those.
    """
    run = load_run(city.database, day.run_id)
    assert run is not None, day  # the database refers to it
    for name, sha256 in run.outputs:
        if not name.endswith("decisions.parquet") and hash_of(folder / name) != sha256:
            raise StoredBytesError(folder / name, hash_differs(sha256))
    return run


def _make_durable(folder: Path, outcome: ComputationOutcome) -> None:
    for name, _ in outcome.outputs:
        sync_file(folder / name)
    for each in (folder, *folder.rglob("*")):
        if each.is_dir():
            sync_folder(each)


def _report(inputs: RunInputs, folder: Path, outcome: ComputationOutcome) -> RunReport:
    clearing = outcome.clearing
    run = StoredRun(
        run_id=inputs.run_id,
        settlement_day=inputs.settlement_day,
        registry_sha256=inputs.registry_sha256,
        review_sha256=inputs.review_sha256,
        outputs=outcome.outputs,
        totals=clearing.totals.document(),
        output_hash=outcome.output_hash,
        load_logs=inputs.load_logs,
        rulings=inputs.rulings,
    )
    return RunReport(
        run=run,
        buckets=clearing.buckets,
        participants=clearing.participants,
        gaps=tuple(gap for bucket in range(inputs.bucket_count) for gap in _gaps(folder, bucket)),
        discounts=clearing.classes,
    )


def _gaps(folder: Path, bucket: int) -> list[GapRow]:
    path = gaps_path(folder, bucket)
    with columnar.connect(path.parent) as connection:
        rows = connection.execute(
            "SELECT issuer, card_number, application, gap, opened_day, counter_kind, "
            "first_counter, last_counter, "
            "price_fen, state FROM read_parquet($path) "
            "ORDER BY issuer, card_number, application, gap",
            {"path": str(path)},
        ).fetchall()
    return [
        GapRow(f"{issuer:016x}", f"{card_number:020}", *rest) for issuer, card_number, *rest in rows
    ]
