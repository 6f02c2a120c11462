"""Whoever acts shows the secret that is theirs alone.

Owns one commit point: that a secret was wrong. Leaves whether a person may try now to
`settlement.people.tries`. The secret becomes a key here and is not looked at again.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from cardcore.text import Text
from settlement.city import City
from settlement.people.person import Person
from settlement.people.signing import SigningKey, derive_key
from settlement.people.tries import TRIES_MAX, TryStanding, WrongTry, judge_tries
from settlement.rulings.book import RulingBook
from settlement.rulings.proposals import Answer, Refused, decide_unlocked
from settlement.store.people import count_wrong_try, load_tries
from settlement.store.rulings import load_proven_book


@dataclass(frozen=True, slots=True)
class Shown:
    """Somebody who showed their secret, for one act."""

    name: str
    key: SigningKey


def show_secret(city: City, name: str, secret: str, now: datetime) -> Shown | Refused:
    """The key of a person who knows their secret. A wrong one is counted; while the person waits or
    is locked no secret is even tried.
    """
    person = decide_unlocked(load_proven_book(city.database).person(name), name)
    if isinstance(person, Refused):
        return person
    standing = judge_tries(person, load_tries(city.database, name), now)
    if refused := _refuse_to_try(name, standing):
        return refused
    # Long on purpose, and before any transaction: nobody waits for it but whoever shows a secret.
    key = derive_key(secret, person.credential.salt, person.credential.cost)
    if key.public_key == person.credential.public_key:
        return Shown(name, key)
    tries = count_wrong_try(city.database, lambda count: WrongTry(name, now, count))
    left = max(0, TRIES_MAX - judge_tries(person, tries, now).wrong)
    about = Text(f"{name}；再错 {left} 次即锁定", f"{name}; {left} more and the person is locked")
    return Refused(Answer.SECRET_WRONG, about)


def recheck(book: RulingBook, shown: Shown) -> Person | Refused:
    """Under the write lock: whoever showed their secret is still that person."""
    person = decide_unlocked(book.person(shown.name), shown.name)
    if isinstance(person, Person) and person.credential.public_key != shown.key.public_key:
        return Refused(Answer.SECRET_WRONG, Text(shown.name, shown.name))
    return person


def _refuse_to_try(name: str, standing: TryStanding) -> Refused | None:
    if standing.waits_until is None:
        return None
    until = f"{standing.waits_until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if standing.is_locked:
        unlock = Text(
            f"{name}，至 {until}；两名他人可提前解锁：`onecard people unlock`",
            f"{name}, until {until}; two others unlock the person before: `onecard people unlock`",
        )
        return Refused(Answer.PERSON_LOCKED, unlock)
    return Refused(Answer.WAIT_TO_TRY, Text(f"{name}，至 {until}", f"{name}, until {until}"))
