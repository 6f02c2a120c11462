"""Everything derived, made again from the raw files where it is damaged, and proven to be the same.

Decides what is made again and from what: facts from raw files, a run's registry from the chain of
changes, its review by asking again, its outputs from all of these, a sealed document from the rows
of its day. What comes out must be, byte for byte, what the rows say; else nothing is put in place.
Raw files are made by their senders alone: a damaged one is named, to be sent again.

Days are taken in their order, so that each is made from what is whole by then.
"""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import numpy as np

from cardcore.keys import KeyService
from cardcore.records.record import FIELD
from cardcore.text import Text
from settlement.city import City
from settlement.days.aside import SetAside
from settlement.days.begun import read_sealed
from settlement.days.closing import ClearingState, ClosedDay, encode_seal, plan_close, signed_plan
from settlement.days.rulings import verdicts_of
from settlement.days.run import RunInputs, StoredRun
from settlement.durable import write_durable
from settlement.engine import Engine
from settlement.errors import StoredBytesError
from settlement.facts.cells import record_rows
from settlement.intake.refusals import Refusal, refusals_end
from settlement.ledger.entries import ChainEnd, chain_end
from settlement.people.actions import Actor
from settlement.reconciliation.inputs import file_prefix
from settlement.registry.book import Change, RegistryEnd
from settlement.registry.documents import encode_registry, read_by_runs
from settlement.rulings.log import LogEntry, end_at
from settlement.service.gathering import closed_inputs
from settlement.service.keeping import KeptFiles, later_versions
from settlement.service.proven import damaged_logs, fact_path, hash_of
from settlement.service.review import (
    Review,
    Reviewed,
    keep_review,
    put_review,
    read_review,
    records_of,
)
from settlement.service.runs import compute_run, damaged_outputs, read_report
from settlement.store import days as day_store
from settlement.store.applied import load_applied
from settlement.store.files import load_day_files, load_files, load_refusals
from settlement.store.registry import load_changes
from settlement.store.rulings import load_log
from settlement.watching import OnProgress, be_silent

_NOT_AS_IT_WAS = Text(
    "无法照原样重建，请从备份恢复", "cannot be made again as it was; restore it from a copy"
)
_SEALED_OTHERWISE = Text(
    "是该日的另一份封存，不予覆盖；请从备份恢复",
    "is another seal of its day, which is never written over; restore the city from a copy",
)


@dataclass(frozen=True, slots=True)
class Lost:
    """A file of the city's folder that cannot be made again here, and why."""

    path: Path
    why: Text


@dataclass(slots=True)
class Rebuilt:
    """What was looked at, made again, and could not be. Paths are relative to the city's folder."""

    looked_at: int = 0
    made_again: list[Path] = field(default_factory=list)
    removed: list[Path] = field(default_factory=list)
    asked_for: list[SetAside] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)


def rebuild(
    city: City,
    key_service: KeyService,
    engine: Engine,
    now: datetime,
    by: Actor,
    on_progress: OnProgress = be_silent,
) -> Rebuilt:
    """Look at every derived file, and make again whatever is not what its row says. Raises what the
    port raises when TACs have to be proven for that and cannot be now.
    """
    with city.clearing():
        return _Rebuilding(city, key_service, engine, now.astimezone(UTC), by).all(on_progress)


