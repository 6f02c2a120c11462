"""`onecard bench shapes`: what a sender can do to make a day dear, at a size and at four times it.

Decides the shapes, each named after the attack, and what is measured: seconds of the processor for
taking the files in and for closing their days, in a city that is thrown away. What costs a constant
times the records takes four times as long; whatever looks at each record for each takes sixteen.
"""

import resource
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from api.bench.figures import figure
from api.bench.keys import city_key_service, sender_ref
from api.bench.made_records import (
    BUS,
    BUS_OPERATOR,
    KIOSK,
    LOAD_AGENT,
    SCHEME,
    Rows,
    loads,
    rides,
    sign,
    told,
)
from api.output import JsonOption, print_json, print_table, progress_bar, refuse_choice, say
from api.tables import Column, Table
from cardcore.keys import KeyService
from cardcore.records.batch import RECORDS_MAX, BatchHeader, encode_batch
from cardcore.text import Text, words
from settlement.city import City, create_city
from settlement.days.opening import DayAnswer
from settlement.engine.local import LocalEngine
from settlement.people.actions import Action, Actor, ActorKind
from settlement.registry.book import since_ever
from settlement.registry.rows import SenderRow, TerminalRow
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.service.registering import register_rows

#: How many times the first size the second one is.
TIMES = 4
DAY = date(2018, 9, 3)
_BENCH = Actor("bench", ActorKind.SYSTEM)
_OWNERS = {BUS_OPERATOR: (BUS, "bus"), LOAD_AGENT: (KIOSK, "kiosk")}
#: The rides of a day that its city knows no key for name this version.
_VERSION_UNKNOWN = 9

#: The files of each day, by (sender, records).
File = tuple[int, Rows]
Days = Iterator[Sequence[File]]


def _honest(count: int) -> Days:
    """A ride of each of so many cards."""
    yield [(BUS_OPERATOR, sign(rides(DAY, count, card=np.arange(count))))]


def _junk(count: int) -> Days:
    """The same, and on the next day as many records of nobody, with the same cards and counters."""
    yield from _honest(count)
    yield [(BUS_OPERATOR, rides(_day(1), count, card=np.arange(count)))]


def _variants(count: int) -> Days:
    """One ride, sent again and again with another serial, counter and flag."""
    number = np.arange(count)
    ride = np.repeat(sign(rides(DAY, 1)), count, axis=0)
    counters = np.minimum(number, 60_000)
    yield [(BUS_OPERATOR, told(ride, terminal_serial=number + 1, offline_counter=counters))]


def _one_card(count: int) -> Days:
    """A card with so many rides."""
    yield [_load(count), (BUS_OPERATOR, _life(DAY, np.arange(count), count))]


def _card_gaps(count: int) -> Days:
    """A card whose every second ride is missing, rides once more, and then all of them come."""
    whole = 2 * count + 1
    yield [_load(whole), (BUS_OPERATOR, _life(DAY, np.arange(0, whole, 2), whole))]
    yield [(BUS_OPERATOR, _life(_day(1), np.array([whole]), whole + 1))]
    yield [(BUS_OPERATOR, _life(_day(2), np.arange(1, whole, 2), whole))]


def _loads_into_gaps(count: int) -> Days:
    """The same card, and late as many loads of that day, each perhaps in any of the gaps."""
    whole, number = 2 * count + 1, np.arange(count)
    yield [_load(whole), (BUS_OPERATOR, _life(DAY, np.arange(0, whole, 2), whole))]
    made = loads(
        DAY, count, counter=number + 1, amount_fen=1,
        balance_before_fen=2 * whole, balance_after_fen=2 * whole + 1,
    )  # fmt: skip
    yield [(LOAD_AGENT, sign(made))]


def _claims(count: int) -> Days:
    """The same card, and beside each ride one under a key that nobody holds; then it rides on."""
    whole = 2 * count + 1
    life = _life(DAY, np.arange(0, whole, 2), whole)
    held = told(_life(DAY, np.arange(1, whole), whole), key_version=_VERSION_UNKNOWN)
    yield [_load(whole), (BUS_OPERATOR, life), (BUS_OPERATOR, held)]
    yield [(BUS_OPERATOR, _life(_day(1), np.array([whole]), whole + 1))]


