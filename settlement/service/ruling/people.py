"""The first two people, and a secret of one's own that is changed: what takes no second person.

Decides nothing: who may found the office stands in `settlement.rulings.proposals`.
"""

import secrets
from datetime import UTC, datetime

from settlement.city import City
from settlement.people.person import NewPerson, Person
from settlement.people.signing import Credential, SigningKey
from settlement.rulings.book import RulingBook
from settlement.rulings.log import NONCE_BYTES, LogEntry, NewEntry, Origin
from settlement.rulings.proposals import Refused, decide_founding, decide_renewal
from settlement.service.ruling.showing import Shown, recheck
from settlement.store.rulings import keep_act, load_city_link


def found_office(city: City, new: NewPerson, key: SigningKey, now: datetime) -> LogEntry | Refused:
    """One of the first two adds themselves; the first says of which city the log is, and draws the
    number that tells it from every other.
    """
    now = now.astimezone(UTC)
    origin = Origin(load_city_link(city.database), secrets.token_hex(NONCE_BYTES))
    return keep_act(city.database, key, lambda book: decide_founding(book, new, origin, now))


def renew_secret(
    city: City, shown: Shown, credential: Credential, now: datetime
) -> LogEntry | Refused:
    """From now on another secret is theirs. Whoever forgot the old one is ended and added again."""
    now = now.astimezone(UTC)

    def decide(book: RulingBook) -> NewEntry | Refused:
        person = recheck(book, shown)
        if isinstance(person, Person):
            return decide_renewal(book, person, credential, now)
        return person

    return keep_act(city.database, shown.key, decide)
