"""Driving a plan to its end: taps, files, clearing runs, closed days.

Decides only the order. Taps happen in the order of their time, whatever day settles them, so a
card's own log and counters are in order. What a later day settles is held back in the journal of
its collector until that day, as a bus that did not come home holds its records: the day between
closes with an open gap, the later one fills it.

Every step may be repeated: a tap that has its answer gets it again, a file that was received is
answered as before, a closed day stays closed. So a drive that was killed is driven again from the
start and ends as if it had not been.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from functools import partial
from pathlib import Path
from typing import Any

from api.composition import CityKeys
from api.simulation.mishaps import Mishap, mishaps_of, with_forgeries
from api.simulation.plan import Plan, PlannedTap
from api.simulation.virtual_city import SIMULATION, VirtualCity
from cardcore.key_labels import load_host_label, sender_label
from cardcore.keys import KeyUsage
from cardcore.text import Text
from settlement.city import City
from settlement.days.opening import DayAnswer
from settlement.engine import Engine
from settlement.intake.answers import Acknowledgement, FileAnswer
from settlement.reports.days import read_closed_days
from settlement.reports.loads import read_log_reach
from settlement.service.clear import run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.watching import OnStep, pass_by
from terminals.journal.disk import write_whole
from terminals.journal.upload import (
    hold_back,
    pending_batches,
    plan_batch,
    read_again,
    store_answer,
    write_batch,
)
from terminals.partners.load_host import LOAD_HOST
from terminals.taps import TapOutcome, TapResult

#: Told the stage and how many steps of it were done.
OnProgress = Callable[[str, int], None]
CARDS, TAPS, FILES, DAYS = "cards", "taps", "files", "days"


class DriveError(Exception):
    """The plan did not go as planned; the message names the tap, the file or the day."""


@dataclass(slots=True)
class Driven:
    """What came of a drive: taps by role and outcome, and the totals of every closed day."""

    taps: Counter[tuple[str, TapOutcome]] = field(default_factory=Counter)
    days: dict[date, Mapping[str, Any]] = field(default_factory=dict)
    mishaps: dict[Mishap, str] = field(default_factory=dict)  # the first record of each
    record: str = ""  # one record worth explaining: the last torn one, or the first of all


def drive(
    city: City,
    keys: CityKeys,
    plan: Plan,
    engine: Engine,
    on_progress: OnProgress,
    on_step: OnStep = pass_by,
    world: type[VirtualCity] = VirtualCity,
) -> Driven:
    """Drive a plan whole. `on_step` hears every commit point of journals, intake and close; `world`
    is the kind of city it is driven in.

    Raises `DriveError` when a tap is refused that the plan says happened.
    """
    driven = Driven()
    with world(city, keys, plan, on_step) as opened:
        opened.prepare(partial(on_progress, CARDS))
        closed = {each.settlement_day for each in read_closed_days(city)}
        begin = 0
        for day, end in plan.taps_by_day():
            for tap in plan.taps[begin:end]:
                result = _tap(opened, tap, day)
                _count(driven, tap, result)
                driven.mishaps = mishaps_of(plan, tap, result) | driven.mishaps
                on_progress(TAPS, 1)
            begin = end
            # All of a closed day went up before it closed. What its collectors hold now is of the
            # day after, perhaps a record that a killed drive had no time to hold back.
            if day not in closed:
                _upload(opened, keys, datetime.combine(day, time(23, 59, 59)), on_progress, on_step)
            driven.days[day] = _settle(city, day, keys, engine, on_step)
            on_progress(DAYS, 1)
    return driven


def _count(driven: Driven, tap: PlannedTap, result: TapResult) -> None:
    driven.taps[tap.role, result.outcome] += 1
    if result.record is not None and (tap.torn or not driven.record):
        driven.record = result.record.id


def _tap(world: VirtualCity, tap: PlannedTap, day: date) -> TapResult:
    """One tap, and what its collector does with its record while it waits for `day` to close."""
    result = world.tap(tap)
    if not result.outcome.done:
        said = result.outcome.text
        raise DriveError(
            Text(
                f"刷卡 {tap.request}，卡 {tap.card}：{said.zh}",
                f"tap {tap.request} of card {tap.card}: {said.en}",
            )
        )
    record, journal = result.record, world.journal(tap.participant)
    if record is not None and tap.settlement_day > day:
        hold_back(journal, record.terminal, record.terminal_serial, tap.settlement_day)
    if record is not None and tap.copies:
        read_again(journal, record.terminal, record.terminal_serial, tap.copies)
    if record is not None and tap.forged_fen:
        world.forged_fen[record.id] = tap.forged_fen
    return result


def _upload(
    world: VirtualCity,
    keys: CityKeys,
    now: datetime,
    on_progress: OnProgress,
    on_step: OnStep,
) -> None:
    """Send what the load host and the collectors hold, in files of at most the permitted size. As
    vehicles come home PSAMs sign what is finished, many records at once.
    """
    world.sign_records()
    _send_load_log(world, keys, now, on_step)
    for participant in world.participants():
        journal = world.journal(participant)
        newest = keys.key_to_make(KeyUsage.FILE_SIGNING, sender_label(participant))
        while plan_batch(journal, key_version=newest.ref.version, now=now) is not None:
            pass
        signers = {each.ref.version: each for each in keys.sender_keys(participant)}
        for batch in pending_batches(journal):
            # A file planned before a rotation goes on under the version it was planned with.
            signer = signers[batch.key_version]
            sign = partial(keys.service.sign, signer.ref)
            path = write_batch(
                journal, batch.sequence, sign, world.outbox(participant), signer.algorithm
            )
            honest = path.read_bytes()
            data = with_forgeries(honest, world.forged_fen, sign)
            if data != honest:
                write_whole(path, data, on_step)
            answer = receive_file(world.city, data, keys.service, now.replace(tzinfo=UTC), on_step)
            if not answer.answer.is_kept:
                raise _refused(path, answer)
            store_answer(
                journal,
                batch.sequence,
                {"answer": answer.answer.name, "content_hash": answer.content_hash},
                settled=answer.answer in {FileAnswer.ACCEPTED, FileAnswer.ALREADY_RECEIVED},
            )
            on_progress(FILES, 1)


def _send_load_log(world: VirtualCity, keys: CityKeys, now: datetime, on_step: OnStep) -> None:
    log, label = world.load_log(), load_host_label(world.city.scheme.name)
    newest = keys.key_to_make(KeyUsage.FILE_SIGNING, label)
    while log.plan_file(key_version=newest.ref.version, now=now) is not None:
        pass
    signers = {each.ref.version: each for each in keys.signing_keys(label)}
    issuer = world.city.scheme.issuer.hex().upper()
    reaches = {each.issuer: each.last_number for each in read_log_reach(world.city)}
    for first_number, key_version in log.files():
        if first_number <= reaches.get(issuer, 0):
            continue
        # A file planned before a rotation goes on under the version it was planned with.
        signer = signers[key_version]
        sign = partial(keys.service.sign, signer.ref)
        path = log.write_file(first_number, sign, world.outbox(LOAD_HOST), signer.algorithm)
        answer = receive_file(
            world.city, path.read_bytes(), keys.service, now.replace(tzinfo=UTC), on_step
        )
        if not answer.answer.is_kept:
            raise _refused(path, answer)


def _settle(
    city: City, day: date, keys: CityKeys, engine: Engine, on_step: OnStep
) -> Mapping[str, Any]:
    """Clear and close a day; a closed one is computed again and gives the same totals."""
    result = run_clearing(city, day, keys.service, engine, datetime.now(UTC), SIMULATION, on_step)
    if isinstance(result, DayAnswer):
        raise _not_settled(day, result)
    if not result.is_closed:
        closed = close_day(city, day, keys.service, engine, datetime.now(UTC), SIMULATION, on_step)
        if isinstance(closed, DayAnswer):
            raise _not_settled(day, closed)
    return result.run.totals


def _refused(path: Path, told: Acknowledgement) -> DriveError:
    said = told.answer.text if told.detail is None else told.detail
    return DriveError(
        Text(f"批次文件 {path.name} 被拒收：{said.zh}", f"file {path.name} is refused: {said.en}")
    )


def _not_settled(day: date, answer: DayAnswer) -> DriveError:
    said = answer.text
    return DriveError(Text(f"{day} 未能清分：{said.zh}", f"{day} is not settled: {said.en}"))
