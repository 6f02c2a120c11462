"""What the audit log says: who is a person, what is proposed, how it was answered.

Decides what each entry changes. The log is all there is: no table of people or rulings stands
beside it that could say something else. Leaves whether an entry might be made to `proposals`, and
whether it was signed by whom it names to verification.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from cardcore.text import Text
from settlement.people.names import fold_name
from settlement.people.person import NewPerson, Person
from settlement.people.roles import Right
from settlement.people.signing import Credential, text_in
from settlement.rulings.contents import ContentError, check_amounts, check_request, read_expiry
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import LOG_START, Act, LogEntry, Origin, end_of
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
        #: When the last act was: time does not go back in a log.
        self.last_at: datetime | None = None
        #: Since when two people are there, and nobody acts alone.
        self.two_since: datetime | None = None
        self._about: dict[str, list[Ruling]] = {}
        #: Whose name is read so, and whose key this is or was: also of those who ended.
        self._named: dict[str, str] = {}
        self._keys: dict[str, str] = {}
        for each in entries:
            self.enter(each)

    def enter(self, entry: LogEntry) -> None:
        """Let an entry say what it says. Raises `ValueError` or `KeyError` for one that no version
        of this program can have written.
        """
        what = entry.what
        match what.act:
            case Act.FOUND:
                if self.end == LOG_START:
                    Origin.from_content(what.content)
                new = NewPerson.from_content(what.content)
                if new.name != what.by:
                    raise ContentError(Text("只能增加自己", "nobody founds for another"))
                self._add(new, entry.number)
            case Act.PROPOSE:
                self.proposals[entry.number] = read_proposal(entry)
            case Act.APPROVE | Act.DECLINE:
                self._answer(entry)
            case Act.RENEW:
                credential = Credential.from_content(what.content)
                self.people[what.by] = replace(self.people[what.by], credential=credential)
                self._take_key(what.by, credential)
        person = self.people.get(what.by)
        if person is not None and person.is_valid:
            self.people[what.by] = replace(person, last_act=entry.number)
        if self.two_since is None and len(self.people) >= PEOPLE_MIN:
            self.two_since = what.at
        self.end = end_of(entry)
        self.last_at = what.at

    def person(self, name: str) -> Person | None:
        """The person who is called so, also when they are none any more."""
        return self.people.get(name)

    def namesake(self, name: str) -> str | None:
        """Who is in the way of somebody called so: a valid person, or anybody ever of another name
        that is read as the same.
        """
        held = self._named.get(fold_name(name))
        return None if held == name and not self.people[held].is_valid else held

    def key_holder(self, name: str, public_key: str) -> str | None:
        """Who has or had a public key under another name than this one."""
        held = self._keys.get(public_key)
        return None if held == name else held

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
        if self.namesake(new.name) is not None:
            raise ContentError(Text("此姓名已有人员", "a person is called so already"))
        self._take_key(new.name, new.credential)
        self._named[fold_name(new.name)] = new.name
        self.people[new.name] = Person(new.name, new.role, new.credential, number, number)

    def _take_key(self, name: str, credential: Credential) -> None:
        if self.key_holder(name, credential.public_key) is not None:
            raise ContentError(Text("此公钥属于另一人员", "the public key is another person's"))
        self._keys[credential.public_key] = name

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
    """The proposal that an entry made. Raises `ValueError`, `KeyError` or `TypeError` for what this
    program cannot have written.
    """
    content = entry.what.content
    kind, subjects = RulingKind(content["kind"]), content["subjects"]
    if not isinstance(subjects, list | tuple):
        raise TypeError(subjects)
    check_request(kind, subjects, content["why"], content["details"])
    check_amounts(content["count"], content["sum_fen"])
    return Proposal(
        entry.number,
        kind,
        tuple(subjects),
        content["why"],
        text_in(content, "state"),
        content["count"],
        content["sum_fen"],
        content["details"],
        entry.what.by,
        entry.what.at,
        read_expiry(content["expires_at"], entry.what.at),
    )
