"""Loads (圈存核对): allowed, recorded, stated by the card; what does not match, by age and agent.

Decides which days are asked and whose a load is. A load belongs to the day on which the load host
made the file that lists it; without one, to that on which the office had its record: no clock of a
kiosk can put a load where nobody looks. What speaks for or against it is looked for in so many days
on either side. Leaves how it stands to `settlement.loads`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from settlement.city import City
from settlement.intake.load_log import LoggedLoad, LogReach
from settlement.loads.ages import AgentFigures, LoadLine, sum_by_agent
from settlement.loads.decide import (
    JudgedLoad,
    Purse,
    RecordedLoad,
    judge_purse,
    merge_records,
    purse_of,
)
from settlement.loads.standings import LoadStanding
from settlement.registry.book import Dated, civil_day
from settlement.registry.rows import TerminalRow
from settlement.reports.load_records import read_billed_by_log, read_recorded_loads
from settlement.store.days import load_clearing_state
from settlement.store.files import load_open_files
from settlement.store.load_logs import (
    count_allowed_before,
    load_allowed,
    load_allowed_of_cards,
    load_day_of,
    load_reach,
)
from settlement.store.registry import load_participants, load_registry

#: So many days are looked at where nobody says which: a quarter of a year.
DAYS_SHOWN = 92
#: So far from its day is looked for what speaks for a load: as far as for a card's other records.
DAYS_SEARCHED = 31
#: What another entry of the log may still say of a load, wherever it stands.
_MAY_BE_FURTHER = frozenset(
    {
        LoadStanding.NEVER_ALLOWED,
        LoadStanding.CLAIMED_ONLY,
        LoadStanding.ALLOWED_ONLY,
        LoadStanding.RECORDED,
    }
)


@dataclass(frozen=True, slots=True)
class LoadsReport:
    """The loads of some days, oldest first. `older` allowed loads lie before the first day and were
    not looked at. Ages count to `as_of`, the last day that the office knows; None when it knows no
    day at all, and then there is nothing else either.
    """

    as_of: date | None
    first: date | None
    last: date | None
    logs: tuple[LogReach, ...]
    lines: tuple[LoadLine, ...]
    agents: Mapping[int, str]
    older: int

    @property
    def unmatched(self) -> tuple[LoadLine, ...]:
        """The lines on which log, record and card do not agree."""
        return tuple(each for each in self.lines if not each.judged.is_matched)

    @property
    def figures(self) -> tuple[AgentFigures, ...]:
        """The lines summed by agent and standing."""
        return sum_by_agent(self.lines)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """One allowed load, and the other loads of its purse of those days."""

    line: LoadLine
    purse: tuple[LoadLine, ...]
    agents: Mapping[int, str]


def read_loads(city: City, first: date | None = None, last: date | None = None) -> LoadsReport:
    """The loads from one day to another; by default of the quarter of a year up to the last day
    that the office knows: that of the log, of the last close or of the newest open file.
    """
    logs = load_reach(city.database)
    reaches = max((each.reaches.date() for each in logs if each.reaches is not None), default=None)
    as_of = _last_known(city, reaches)
    if as_of is None:
        return LoadsReport(None, None, None, logs, (), {}, 0)
    last = as_of if last is None else last
    first = _moved(last, 1 - DAYS_SHOWN) if first is None else first
    owners = _owners(city)
    # What is billed by the log is billed by a day that comes after the load was allowed.
    billed = read_billed_by_log(city, _moved(first, -DAYS_SEARCHED), date.max)
    lines = [
        _line(city, owners, each, as_of, billed) for each in _judge(city, first, last, reaches)
    ]
    codes = {each.agent for each in lines if each.agent is not None}
    names = {each.code: each.name for each in load_participants(city.database, codes)}
    older = count_allowed_before(city.database, first)
    lines.sort(key=_oldest_first)
    return LoadsReport(as_of, first, last, logs, tuple(lines), names, older)


def read_log_reach(city: City) -> tuple[LogReach, ...]:
    """How far the log of each issuer is there without a hole."""
    return load_reach(city.database)


def read_load(city: City, number: int, issuer: str | None = None) -> LoadReport | None:
    """The load of an entry of the log; None when there is none, or a hole lies before it."""
    day = load_day_of(city.database, number, issuer)
    if day is None:
        return None
    report = read_loads(city, _moved(day, -DAYS_SEARCHED), _moved(day, DAYS_SEARCHED))
    for line in report.lines:
        logged = line.judged.logged
        if logged is None or logged.load.number != number or issuer not in {None, logged.issuer}:
            continue
        purse = _purse(line.judged)
        others = tuple(each for each in report.lines if _purse(each.judged) == purse)
        return LoadReport(line, others, report.agents)
    return None


def _last_known(city: City, reaches: date | None) -> date | None:
    closed = load_clearing_state(city.database).last_closed
    days = [civil_day(each.file.received_at) for each in load_open_files(city.database)]
    days += [] if reaches is None else [reaches]
    days += [] if closed is None else [closed.settlement_day]
    return max(days, default=None)


def _judge(city: City, first: date, last: date, reaches: date | None) -> Iterator[JudgedLoad]:
    """The loads of these days. Evidence may lie before and behind them."""
    begin, end = _moved(first, -DAYS_SEARCHED), _moved(last, DAYS_SEARCHED)
    logged = _by_purse(load_allowed(city.database, begin, end))
    recorded: dict[Purse, list[RecordedLoad]] = {}
    for record in merge_records(read_recorded_loads(city, begin, end)):
        recorded.setdefault(purse_of(record.application, record.card_number), []).append(record)
    _look_further(city, logged, recorded)
    for purse in sorted(logged.keys() | recorded.keys()):
        for each in judge_purse(logged.get(purse, ()), recorded.get(purse, ()), reaches):
            if first <= each.known_on <= last:
                yield each


def _look_further(
    city: City,
    logged: dict[Purse, Sequence[LoggedLoad]],
    recorded: Mapping[Purse, Sequence[RecordedLoad]],
) -> None:
    """For the few cards of which the entries found leave something open, the whole log is asked: a
    record may come long after its load was allowed, and a card may come again long after it.
    """
    cards = {
        judged.card_number
        for purse in logged.keys() | recorded.keys()
        for judged in judge_purse(logged.get(purse, ()), recorded.get(purse, ()), date.max)
        if judged.standing in _MAY_BE_FURTHER
    }
    logged.update(_by_purse(load_allowed_of_cards(city.database, sorted(cards))))


def _by_purse(logged: Iterable[LoggedLoad]) -> dict[Purse, Sequence[LoggedLoad]]:
    purses: dict[Purse, list[LoggedLoad]] = {}
    for each in logged:
        purse = purse_of(each.load.application, each.load.card_number)
        purses.setdefault(purse, []).append(each)
    return dict(purses)


def _moved(day: date, days: int) -> date:
    """So many days later, as far as there are days."""
    return date.fromordinal(min(max(day.toordinal() + days, 1), date.max.toordinal()))


def _purse(judged: JudgedLoad) -> Purse:
    return purse_of(judged.application, judged.card_number)


def _owners(city: City) -> Mapping[str, Sequence[Dated[TerminalRow]]]:
    owners: dict[str, list[Dated[TerminalRow]]] = {}
    for each in load_registry(city.database).terminals:
        owners.setdefault(each.row.terminal, []).append(each)
    return owners


def _line(
    city: City,
    owners: Mapping[str, Sequence[Dated[TerminalRow]]],
    judged: JudgedLoad,
    as_of: date,
    billed: Mapping[tuple[str, int], date],
) -> LoadLine:
    told = judged.recorded if judged.logged is None else judged.logged.load
    agent = None
    if told is not None:
        day = city.scheme.business_day(told.time)
        held = (each for each in owners.get(told.terminal, ()) if each.holds_on(day))
        agent = next((each.row.participant for each in held), None)
    logged = judged.logged
    billed_on = None if logged is None else billed.get((logged.issuer, logged.load.number))
    return LoadLine(judged, agent, max((as_of - judged.known_on).days, 0), billed_on)


def _oldest_first(line: LoadLine) -> tuple[int, int, str, int]:
    number = 0 if line.judged.logged is None else line.judged.logged.load.number
    return (-line.age_days, number, line.judged.card_number, line.judged.counter)
