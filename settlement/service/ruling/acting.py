"""Propose, approve, decline: one transaction an act, signed in it, its only commit point.

Decides nothing: what may be proposed and answered stands in `settlement.rulings`, and is asked
under the write lock. An approval takes effect in its own transaction (a change of the registry) or
is read by whoever it concerns: the intake, the next clearing run.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cardcore.text import Text
from settlement.city import City
from settlement.rulings.book import Proposal, RulingBook, read_proposal, ruling_of
from settlement.rulings.log import Act, LogEntry, NewEntry
from settlement.rulings.proposals import (
    Answer,
    Refused,
    Request,
    check_approval,
    check_one_statement,
    decide_answer,
    decide_proposal,
    find_proposal,
)
from settlement.rulings.ruling import Ruling
from settlement.service.ruling.effects import effect_of
from settlement.service.ruling.showing import Shown, recheck
from settlement.service.ruling.standings import read_standing
from settlement.store.rulings import keep_act, load_proven_book

_NOT_OURS = Text(
    "其有效期不是本城规则所定", "it does not expire when the rules of this city have it expire"
)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that stands open; `is_new` unless the same person proposed the same before."""

    proposal: Proposal
    is_new: bool


@dataclass(frozen=True, slots=True)
class Approved:
    """A ruling; `is_new` unless the same person approved it before."""

    ruling: Ruling
    is_new: bool


@dataclass(frozen=True, slots=True)
class Declined:
    """A proposal that nothing follows from."""

    proposal: Proposal


def propose(city: City, request: Request, shown: Shown, now: datetime) -> Proposed | Refused:
    """Ask for a ruling; it stands open until another person answers, or it expires."""
    now = now.astimezone(UTC)
    valid = timedelta(days=city.scheme.proposal_days)

    def decide(book: RulingBook) -> NewEntry | Proposal | Refused:
        person = recheck(book, shown)
        if isinstance(person, Refused):
            return person
        if refused := check_one_statement(request):
            return refused
        standing = read_standing(city, book, request)
        return decide_proposal(book, request, person, standing, now, valid)

    kept: LogEntry | Proposal | Refused = keep_act(city.database, shown.key, decide)
    if isinstance(kept, LogEntry):
        return Proposed(read_proposal(kept), is_new=True)
    return Proposed(kept, is_new=False) if isinstance(kept, Proposal) else kept


def approve(city: City, number: int, shown: Shown, now: datetime) -> Approved | Refused:
    """Let a proposal of somebody else be a ruling, with all that follows in this transaction.
    Whoever approves what they approved before changes nothing.
    """
    now = now.astimezone(UTC)
    found = find_proposal(load_proven_book(city.database), number)
    if isinstance(found, Refused):
        return found
    proposal, valid = found, timedelta(days=city.scheme.proposal_days)

    def decide(book: RulingBook) -> NewEntry | Approved | Refused:
        person = recheck(book, shown)
        if isinstance(person, Refused):
            return person
        decided = decide_answer(book, proposal, person, Act.APPROVE, now)
        if isinstance(decided, Refused):
            return _again(book, proposal, shown, decided)
        if proposal.expires_at != proposal.proposed_at + valid:
            return Refused(Answer.NOT_TO_RULE_ON, _NOT_OURS)
        standing = read_standing(city, book, request_of(proposal))
        return check_approval(book, proposal, standing) or decided

    kept: LogEntry | Approved | Refused = keep_act(
        city.database, shown.key, decide, effect_of(proposal)
    )
    if isinstance(kept, LogEntry):
        ruling = ruling_of(proposal, load_proven_book(city.database).answers[number])
        return Approved(ruling, is_new=True)
    return kept


def decline(city: City, number: int, shown: Shown, now: datetime) -> Declined | Refused:
    """Let nothing follow from a proposal; whoever proposed takes it back so."""
    now = now.astimezone(UTC)
    found = find_proposal(load_proven_book(city.database), number)
    if isinstance(found, Refused):
        return found
    proposal = found

    def decide(book: RulingBook) -> NewEntry | Declined | Refused:
        person = recheck(book, shown)
        if isinstance(person, Refused):
            return person
        decided = decide_answer(book, proposal, person, Act.DECLINE, now)
        answered = book.answers.get(number)
        if isinstance(decided, Refused) and decided.answer is Answer.ANSWERED_ALREADY:
            assert answered is not None
            if not answered.is_approved and answered.by == shown.name:
                return Declined(proposal)
        return decided

    kept: LogEntry | Declined | Refused = keep_act(city.database, shown.key, decide)
    return Declined(proposal) if isinstance(kept, LogEntry) else kept


def request_of(proposal: Proposal) -> Request:
    """What was asked for."""
    return Request(proposal.kind, proposal.subjects, proposal.why, proposal.details)


def _again(
    book: RulingBook, proposal: Proposal, shown: Shown, refused: Refused
) -> Approved | Refused:
    answered = book.answers.get(proposal.number)
    if answered is None or not answered.is_approved or answered.by != shown.name:
        return refused
    return Approved(ruling_of(proposal, answered), is_new=False)
