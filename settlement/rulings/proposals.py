"""May somebody propose, approve or decline this, now?

Decides by the audit log and by what the subjects are at this moment, in the order of the answers.
Leaves reading the subjects, and proving that somebody is whom they say, to the service. Nobody
answers what they proposed, and what changed since it was proposed is proposed again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

from cardcore.text import Text
from settlement.errors import SettlementError, reason_of
from settlement.people.person import NewPerson, Person
from settlement.people.roles import FOUNDERS, Right
from settlement.people.signing import Credential
from settlement.rulings.book import PEOPLE_MIN, Answered, Proposal, RulingBook, person_named
from settlement.rulings.contents import check_amounts, check_request
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import LOG_START, Act, NewEntry, Origin
from settlement.seal import Sealable

#: Two desks whose acts overlap are dated alike: whoever comes second was asked for a secret while
#: the other acted. What lies further back is a clock that is wrong.
OVERLAP_MAX = timedelta(minutes=10)


class Answer(Enum):
    """Why nothing was changed, in order of precedence."""

    UNKNOWN_PERSON = Text("没有此人员", "there is no such person")
    PERSON_ENDED = Text("此人员已终止", "this person acts no more")
    PERSON_LOCKED = Text("此人员已被锁定", "this person is locked")
    WAIT_TO_TRY = Text("密语多次错误，须等候", "too many wrong secrets: wait")
    SECRET_WRONG = Text("密语错误", "the secret is wrong")
    CLOCK_BEHIND = Text("时间早于最后一次办理", "the time lies before that of the last act")
    UNKNOWN_PROPOSAL = Text("没有此提请", "there is no such proposal")
    NO_RIGHT = Text("此角色无权办理", "the role of this person does not allow it")
    ANSWERED_ALREADY = Text("此提请已有答复", "the proposal was answered already")
    EXPIRED = Text("此提请已过期", "the proposal has expired")
    SAME_PERSON = Text("不得批准自己的提请", "nobody approves what they proposed")
    PROPOSER_ENDED = Text("提请人已终止", "whoever proposed it acts no more")
    NOT_TO_RULE_ON = Text("此事项不能这样裁定", "this cannot be ruled on so")
    CHANGED_SINCE = Text("提请之后情况已变", "what it is about has changed since it was proposed")
    PROPOSED_ALREADY = Text("他人已提请同一事项", "somebody else proposed the same")
    NAME_TAKEN = Text("此姓名已有人员", "a person is called so already")
    KEY_TAKEN = Text("此公钥属于另一人员", "the public key is or was another person's")
    NOBODY_LEFT = Text("此后无人能增减人员", "after that nobody could add or end a person any more")
    FOUNDED_ALREADY = Text(
        "本城已有人员；增加人员须双人办理", "the office is founded: adding a person takes two"
    )
    NO_FOUNDER = Text(
        "最初两人为一名系统管理员和一名安全员",
        "the first two are one administrator and one security officer",
    )

    @property
    def text(self) -> Text:
        """For people."""
        return self.value


@dataclass(frozen=True, slots=True)
class Refused:
    """A refusal and what it is about; nothing was changed."""

    answer: Answer
    detail: Text

    @property
    def text(self) -> Text:
        """For people."""
        said = self.answer.value
        return Text(f"{said.zh}：{self.detail.zh}", f"{said.en}: {self.detail.en}")


@dataclass(frozen=True, slots=True)
class Standing:
    """What the subjects of a proposal are at a moment: their digest, how many, what money.
    `hinders` says why they cannot be ruled on so; None: they can.
    """

    state: str
    count: int
    sum_fen: int = 0
    hinders: Text | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for: a kind, its subjects, why, and what the kind needs beside."""

    kind: RulingKind
    subjects: tuple[str, ...]
    why: str
    details: Sealable = None


