"""What a run is made of, gathered: the ready files of its day, the registry as it stands, what can
be judged by now.

Decides nothing itself. Registry and review are kept under their bytes before a run reads them.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime

from cardcore.keys import KeyService
from settlement.city import City
from settlement.days.aside import Faults, SetAside, leave_out
from settlement.days.begun import BegunClose
from settlement.days.closing import (
    ClearingState,
    ClosedDay,
)
from settlement.days.load_log import LogEnd
from settlement.days.opening import DayAnswer, DayBounds, files_until, open_day
from settlement.days.rulings import AppliedRuling, applied, to_apply, verdicts_of
from settlement.days.run import RunInputs, StoredRun
from settlement.durable import write_durable
from settlement.errors import RegistryRowError
from settlement.intake.answers import FileRow
from settlement.people.actions import Actors
from settlement.reconciliation.inputs import file_prefix
from settlement.registry.documents import encode_registry, read_by_runs
from settlement.rulings.ruling import Ruling
from settlement.service.keeping import KeptFiles
from settlement.service.proven import damaged_logs, find_log_ends
from settlement.service.review import keep_review
from settlement.service.ruling.payouts import paid_out
from settlement.service.ruling.registry_proof import changed_alone, lone_changes
from settlement.service.takeover.reading import damaged_openings, find_openings
from settlement.store import days as day_store
from settlement.store.applied import load_new_rulings
from settlement.store.files import load_day_files, load_files
from settlement.store.registry import load_changes
from settlement.store.rulings import load_book


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a run is made of, and what it goes on without."""

    inputs: RunInputs
    faults: Faults
    set_aside: tuple[SetAside, ...]


def gather_inputs(
    city: City,
    stated: date | None,
    key_service: KeyService,
    kept: KeptFiles,
    by: Actors,
    now: datetime,
) -> Gathered | DayAnswer:
    """What a run over the files of a day that are ready and whole now, and over what can be judged
    by now, is made of.
    """
    state = day_store.load_clearing_state(city.database)
    settlement_day = choose_day(city, state, stated, key_service, kept, by, now)
    if isinstance(settlement_day, DayAnswer):
        return settlement_day
    of_day = {row.file.content_hash for row in files_until(state.ready, settlement_day)}
    ready, aside = leave_out(state.ready, kept.faults)
    state = replace(state, ready=kept.prove(files_until(ready, settlement_day)))
    for lone in lone_changes(city):
        raise RegistryRowError(lone.number, changed_alone(lone))
    rulings = _to_apply(city, kept)
    # First the review: a key that shows itself is registered, and the registry is an input too.
    review = keep_review(
        city, state, settlement_day, key_service, kept, by.first, now, verdicts_of(rulings)
    )
    before, opened = _log_ends(city, state.last_closed), _openings(city, state.last_closed)
    inputs = _inputs(
        city,
        settlement_day,
        state.last_closed,
        _keep_registry(city),
        review,
        state.ready,
        find_log_ends(city, settlement_day, before),
        find_openings(city, settlement_day, opened),
        _applied(city, rulings, settlement_day),
    )
    aside = tuple(each for each in aside if each.content_hash in of_day)
    logs = (*damaged_logs(city, before), *damaged_openings(city, opened))
    return Gathered(inputs, kept.faults, (*aside, *kept.closed_aside, *logs))


def still_made_of(city: City, run: StoredRun) -> bool:
    """Whether a provisional run is over exactly the files of its day ready now and the registry as
    it is.
    """
    state = day_store.load_clearing_state(city.database)
    inputs = _inputs(
        city,
        run.settlement_day,
        state.last_closed,
        hashlib.sha256(_registry(city)).hexdigest(),
        run.review_sha256,
        files_until(state.ready, run.settlement_day),
        find_log_ends(city, run.settlement_day, _log_ends(city, state.last_closed)),
        find_openings(city, run.settlement_day, _openings(city, state.last_closed)),
        _applied(city, load_new_rulings(city.database), run.settlement_day),
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
        run.load_logs,
        run.openings,
        run.rulings,
    )


