"""What the audit log says: who is a person, what is proposed, how it was answered.

Decides what each entry changes. The log is all there is: no table of people or rulings stands
beside it that could say something else. Leaves whether an entry might be made to `proposals`, and
whether it was signed by whom it names to verification.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from settlement.people.person import NewPerson, Person
from settlement.people.roles import Right
from settlement.people.signing import Credential
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import LOG_START, Act, LogEntry, end_of
from settlement.rulings.ruling import Ruling
from settlement.rulings.subjects import Subject
from settlement.seal import Sealable

#: From so many people on nobody acts alone.
PEOPLE_MIN = 2


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposal (提请): a ruling that one person asks for. `state` is the digest of what its
    subjects were when it was made, `details` what its kind needs beside them.
    """

    number: int
    kind: RulingKind
    subjects: tuple[str, ...]
    why: str
    state: str
    count: int
    sum_fen: int
    details: Sealable
    proposed_by: str
    proposed_at: datetime
    expires_at: datetime

    def content(self) -> dict[str, Sealable]:
        """As it stands in the audit log."""
        return {
            "kind": self.kind.value,
            "subjects": list(self.subjects),
            "why": self.why,
            "state": self.state,
            "count": self.count,
            "sum_fen": self.sum_fen,
            "details": self.details,
            "expires_at": self.expires_at.astimezone(UTC).isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Answered:
    """How a proposal was answered: by which entry, by whom, when."""

    number: int
    by: str
    at: datetime
    is_approved: bool


class RulingBook:
    """The audit log while it is decided about. Entries are entered in their order."""

    def __init__(self, entries: Iterable[LogEntry] = ()) -> None:
        self.people: dict[str, Person] = {}
        self.proposals: dict[int, Proposal] = {}
        self.answers: dict[int, Answered] = {}
        self.end = LOG_START
        #: Since when two people are there, and nobody acts alone.
        self.two_since: datetime | None = None
        self._about: dict[str, list[Ruling]] = {}
        for each in entries:
            self.enter(each)

    def enter(self, entry: LogEntry) -> None:
        """Let an entry say what it says. Raises `ValueError` or `KeyError` for one that no version
        of this program can have written.
        """
        what = entry.what
        match what.act:
            case Act.FOUND:
                self._add(NewPerson.from_content(what.content), entry.number)
            case Act.PROPOSE:
                self.proposals[entry.number] = read_proposal(entry)
            case Act.APPROVE | Act.DECLINE:
                self._answer(entry)
            case Act.RENEW:
                credential = Credential.from_content(what.content)
                self.people[what.by] = replace(self.people[what.by], credential=credential)
        person = self.people.get(what.by)
        if person is not None and person.is_valid:
            self.people[what.by] = replace(person, last_act=entry.number)
        if self.two_since is None and len(self.people) >= PEOPLE_MIN:
            self.two_since = what.at
        self.end = end_of(entry)

    def person(self, name: str) -> Person | None:
        """The person who is called so, also when they are none any more."""
        return self.people.get(name)

    def may(self, right: Right) -> list[Person]:
        """Who may do that, now."""
        people = (each for each in self.people.values() if each.is_valid)
        return [each for each in people if right in each.role.rights]

    @property
    def needs_two(self) -> bool:
        """Whether what decides money or history takes two people: since there were two."""
        return self.two_since is not None

    def open_proposals(self, now: datetime) -> Iterator[Proposal]:
        """Those that wait for an answer and can still be answered."""
        for number, each in self.proposals.items():
            if number not in self.answers and now < each.expires_at:
                yield each

    def rulings(self, kind: RulingKind | None = None) -> Iterator[Ruling]:
        """What was ruled, in order."""
        for number, answer in self.answers.items():
            if answer.is_approved and kind in {None, self.proposals[number].kind}:
                yield ruling_of(self.proposals[number], answer)

    def about(self, subject: str) -> list[Ruling]:
        """What was ruled about a subject, in order."""
        return self._about.get(subject, [])

    def approved(self, kind: RulingKind) -> Iterator[tuple[Proposal, Answered]]:
        """The proposals of a kind that were approved, in the order of their approval."""
        for number, answer in self.answers.items():
            if answer.is_approved and self.proposals[number].kind is kind:
                yield self.proposals[number], answer

    def is_aside(self, subject: str) -> bool:
        """Whether a file (as a subject) is set aside now."""
        aside = {RulingKind.FILES_SET_ASIDE: True, RulingKind.FILES_TAKE_BACK: False}
        said = [aside[each.kind] for each in self.about(subject) if each.kind in aside]
        return bool(said) and said[-1]

    def _add(self, new: NewPerson, number: int) -> None:
        self.people[new.name] = Person(new.name, new.role, new.credential, number, number)

    def _answer(self, entry: LogEntry) -> None:
        what = entry.what
        assert what.proposal is not None, entry
        proposal = self.proposals[what.proposal]
        answer = Answered(entry.number, what.by, what.at, what.act is Act.APPROVE)
        self.answers[proposal.number] = answer
        if not answer.is_approved:
            return
        ruling = ruling_of(proposal, answer)
        for subject in proposal.subjects:
            self._about.setdefault(subject, []).append(ruling)
        details: Any = proposal.details
        match proposal.kind:
            case RulingKind.PEOPLE_ADD:
                self._add(NewPerson.from_content(details), entry.number)
            case RulingKind.PEOPLE_END:
                for name in map(person_named, proposal.subjects):
                    self.people[name] = replace(self.people[name], ended=entry.number)
            case RulingKind.PEOPLE_UNLOCK:
                for name in map(person_named, proposal.subjects):
                    self.people[name] = replace(self.people[name], last_act=entry.number)
            case _:
                pass  # read by whoever it is about


def person_named(subject: str) -> str:
    """The name in a subject that names a person."""
    return Subject.parse(subject).parts[0]


def ruling_of(proposal: Proposal, answer: Answered) -> Ruling:
    """A proposal and the answer that approved it."""
    return Ruling(
        answer.number,
        proposal.kind,
        proposal.subjects,
        proposal.proposed_by,
        answer.by,
        proposal.why,
        answer.at,
        proposal.sum_fen,
    )


def read_proposal(entry: LogEntry) -> Proposal:
    """The proposal that an entry made."""
    content = entry.what.content
    return Proposal(
        entry.number,
        RulingKind(content["kind"]),
        tuple(content["subjects"]),
        content["why"],
        content["state"],
        content["count"],
        content["sum_fen"],
        content["details"],
        entry.what.by,
        entry.what.at,
        datetime.fromisoformat(content["expires_at"]),
    )