def _serial_gaps(count: int) -> Days:
    """A terminal with every second serial missing, one more, and then all of them come."""
    number = np.arange(count)
    made = sign(rides(DAY, count, card=number, terminal_serial=2 * number + 2))
    yield [(BUS_OPERATOR, made)]
    one_more = sign(rides(_day(1), 1, card=count, terminal_serial=2 * count + 1))
    yield [(BUS_OPERATOR, one_more)]
    cards, serials = count + 1 + number[1:], 2 * number[1:] + 1
    yield [(BUS_OPERATOR, sign(rides(_day(2), count - 1, card=cards, terminal_serial=serials)))]


def _small_files(count: int) -> Days:
    """Files of one record."""
    made = sign(rides(DAY, count, card=np.arange(count)))
    yield [(BUS_OPERATOR, made[number : number + 1]) for number in range(count)]


def _load(amount_fen: int) -> File:
    made = loads(DAY, 1, amount_fen=amount_fen, balance_after_fen=amount_fen)
    return LOAD_AGENT, sign(made)


def _life(day: date, counters: "np.ndarray[Any, np.dtype[np.int64]]", loaded_fen: int) -> Rows:
    """Rides of a fen with these counters, of a card that had so much when it was new."""
    before = loaded_fen - counters
    made = rides(
        day, len(counters), counter=counters, amount_fen=1,
        balance_before_fen=before, balance_after_fen=before - 1,
        terminal_serial=counters + 1, psam_sequence=counters + 1,
    )  # fmt: skip
    return sign(made)


def _day(number: int) -> date:
    return DAY + timedelta(days=number)


@dataclass(frozen=True, slots=True)
class Shape:
    """What is sent, and how many records stand for one of the size: a file costs far more."""

    days: Callable[[int], Days]
    divisor: int = 1


SHAPES = {
    "honest": Shape(_honest),
    "junk": Shape(_junk),
    "variants": Shape(_variants),
    "one_card": Shape(_one_card),
    "card_gaps": Shape(_card_gaps),
    "loads_into_gaps": Shape(_loads_into_gaps),
    "claims": Shape(_claims),
    "serial_gaps": Shape(_serial_gaps),
    "small_files": Shape(_small_files, divisor=20),
}


class Cost(NamedTuple):
    """Records and seconds of the processor."""

    records: int
    intake_seconds: float
    close_seconds: float

    @property
    def seconds(self) -> float:
        """All of it."""
        return self.intake_seconds + self.close_seconds


