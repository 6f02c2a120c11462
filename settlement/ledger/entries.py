"""Double entry (复式记账): the entries of a settlement day, their chain, and the net positions.

Decides accounts, signs and balance. Leaves which records are accepted to reconciliation, and
when entries are posted to the close. Amounts are fen, debits positive. A day has two sides: the
cards' side is collected bucket by bucket into the day's clearing account, the participants' side
is distributed out of it. The two were summed apart, so a clearing account at zero is a proof.

Accounts: `card_float` (卡内备付金, a liability), `clearing/<day>`, `operator/<code>` (payable),
`load_agent/<code>` (receivable), `suspense/<code>` (可疑账, money held until someone decides).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from settlement.seal import GENESIS, link

CARD_FLOAT = "card_float"


def clearing_account(settlement_day: date) -> str:
    """The account that must end at zero.

    >>> clearing_account(date(2018, 9, 1))
    'clearing/2018-09-01'
    """
    return f"clearing/{settlement_day}"


def operator_account(code: int) -> str:
    """What is owed to an operator."""
    return f"operator/{code}"


def load_agent_account(code: int) -> str:
    """What a load agent owes."""
    return f"load_agent/{code}"


def suspense_account(code: int) -> str:
    """What is held for a participant's suspended records."""
    return f"suspense/{code}"


class EntryKind(StrEnum):
    """Which side of the day an entry posts."""

    COLLECT = "collect"  # 归集: one for a bucket of cards
    DISTRIBUTE = "distribute"  # 分配: one for a participant


@dataclass(frozen=True, slots=True)
class Sums:
    """Money that moved, in fen. A suspended load counts only when its TAC is proven: the card
    would show it; an unproven one may never have happened. Released is what a closed day suspended
    and this one decides again.
    """

    debit_fen: int = 0
    load_fen: int = 0
    suspended_debit_fen: int = 0
    suspended_load_fen: int = 0
    released_debit_fen: int = 0
    released_load_fen: int = 0

    @property
    def out_fen(self) -> int:
        """What left the cards, or was never rightly put back on them: D + S + P'."""
        return self.debit_fen + self.suspended_debit_fen + self.released_load_fen

    @property
    def in_fen(self) -> int:
        """The other way: L + P + S'."""
        return self.load_fen + self.suspended_load_fen + self.released_debit_fen

    @property
    def float_decrease_fen(self) -> int:
        """By how much the cards hold less."""
        return self.out_fen - self.in_fen


@dataclass(frozen=True, slots=True)
class Posting:
    """One line of an entry, chained to the line before it."""

    line: int
    account: str
    amount_fen: int
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One balanced entry. Its hash follows the last posting of the entry before it."""

    number: int
    settlement_day: date
    kind: EntryKind
    bucket: int | None
    participant: int | None
    previous_hash: str
    hash: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Where the ledger ends: the number of the last entry, and the last link."""

    number: int = 0
    hash: str = GENESIS


@dataclass(frozen=True, slots=True)
class Position:
    """What moved on an account in a day: gross debit and credit, both positive, and their
    difference. A positive net is owed by the account's owner, a negative one to it.
    """

    account: str
    gross_debit_fen: int
    gross_credit_fen: int
    net_fen: int


def post_day(
    settlement_day: date,
    buckets: Mapping[int, Sums],
    participants: Mapping[int, Sums],
    end: ChainEnd,
) -> tuple[Entry, ...]:
    """The day's entries: one for a bucket, then one for a participant, chained behind `end`.

    Whoever moved nothing gets no entry.
    """
    entries: list[Entry] = []
    for bucket in sorted(buckets):
        lines = _collect(settlement_day, buckets[bucket])
        end = _append(entries, end, settlement_day, (EntryKind.COLLECT, bucket, None), lines)
    for code in sorted(participants):
        lines = _distribute(settlement_day, code, participants[code])
        end = _append(entries, end, settlement_day, (EntryKind.DISTRIBUTE, None, code), lines)
    return tuple(entries)


