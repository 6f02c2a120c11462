"""What a run asks the registry, laid out so that every question has at most one answer.

Decides who answers for a terminal on which days, which card numbers belong to the keys of which
application of which city, and on which days a card is listed. Leaves asking to reconciliation and
to the proof of a file.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from cardcore.applets.catalogue import APPLICATIONS, city_of
from cardcore.key_labels import application_label
from settlement.registry.book import Dated, Registry
from settlement.registry.rows import HotlistRow, SenderRow, TerminalRow

_DAY = timedelta(days=1)
_DIGITS = 20
#: A card is known to its keys by so many digits, the last of its number.
FACTOR_DIGITS = 16
#: The centre of cards that are ours: no participant has this code.
OWN = 0


@dataclass(frozen=True, slots=True)
class PlacedTerminal:
    """A terminal on days on which nothing about it changes: who is paid for it, who collects its
    records, and for which sector it works.
    """

    terminal: str
    owner: int
    collector: int
    sector: int
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class PlacedNumbers:
    """Card numbers, both ends included, that belong to the keys of an application on some days.
    `city` is the own label of the city whose keys they are, `centre` the participant that answers
    for its cards, OWN for ours. No two overlap.
    """

    application: int
    issuer: str  # 16 hexadecimal digits
    first_number: int
    last_number: int
    valid_from: date
    valid_to: date
    city: str
    centre: int


@dataclass(frozen=True, slots=True)
class ListedCard:
    """A card on the hotlist on some days, by the centre that answers for it and the digits that
    make its keys: whatever number of that city it is told under, it is that card, and a card of
    another city with these digits is not. No two of a card share a day.

    `since` is the first day on which one of its entries that hold then held and was told, from
    which the grace is counted; `version` the lowest list that names it in one that was told by
    then, None where none was: on days that an entry was dated back over, no terminal could know.
    """

    centre: int
    factor: int
    version: int | None
    since: date
    valid_from: date
    valid_to: date


@dataclass(frozen=True, slots=True)
class RunRegistry:
    """What a run asks the registry."""

    terminals: tuple[PlacedTerminal, ...] = ()
    numbers: tuple[PlacedNumbers, ...] = ()
    hotlist: tuple[ListedCard, ...] = ()


def place(registry: Registry, city: str) -> RunRegistry:
    """What runs of a city ask. `city` is the label of its keys."""
    numbers = tuple(place_numbers(registry, city))
    return RunRegistry(
        tuple(place_terminals(registry)), numbers, tuple(place_hotlist(registry.hotlist, numbers))
    )


def place_terminals(registry: Registry) -> Iterator[PlacedTerminal]:
    """A terminal that names no sector is of its owner's, which may change while it stands."""
    owners: dict[int, list[tuple[int, date, date]]] = {}
    for each in registry.participants:
        days = (each.row.sector, each.valid_from, each.valid_to)
        owners.setdefault(each.row.code, []).append(days)
    for held in registry.terminals:
        row = held.row
        sectors = (
            owners.get(row.participant, [])
            if row.sector is None
            else [(row.sector, held.valid_from, held.valid_to)]
        )
        for sector, since, until in sectors:
            first, last = max(since, held.valid_from), min(until, held.valid_to)
            if first <= last:
                collector = collector_of(row)
                yield PlacedTerminal(row.terminal, row.participant, collector, sector, first, last)


def place_hotlist(
    rows: Iterable[Dated[HotlistRow]], numbers: Iterable[PlacedNumbers]
) -> Iterator[ListedCard]:
    """Entries of numbers of one centre that end in the same digits are entries of one card."""
    centres_of = _CentresOf(numbers)
    held: dict[tuple[int, int], list[Dated[HotlistRow]]] = {}
    for each in rows:
        factor = int(each.row.card_number[-FACTOR_DIGITS:])
        for centre in centres_of(int(each.row.card_number)):
            held.setdefault((centre, factor), []).append(each)
    for (centre, factor), entries in sorted(held.items()):
        # A stretch begins where an entry does or is told, or behind the end of one.
        begins = {each.valid_from for each in entries}
        begins |= {_told(each) for each in entries if _told(each) <= each.valid_to}
        begins |= {each.valid_to + _DAY for each in entries if each.valid_to < date.max}
        for first, behind in pairwise([*sorted(begins), None]):
            assert first is not None
            last = date.max if behind is None else behind - _DAY
            listed = [each for each in entries if each.holds_on(first)]
            if listed:
                known = [each.row.version for each in listed if _told(each) <= first]
                since = min(_told(each) for each in listed)
                yield ListedCard(centre, factor, min(known, default=None), since, first, last)


class _CentresOf:
    """Whose card a number may be: the list names no issuer, so every centre's that has it on any
    day; ours where nobody has it.
    """

    def __init__(self, numbers: Iterable[PlacedNumbers]) -> None:
        spans = {(each.first_number, each.last_number, each.centre) for each in numbers}
        bounds = sorted({bound for first, last, _ in spans for bound in (first, last + 1)})
        #: Between two bounds the answer does not change.
        self._bounds = bounds
        self._centres = [
            sorted({centre for first, last, centre in spans if first <= bound <= last}) or [OWN]
            for bound in bounds
        ]

    def __call__(self, number: int) -> list[int]:
        at = bisect_right(self._bounds, number) - 1
        return self._centres[at] if at >= 0 else [OWN]


