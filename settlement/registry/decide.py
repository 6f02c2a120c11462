"""May this row be added, changed, ended? The changes to make, or why not.

Decides what the days of rows may look like: no two rows of a subject on one day, no hole where its
kind goes on without one, nobody named who is not registered on every day of the row. Leaves keeping
to the store, which decides again under the write lock. A change in days that are closed is allowed,
because what was wrong there must be put right, and is said: closed days stay as they are, and only
what they suspended can be judged again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from enum import Enum

from cardcore.text import Text, text_of
from settlement.errors import SettlementError
from settlement.registry.book import BEGINNING, FOREVER, AnyDated, Book, Dated, NewChange
from settlement.registry.columns import Value
from settlement.registry.rows import KINDS, Kind, RegistryRow, stated

_DAY = timedelta(days=1)


class RegistryRefusal(Enum):
    """Why nothing was changed, in order of precedence."""

    END_BEFORE_START = Text("结束早于开始", "its last day lies before its first")
    VALUE_WRONG = Text("取值不合法", "a value cannot stand there")
    NOT_REGISTERED = Text("该日未登记", "it is not registered on that day")
    OVERLAP = Text("与已有行的日期重叠", "another row holds on some of these days")
    HOLE = Text("日期出现空缺", "days without a row would be left in between")
    UNKNOWN_PARTICIPANT = Text(
        "参与方在此期间未登记", "a participant it names is not registered on all these days"
    )
    PARTICIPANT_IN_USE = Text("参与方仍被引用", "other rows name the participant on these days")
    NOT_TO_STATE = Text(
        "发布日由登记簿自行记载，不可填写",
        "when it was told is for the registry to say: leave it out",
    )
    NOTHING_CHANGES = Text("没有变化", "it reads so already")
    TAKES_TWO = Text("本城的登记簿须双人变更", "in this city two people change the registry")


class RegistryNote(Enum):
    """What is worth saying of a change that was made."""

    CLOSED_DAYS_BEHIND = Text(
        "涉及已关闭的清算日；已关闭的日不变，挂起的记录将复核",
        "it reaches into closed days: they stay as they are, suspended records are judged again",
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal and what it is about; nothing was changed."""

    refusal: RegistryRefusal
    detail: Text

    @property
    def text(self) -> Text:
        """For people."""
        said = self.refusal.value
        return Text(f"{said.zh}：{self.detail.zh}", f"{said.en}: {self.detail.en}")


@dataclass(frozen=True, slots=True)
class Decided:
    """The changes to make, in order, and what is to be said of them."""

    changes: tuple[NewChange, ...]
    notes: tuple[RegistryNote, ...] = ()


