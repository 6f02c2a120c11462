"""Who is a person (人员) of the office, and whether they may try their secret now.

Decides the four standings and their words. Leaves who becomes a person to the audit log.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from cardcore.text import Text
from settlement.city import City
from settlement.people.person import Person
from settlement.people.roles import Right
from settlement.people.tries import judge_tries
from settlement.rulings.book import PEOPLE_MIN
from settlement.rulings.log import LogEntry
from settlement.store.people import load_tries
from settlement.store.rulings import load_book, load_log


class PersonStanding(Enum):
    """Whether somebody may act."""

    ACTIVE = Text("在任", "acts")
    WAITING = Text("密语多次错误，须等候", "waits: too many wrong secrets")
    LOCKED = Text("已锁定", "locked")
    ENDED = Text("已终止", "ended")


@dataclass(frozen=True, slots=True)
class PersonReport:
    """A person, and how they stand."""

    person: Person
    standing: PersonStanding
    wrong_secrets: int


def read_people(city: City, now: datetime) -> tuple[PersonReport, ...]:
    """Everybody who ever was a person, in the order in which they became one."""
    people = load_book(city.database).people.values()
    return tuple(_report(city, each, now) for each in sorted(people, key=lambda each: each.since))


def needs_two(city: City) -> bool:
    """Whether what decides money or history takes two people here."""
    return load_book(city.database).needs_two


def are_too_few(city: City) -> bool:
    """Whether one forgotten secret would leave nobody who could add a person."""
    book = load_book(city.database)
    able = {each.name for each in book.may(Right.PEOPLE_PROPOSE)}
    able &= {each.name for each in book.may(Right.PEOPLE_APPROVE)}
    return book.needs_two and len(able) <= PEOPLE_MIN


def read_log(city: City) -> tuple[LogEntry, ...]:
    """The audit log, in order."""
    return load_log(city.database)


def _report(city: City, person: Person, now: datetime) -> PersonReport:
    tries = judge_tries(person, load_tries(city.database, person.name), now)
    if not person.is_valid:
        standing = PersonStanding.ENDED
    elif tries.is_locked:
        standing = PersonStanding.LOCKED
    elif tries.waits_until is not None:
        standing = PersonStanding.WAITING
    else:
        standing = PersonStanding.ACTIVE
    return PersonReport(person, standing, tries.wrong)