def _told(entry: Dated[HotlistRow]) -> date:
    """The first day on which an entry held and had been told."""
    day = entry.row.published
    return entry.valid_from if day is None else max(entry.valid_from, date.fromisoformat(day))


def collector_of(row: TerminalRow) -> int:
    """Who may deliver a terminal's records: its owner, where nobody else is named."""
    return row.participant if row.collector is None else row.collector


def participant_of(senders: Iterable[Dated[SenderRow]], sender: int, day: date) -> int:
    """For whom a sender sent on a day. Files stay when the row behind them is taken back: then
    whom it last stood for, and nobody (0) when nothing of it is left.
    """
    rows = [each for each in senders if each.row.sender == sender]
    held = [each for each in rows if each.holds_on(day)] or rows
    return max(held, key=lambda each: each.valid_to).row.participant if held else 0


def place_numbers(registry: Registry, city: str) -> Iterator[PlacedNumbers]:
    """Prefixes as ranges. Where one prefix begins with another, each range is told once. What is
    registered as ours is nobody else's; of two centres the one of the smaller code has it.
    """
    claims: dict[tuple[int, str], list[_Claim]] = {}
    for numbers in registry.card_numbers:
        row, base = numbers.row, city_of(numbers.row.label)
        application = _APPLICATION_OF[row.label.removeprefix(base)]
        first = int(row.prefix.ljust(_DIGITS, "0"))
        end = int(row.prefix.ljust(_DIGITS, "9")) + 1
        held = claims.setdefault((application, row.issuer), [])
        for centre, since, until in _centres(registry, base, city):
            days = (max(since, numbers.valid_from), min(until, numbers.valid_to))
            if days[0] <= days[1]:
                held.append(_Claim(first, end, *days, centre, base))
    for (application, issuer), held in sorted(claims.items()):
        bounds = sorted({bound for each in held for bound in (each.first, each.end)})
        for first, end in pairwise(bounds):
            within = [each for each in held if each.first <= first and end <= each.end]
            for since, until, centre, base in _told_once(within):
                yield PlacedNumbers(application, issuer, first, end - 1, since, until, base, centre)


#: Application, issuer, first and last number.
Span = tuple[int, str, int, int]


def span_of(numbers: PlacedNumbers) -> Span:
    """Which numbers they are, whosever on which days."""
    return numbers.application, numbers.issuer, numbers.first_number, numbers.last_number


def asked_owners(numbers: Iterable[PlacedNumbers]) -> dict[Span, tuple[int, str]]:
    """Whose keys are asked about records of a span, whatever their day: centre and city. What was
    ever ours goes first; of two centres the one of the smaller code.
    """
    owners: dict[Span, tuple[int, str]] = {}
    for each in numbers:
        span, owner = span_of(each), (each.centre, each.city)
        owners[span] = min(owners.get(span, owner), owner)
    return owners


def days_of_numbers(numbers: Iterable[PlacedNumbers]) -> Iterator[tuple[PlacedNumbers, bool]]:
    """Every span on every day there is, and whether whoever has it then is the one whose keys are
    asked. On days on which nobody has it, nobody is.
    """
    placed: dict[Span, list[PlacedNumbers]] = {}
    for each in numbers:
        placed.setdefault(span_of(each), []).append(each)
    owners = asked_owners(each for held in placed.values() for each in held)
    for span, held in placed.items():
        (centre, city), free = owners[span], date.min
        for each in sorted(held, key=lambda each: each.valid_from):
            if free < each.valid_from:
                yield PlacedNumbers(*span, free, each.valid_from - _DAY, city, centre), False
            yield each, (each.centre, each.city) == owners[span]
            if each.valid_to == date.max:
                break
            free = each.valid_to + _DAY
        else:
            yield PlacedNumbers(*span, free, date.max, city, centre), False


_APPLICATION_OF = {
    application_label("", each.key_ending): each.code for each in APPLICATIONS.values()
}


@dataclass(frozen=True, slots=True)
class _Claim:
    """Numbers from `first` to before `end` that a registered prefix says are somebody's."""

    first: int
    end: int
    valid_from: date
    valid_to: date
    centre: int
    city: str


def _centres(registry: Registry, base: str, city: str) -> list[tuple[int, date, date]]:
    """Who answers for the cards of a city, and when: nobody for a label that no centre has."""
    if base == city:
        return [(OWN, date.min, date.max)]
    return [
        (each.row.participant, each.valid_from, each.valid_to)
        for each in registry.centres
        if each.row.label == base
    ]


def _told_once(claims: list[_Claim]) -> Iterator[tuple[date, date, int, str]]:
    """Stretches of days without overlap, as long as nothing changes: first and last day, whose."""
    bounds = {each.valid_from.toordinal() for each in claims}
    bounds |= {each.valid_to.toordinal() + 1 for each in claims}
    held: tuple[date, date, int, str] | None = None
    for start, end in pairwise(sorted(bounds)):
        since, until = date.fromordinal(start), date.fromordinal(end - 1)
        whose = min(
            (
                (each.centre, each.city)
                for each in claims
                if each.valid_from <= since and until <= each.valid_to
            ),
            default=None,
        )
        if held is not None and held[2:] == whose and held[1] + _DAY == since:
            held = (held[0], until, *whose)
            continue
        if held is not None:
            yield held
        held = None if whose is None else (since, until, *whose)
    if held is not None:
        yield held
