"""The words for one card's chain: points, movements, gaps and their price (V10, V11).

Decides what a gap costs. Leaves putting movements in order to
`settlement.reconciliation.continuity`, where a 16-bit counter stands in a card's life to
`settlement.counters`.

A card counts its debits (offline counter, 脱机交易序号) and its loads (online counter,
联机交易序号) apart, so a movement says how many of its own kind came before it, never how many of
the other. A `Point` is what is known between two movements: the balance and both next counters. A
`Gap` (缺口) is where the point after one movement is not the point before the next::

    after(previous) - before(next) - suspended debits that lie in it  =  price of the gap

Summed over a card everything in between cancels, whatever order was chosen, and what remains is
the proof of the float (I3)::

    latest balance + sum of prices  =  loads - debits - suspended debits
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum


class CounterKind(IntEnum):
    """Which of the two counters a movement uses up."""

    DEBIT = 0  # 脱机交易序号
    LOAD = 1  # 联机交易序号


@dataclass(frozen=True, slots=True)
class Point:
    """A place in a card's chain: balance in fen, next debit and next load counter, unwrapped."""

    balance_fen: int = 0
    offline: int = 0
    online: int = 0

    def counter(self, kind: CounterKind) -> int:
        """The next counter of that kind."""
        return self.online if kind is CounterKind.LOAD else self.offline

    def move(self, kind: CounterKind, counter: int, balance_fen: int) -> "Point":
        """The point with one counter and the balance changed."""
        if kind is CounterKind.LOAD:
            return Point(balance_fen, self.offline, counter)
        return Point(balance_fen, counter, self.online)

    def lowered(self, kind: CounterKind, counter: int) -> "Point":
        """The point with one counter not above `counter`."""
        return self.move(kind, min(counter, self.counter(kind)), self.balance_fen)

    def raised(self, kind: CounterKind, counter: int) -> "Point":
        """The point with one counter not below `counter`."""
        return self.move(kind, max(counter, self.counter(kind)), self.balance_fen)


FRESH = Point()


@dataclass(frozen=True, slots=True)
class CardMove:
    """A proven transaction of the card. `number` is the caller's; counters are unwrapped.

    `previous` and `previous_counter` name the card's log entry before it, None without one.
    """

    number: int
    kind: CounterKind
    counter: int
    before_fen: int
    after_fen: int
    time: datetime
    previous: CounterKind | None = None
    previous_counter: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Claim:
    """A suspended debit outside the chain: the money is held, the card has not confirmed it."""

    counter: int
    amount_fen: int
    day: date


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in the chain, or claims that lie in none (then left and right are one point).

    `number` names the gap among those of its card, from 0, for as long as any of it is open.
    """

    number: int
    opened_day: date
    left: Point
    right: Point
    right_time: datetime | None
    claims: tuple[Claim, ...] = ()

    @property
    def price_fen(self) -> int:
        """Money that went missing here; negative when more is claimed than was debited."""
        held = sum(claim.amount_fen for claim in self.claims)
        return self.left.balance_fen - self.right.balance_fen - held

    @property
    def is_hole(self) -> bool:
        """Whether the chain itself is broken here."""
        return self.left != self.right


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a card: its latest point, when that was, its open gaps in chain order, and
    how many gaps it ever had.
    """

    point: Point = FRESH
    time: datetime | None = None
    gaps: tuple[Gap, ...] = ()
    gap_count: int = 0

    @property
    def worth_fen(self) -> int:
        """Latest proven balance and open gaps: the card's part of the float (I3)."""
        return self.point.balance_fen + sum(gap.price_fen for gap in self.gaps)
