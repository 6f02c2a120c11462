"""What is proposed (提请), how it stands, and what it says beside its subjects.

Decides the four standings and their words. Leaves whether it may be answered to
`settlement.rulings.proposals`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from cardcore.text import Text
from settlement.city import City
from settlement.people.person import NewPerson
from settlement.people.signing import PRODUCTION_COST
from settlement.registry.book import Dated, NewChange
from settlement.registry.decide import describe
from settlement.registry.proposed import read_changes
from settlement.rulings.book import Answered, Proposal, RulingBook
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Standing
from settlement.service.ruling.acting import request_of
from settlement.service.ruling.standings import read_standing
from settlement.store.rulings import load_book


class ProposalStanding(Enum):
    """How far a proposal has come."""

    OPEN = Text("待批", "open")
    APPROVED = Text("已批准", "approved")
    DECLINED = Text("已否决", "declined")
    EXPIRED = Text("已过期", "expired")


#: Said of somebody whose secret was enrolled by another program than this one.
_CHEAP = Text(
    "此密语的猜测成本不是本程序所定：请勿批准",
    "guessing this secret does not cost what this program asks: do not approve it",
)


@dataclass(frozen=True, slots=True)
class ProposalReport:
    """A proposal; `answered` when somebody answered it."""

    proposal: Proposal
    standing: ProposalStanding
    answered: Answered | None


def read_proposals(city: City, now: datetime) -> tuple[ProposalReport, ...]:
    """Everything that was ever proposed, in order."""
    book = load_book(city.database)
    return tuple(_report(book, each, now) for each in book.proposals.values())


def read_proposal(
    city: City, number: int, now: datetime
) -> tuple[ProposalReport, Standing | None] | None:
    """One proposal and, while it is open, what its subjects are now; None without one."""
    book = load_book(city.database)
    proposal = book.proposals.get(number)
    if proposal is None:
        return None
    report = _report(book, proposal, now)
    is_open = report.standing is ProposalStanding.OPEN
    standing = read_standing(city, book, request_of(proposal)) if is_open else None
    return report, standing


def describe_details(proposal: Proposal) -> Sequence[Text]:
    """What a proposal says beside its subjects, a line each."""
    details: Any = proposal.details
    match proposal.kind:
        case RulingKind.PEOPLE_ADD:
            new = NewPerson.from_content(details)
            role, key = new.role.text, new.credential.public_key[:16]
            said = Text(
                f"{new.name}：{role.zh}，公钥 {key}…", f"{new.name}: {role.en}, public key {key}…"
            )
            return [said] if new.credential.cost == PRODUCTION_COST else [said, _CHEAP]
        case RulingKind.REGISTRY_CHANGE:
            return [_describe_change(each) for each in read_changes(details)]
        case _:
            return []


def _describe_change(change: NewChange) -> Text:
    if change.row is not None:
        return describe(Dated(change.row, change.valid_from, change.valid_to))
    name, first = f"{change.kind} {change.subject}", change.valid_from
    return Text(f"{name}：自 {first} 起不再登记", f"{name}: registered no more, from {first} on")


def _report(book: RulingBook, proposal: Proposal, now: datetime) -> ProposalReport:
    answered = book.answers.get(proposal.number)
    if answered is None:
        is_open = now < proposal.expires_at
        standing = ProposalStanding.OPEN if is_open else ProposalStanding.EXPIRED
    else:
        is_approved = answered.is_approved
        standing = ProposalStanding.APPROVED if is_approved else ProposalStanding.DECLINED
    return ProposalReport(proposal, standing, answered)
