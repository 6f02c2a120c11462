"""What follows from the decisions in money: the float, who is owed what, what partners' centres
owe, claims, exact purses.

Everything is added up from the first record on, every time: nothing is carried.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import accumulate

from tests.support.audit.words import Disposition, Entry, Purse, Reason


@dataclass
class Books:
    """Fen, by whom. Owed to a participant counts up, owed by it counts down; but a centre's side is
    a receivable, and counts up when it owes.
    """

    float_fen: int = 0
    centres_fen: dict[int, int] = field(default_factory=dict)
    paid_fen: dict[int, int] = field(default_factory=dict)
    held_fen: dict[int, int] = field(default_factory=dict)
    holders_fen: int = 0
    claims: int = 0
    claims_fen: int = 0


def books_of(entries: Iterable[Entry]) -> Books:
    """The books over the last word on every record. I3: the float is of own cards only; what moves
    on a partner's card moves between its centre and us.
    """
    books = Books()
    for entry in entries:
        if entry.reason.disposition is Disposition.CLAIM:
            books.claims += 1
            books.claims_fen += entry.sound.amount_fen
        if not entry.is_booked:
            continue
        earned_fen = -entry.sound.amount_fen if entry.is_load else entry.sound.amount_fen
        if entry.reason is Reason.RETURNED and entry.centre:
            continue  # its centre keeps what its card paid
        if entry.centre:
            owed_fen = books.centres_fen.get(entry.centre, 0)
            books.centres_fen[entry.centre] = owed_fen + earned_fen
        else:
            books.float_fen -= earned_fen
        if entry.reason is Reason.RETURNED:
            books.holders_fen += earned_fen
            continue
        is_paid = entry.reason.disposition is Disposition.ACCEPTED
        side = books.paid_fen if is_paid else books.held_fen
        side[entry.payee] = side.get(entry.payee, 0) + earned_fen
    return books


@dataclass(frozen=True, slots=True)
class Segment:
    """Between two statements of a purse: what left it and no proven debit says (positive), or what
    came onto it and no proven load says (negative).
    """

    until_counter: int  # online counter of the load whose statement ends it
    loads_missing: int
    price_fen: int

    @property
    def kind(self) -> str:
        """R5: missing debits, missing loads, or what cannot be."""
        if self.price_fen > 0:
            return "debits"
        if self.loads_missing:
            return "loads"
        return "contradiction" if self.price_fen else "none"


@dataclass(frozen=True, slots=True)
class PurseStatement:
    """R5 of one purse: loads - debits = last stated balance - tail + exact prices, always."""

    loads_fen: int
    debits_fen: int
    stated_fen: int
    tail_fen: int
    segments: tuple[Segment, ...]
    #: Whether its loads are dated in the order of their counters.
    is_in_order: bool = True

    @property
    def difference_fen(self) -> int:
        """Zero, or this page is wrong."""
        exact_fen = sum(each.price_fen for each in self.segments)
        return self.loads_fen - self.debits_fen - (self.stated_fen - self.tail_fen + exact_fen)


def statement_of(entries: Iterable[Entry]) -> PurseStatement:
    """The statement of a purse from everything booked of it. The card began empty, at counter 0."""
    booked = [entry for entry in entries if entry.is_booked]
    loads, dates = _placed_loads(booked)
    debits = [entry for entry in booked if not entry.is_load]
    before_load: dict[int, list[Entry]] = {}
    for debit in debits:
        before_load.setdefault(bisect_right(dates, debit.witnessed), []).append(debit)
    segments = []
    stated_fen, before = 0, -1
    for number, (position, load) in enumerate(loads):
        record = load.sound
        opened_fen = record.balance_after_fen - record.amount_fen
        price_fen = stated_fen - opened_fen - _sum_fen(before_load.get(number, []))
        segments.append(Segment(record.online_counter, position - before - 1, price_fen))
        stated_fen, before = record.balance_after_fen, position
    return PurseStatement(
        loads_fen=_sum_fen(load for _, load in loads),
        debits_fen=_sum_fen(debits),
        stated_fen=stated_fen,
        tail_fen=_sum_fen(before_load.get(len(loads), [])),
        segments=tuple(segments),
        is_in_order=dates == [load.witnessed for _, load in loads],
    )


def stretches_of(booked: Iterable[Entry]) -> list[tuple[datetime, datetime, int]]:
    """Between which two statements of a purse what is missing: its loads one after the other, where
    no load is missing between them.
    """
    entries = list(booked)
    _, dates = _placed_loads(entries)
    segments = statement_of(entries).segments
    return [
        (since, until, segment.price_fen)
        for since, until, segment in zip(dates, dates[1:], segments[1:], strict=False)
        if not segment.loads_missing
    ]


def purses_of(entries: Iterable[Entry]) -> dict[Purse, PurseStatement]:
    """Every purse of ours of which anything is booked: a partner's are for its own centre."""
    by_purse: dict[Purse, list[Entry]] = {}
    for entry in entries:
        if entry.is_booked and not entry.centre:
            by_purse.setdefault(entry.purse, []).append(entry)
    return {purse: statement_of(each) for purse, each in sorted(by_purse.items())}


def _placed_loads(booked: list[Entry]) -> tuple[list[tuple[int, Entry]], list[datetime]]:
    """Loads in order of counters, and their dates. A clock is no witness: what is dated far after
    its receipt is not, and a load is not dated before the one whose counter it follows.
    """
    loads = _in_order([entry for entry in booked if entry.is_load])
    return loads, list(accumulate((load.witnessed for _, load in loads), max))


def _sum_fen(entries: Iterable[Entry]) -> int:
    return sum(entry.sound.amount_fen for entry in entries)


def _in_order(loads: list[Entry]) -> list[tuple[int, Entry]]:
    """Loads by their signed counter; past 65,535 follows 1."""
    counters = [entry.sound.online_counter for entry in loads]
    is_wrapped = bool(counters) and max(counters) - min(counters) > 0x8000
    placed = [
        (counter + 0xFFFF if is_wrapped and counter < 0x8000 else counter, entry)
        for counter, entry in zip(counters, loads, strict=True)
    ]
    return sorted(placed, key=lambda each: (each[0], each[1].sound.time))
