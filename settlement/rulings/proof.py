"""The audit log proven again, with public keys alone: what does not hold, by entry.

Decides whether each entry follows the one before, was signed by the person it names with the key
that was theirs then, and might be made by them at that moment. So a ruling needs its proposal, and
two different people; nobody who only holds the folder can add one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cardcore.text import Text
from settlement.errors import SettlementError, reason_of
from settlement.people.person import NewPerson
from settlement.people.signing import Credential, signature_holds
from settlement.rulings.book import RulingBook, read_proposal
from settlement.rulings.log import LOG_START, Act, LogEntry, NewEntry, end_of, follows, statement_of
from settlement.rulings.proposals import (
    Answer,
    Refused,
    check_founding,
    check_key,
    check_people,
    check_proposer,
    check_right,
    decide_answer,
    decide_unlocked,
    find_proposal,
)

#: What reading an entry raises that this program did not write.
UNREADABLE = (
    ValueError, KeyError, TypeError, AttributeError, AssertionError, OverflowError, SettlementError,
)  # fmt: skip
_NOT_NEXT = Text(
    "被改动，或与前一条不衔接", "was changed, or does not follow from the entry before it"
)


@dataclass(frozen=True, slots=True)
class LogFault:
    """What is wrong with an entry of the log."""

    number: int
    text: Text


def prove_log(entries: Iterable[LogEntry]) -> list[LogFault]:
    """Everything that is wrong with the log, in its order."""
    book, end = RulingBook(), LOG_START
    faults: list[LogFault] = []
    for entry in entries:
        if not follows(entry, end):
            faults.append(LogFault(entry.number, _NOT_NEXT))
        end = end_of(entry)
        found = None
        try:
            found = _wrong_with(book, entry)
            book.enter(entry)
        except UNREADABLE as error:
            found = found or reason_of(error)
        if found is not None:
            faults.append(LogFault(entry.number, found))
    return faults


def _wrong_with(book: RulingBook, entry: LogEntry) -> Text | None:
    """What is wrong with an entry by what the log said before it."""
    what = entry.what
    public_key = _key_of(book, what)
    if isinstance(public_key, Refused):
        return public_key.text
    statement = statement_of(entry.number, what, entry.previous_hash)
    if not signature_holds(public_key, statement, entry.signature):
        return Text(
            f"不是 {what.by} 以其当时的密钥所签",
            f"was not signed by {what.by} with the key of then",
        )
    refused = _check(book, entry)
    if refused is None:
        return None
    said = refused.text
    return Text(f"当时不得如此办理：{said.zh}", f"might not be done then: {said.en}")


def _key_of(book: RulingBook, what: NewEntry) -> str | Refused:
    """The public key of whoever an entry names, as it was then. Founders bring their own."""
    if what.act is Act.FOUND:
        return NewPerson.from_content(what.content).credential.public_key
    person = decide_unlocked(book.person(what.by), what.by)
    return person if isinstance(person, Refused) else person.credential.public_key


def _check(book: RulingBook, entry: LogEntry) -> Refused | None:
    """Whether the office would let the same be done again, in the state of then."""
    what = entry.what
    if book.last_at is not None and what.at < book.last_at:
        moments = f"{what.at:%Y-%m-%d %H:%M:%S} < {book.last_at:%Y-%m-%d %H:%M:%S} UTC"
        return Refused(Answer.CLOCK_BEHIND, Text(moments, moments))
    if what.act is Act.FOUND:
        return check_founding(book, NewPerson.from_content(what.content))
    person = book.people[what.by]
    match what.act:
        case Act.PROPOSE:
            made = read_proposal(entry)
            refused = check_right(person, made.kind.rule.propose)
            return refused or check_people(book, made.kind, made.subjects, made.details)
        case Act.APPROVE | Act.DECLINE:
            proposal = find_proposal(book, what.proposal or 0)
            if isinstance(proposal, Refused):
                return proposal
            decided = decide_answer(book, proposal, person, what.act, what.at)
            if isinstance(decided, Refused):
                return decided
            if what.act is Act.DECLINE:
                return None
            return check_proposer(book, proposal) or check_people(
                book, proposal.kind, proposal.subjects, proposal.details
            )
        case Act.RENEW:
            return check_key(book, person.name, Credential.from_content(what.content))
