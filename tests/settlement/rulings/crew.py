"""A small crew: people with cheap secrets, and acts of theirs as the audit log keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from settlement.people.person import NewPerson
from settlement.people.roles import Role
from settlement.people.signing import Credential, SecretCost, SigningKey, make_credential
from settlement.rulings.book import RulingBook
from settlement.rulings.log import (
    LOG_START,
    NONCE_BYTES,
    Act,
    LogEntry,
    NewEntry,
    Origin,
    end_of,
    sign_entry,
)
from settlement.seal import GENESIS

CHEAP = SecretCost(memory_kib=32, passes=1, lanes=1)
MONDAY = datetime(2018, 9, 3, 1, tzinfo=UTC)
WEEK = timedelta(days=7)
ADA, BO, CAI, DAN, EVE, FAY = "ada", "bo", "cai", "dan", "eve", "fay"
ROLES: Mapping[str, Role] = {
    ADA: Role.ADMINISTRATOR,
    BO: Role.SECURITY_OFFICER,
    CAI: Role.OPERATOR,
    DAN: Role.SUPERVISOR,
    EVE: Role.AUDITOR,
    FAY: Role.SUPERVISOR,
}


def secret_of(name: str) -> str:
    return f"the secret of {name}"


def enrolled(name: str) -> tuple[SigningKey, Credential]:
    return make_credential(secret_of(name), name.encode().ljust(16), CHEAP)


def new_person(name: str) -> NewPerson:
    return NewPerson(name, ROLES[name], enrolled(name)[1])


ORIGIN = Origin(GENESIS, "0" * 2 * NONCE_BYTES)


@dataclass
class Crew:
    """An audit log in memory, written as the office writes it."""

    entries: list[LogEntry] = field(default_factory=list)

    @property
    def book(self) -> RulingBook:
        return RulingBook(self.entries)

    def act(self, what: NewEntry, signed_by: str | None = None) -> LogEntry:
        end = end_of(self.entries[-1]) if self.entries else LOG_START
        entry = sign_entry(what, enrolled(signed_by or what.by)[0], end)
        self.entries.append(entry)
        return entry

    def found(self, *names: str) -> None:
        for name in names:
            content = {
                **new_person(name).content(),
                **(ORIGIN.content() if not self.entries else {}),
            }
            self.act(NewEntry(Act.FOUND, name, MONDAY, content))
