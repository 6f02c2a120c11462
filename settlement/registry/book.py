"""Rows with their days, and the chain of changes that makes them.

Decides what holds on a day: what the latest change about that day says. Leaves whether a change may
be made to `decide`, and keeping the chain to the store. `valid_from` and `valid_to` are days on
which the row holds, both.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Generic, TypeVar

from settlement.people.actions import Action
from settlement.registry.rows import (
    KINDS,
    CardNumbersRow,
    CardRow,
    CentreRow,
    HotlistRow,
    LoadHostRow,
    NameRow,
    ParticipantRow,
    PsamRow,
    RegistryRow,
    SenderRow,
    TacKeyRow,
    TerminalRow,
    content_of,
    kind_of,
)
from settlement.seal import GENESIS, Sealable, link

#: A row without a first or a last day holds from the first to the last day there is.
BEGINNING, FOREVER = date.min, date.max
#: Days of the registry are days of the city's wall clock: China has one (北京时间).
CITY_ZONE = timezone(timedelta(hours=8))
_DAY = timedelta(days=1)
RowT_co = TypeVar("RowT_co", bound=RegistryRow, covariant=True)


def civil_day(moment: datetime) -> date:
    """The day on the city's calendar at a moment with its zone."""
    return moment.astimezone(CITY_ZONE).date()


@dataclass(frozen=True, slots=True)
class Dated(Generic[RowT_co]):
    """A row and the days on which it holds, the first and the last included."""

    row: RowT_co
    valid_from: date = BEGINNING
    valid_to: date = FOREVER

    @property
    def subject(self) -> tuple[str, str]:
        """What the row is about: its kind, and the name within it."""
        kind = kind_of(self.row)
        return kind.name, kind.subject_of(self.row)

    def holds_on(self, day: date) -> bool:
        """Whether the row holds on a day."""
        return self.valid_from <= day <= self.valid_to


AnyDated = Dated[RegistryRow]


def since_ever(*rows: RegistryRow) -> tuple[AnyDated, ...]:
    """Rows that hold from the beginning, without an end."""
    return tuple(Dated(row) for row in rows)


@dataclass(frozen=True, slots=True)
class NewChange:
    """From one day to another a subject reads so; None: it is not registered then."""

    kind: str
    subject: str
    row: RegistryRow | None
    valid_from: date = BEGINNING
    valid_to: date = FOREVER

    @classmethod
    def of(cls, dated: AnyDated) -> "NewChange":
        """The change that makes a row hold on its days."""
        kind, subject = dated.subject
        return cls(kind, subject, dated.row, dated.valid_from, dated.valid_to)


@dataclass(frozen=True, slots=True)
class RegistryEnd:
    """Where the chain of changes ends: how many there are, and the last link."""

    changes: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Change:
    """A change as it is kept: who made it, when and why, and its link of the chain."""

    number: int
    what: NewChange
    action: Action
    previous_hash: str
    hash: str


def change_content(number: int, what: NewChange, action: Action) -> Sealable:
    """What the link of a change covers."""
    return {
        "number": number,
        "kind": what.kind,
        "subject": what.subject,
        "content": None if what.row is None else content_of(what.row),
        "valid_from": None if what.valid_from == BEGINNING else what.valid_from,
        "valid_to": None if what.valid_to == FOREVER else what.valid_to,
        "by": action.by.code,
        # As it is kept: whoever acted in another zone acted at the same moment.
        "at": action.at.astimezone(UTC),
        "why": action.why,
    }


def chain_changes(new: Iterable[NewChange], action: Action, end: RegistryEnd) -> tuple[Change, ...]:
    """The changes of one action as links behind the end of the chain."""
    made: list[Change] = []
    for what in new:
        number, previous = end.changes + 1, end.hash
        hash_ = link(previous, change_content(number, what, action))
        made.append(Change(number, what, action, previous, hash_))
        end = RegistryEnd(number, hash_)
    return tuple(made)


class Book:
    """The registry while it is decided about: every subject with its rows, in order of days."""

    def __init__(self, changes: Iterable[NewChange] = ()) -> None:
        self._rows: dict[tuple[str, str], list[AnyDated]] = {}
        for each in changes:
            self.enter(each)

    def enter(self, change: NewChange) -> None:
        """Let a change say what it says of its days; other days read as before."""
        first, last = change.valid_from, change.valid_to
        rows = self._rows.setdefault((change.kind, change.subject), [])
        begin, end = _touched(rows, first, last)
        said: list[AnyDated] = []
        if begin < end and (held := rows[begin]).valid_from < first:
            said.append(Dated(held.row, held.valid_from, first - _DAY))
        if change.row is not None:
            said.append(Dated(change.row, first, last))
        if begin < end and (held := rows[end - 1]).valid_to > last:
            said.append(Dated(held.row, last + _DAY, held.valid_to))
        # Only the neighbours can read the same: a subject of many rows is not gone through.
        before, behind = rows[max(0, begin - 1) : begin], rows[end : end + 1]
        rows[begin - len(before) : end + len(behind)] = _joined([*before, *said, *behind])

    def rows(self, kind: str, subject: str) -> Sequence[AnyDated]:
        """The rows of a subject, in order of days."""
        return self._rows.get((kind, subject), [])

    def on(self, kind: str, subject: str, day: date) -> AnyDated | None:
        """The row of a subject on a day, None when it is not registered then."""
        return next(iter(self.within(kind, subject, day, day)), None)

    def within(self, kind: str, subject: str, first: date, last: date) -> list[AnyDated]:
        """The rows of a subject that hold on any day from one to another."""
        rows = self._rows.get((kind, subject), [])
        begin, end = _touched(rows, first, last)
        return rows[begin:end]

    def is_covered(self, kind: str, subject: str, first: date, last: date) -> bool:
        """Whether the subject is registered on every day from one to another."""
        for held in self.within(kind, subject, first, last):
            if held.valid_from > first:
                return False
            if held.valid_to >= last:
                return True
            first = held.valid_to + _DAY
        return False

    def all(self, kind: str) -> Iterator[AnyDated]:
        """Every row of a kind, by subject and day."""
        for subject in sorted(each for each in self._rows if each[0] == kind):
            yield from self._rows[subject]


