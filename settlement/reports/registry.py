"""The registry (登记簿) as it stands, and how it came to stand so.

Decides nothing of the rows: they stand in `settlement.registry`.
"""

from collections.abc import Collection
from datetime import date

from settlement.city import City
from settlement.registry.book import FIELDS, AnyDated, Change, Registry
from settlement.registry.rows import Kind
from settlement.store.registry import load_changes, load_participants, load_registry


def read_registry(city: City) -> Registry:
    """Every row with its days, in order of subject and day."""
    return load_registry(city.database)


def read_rows(city: City, kind: Kind, day: date | None) -> tuple[AnyDated, ...]:
    """The rows of a kind; with a day, those that hold on it."""
    rows: tuple[AnyDated, ...] = getattr(read_registry(city), FIELDS[kind.name])
    return rows if day is None else tuple(each for each in rows if each.holds_on(day))


def read_participant_names(city: City, codes: Collection[int]) -> dict[int, str]:
    """What participants are called last, by their codes; without those that are none."""
    return {each.code: each.name for each in load_participants(city.database, codes)}


def read_history(city: City, kind: Kind, subject: str) -> tuple[Change, ...]:
    """Every change that was ever made about a subject, in order."""
    return tuple(
        each
        for each in load_changes(city.database)
        if (each.what.kind, each.what.subject) == (kind.name, subject)
    )