def shapes(
    size: Annotated[
        int,
        typer.Option(
            min=20, max=1_000_000, help=words("小规模的记录数。", "Records of the first size.")
        ),
    ] = 4_000,
    shape: Annotated[
        list[str] | None,
        typer.Option(
            help=words(f"只测这些：{'、'.join(SHAPES)}。", f"Only these: {', '.join(SHAPES)}.")
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Growth says what a sender can make dear."""
    chosen = shape or list(SHAPES)
    unknown = [each for each in chosen if each not in SHAPES]
    if unknown:
        refuse_choice("--shape", Text("形态", "shape"), unknown[0], SHAPES)
    found: dict[str, dict[str, Any]] = {}
    with progress_bar(words("形态", "shapes"), 2 * len(chosen)) as advance:
        for name in chosen:
            costs = []
            for times in (1, TIMES):
                costs.append(measure(SHAPES[name].days(times * size // SHAPES[name].divisor)))
                advance()
            found[name] = _compare(*costs)
    document = {
        "records": sum(each["records"] for each in found.values()),
        "seconds": round(sum(each["seconds"] for each in found.values()), 3),
        "baseline_seconds": round(sum(each["baseline_seconds"] for each in found.values()), 3),
        "ratio": max(each["growth"] for each in found.values()),
        "peak_rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "shapes": found,
    }
    if as_json:
        print_json(document)
        return
    table = Table(
        Text("有意做得昂贵的清算日", "Days made dear on purpose"),
        [
            Column(Text("形态", "shape")),
            *(Column(each, right=True) for each in _COLUMNS.values()),
        ],
    )
    for name, figures in found.items():
        table.add(name, *(figure(figures[each]) for each in _COLUMNS))
    print_table(table)
    say(
        words(
            f"CPU 秒；增长：记录数为 {TIMES} 倍时。与记录数成正比者为 {TIMES}，逐笔两两相看者为 "
            f"{TIMES**2}。",
            f"seconds of the processor; growth: at {TIMES} times the records. A constant times the "
            f"records is {TIMES}, each record looked at for each is {TIMES**2}.",
        ),
        style="dim",
    )


_COLUMNS = {
    "records": Text("笔数", "records"),
    "baseline_seconds": Text("四分之一规模，秒", "s at a quarter"),
    "seconds": Text("秒", "s"),
    "intake_seconds": Text("收文件，秒", "intake, s"),
    "close_seconds": Text("关闭，秒", "close, s"),
    "growth": Text("增长", "growth"),
}


def _compare(small: Cost, large: Cost) -> dict[str, Any]:
    return {
        "records": large.records,
        "baseline_records": small.records,
        "seconds": round(large.seconds, 3),
        "baseline_seconds": round(small.seconds, 3),
        "intake_seconds": round(large.intake_seconds, 3),
        "close_seconds": round(large.close_seconds, 3),
        "growth": round(large.seconds / small.seconds, 2),
        "intake_growth": round(large.intake_seconds / small.intake_seconds, 2),
        "close_growth": round(large.close_seconds / small.close_seconds, 2),
    }


def measure(days: Iterable[Sequence[File]]) -> Cost:
    """What taking these files in and closing their days costs."""
    keys = city_key_service(SCHEME.name, _OWNERS)
    sequences = dict.fromkeys(_OWNERS, 0)
    cost = Cost(0, 0.0, 0.0)
    with (
        tempfile.TemporaryDirectory(prefix="onecard-bench-") as folder,
        _city(Path(folder) / "city", keys) as city,
    ):
        for number, files in enumerate(days):
            day = _day(number)
            sent = list(_sent(files, day, sequences, keys))
            now = datetime.combine(_day(number + 1), datetime.min.time(), UTC)
            began = time.process_time()
            for data in sent:
                answer = receive_file(city, data, keys, now)
                assert answer.answer.is_kept, answer
            taken_in = time.process_time()
            closed = close_day(city, day, keys, LocalEngine(1), now, _BENCH)
            assert not isinstance(closed, DayAnswer), closed
            cost = Cost(
                cost.records + sum(len(rows) for _, rows in files),
                cost.intake_seconds + taken_in - began,
                cost.close_seconds + time.process_time() - taken_in,
            )
    return cost


def _city(folder: Path, keys: KeyService) -> City:
    """A city of one bucket that knows the bus, the kiosk and their senders."""
    action = Action(_BENCH, datetime.combine(DAY, datetime.min.time(), UTC), "onecard bench shapes")
    city = create_city(folder, SCHEME.name, action, bucket_count=1)
    senders = [
        SenderRow(owner, 1, owner, keys.public_key(sender_ref(owner)).hex()) for owner in _OWNERS
    ]
    terminals = [
        TerminalRow(f"{terminal:012x}", owner, role) for owner, (terminal, role) in _OWNERS.items()
    ]
    register_rows(city, since_ever(*senders, *terminals), action)
    return city


def _sent(
    files: Sequence[File], day: date, sequences: dict[int, int], keys: KeyService
) -> Iterator[bytes]:
    """The files as their senders would make them."""
    created_at = datetime.combine(day, datetime.max.time().replace(microsecond=0))
    for sender, rows in files:
        for start in range(0, len(rows), RECORDS_MAX):
            part = rows[start : start + RECORDS_MAX]
            sequences[sender] += 1
            header = BatchHeader(sender, sequences[sender], day, 1, created_at, len(part), 0)
            sign_file = partial(keys.sign, sender_ref(sender))
            yield encode_batch(header, [part.tobytes()], (), sign_file)