def _touched(rows: Sequence[AnyDated], first: date, last: date) -> tuple[int, int]:
    """Which of a subject's rows, in order of days, hold on any day from one to another."""
    begin = bisect_left(rows, first, key=lambda row: row.valid_to)
    return begin, max(begin, bisect_right(rows, last, key=lambda row: row.valid_from))


def _joined(rows: Iterable[AnyDated]) -> list[AnyDated]:
    """Rows in order of days; neighbours that read the same are one row."""
    joined: list[AnyDated] = []
    for each in rows:
        last = joined[-1] if joined else None
        if last is not None and last.row == each.row and last.valid_to + _DAY == each.valid_from:
            joined[-1] = Dated(last.row, last.valid_from, each.valid_to)
        else:
            joined.append(each)
    return joined


@dataclass(frozen=True, slots=True)
class Registry:
    """Dated rows of every kind, in order; some of them or all."""

    participants: tuple[Dated[ParticipantRow], ...] = ()
    senders: tuple[Dated[SenderRow], ...] = ()
    terminals: tuple[Dated[TerminalRow], ...] = ()
    psams: tuple[Dated[PsamRow], ...] = ()
    names: tuple[Dated[NameRow], ...] = ()
    hotlist: tuple[Dated[HotlistRow], ...] = ()
    tac_keys: tuple[Dated[TacKeyRow], ...] = ()
    card_numbers: tuple[Dated[CardNumbersRow], ...] = ()
    load_hosts: tuple[Dated[LoadHostRow], ...] = ()
    centres: tuple[Dated[CentreRow], ...] = ()
    cards: tuple[Dated[CardRow], ...] = ()

    def __iter__(self) -> Iterator[AnyDated]:
        for name in self.__slots__:
            yield from getattr(self, name)


#: Which field of a `Registry` holds which kind.
FIELDS: Mapping[str, str] = dict(zip(KINDS, (
    "participants", "senders", "terminals", "psams", "names", "hotlist", "tac_keys", "card_numbers",
    "load_hosts", "centres", "cards",
), strict=True))  # fmt: skip
assert set(FIELDS.values()) == set(Registry.__slots__)


def registry_of(book: Book) -> Registry:
    """Everything a book holds."""
    tables: dict[str, Any] = {name: tuple(book.all(kind)) for kind, name in FIELDS.items()}
    return Registry(**tables)


def book_of(changes: Iterable[Change]) -> Book:
    """What the changes say, the hotlist with the days on which it was told."""
    changes = tuple(changes)
    book = Book(each.what for each in changes if each.what.kind != "hotlist")
    for row in told(changes):
        book.enter(NewChange.of(row))
    return book


def told(changes: Iterable[Change]) -> tuple[Dated[HotlistRow], ...]:
    """The hotlist with the days on which it was told: those of the changes, or the day that a city
    taken over had it told. A change that says of a card what was said already, or says it
    otherwise, publishes nothing: a terminal could know before.
    """
    rows: dict[str, list[Dated[HotlistRow]]] = {}
    for each in changes:
        if each.what.kind == "hotlist":
            rows[each.what.subject] = _told(rows.get(each.what.subject, []), each)
    return tuple(row for subject in sorted(rows) for row in rows[subject])


def _told(held: Sequence[Dated[HotlistRow]], change: Change) -> list[Dated[HotlistRow]]:
    what, row = change.what, change.what.row
    first, last = what.valid_from, what.valid_to
    said: list[Dated[HotlistRow]] = []
    new: list[tuple[HotlistRow, date, date]] = []
    unsaid: date | None = first  # the first day of the change that nothing was said of
    if isinstance(row, HotlistRow):
        day = civil_day(change.action.at).isoformat()
        row = replace(row, published=min(row.published or day, day))
    for each in held:
        if each.valid_to < first or each.valid_from > last:
            said.append(each)
            continue
        if each.valid_from < first:
            said.append(replace(each, valid_to=first - _DAY))
        if each.valid_to > last:
            said.append(replace(each, valid_from=last + _DAY))
        if isinstance(row, HotlistRow):
            begin, end = max(first, each.valid_from), min(last, each.valid_to)
            new.append((replace(row, published=each.row.published), begin, end))
            if unsaid is not None and unsaid < begin:
                new.append((row, unsaid, begin - _DAY))
            unsaid = None if end == FOREVER else end + _DAY
    if isinstance(row, HotlistRow) and unsaid is not None and unsaid <= last:
        new.append((row, unsaid, last))
    said += [Dated(each, begin, end) for each, begin, end in new]
    rows: list[Any] = _joined(sorted(said, key=lambda each: each.valid_from))
    return rows


def broken_link(changes: Sequence[Change]) -> int | None:
    """The number of the first change that does not follow from the one before it; None: none."""
    end = RegistryEnd()
    for each in changes:
        content = change_content(each.number, each.what, each.action)
        is_next = each.number == end.changes + 1 and each.previous_hash == end.hash
        if not is_next or each.hash != link(end.hash, content):
            return end.changes + 1
        end = RegistryEnd(each.number, each.hash)
    return None
