"""A city with people in it: each with a cheap secret, acting as at a desk of the office."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from settlement.city import City
from settlement.people.roles import Role
from settlement.rulings.book import RulingBook
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Answer, Refused, Request
from settlement.seal import Sealable
from settlement.service.ruling.acting import (
    Approved,
    Declined,
    Proposed,
    approve,
    decline,
    propose,
)
from settlement.service.ruling.people import found_office
from settlement.service.ruling.showing import Shown, show_secret
from settlement.store.rulings import load_book
from tests.settlement.device_files import NOW
from tests.settlement.rulings.crew import ADA, BO, ROLES, enrolled, new_person, secret_of


@dataclass
class Desk:
    """Whoever acts shows their own secret, unless a test says otherwise."""

    city: City
    now: datetime = NOW

    @property
    def book(self) -> RulingBook:
        return load_book(self.city.database)

    def show(self, name: str, secret: str | None = None) -> Shown | Refused:
        return show_secret(self.city, name, secret or secret_of(name), self.now)

    def shown(self, name: str) -> Shown:
        shown = self.show(name)
        assert isinstance(shown, Shown), shown
        return shown

    def found(self) -> None:
        for name in (ADA, BO):
            found_office(self.city, new_person(name), enrolled(name)[0], self.now)

    def enrol(self, *names: str) -> None:
        for name in names:
            details = new_person(name).content()
            self.rule(RulingKind.PEOPLE_ADD, f"person/{name}", by=ADA, second=BO, details=details)

    def propose(
        self, kind: RulingKind, *items: str, by: str, details: Sealable = None
    ) -> Proposed | Refused:
        request = Request(kind, items, "for a test", details)
        return propose(self.city, request, self.shown(by), self.now)

    def proposed(self, kind: RulingKind, *items: str, by: str, details: Sealable = None) -> int:
        made = self.propose(kind, *items, by=by, details=details)
        assert isinstance(made, Proposed), made
        return made.proposal.number

    def approve(self, number: int, by: str) -> Approved | Refused:
        return approve(self.city, number, self.shown(by), self.now)

    def decline(self, number: int, by: str) -> Declined | Refused:
        return decline(self.city, number, self.shown(by), self.now)

    def rule(
        self, kind: RulingKind, *items: str, by: str, second: str, details: Sealable = None
    ) -> Approved:
        approved = self.approve(self.proposed(kind, *items, by=by, details=details), second)
        assert isinstance(approved, Approved), approved
        return approved

    def wait(self, time: timedelta) -> None:
        self.now += time


def refusal(answer: object) -> Answer:
    assert isinstance(answer, Refused), answer
    return answer.answer


assert set(ROLES.values()) == set(Role)
