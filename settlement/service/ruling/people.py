"""The first two people, and a secret of one's own that is changed: what takes no second person.

Decides nothing: who may found the office stands in `settlement.rulings.proposals`.
"""

from datetime import UTC, datetime

from settlement.city import City
from settlement.people.person import NewPerson, Person
from settlement.people.signing import Credential, SigningKey
from settlement.rulings.book import RulingBook
from settlement.rulings.log import Act, LogEntry, NewEntry
from settlement.rulings.proposals import Refused, decide_founding
from settlement.service.ruling.showing import Shown, recheck
from settlement.store.rulings import keep_act


def found_office(city: City, new: NewPerson, key: SigningKey, now: datetime) -> LogEntry | Refused:
    """One of the first two adds themselves."""
    now = now.astimezone(UTC)
    return keep_act(city.database, key, lambda book: decide_founding(book, new, now))


def renew_secret(
    city: City, shown: Shown, credential: Credential, now: datetime
) -> LogEntry | Refused:
    """From now on another secret is theirs. Whoever forgot the old one is ended and added again."""
    now = now.astimezone(UTC)

    def decide(book: RulingBook) -> NewEntry | Refused:
        person = recheck(book, shown)
        if isinstance(person, Person):
            return NewEntry(Act.RENEW, person.name, now, credential.content())
        return person

    return keep_act(city.database, shown.key, decide)
