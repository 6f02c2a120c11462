"""Close a day.

Owns the commit points of a close: what it was begun with; the key service's signature, which is
never given for another content under this number; the sealed document; one SQL transaction with
everything the day consists of. Two who close at once get the same closed day, and a close that was
cut off is finished as it was begun, whoever repeats it and whatever came in since.
"""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from cardcore.errors import KeyStateError, SealRefusedError
from cardcore.keys import KeyRef, KeyService, KeyState, KeyUsage
from cardcore.text import Text
from settlement.city import City
from settlement.days.begun import BegunClose, decode_begun, encode_begun
from settlement.days.closing import (
    ClearingState,
    ClosedDay,
    ClosePlan,
    encode_seal,
    is_current,
    next_number,
    plan_close,
    signed_plan,
    signed_seal,
    still_follows,
)
from settlement.days.opening import DayAnswer
from settlement.durable import remove_durable, write_durable, write_once
from settlement.engine import Engine
from settlement.errors import RunDiffersError, StoredBytesError
from settlement.people.actions import Actor, Actors
from settlement.rulings.kinds import RulingKind
from settlement.service.clear import provide_run
from settlement.service.gathering import begun_inputs, choose_day, gather_inputs
from settlement.service.healing.around import with_healing
from settlement.service.keeping import KeptFiles
from settlement.service.ruling.acting import request_of
from settlement.service.ruling.standings import read_standing
from settlement.store import days as day_store
from settlement.store.rulings import load_proven_book
from settlement.watching import OnProgress, OnStep, be_silent, pass_by