def decide_proposal(
    book: RulingBook,
    request: Request,
    person: Person,
    standing: Standing,
    now: datetime,
    valid: timedelta,
) -> NewEntry | Proposal | Refused:
    """The entry to be made; or the proposal of the same person that says the same of the same
    state, when it is open.
    """
    kind = request.kind
    at = date_act(book, now)
    if isinstance(at, Refused):
        return at
    if refused := check_right(person, kind.rule.propose):
        return refused
    if standing.hinders is not None:
        return Refused(Answer.NOT_TO_RULE_ON, standing.hinders)
    if refused := check_one_statement(request, standing):
        return refused
    if refused := check_people(book, kind, request.subjects, request.details):
        return refused
    for each in book.open_proposals(at):
        if _says_the_same(each, request) and each.state == standing.state:
            if each.proposed_by == person.name:
                return each
            about = f"{each.number} {each.proposed_by}"
            return Refused(Answer.PROPOSED_ALREADY, Text(about, about))
    made = Proposal(
        0,
        kind,
        request.subjects,
        request.why,
        standing.state,
        standing.count,
        standing.sum_fen,
        request.details,
        person.name,
        at,
        at + valid,
    )
    return NewEntry(Act.PROPOSE, person.name, at, made.content())


def date_act(book: RulingBook, now: datetime) -> datetime | Refused:
    """The time of an act, which never lies before that of the act before it: else whoever sets back
    the clock could answer what has expired.
    """
    last = book.last_at
    if last is None or now >= last:
        return now
    if last - now <= OVERLAP_MAX:
        return last
    said = [f"{each.astimezone(UTC):%Y-%m-%d %H:%M}" for each in (now, last)]
    return Refused(
        Answer.CLOCK_BEHIND,
        Text(
            f"现在 {said[0]} UTC，最后一次 {said[1]} UTC；请核对时钟",
            f"it is {said[0]} UTC, the last act was {said[1]} UTC; look at the clock",
        ),
    )


def check_one_statement(request: Request, standing: Standing | None = None) -> Refused | None:
    """Whether all that is asked for speaks of the same, in bounds; with what was read of it."""
    try:
        check_request(request.kind, request.subjects, request.why, request.details)
        if standing is not None:
            check_amounts(standing.count, standing.sum_fen)
    except (ValueError, SettlementError) as error:
        return Refused(Answer.NOT_TO_RULE_ON, reason_of(error))
    return None


def find_proposal(book: RulingBook, number: int) -> Proposal | Refused:
    """A proposal by its number."""
    found = book.proposals.get(number)
    if found is None:
        return Refused(Answer.UNKNOWN_PROPOSAL, _same(number))
    return found


def decide_answer(
    book: RulingBook, proposal: Proposal, person: Person, act: Act, now: datetime
) -> NewEntry | Refused:
    """The entry that approves or declines a proposal, whatever its subjects are now. Whoever
    proposed may decline their own: they take it back.
    """
    at = date_act(book, now)
    if isinstance(at, Refused):
        return at
    is_own = proposal.proposed_by == person.name
    takes_back = is_own and act is Act.DECLINE
    if not takes_back and (refused := check_right(person, proposal.kind.rule.approve)):
        return refused
    answered = book.answers.get(proposal.number)
    if answered is not None:
        return Refused(Answer.ANSWERED_ALREADY, describe_answer(answered))
    if at >= proposal.expires_at:
        expired = f"{proposal.expires_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return Refused(Answer.EXPIRED, Text(expired, expired))
    if is_own and act is Act.APPROVE:
        return Refused(Answer.SAME_PERSON, _same(person.name))
    return NewEntry(act, person.name, at, {}, proposal.number)


def check_approval(book: RulingBook, proposal: Proposal, standing: Standing) -> Refused | None:
    """Whether what is proposed is still what it was when it was proposed, and what it says of it is
    true: whoever approves has seen the count and the sum.
    """
    if refused := check_proposer(book, proposal):
        return refused
    if standing.hinders is not None:
        return Refused(Answer.NOT_TO_RULE_ON, standing.hinders)
    seen = proposal.state, proposal.count, proposal.sum_fen
    if (standing.state, standing.count, standing.sum_fen) != seen:
        said = "、".join(proposal.subjects[:3]), ", ".join(proposal.subjects[:3])
        return Refused(Answer.CHANGED_SINCE, Text(*said))
    return check_people(book, proposal.kind, proposal.subjects, proposal.details)


def check_proposer(book: RulingBook, proposal: Proposal) -> Refused | None:
    """Whether whoever proposed is still that person."""
    proposer = book.person(proposal.proposed_by)
    if proposer is None or not proposer.is_valid or proposer.since > proposal.number:
        return Refused(Answer.PROPOSER_ENDED, _same(proposal.proposed_by))
    return None