class RegistryConflictError(SettlementError):
    """Rows that a machine offered contradict the held ones; nothing was registered."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(Text(f"登记簿：{refused.text.zh}", f"registry: {refused.text.en}"))
        self.refused = refused


def decide_add(book: Book, offered: AnyDated, last_closed: date | None) -> Decided | Refused:
    """A row on days on which its subject has none."""
    change = NewChange.of(offered)
    kind = KINDS[change.kind]
    if refused := _check_form(kind, change):
        return refused
    if offered.row != stated(offered.row):
        return Refused(RegistryRefusal.NOT_TO_STATE, describe(offered))
    first, last = change.valid_from, change.valid_to
    if taken := book.within(change.kind, change.subject, first, last):
        return Refused(RegistryRefusal.OVERLAP, describe(taken[0]))
    held = book.rows(change.kind, change.subject)
    touches = any(
        (each.valid_to < first and each.valid_to + _DAY == first)
        or (each.valid_from > last and each.valid_from - _DAY == last)
        for each in held
    )
    if held and not touches and not kind.may_pause:
        return Refused(RegistryRefusal.HOLE, describe(held[-1]))
    return check_references(book, change) or _decided([change], last_closed)


def decide_change(
    book: Book,
    subject: tuple[str, str],
    values: Mapping[str, Value],
    valid_from: date,
    valid_to: date | None,
    last_closed: date | None,
) -> Decided | Refused:
    """Other values from a day on: to a stated day, else as long as the row of that day holds."""
    name, which = subject
    if valid_to is not None and valid_to < valid_from:
        return Refused(RegistryRefusal.END_BEFORE_START, _same(f"{valid_from} - {valid_to}"))
    held = book.on(name, which, valid_from)
    if held is None:
        rows = book.rows(name, which)
        is_hole = bool(rows) and not KINDS[name].may_pause
        why = RegistryRefusal.HOLE if is_hole else RegistryRefusal.NOT_REGISTERED
        return Refused(why, describe(rows[-1]) if rows else _same(f"{name} {which}"))
    last = held.valid_to if valid_to is None else valid_to
    beyond = [] if last <= held.valid_to else book.within(name, which, held.valid_to + _DAY, last)
    if beyond:
        return Refused(RegistryRefusal.OVERLAP, describe(beyond[0]))
    try:
        row = KINDS[name].make({**asdict(stated(held.row)), **values})
    except ValueError as error:
        return Refused(RegistryRefusal.VALUE_WRONG, text_of(error))
    change = NewChange.of(Dated(row, valid_from, last))
    if row != stated(row):
        return Refused(RegistryRefusal.NOT_TO_STATE, describe(Dated(row, valid_from, last)))
    if change.subject != which:
        other = Text(
            f"{name} {which} 不是 {change.subject}", f"{name} {which} is not {change.subject}"
        )
        return Refused(RegistryRefusal.VALUE_WRONG, other)
    if row == stated(held.row) and last <= held.valid_to:
        return Refused(RegistryRefusal.NOTHING_CHANGES, describe(held))
    return check_references(book, change) or _decided([change], last_closed)


def decide_end(
    book: Book, subject: tuple[str, str], last_day: date, last_closed: date | None
) -> Decided | Refused:
    """The row of a day holds for the last time on that day."""
    name, which = subject
    rows = book.rows(name, which)
    held = book.on(name, which, last_day)
    if held is None:
        if rows and last_day < rows[0].valid_from:
            return Refused(RegistryRefusal.END_BEFORE_START, describe(rows[0]))
        about = describe(rows[-1]) if rows else _same(f"{name} {which}")
        return Refused(RegistryRefusal.NOT_REGISTERED, about)
    # Before "it reads so already": where another row follows, the subject goes on.
    if rows[-1] is not held and not KINDS[name].may_pause:
        return Refused(RegistryRefusal.HOLE, describe(rows[-1]))
    if held.valid_to == last_day:
        return Refused(RegistryRefusal.NOTHING_CHANGES, describe(held))
    change = NewChange(name, which, None, last_day + _DAY, held.valid_to)
    return check_references(book, change) or _decided([change], last_closed)


def decide_register(book: Book, offered: Iterable[AnyDated]) -> Decided | Refused:
    """Rows that a machine offers, all or none; those that are held already are no change. The rows
    of a city that is taken over say themselves when they were told.
    """
    order = {name: number for number, name in enumerate(KINDS)}
    changes: list[NewChange] = []
    for each in sorted(offered, key=lambda row: order[row.subject[0]]):
        change = NewChange.of(each)
        if refused := _check_form(KINDS[change.kind], change):
            return refused
        held = book.within(change.kind, change.subject, change.valid_from, change.valid_to)
        if any(stated(row.row) != stated(each.row) for row in held):
            return Refused(RegistryRefusal.OVERLAP, describe(held[0]))
        if book.is_covered(change.kind, change.subject, change.valid_from, change.valid_to):
            continue
        if refused := check_references(book, change):
            return refused
        book.enter(change)
        changes.append(change)
    return Decided(tuple(changes))


def describe(dated: AnyDated) -> Text:
    """A row and its days on one line, its columns by their names.

    >>> from settlement.registry.rows import NameRow
    >>> print(describe(Dated(NameRow("line", 1, "一号线"), valid_to=date(2026, 6, 30))))
    name line/1 (text=一号线) … - 2026-06-30
    """
    name, subject = dated.subject
    return _same(f"{name} {subject} ({_values(KINDS[name], dated.row)}) {days(dated)}")


def _same(said: str) -> Text:
    """What is said in names, codes and days alone."""
    return Text(said, said)


def days(dated: AnyDated) -> str:
    """The days of a row; an open end is `…`."""
    first = "…" if dated.valid_from == BEGINNING else dated.valid_from
    last = "…" if dated.valid_to == FOREVER else dated.valid_to
    return f"{first} - {last}"


def check_references(book: Book, change: NewChange) -> Refused | None:
    """Whether everybody the change names, and everybody who names what it takes away, agrees."""
    if change.row is None:
        return _check_in_use(book, change) if change.kind == "participant" else None
    for name in KINDS[change.kind].participants:
        code = getattr(change.row, name)
        if code is not None and not book.is_covered(
            "participant", str(code), change.valid_from, change.valid_to
        ):
            period = days(Dated(change.row, change.valid_from, change.valid_to))
            about = _same(f"{code}, {change.kind} {change.subject} {period}")
            return Refused(RegistryRefusal.UNKNOWN_PARTICIPANT, about)
    return None


def notes_of(changes: Iterable[NewChange], last_closed: date | None) -> tuple[RegistryNote, ...]:
    """What is to be said of changes."""
    if last_closed is not None and any(each.valid_from <= last_closed for each in changes):
        return (RegistryNote.CLOSED_DAYS_BEHIND,)
    return ()


def _decided(changes: list[NewChange], last_closed: date | None) -> Decided:
    return Decided(tuple(changes), notes_of(changes, last_closed))


def _check_form(kind: Kind, change: NewChange) -> Refused | None:
    if change.valid_to < change.valid_from:
        period = _same(f"{change.valid_from} - {change.valid_to}")
        return Refused(RegistryRefusal.END_BEFORE_START, period)
    assert change.row is not None
    try:
        kind.make(asdict(change.row))
    except ValueError as error:
        return Refused(RegistryRefusal.VALUE_WRONG, text_of(error))
    return None


def _check_in_use(book: Book, change: NewChange) -> Refused | None:
    for kind in KINDS.values():
        for each in book.all(kind.name) if kind.participants else ():
            is_then = each.valid_from <= change.valid_to and each.valid_to >= change.valid_from
            named = {str(getattr(each.row, name)) for name in kind.participants}
            if is_then and change.subject in named:
                return Refused(RegistryRefusal.PARTICIPANT_IN_USE, describe(each))
    return None


def _values(kind: Kind, row: RegistryRow) -> str:
    values = asdict(row)
    said = [
        f"{column.name}={column.write(values[column.name])}"
        for column in kind.columns[kind.subject :]
        if values[column.name] is not None
    ]
    return ", ".join(said)
