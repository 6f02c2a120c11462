"""Change the registry: one transaction each, its only commit point.

Decides nothing: what may be changed stands in `settlement.registry`, and is asked under the write
lock.
"""

from collections.abc import Iterable, Mapping
from datetime import date

from settlement.city import City
from settlement.people.actions import Action
from settlement.registry.book import AnyDated, NewChange
from settlement.registry.columns import Value
from settlement.registry.decide import Decided, Refused, decide_add, decide_change, decide_end
from settlement.registry.rows import Kind
from settlement.registry.sheets import SheetFault, decide_sheet, read_sheet
from settlement.store.registry import change_registry, register


def register_rows(city: City, offered: Iterable[AnyDated], action: Action) -> tuple[NewChange, ...]:
    """Add the rows that are not held yet, all or none, and return what was added.

    Raises `RegistryConflictError`, with nothing added, when one contradicts a held row.
    """
    return register(city.database, offered, action)


def add_row(city: City, offered: AnyDated, action: Action) -> Decided | Refused:
    """A row on days on which its subject has none."""
    return change_registry(
        city.database, lambda book, last_closed: decide_add(book, offered, last_closed), action
    )


def change_row(
    city: City,
    subject: tuple[str, str],
    values: Mapping[str, Value],
    valid_from: date,
    valid_to: date | None,
    action: Action,
) -> Decided | Refused:
    """Other values from a day on."""
    return change_registry(
        city.database,
        lambda book, last_closed: decide_change(
            book, subject, values, valid_from, valid_to, last_closed
        ),
        action,
    )


def end_row(
    city: City, subject: tuple[str, str], last_day: date, action: Action
) -> Decided | Refused:
    """A row holds for the last time on a day."""
    return change_registry(
        city.database,
        lambda book, last_closed: decide_end(book, subject, last_day, last_closed),
        action,
    )


def import_sheet(city: City, kind: Kind, data: bytes, action: Action) -> Decided | list[SheetFault]:
    """A CSV file of rows, taken whole or not at all."""
    lines, faults = read_sheet(kind, data)
    if faults:
        return faults
    return change_registry(
        city.database,
        lambda book, last_closed: decide_sheet(book, kind, lines, last_closed),
        action,
    )
