"""Secrets that were wrong: counted, slowed, locked.

Decides when a person may try again. What is counted protects the desk, where somebody types in
another's name; whoever holds the folder tries elsewhere, at the cost of `signing` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from settlement.people.person import Person

#: So many wrong secrets in a row are a slip of the hand; from then on each costs a wait, doubled.
FREE_TRIES = 3
WAIT_FIRST = timedelta(seconds=30)
#: So many, and the person is locked: until two others unlock them, or for this long. Whoever types
#: wrong secrets in the names of all others does not lock the office for good.
TRIES_MAX = 8
LOCK_TIME = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class WrongTry:
    """A secret of a person that was wrong, when, and where the audit log ended then."""

    person: str
    at: datetime
    log_count: int


@dataclass(frozen=True, slots=True)
class TryStanding:
    """Whether a person may try a secret: not before `waits_until`. A long wait is a lock, which two
    others can end.
    """

    wrong: int = 0
    is_locked: bool = False
    waits_until: datetime | None = None


def judge_tries(person: Person, tries: Sequence[WrongTry], now: datetime) -> TryStanding:
    """What the wrong tries of a person come to, in order of time. One act with the right secret, or
    two who unlock the person, or a lock that has run out, and counting begins anew: else one wrong
    secret a week would lock somebody for ever.
    """
    counted: list[WrongTry] = []
    for each in tries:
        if each.person != person.name or each.log_count < person.last_act:
            continue
        if _lock_has_run_out(counted, each.at):
            counted = []
        counted.append(each)
    wrong = len(counted)
    if wrong < FREE_TRIES or _lock_has_run_out(counted, now):
        return TryStanding(0 if wrong >= TRIES_MAX else wrong)
    last = max(each.at for each in counted)
    if wrong >= TRIES_MAX:
        return TryStanding(wrong, is_locked=True, waits_until=last + LOCK_TIME)
    until = last + WAIT_FIRST * 2 ** (wrong - FREE_TRIES)
    return TryStanding(wrong, waits_until=until if now < until else None)


def _lock_has_run_out(counted: Sequence[WrongTry], now: datetime) -> bool:
    """Whether so many wrong secrets locked the person, and do not any more."""
    return len(counted) >= TRIES_MAX and now >= max(each.at for each in counted) + LOCK_TIME
