"""A whole run: registry, terminals, every bucket, clearing; all of it files in, files out.

Decides the order (terminals first: every bucket asks them which serials clash) and the layout of
the run's folder. Leaves which files are ready, and what a result is stored for, to the service::

    registry/{terminal,number,hotlist}.parquet
    load_log/<bucket>.parquet    what load hosts allowed its cards, where that is anything
    openings/<bucket>.parquet    what old centres handed over of them, where that is anything
    terminals/{conflicts,psam_days,psam_steps,psam_times,psams,terminals,terminal_gaps,
        register_differences}.parquet
    buckets/<bucket>/{decisions,cards,gaps,settled_days,statements,segments,claims}.parquet,
        waiting.parquet, openings.parquet and others if any
    results.json    the tallies, from which everything else can be summed again
"""

import hashlib
import json
from collections.abc import Callable, Container
from dataclasses import asdict, astuple, dataclass
from datetime import date
from pathlib import Path

from cardcore.records.batch import DeviceRegister
from cardcore.schemes import Scheme
from settlement.clearing.openings import OpeningTally
from settlement.clearing.proof import read_figures
from settlement.clearing.tally import BucketResult, read_tally
from settlement.clearing.totals import Clearing, clear, output_hash
from settlement.engine import Engine
from settlement.facts.load_log import LogEntries, write_load_log
from settlement.facts.takeover import HandedRows, write_openings
from settlement.reconciliation.bucket import BucketTask, reconcile_bucket
from settlement.reconciliation.inputs import FactInput, Review, write_registry
from settlement.reconciliation.takeover import Scope
from settlement.reconciliation.terminals import TerminalResult, TerminalTask, reconcile_terminals
from settlement.registry.placing import RunRegistry
from settlement.seal import canonical_json


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """A review by its path, and (bucket, facts) of the files of closed days that it names."""

    path: str
    facts: tuple[tuple[int, FactInput], ...]


@dataclass(frozen=True, slots=True)
class ComputationTask:
    """Everything a run is made from. The order in any of the tuples is of no consequence.

    `facts` are (bucket, facts of one file in it), `registers` each with the participant whose
    sender sent it; `previous` is the folder of the last closed day's run, `history` those of all
    closed days by their day. Most runs have no review.
    """

    settlement_day: date
    scheme: Scheme
    bucket_count: int
    facts: tuple[tuple[int, FactInput], ...]
    registers: tuple[tuple[int, DeviceRegister], ...]
    registry: RunRegistry
    previous: Path | None
    history: tuple[tuple[date, Path], ...]
    review: ReviewRequest | None = None
    load_log: tuple[LogEntries, ...] = ()
    scopes: tuple[Scope, ...] = ()
    handed: tuple[HandedRows, ...] = ()


@dataclass(frozen=True, slots=True)
class ComputationOutcome:
    """What a run left: its files (path in the run's folder, SHA-256), sorted, and its clearing."""

    outputs: tuple[tuple[str, str], ...]
    buckets: tuple[BucketResult, ...]
    clearing: Clearing
    output_hash: str


def reconcile_run(
    task: ComputationTask, folder: Path, engine: Engine, on_progress: Callable[[int, int], None]
) -> ComputationOutcome:
    """Compute a run into `folder`. `on_progress` hears (tasks done, tasks in all).

    Raises what the engine and the tasks raise; a run that failed is simply computed again.
    """
    total = 1 + task.bucket_count
    outputs = _inside("registry", write_registry(task.registry, folder / "registry"))
    (terminals,) = engine.map(
        reconcile_terminals,
        [_terminal_task(task, folder)],
        lambda done: on_progress(done, total),
    )
    assert isinstance(terminals, TerminalResult)
    outputs += _inside("terminals", terminals.outputs)
    logs = write_load_log(task.load_log, task.bucket_count, folder / "load_log")
    outputs += _inside("load_log", tuple(logs.values()))
    handed = write_openings(task.handed, task.bucket_count, folder / "openings")
    outputs += _inside("openings", tuple(handed.values()))
    results = engine.map(
        reconcile_bucket,
        [_bucket_task(task, folder, bucket, logs, handed) for bucket in range(task.bucket_count)],
        lambda done: on_progress(1 + done, total),
    )
    for result in results:
        outputs += _inside(_bucket_folder(result.bucket), result.outputs)
    outputs += [("results.json", _write_results(results, folder / "results.json"))]
    return _outcome(tuple(sorted(outputs)), tuple(results))