def begun_inputs(
    city: City, begun: BegunClose, state: ClearingState, kept: KeptFiles
) -> RunInputs | None:
    """What a close that was begun is made of; None when that is not there any more, whole."""
    rows = [row for row in state.ready if row.file.content_hash in begun.file_hashes]
    inputs = _inputs(
        city,
        begun.settlement_day,
        state.last_closed,
        begun.registry_sha256,
        begun.review_sha256,
        kept.prove(rows),
        begun.load_logs,
        begun.openings,
        begun.rulings,
    )
    return inputs if inputs.run_id == begun.run_id else None


def _to_apply(city: City, kept: KeptFiles) -> tuple[Ruling, ...]:
    """The rulings that the next run applies."""

    def is_whole(file: int) -> bool:
        return bool(kept.prove(load_files(city.database, [file_prefix(file)])))

    return to_apply(load_new_rulings(city.database), is_whole)


def _applied(
    city: City, rulings: tuple[Ruling, ...], settlement_day: date
) -> tuple[AppliedRuling, ...]:
    """As the run of a day names them."""
    paid_out_fen = paid_out(city, rulings, load_book(city.database), settlement_day)
    return applied(rulings, paid_out_fen)


def _log_ends(city: City, day: ClosedDay | None) -> tuple[LogEnd, ...]:
    """Up to where a closed day read the logs of load hosts."""
    run = None if day is None else day_store.load_run(city.database, day.run_id)
    return () if run is None else run.load_logs


def _openings(city: City, day: ClosedDay | None) -> tuple[str, ...]:
    """The files of opening balances that a closed day stands on."""
    run = None if day is None else day_store.load_run(city.database, day.run_id)
    return () if run is None else run.openings


def _inputs(
    city: City,
    settlement_day: date,
    previous: ClosedDay | None,
    registry_sha256: str,
    review_sha256: str | None,
    files: tuple[FileRow, ...],
    load_logs: tuple[LogEnd, ...],
    openings: tuple[str, ...],
    rulings: tuple[AppliedRuling, ...],
) -> RunInputs:
    return RunInputs(
        settlement_day=settlement_day,
        scheme=city.scheme.name,
        scheme_sha256=city.scheme_sha256,
        bucket_count=city.bucket_count,
        previous_run=None if previous is None else previous.run_id,
        previous_output_hash=None if previous is None else previous.output_hash,
        registry_sha256=registry_sha256,
        review_sha256=review_sha256,
        files=files,
        load_logs=load_logs,
        openings=openings,
        rulings=rulings,
    )


def choose_day(
    city: City,
    state: ClearingState,
    stated: date | None,
    key_service: KeyService,
    kept: KeptFiles,
    by: Actors,
    now: datetime,
) -> date | DayAnswer:
    """The stated day, or the one that is open by what is ready and whole, or can be judged now."""
    last = None if state.last_closed is None else state.last_closed.settlement_day
    bounds = DayBounds(city.scheme.life, now, by_two=by.are_two)
    while True:
        ready, aside = leave_out(state.ready, kept.faults)
        chosen = open_day(last, [row.file for row in ready], stated, bounds)
        if isinstance(chosen, DayAnswer):
            break
        of_day = files_until(ready, chosen)
        if len(kept.prove(of_day)) == len(of_day):
            return chosen
    if chosen is not DayAnswer.NOTHING_READY:
        return chosen
    following = open_day(last, (), None, bounds, has_review=True)
    if not isinstance(following, DayAnswer):  # else its day has not come
        state = replace(state, ready=())
        rulings = _to_apply(city, kept)
        verdicts = verdicts_of(rulings)
        review = keep_review(city, state, following, key_service, kept, by.first, now, verdicts)
        if review is not None or any(
            each.paid_out_fen for each in _applied(city, rulings, following)
        ):
            return following
    return DayAnswer.FILES_SET_ASIDE if aside else DayAnswer.NOTHING_READY


def _keep_registry(city: City) -> str:
    """Keep what a run may read of the registry under its hash: a row that is registered later
    changes later runs only.
    """
    data = _registry(city)
    sha256 = hashlib.sha256(data).hexdigest()
    if not city.input_path(sha256).exists():
        write_durable(city.input_path(sha256), data)
    return sha256


def _registry(city: City) -> bytes:
    """What a run may read of the registry, as one document."""
    return encode_registry(read_by_runs(load_changes(city.database)))
