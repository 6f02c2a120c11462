"""A clearing run between the city's folder and the reconciliation: inputs proven, outputs kept.

Decides which bytes a run may start from and how its result is kept on the disk. Leaves computing
to `settlement.service.computation` and the rows to the store. A run never starts from bytes that
are not what their hash says: what is damaged although it was proven before the run stops it, by
name, instead of changing a sum.
"""

import hashlib
from pathlib import Path

from cardcore.records.batch import DeviceRegister, read_registers
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.run import GapRow, RunInputs, RunReport, StoredRun
from settlement.durable import make_folder, sync_file, sync_folder
from settlement.engine import Engine
from settlement.errors import StoredBytesError
from settlement.facts import columnar
from settlement.intake.answers import FileRow
from settlement.reconciliation.inputs import FactInput, file_number, file_prefix
from settlement.registry.book import Registry, civil_day
from settlement.registry.documents import decode_registry
from settlement.registry.placing import participant_of, place
from settlement.service.computation import (
    ComputationOutcome,
    ComputationTask,
    ReviewRequest,
    gaps_path,
    read_outcome,
    reconcile_run,
)
from settlement.store.days import load_closed_days, load_run
from settlement.store.files import load_files
from settlement.watching import OnProgress


def fact_path(city: City, content_hash: str, bucket: int) -> Path:
    """Where the facts of a batch file for one bucket are kept."""
    return city.facts_folder(content_hash) / f"{bucket:04}.parquet"


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
    if closed:
        _prove_previous(city, closed[-1], runs[-1][1])
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


def hash_of(path: Path) -> str | None:
    """SHA-256 of a file, hexadecimal; None when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _days_behind(city: City, inputs: RunInputs) -> tuple[ClosedDay, ...]:
    """The closed days up to the one that the inputs stand on."""
    closed = load_closed_days(city.database)
    names = [day.run_id for day in closed]
    return () if inputs.previous_run is None else closed[: names.index(inputs.previous_run) + 1]


def proven_bytes(path: Path, sha256: str) -> bytes:
    """A kept file whole. Raises `StoredBytesError` when it is not what its hash says."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StoredBytesError(path, error.strerror or "cannot be read") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise StoredBytesError(path, f"is {found}, must be {sha256}")
    return data


def participant_of_file(row: FileRow, registry: Registry) -> int:
    """For whom a file was sent, when it was taken in."""
    day = civil_day(row.file.received_at)
    return participant_of(registry.senders, row.file.sender, day)


def proven_facts(city: City, row: FileRow, registry: Registry) -> list[tuple[int, FactInput]]:
    """(bucket, facts) of a batch file. Raises `StoredBytesError` when they are damaged."""
    file, participant = row.file, participant_of_file(row, registry)
    return [
        (bucket, FactInput(file.content_hash, path, file.received_at, participant))
        for bucket, path in proven_paths(city, row)
    ]


def proven_paths(city: City, row: FileRow) -> list[tuple[int, str]]:
    """(bucket, where its facts are) of a batch file. Raises `StoredBytesError` when they are
    damaged.
    """
    found = []
    for fact in row.facts:
        path = fact_path(city, row.file.content_hash, fact.bucket)
        if hash_of(path) != fact.sha256:
            raise StoredBytesError(path, f"is not {fact.sha256}")
        found.append((fact.bucket, str(path)))
    return found


def _review(city: City, inputs: RunInputs, registry: Registry) -> ReviewRequest | None:
    """The review of a run, and the facts of the closed days' files it names."""
    if inputs.review_sha256 is None:
        return None
    path = city.review_path(inputs.review_sha256)
    if hash_of(path) != inputs.review_sha256:
        raise StoredBytesError(path, f"is not {inputs.review_sha256}")
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


def _prove_previous(city: City, day: ClosedDay, folder: Path) -> None:
    """Prove what the next day reads whole of the last closed one. Decisions of all closed days
    are read too, for the few keys that come again; `verify` proves those.
    """
    run = load_run(city.database, day.run_id)
    assert run is not None, day  # the database refers to it
    for name, sha256 in run.outputs:
        if not name.endswith("decisions.parquet") and hash_of(folder / name) != sha256:
            raise StoredBytesError(folder / name, f"is not {sha256}")


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