class _Rebuilding:
    """One look through a city, its lock held."""

    def __init__(
        self, city: City, key_service: KeyService, engine: Engine, now: datetime, by: Actor
    ) -> None:
        self._city, self._key_service, self._engine = city, key_service, engine
        self._now, self._by = now, by
        self._kept = KeptFiles(city, key_service)
        self._changes: tuple[Change, ...] = ()
        self._log: tuple[LogEntry, ...] = ()
        self._refusals: tuple[Refusal, ...] = ()
        #: Where the ledger ends before the day that is looked at.
        self._ledger_end = ChainEnd()
        self._found = Rebuilt()

    def all(self, on_progress: OnProgress) -> Rebuilt:
        rows = load_files(self._city.database)
        for done, row in enumerate(rows):
            on_progress(done, len(rows))
            self._facts(row.file.content_hash, [each.bucket for each in row.facts])
        self._found.asked_for += damaged_logs(self._city, ())
        days = day_store.load_closed_days(self._city.database)
        if days:
            self._changes = load_changes(self._city.database)
            self._log = load_log(self._city.database)
            self._refusals = load_refusals(self._city.database)
        for number in range(len(days)):
            if number:
                before = days[number - 1].settlement_day
                entries = day_store.load_entries(self._city.database, before)
                self._ledger_end = chain_end(entries, self._ledger_end)
            self._day(days, number)
        self._sweep(days)
        return self._found

    def _facts(self, content_hash: str, buckets: list[int]) -> None:
        city = self._city
        (row,) = load_files(city.database, [content_hash])
        paths = [fact_path(city, content_hash, bucket) for bucket in buckets]
        before = [hash_of(path) for path in paths]
        self._found.looked_at += len(paths)
        self._kept.prove([row])
        fault = self._kept.faults.get(content_hash)
        if fault is not None:
            file = row.file
            aside = SetAside(file.sender, file.sequence, content_hash, fault)
            self._found.asked_for.append(aside)
        for path, found in zip(paths, before, strict=True):
            if hash_of(path) != found:
                self._found.made_again.append(path.relative_to(city.folder))

    def _day(self, days: tuple[ClosedDay, ...], number: int) -> None:
        city, day = self._city, days[number]
        run = day_store.load_run(city.database, day.run_id)
        if run is None:
            return  # a row is gone, which no file can give back: `verify` says so
        previous = days[number - 1] if number else None
        self._prove(city.input_path(run.registry_sha256), run.registry_sha256, self._registry)
        if run.review_sha256 is not None:
            self._prove(
                city.review_path(run.review_sha256),
                run.review_sha256,
                lambda sha256: self._review(sha256, run, day, previous),
            )
        inputs = closed_inputs(city, day, run)
        if self._outputs(run, inputs):
            self._seal(run, inputs, days, number)

    def _prove(self, path: Path, sha256: str, make: Callable[[str], None]) -> None:
        """See that a file is what its hash says, made again if need be."""
        self._found.looked_at += 1
        if hash_of(path) == sha256:
            return
        make(sha256)
        name = path.relative_to(self._city.folder)
        if hash_of(path) == sha256:
            self._found.made_again.append(name)
        else:
            self._found.lost.append(Lost(name, _NOT_AS_IT_WAS))

    def _registry(self, sha256: str) -> None:
        """What the chain of changes said when the run read it."""
        for count in range(len(self._changes), -1, -1):
            data = encode_registry(read_by_runs(self._changes[:count]))
            if hashlib.sha256(data).hexdigest() == sha256:
                write_durable(self._city.input_path(sha256), data)
                return

    def _review(
        self, sha256: str, run: StoredRun, day: ClosedDay, previous: ClosedDay | None
    ) -> None:
        """Asked again of what waited then, without what only keys of later days have proven."""
        city = self._city
        inputs = city.input_path(sha256).parent
        before = set(inputs.iterdir())
        ready = load_day_files(city.database, day.settlement_day)
        state = ClearingState(previous, ready, ChainEnd(), RegistryEnd(0))
        made = keep_review(
            city,
            state,
            day.settlement_day,
            self._key_service,
            self._kept,
            self._by,
            self._now,
            verdicts_of(load_applied(city.database, run.rulings)),
        )
        if made is not None and made != sha256:
            asked = read_review(city.review_path(made))
            for later in later_versions(city):
                review = _without(city, asked, later)
                if review and put_review(city, review) == sha256:
                    break
        for path in set(inputs.iterdir()) - before - {city.review_path(sha256)}:
            path.unlink()

    def _outputs(self, run: StoredRun, inputs: RunInputs) -> bool:
        """Whether every output of a closed run is whole, or is so again now."""
        city = self._city
        folder = city.run_folder(run.settlement_day, run.run_id)
        damaged = damaged_outputs(folder, run)
        self._found.looked_at += len(run.outputs)
        if not damaged:
            return True
        names = [path.relative_to(city.folder) for path in damaged]
        with city.scratch("rebuild") as scratch:
            try:
                again = compute_run(city, inputs, scratch, self._engine, be_silent).run
            except (StoredBytesError, duckdb.Error):
                again = None  # something that it is made from is lost, and named by then
            if again != run:
                self._found.lost += [Lost(name, _NOT_AS_IT_WAS) for name in names]
                return False
            for path in damaged:
                write_durable(path, (scratch / path.relative_to(folder)).read_bytes())
        self._found.made_again += names
        return True

    def _seal(
        self, run: StoredRun, inputs: RunInputs, days: tuple[ClosedDay, ...], number: int
    ) -> None:
        """The sealed document of a day, from its rows."""
        city, day = self._city, days[number]
        path = city.seal_path(day.settlement_day)
        data = self._sealed_again(run, inputs, day, days[number - 1] if number else None)
        self._found.looked_at += 1
        if data is not None and hash_of(path) == hashlib.sha256(data).hexdigest():
            return
        name = path.relative_to(city.folder)
        if _is_another_seal(path, day):
            self._found.lost.append(Lost(name, _SEALED_OTHERWISE))
        elif data is None:
            self._found.lost.append(Lost(name, _NOT_AS_IT_WAS))
        else:
            write_durable(path, data)
            self._found.made_again.append(name)

    def _sealed_again(
        self, run: StoredRun, inputs: RunInputs, day: ClosedDay, previous: ClosedDay | None
    ) -> bytes | None:
        """The document as the day's row says it must be; None when something else comes out."""
        folder = self._city.run_folder(run.settlement_day, run.run_id)
        count = day.registry_changes or 0
        registry_end = RegistryEnd(count)
        if 0 < count <= len(self._changes):
            registry_end = replace(registry_end, hash=self._changes[count - 1].hash)
        rulings_end = end_at(self._log, day.audit_entries or 0)
        refused = refusals_end(self._refusals[: day.refused_files or 0])
        plan = plan_close(
            read_report(inputs, run, folder),
            inputs,
            ClearingState(previous, (), self._ledger_end, registry_end, rulings_end, refused),
            day.closed_at,
            day.closed_by,
            day.confirmed_by,
            day.set_aside,
        )
        plan = signed_plan(plan, day.key_version, day.signature)
        return encode_seal(plan) if plan.day == day else None

    def _sweep(self, days: tuple[ClosedDay, ...]) -> None:
        """Remove what lies among the runs of days that are closed and is none of theirs."""
        closed = {self._city.run_folder(day.settlement_day, day.run_id) for day in days}
        runs = self._city.folder / "runs"
        for path in sorted(runs.glob("*/*")):
            last = days[-1].settlement_day.isoformat() if days else ""
            if path.parent.name <= last and path not in closed:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
                self._found.removed.append(path.relative_to(self._city.folder))


def _without(city: City, review: Review, later: Sequence[int]) -> dict[int, dict[int, Reviewed]]:
    """A review without the records that name one of these versions of keys."""
    left: dict[int, dict[int, Reviewed]] = {}
    for file, rows in review.items():
        (row,) = load_files(city.database, [file_prefix(file)])
        numbers = np.array(sorted(rows))
        named = record_rows(records_of(city, row, numbers))[:, FIELD["key_version"].offset]
        kept = numbers[~np.isin(named, later)].tolist()
        if kept:
            left[file] = {number: rows[number] for number in kept}
    return left


def _is_another_seal(path: Path, day: ClosedDay) -> bool:
    """Whether a whole sealed document lies there, of another content than the day's."""
    try:
        held = read_sealed(path.read_bytes())
    except OSError:
        return False
    return held is not None and bool(held["seal"] != day.seal)