def read_outcome(folder: Path, outputs: tuple[tuple[str, str], ...]) -> ComputationOutcome:
    """The outcome of a run computed before; `outputs` are its files as they were stored."""
    document = json.loads((folder / "results.json").read_bytes())
    results = tuple(
        BucketResult(
            **{
                **each,
                "outputs": tuple((name, sha256) for name, sha256 in each["outputs"]),
                "tallies": tuple(read_tally(row) for row in each["tallies"]),
                "figures": read_figures(each["figures"]),
                "openings": tuple(OpeningTally(**opening) for opening in each["openings"]),
            }
        )
        for each in document
    )
    return _outcome(outputs, results)


def bucket_path(folder: Path, bucket: int) -> Path:
    """Where what a run left of a bucket stands in its folder."""
    return folder / _bucket_folder(bucket)


def decisions_path(folder: Path, bucket: int) -> Path:
    """Where the decisions of a bucket stand in a run's folder."""
    return bucket_path(folder, bucket) / "decisions.parquet"


def gaps_path(folder: Path, bucket: int) -> Path:
    """Where the gaps of a bucket stand in a run's folder: open ones, and those just filled."""
    return bucket_path(folder, bucket) / "gaps.parquet"


def _outcome(
    outputs: tuple[tuple[str, str], ...], results: tuple[BucketResult, ...]
) -> ComputationOutcome:
    clearing = clear(results)
    return ComputationOutcome(outputs, results, clearing, output_hash(outputs, clearing.totals))


def _bucket_folder(bucket: int) -> str:
    return f"buckets/{bucket:04}"


def _inside(folder: str, outputs: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    return [(f"{folder}/{name}", sha256) for name, sha256 in outputs]


def _terminal_task(task: ComputationTask, folder: Path) -> TerminalTask:
    return TerminalTask(
        settlement_day=task.settlement_day,
        facts=tuple(fact for _, fact in task.facts),
        registers=task.registers,
        previous=None if task.previous is None else str(task.previous / "terminals"),
        history=tuple((day, str(run / "terminals")) for day, run in task.history),
        registry=str(folder / "registry"),
        scheme=task.scheme,
        output=str(folder / "terminals"),
        review=_review(task, range(task.bucket_count)),
    )


def _bucket_task(
    task: ComputationTask, folder: Path, bucket: int, logs: Container[int], handed: Container[int]
) -> BucketTask:
    name = _bucket_folder(bucket)
    return BucketTask(
        bucket=bucket,
        settlement_day=task.settlement_day,
        scheme=task.scheme,
        facts=tuple(fact for each, fact in task.facts if each == bucket),
        previous=None if task.previous is None else str(task.previous / name),
        history=tuple((day, str(run / name)) for day, run in task.history),
        registry=str(folder / "registry"),
        terminals=str(folder / "terminals"),
        output=str(folder / name),
        review=_review(task, (bucket,)),
        load_log=str(folder / "load_log" / f"{bucket:04}.parquet") if bucket in logs else None,
        scopes=task.scopes,
        handed=str(folder / "openings" / f"{bucket:04}.parquet") if bucket in handed else None,
    )


def _review(task: ComputationTask, buckets: Container[int]) -> Review | None:
    if task.review is None:
        return None
    facts = tuple(fact for each, fact in task.review.facts if each in buckets)
    return Review(task.review.path, facts)


def _write_results(results: list[BucketResult], path: Path) -> str:
    document = [
        {**asdict(each), "tallies": [astuple(tally) for tally in each.tallies]} for each in results
    ]
    data = canonical_json(document)
    path.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