def chain_end(entries: Sequence[Entry], before: ChainEnd) -> ChainEnd:
    """Where the ledger ends after these entries."""
    return ChainEnd(entries[-1].number, entries[-1].postings[-1].hash) if entries else before


def net_positions(entries: Sequence[Entry]) -> tuple[Position, ...]:
    """Positions of one day's entries, by account, without the clearing account.

    Their nets sum to zero (I6) exactly when the clearing account does (I7).
    """
    debit: dict[str, int] = {}
    credit: dict[str, int] = {}
    for entry in entries:
        clearing = clearing_account(entry.settlement_day)
        for posting in entry.postings:
            if posting.account != clearing:
                debit.setdefault(posting.account, 0)
                credit.setdefault(posting.account, 0)
                side = debit if posting.amount_fen > 0 else credit
                side[posting.account] += abs(posting.amount_fen)
    return tuple(
        Position(account, debit[account], credit[account], debit[account] - credit[account])
        for account in sorted(debit)
    )


def entry_content(entry: Entry) -> dict[str, str | int | None]:
    """The columns of an entry that its hash covers."""
    return {
        "number": entry.number,
        "settlement_day": entry.settlement_day.isoformat(),
        "kind": entry.kind.value,
        "bucket": entry.bucket,
        "participant": entry.participant,
    }


def posting_content(number: int, posting: Posting) -> dict[str, str | int]:
    """The columns of a posting that its hash covers."""
    return {
        "entry": number,
        "line": posting.line,
        "account": posting.account,
        "amount_fen": posting.amount_fen,
    }


def _collect(settlement_day: date, sums: Sums) -> list[tuple[str, int]]:
    # Both gross figures are kept apart where both moved: a position shows them.
    return [
        (CARD_FLOAT, sums.out_fen),
        (CARD_FLOAT, -sums.in_fen),
        (clearing_account(settlement_day), -sums.float_decrease_fen),
    ]


def _distribute(settlement_day: date, code: int, sums: Sums) -> list[tuple[str, int]]:
    return [
        (clearing_account(settlement_day), sums.float_decrease_fen),
        (operator_account(code), -sums.debit_fen),
        (load_agent_account(code), sums.load_fen),
        (suspense_account(code), -sums.suspended_debit_fen),
        (suspense_account(code), sums.suspended_load_fen),
        (suspense_account(code), sums.released_debit_fen),
        (suspense_account(code), -sums.released_load_fen),
    ]


def _append(
    entries: list[Entry],
    end: ChainEnd,
    settlement_day: date,
    what: tuple[EntryKind, int | None, int | None],
    lines: list[tuple[str, int]],
) -> ChainEnd:
    lines = [(account, amount_fen) for account, amount_fen in lines if amount_fen != 0]
    if not lines:
        return end
    assert sum(amount_fen for _, amount_fen in lines) == 0, lines  # I1
    entry = seal_entry(
        Entry(end.number + 1, settlement_day, *what, end.hash, "", ()),
        lines,
    )
    entries.append(entry)
    return ChainEnd(entry.number, entry.postings[-1].hash)


def seal_entry(bare: Entry, lines: Sequence[tuple[str, int]]) -> Entry:
    """The entry with its hash and its postings, chained one behind the other."""
    head = link(bare.previous_hash, entry_content(bare))
    postings: list[Posting] = []
    previous = head
    for number, (account, amount_fen) in enumerate(lines, 1):
        content = posting_content(bare.number, Posting(number, account, amount_fen, previous, ""))
        posting = Posting(number, account, amount_fen, previous, link(previous, content))
        postings.append(posting)
        previous = posting.hash
    return Entry(
        number=bare.number,
        settlement_day=bare.settlement_day,
        kind=bare.kind,
        bucket=bare.bucket,
        participant=bare.participant,
        previous_hash=bare.previous_hash,
        hash=head,
        postings=tuple(postings),
    )