def decide_founding(
    book: RulingBook, new: NewPerson, origin: Origin, now: datetime
) -> NewEntry | Refused:
    """One of the first two adds themselves, without anybody's approval: there is nobody yet. The
    first of them says where the log begins.
    """
    at = date_act(book, now)
    if isinstance(at, Refused):
        return at
    if refused := check_founding(book, new):
        return refused
    begun = origin.content() if book.end == LOG_START else {}
    return NewEntry(Act.FOUND, new.name, at, {**new.content(), **begun})


def check_founding(book: RulingBook, new: NewPerson) -> Refused | None:
    """Whether somebody can be one of the first two."""
    if book.needs_two:
        return Refused(Answer.FOUNDED_ALREADY, _same("`onecard people add`"))
    if refused := check_new_person(book, new):
        return refused
    taken = {each.role for each in book.people.values()}
    if new.role not in FOUNDERS - taken:
        return Refused(Answer.NO_FOUNDER, new.role.text)
    return None


def decide_renewal(
    book: RulingBook, person: Person, credential: Credential, now: datetime
) -> NewEntry | Refused:
    """Another secret of one's own, which is nobody else's."""
    at = date_act(book, now)
    if isinstance(at, Refused):
        return at
    if refused := check_key(book, person.name, credential):
        return refused
    return NewEntry(Act.RENEW, person.name, at, credential.content())


def check_new_person(book: RulingBook, new: NewPerson) -> Refused | None:
    """Whether nobody has their name, or one that is read as the same, or had their key."""
    held = book.namesake(new.name)
    if held is not None:
        said = new.name if held == new.name else f"{new.name} = {held}"
        return Refused(Answer.NAME_TAKEN, _same(said))
    return check_key(book, new.name, new.credential)


def check_key(book: RulingBook, name: str, credential: Credential) -> Refused | None:
    """Whether a public key is nobody else's: one key is one person."""
    held = book.key_holder(name, credential.public_key)
    return None if held is None else Refused(Answer.KEY_TAKEN, _same(held))


def decide_unlocked(person: Person | None, name: str) -> Person | Refused:
    """Whoever is to act, when they may act at all."""
    if person is None:
        return Refused(Answer.UNKNOWN_PERSON, _same(name))
    if not person.is_valid:
        return Refused(Answer.PERSON_ENDED, _same(name))
    return person


def check_people(
    book: RulingBook,
    kind: RulingKind,
    subjects: Sequence[str],
    details: Any,  # noqa: ANN401 - as the kind has it
) -> Refused | None:
    """Whether people can become or stop being people so."""
    match kind:
        case RulingKind.PEOPLE_ADD:
            return check_new_person(book, NewPerson.from_content(details))
        case RulingKind.PEOPLE_END:
            ending = set(map(person_named, subjects))
            for right in (Right.PEOPLE_PROPOSE, Right.PEOPLE_APPROVE):
                left = [each for each in book.may(right) if each.name not in ending]
                if len(left) < PEOPLE_MIN:
                    return Refused(Answer.NOBODY_LEFT, _same(", ".join(sorted(ending))))
        case _:
            pass
    return None


def describe_answer(answered: Answered) -> Text:
    """How a proposal was answered, by whom and when."""
    at = f"{answered.by} {answered.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if answered.is_approved:
        return Text(f"已批准，{at}", f"approved, {at}")
    return Text(f"已否决，{at}", f"declined, {at}")


def check_right(person: Person, right: Right) -> Refused | None:
    """Whether the role of a person has a right."""
    if right in person.role.rights:
        return None
    said, role = right.text, person.role.text
    return Refused(
        Answer.NO_RIGHT,
        Text(f"{person.name}（{role.zh}）：{said.zh}", f"{person.name} ({role.en}): {said.en}"),
    )


def _says_the_same(proposal: Proposal, request: Request) -> bool:
    return (proposal.kind, proposal.subjects, proposal.details) == (
        request.kind,
        request.subjects,
        request.details,
    )


def _same(said: object) -> Text:
    """What is said in names and numbers alone."""
    return Text(str(said), str(said))
