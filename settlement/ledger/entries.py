"""Double entry (复式记账): the entries of a settlement day, and their chain.

Decides lines, signs and balance. Leaves which records are accepted to reconciliation, what they
move to `movements`, and when entries are posted to the close. Amounts are fen, debits positive. A
day has two sides: the cards' side is collected bucket by bucket into the day's clearing account,
the participants' side is distributed out of it. The two were summed apart, so a clearing account at
zero is a proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from settlement.ledger.accounts import HOLDER_DUE, PAID_OUT, Account, AccountKind
from settlement.ledger.movements import Sums
from settlement.seal import GENESIS, link


class EntryKind(StrEnum):
    """Which side of the day an entry posts, or that it follows what two people ruled."""

    COLLECT = "collect"  # 归集: one for a bucket of cards
    DISTRIBUTE = "distribute"  # 分配: one for a participant
    RULING = "ruling"  # 裁定: one for a ruling that pays out what was held


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
    ruling: int | None  # by its number in the audit log
    previous_hash: str
    hash: str
    postings: tuple[Posting, ...]


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """Where the ledger ends: the number of the last entry, and the last link."""

    number: int = 0
    hash: str = GENESIS


def post_day(
    settlement_day: date,
    buckets: Mapping[int, Sums],
    participants: Mapping[int, Sums],
    end: ChainEnd,
    paid_out_fen: Mapping[int, int] = MappingProxyType({}),
) -> tuple[Entry, ...]:
    """The day's entries: one for a bucket, then one for a participant, then one for each ruling
    that pays out to holders, chained behind `end`.

    Whoever moved nothing gets no entry.
    """
    entries: list[Entry] = []
    for bucket in sorted(buckets):
        lines = _collect(settlement_day, buckets[bucket])
        end = _append(entries, end, settlement_day, (EntryKind.COLLECT, bucket, None, None), lines)
    for code in sorted(participants):
        lines = _distribute(settlement_day, participants[code])
        end = _append(entries, end, settlement_day, (EntryKind.DISTRIBUTE, None, code, None), lines)
    for number, amount_fen in sorted(paid_out_fen.items()):
        lines = [(HOLDER_DUE.text, amount_fen), (PAID_OUT.text, -amount_fen)]
        end = _append(entries, end, settlement_day, (EntryKind.RULING, None, None, number), lines)
    return tuple(entries)


def chain_end(entries: Sequence[Entry], before: ChainEnd) -> ChainEnd:
    """Where the ledger ends after these entries."""
    return ChainEnd(entries[-1].number, entries[-1].postings[-1].hash) if entries else before


def entry_content(entry: Entry) -> dict[str, str | int | None]:
    """The columns of an entry that its hash covers."""
    return {
        "number": entry.number,
        "settlement_day": entry.settlement_day.isoformat(),
        "kind": entry.kind.value,
        "bucket": entry.bucket,
        "participant": entry.participant,
        "ruling": entry.ruling,
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
    # Both gross figures are kept apart where both moved: a position shows them. What left the cards
    # stands first.
    lines: list[tuple[str, int]] = []
    for account in sorted(sums, key=lambda each: each.order):
        gross = sums[account]
        lines += [(account.text, gross.debit_fen), (account.text, -gross.credit_fen)]
    return [*lines, _through_clearing(settlement_day, sums)]


def _distribute(settlement_day: date, sums: Sums) -> list[tuple[str, int]]:
    # What a participant is owed stands before what it owes.
    lines = [_through_clearing(settlement_day, sums)]
    for account in sorted(sums, key=lambda each: each.order):
        gross = sums[account]
        lines += [(account.text, -gross.credit_fen), (account.text, gross.debit_fen)]
    return lines


def _through_clearing(settlement_day: date, sums: Sums) -> tuple[str, int]:
    """The line that balances an entry, against the other side of the day."""
    clearing = Account(AccountKind.CLEARING, day=settlement_day)
    return clearing.text, -sum(gross.net_fen for gross in sums.values())


def _append(
    entries: list[Entry],
    end: ChainEnd,
    settlement_day: date,
    what: tuple[EntryKind, int | None, int | None, int | None],
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
        ruling=bare.ruling,
        previous_hash=bare.previous_hash,
        hash=head,
        postings=tuple(postings),
    )