@dataclass(frozen=True, slots=True)
class _Office:
    """What every step of a close needs."""

    city: City
    key_service: KeyService
    kept: KeptFiles
    engine: Engine
    on_step: OnStep
    on_progress: OnProgress


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
    then stands there, too; where two people are enrolled, only by a ruling about it, and then those
    two stand there. Files that cannot be judged are set aside, and named under the seal.

    Two who close at once get the same closed day; so does whoever closes a closed day again. The
    key service is asked as by `run_clearing`, and signs the seal; where it has signed another one
    under this number the day stays open.
    """
    now = now.astimezone(UTC)
    actors = _actors(city, settlement_day, by, second, now)

    def work() -> ClosedDay | DayAnswer:
        kept = KeptFiles(city, key_service)
        office = _Office(city, key_service, kept, engine, on_step, on_progress)
        return _choose_and_close(office, settlement_day, now, actors)

    return with_healing(city, key_service, engine, now, by, work)


def _actors(
    city: City, settlement_day: date | None, by: Actor, second: Actor | None, now: datetime
) -> Actors:
    """Who closes. Where two people are enrolled a name that was only stated is nobody's word; their
    ruling holds while what it was about does, and until it expires.
    """
    book = load_proven_book(city.database)
    if not book.needs_two:
        return Actors(by, second)
    for proposal, answered in book.approved(RulingKind.DAYS_CLOSE):
        is_of_day = f"day/{settlement_day}" in proposal.subjects and now < proposal.expires_at
        if is_of_day and read_standing(city, book, request_of(proposal)).state == proposal.state:
            return Actors(Actor(proposal.proposed_by), Actor(answered.by))
    return Actors(by)


def _choose_and_close(
    office: "_Office", settlement_day: date | None, now: datetime, actors: Actors
) -> ClosedDay | DayAnswer:
    city = office.city
    chosen = settlement_day
    if chosen is None:
        # Chosen once: whoever presses at the same moment means this day and not the next one.
        begun = _begun(city, day_store.load_clearing_state(city.database), None)
        found = _choose(office, now, actors) if begun is None else begun.settlement_day
        if isinstance(found, DayAnswer):
            return found
        chosen = found
    with city.clearing():
        return _close(office, chosen, now, actors, is_stated=settlement_day is not None)


def _choose(office: _Office, now: datetime, by: Actors) -> date | DayAnswer:
    state = day_store.load_clearing_state(office.city.database)
    return choose_day(office.city, state, None, office.key_service, office.kept, by, now)


def _close(
    office: _Office, settlement_day: date, now: datetime, by: Actors, *, is_stated: bool
) -> ClosedDay | DayAnswer:
    city = office.city
    while True:
        for day in day_store.load_closed_days(city.database):
            if day.settlement_day == settlement_day:
                return day
        state = day_store.load_clearing_state(city.database)
        begun = _begun(city, state, settlement_day)
        if begun is None:
            found = _begin(office, settlement_day, now, by)
        else:
            found = _go_on(office, begun, state)
            if found is None and not is_stated:
                chosen = _choose(office, now, by)
                if isinstance(chosen, DayAnswer):
                    return chosen
                settlement_day = chosen
        if found is None:
            continue
        if isinstance(found, DayAnswer):
            return found
        kept = _seal_and_keep(office, *found)
        if isinstance(kept, DayAnswer):
            return kept
        if kept is not None:
            _sweep(city, kept)


def _begin(
    office: _Office, settlement_day: date, now: datetime, by: Actors
) -> tuple[ClosePlan, int] | DayAnswer | None:
    """A day to be sealed as it stands now; None when a file came in while it was computed."""
    city, key_service = office.city, office.key_service
    found = gather_inputs(city, settlement_day, key_service, office.kept, by, now)
    if isinstance(found, DayAnswer):
        return found
    key_version = _sealing_version(key_service, city.scheme.name)
    office.on_step("inputs_kept")
    report = provide_run(city, found.inputs, office.engine, office.on_step, office.on_progress)
    state = day_store.load_clearing_state(city.database)
    if not is_current(found.inputs, state, found.faults):
        return None
    plan = plan_close(report, found.inputs, state, now, by.first, by.confirming, found.set_aside)
    write_durable(city.closing_path, encode_begun(plan, key_version))
    office.on_step("close_begun")
    return plan, key_version


def _go_on(
    office: _Office, begun: BegunClose, state: ClearingState
) -> tuple[ClosePlan, int] | DayAnswer | None:
    """A close that was begun, as it was begun. Where that cannot be any more: None when nobody has
    signed it, and it is forgotten.
    """
    city = office.city
    plan = _plan_again(office, begun, state)
    if plan is not None:
        return plan, begun.key_version
    sealed = _read(city.seal_path(begun.settlement_day)) is not None
    if sealed or _is_signed(office.key_service, city, begun):
        return DayAnswer.SEALED_OTHERWISE
    remove_durable(city.closing_path)
    return None


def _plan_again(office: _Office, begun: BegunClose, state: ClearingState) -> ClosePlan | None:
    inputs = begun_inputs(office.city, begun, state, office.kept)
    if inputs is None:
        return None
    try:
        report = provide_run(office.city, inputs, office.engine, office.on_step, office.on_progress)
    except (StoredBytesError, RunDiffersError):
        return None  # something that it was made of is damaged
    plan = plan_close(
        report,
        inputs,
        replace(
            state,
            registry_end=begun.registry_end,
            rulings_end=begun.rulings_end,
            refusals_end=begun.refusals_end,
        ),
        begun.closed_at,
        begun.closed_by,
        begun.confirmed_by,
        begun.set_aside,
    )
    return plan if plan.day.seal == begun.seal else None


def _seal_and_keep(
    office: _Office, plan: ClosePlan, key_version: int
) -> ClosedDay | DayAnswer | None:
    """The closed day; None when the database moved meanwhile, which then has the day."""
    city, seal_path = office.city, office.city.seal_path(plan.day.settlement_day)
    ref = KeyRef(KeyUsage.DAY_SEAL, plan.label, key_version)
    sealed = _read(seal_path)
    if sealed is not None and sealed.seal != plan.day.seal:
        return DayAnswer.SEALED_OTHERWISE
    try:
        signature = office.key_service.seal_day(ref, signed_seal(plan.label, plan.day).signed)
    except SealRefusedError:
        remove_durable(city.closing_path)
        return DayAnswer.SEALED_OTHERWISE
    office.on_step("day_signed")
    plan = signed_plan(plan, key_version, signature.hex())
    content = encode_seal(plan)
    if seal_path.exists() and seal_path.read_bytes() != content:
        # The same seal, or none: what was damaged is kept beside, and makes place.
        seal_path.rename(seal_path.with_suffix(".damaged"))
    # Before the commit: a closed day always has its document.
    write_once(seal_path, content)
    office.on_step("seal_kept")
    stored = day_store.close_day(
        city.database, lambda state: plan if still_follows(plan, state) else None
    )
    office.on_step("day_kept")
    return None if stored is None else stored.day


def _begun(city: City, state: ClearingState, settlement_day: date | None) -> BegunClose | None:
    """The close of the next day that was begun, and cut off before the day was kept; else one of
    the stated day whose sealed document is there. What cannot be read was not begun.
    """
    paths = [city.closing_path]
    if settlement_day is not None:
        paths.append(city.seal_path(settlement_day))
    for begun in map(_read, paths):
        if begun is not None and begun.number == next_number(state):
            return begun
    return None


def _read(path: Path) -> BegunClose | None:
    return decode_begun(path.read_bytes()) if path.exists() else None


def _is_signed(key_service: KeyService, city: City, begun: BegunClose) -> bool:
    """Whether the key service has signed that day; one without a register cannot say so."""
    newest = key_service.sealed_days(city.scheme.name).newest
    return newest is not None and newest.number >= begun.number


def _sealing_version(key_service: KeyService, label: str) -> int:
    """The version that new days are sealed with. Raises `KeyStateError` when there is none."""
    described = key_service.describe_keys(KeyUsage.DAY_SEAL, label)
    active = [each.ref.version for each in described if each.state is KeyState.ACTIVE]
    if not active:
        name = f"{KeyUsage.DAY_SEAL}/{label}"
        raise KeyStateError(
            Text(
                f"{name}：没有启用的版本，日不能封存；请生成一个："
                f"`onecard hsm ceremony generate {name}/v1 --activate`",
                f"{name}: no version is active, so no day can be sealed; make one with "
                f"`onecard hsm ceremony generate {name}/v1 --activate`",
            )
        )
    return active[-1]


def _sweep(city: City, day: ClosedDay) -> None:
    """Remove what provisional runs left for days that cannot open any more, and what killed tasks
    left beside the closed run: no row refers to any of it.
    """
    remove_durable(city.closing_path)
    closed = {each.run_id for each in day_store.load_closed_days(city.database)}
    for folder in city.runs_folder(day.settlement_day).parent.iterdir():
        if date.fromisoformat(folder.name) <= day.settlement_day:
            for run in folder.iterdir():
                if run.name not in closed:
                    shutil.rmtree(run)
    for leftover in city.run_folder(day.settlement_day, day.run_id).rglob("*.partial"):
        leftover.unlink()
