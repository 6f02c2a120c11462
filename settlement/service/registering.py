"""Change the registry: one transaction each, its only commit point.

Decides nothing: what may be changed stands in `settlement.registry`, and is asked under the write
lock. Where two people are enrolled no person changes it alone: what somebody wishes is proposed
(`settlement.service.ruling.registry`), and made when another person approves it.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeVar

from cardcore.text import Text
from settlement.city import City
from settlement.people.actions import Action, ActorKind
from settlement.registry.book import AnyDated, Book, NewChange
from settlement.registry.columns import Value
from settlement.registry.decide import (
    Decided,
    Refused,
    RegistryConflictError,
    RegistryRefusal,
    decide_add,
    decide_change,
    decide_end,
    decide_register,
)
from settlement.registry.rows import Kind
from settlement.registry.sheets import SheetFault, SheetLine, decide_sheet, read_sheet
from settlement.store.registry import change_registry
from settlement.store.rulings import load_proven_book

_RefusalT = TypeVar("_RefusalT")
#: What somebody wishes, decided by the registry and the last closed day.
Wish = Callable[[Book, date | None], Decided | _RefusalT]


def adding(offered: AnyDated) -> Wish[Refused]:
    """A row on days on which its subject has none."""
    return lambda book, last_closed: decide_add(book, offered, last_closed)


def changing(
    subject: tuple[str, str],
    values: Mapping[str, Value],
    valid_from: date,
    valid_to: date | None,
) -> Wish[Refused]:
    """Other values from a day on."""
    return lambda book, last_closed: decide_change(
        book, subject, values, valid_from, valid_to, last_closed
    )


def ending(subject: tuple[str, str], last_day: date) -> Wish[Refused]:
    """A row holds for the last time on a day."""
    return lambda book, last_closed: decide_end(book, subject, last_day, last_closed)


def importing(kind: Kind, lines: Sequence[SheetLine]) -> Wish[list[SheetFault]]:
    """The rows of a CSV file, taken whole or not at all."""
    return lambda book, last_closed: decide_sheet(book, kind, lines, last_closed)


def registering(offered: Iterable[AnyDated]) -> Wish[Refused]:
    """Rows that are not held yet, all or none."""
    rows = tuple(offered)
    return lambda book, _: decide_register(book, rows)


def add_row(city: City, offered: AnyDated, action: Action) -> Decided | Refused:
    """The same, at once and alone."""
    return _change(city, adding(offered), action)


def change_row(
    city: City,
    subject: tuple[str, str],
    values: Mapping[str, Value],
    valid_from: date,
    valid_to: date | None,
    action: Action,
) -> Decided | Refused:
    """The same, at once and alone."""
    return _change(city, changing(subject, values, valid_from, valid_to), action)


def end_row(
    city: City, subject: tuple[str, str], last_day: date, action: Action
) -> Decided | Refused:
    """The same, at once and alone."""
    return _change(city, ending(subject, last_day), action)


def import_sheet(
    city: City, kind: Kind, data: bytes, action: Action
) -> Decided | Refused | list[SheetFault]:
    """A CSV file of rows, at once and alone."""
    lines, faults = read_sheet(kind, data)
    return faults or _change(city, importing(kind, lines), action)


def register_rows(city: City, offered: Iterable[AnyDated], action: Action) -> tuple[NewChange, ...]:
    """Add the rows that are not held yet, all or none, and return what was added.

    Raises `RegistryConflictError`, with nothing added, when one contradicts a held row.
    """
    decided = _change(city, registering(offered), action)
    if isinstance(decided, Refused):
        raise RegistryConflictError(decided)
    return decided.changes


def _change(city: City, wish: Wish[_RefusalT], action: Action) -> Decided | Refused | _RefusalT:
    def decide(book: Book, last_closed: date | None) -> Decided | Refused | _RefusalT:
        if action.by.kind is ActorKind.PERSON and load_proven_book(city.database).needs_two:
            return Refused(RegistryRefusal.TAKES_TWO, Text(action.by.name, action.by.name))
        return wish(book, last_closed)

    return change_registry(city.database, decide, action)
