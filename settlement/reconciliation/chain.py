"""The words for one card's chain: points, movements, gaps and their price (V10, V11).

Decides what a gap costs. Leaves putting movements in order to
`settlement.reconciliation.continuity`, where a 16-bit counter stands in a card's life to
`settlement.counters`.

A card counts its debits (offline counter, 脱机交易序号) and its loads (online counter,
联机交易序号) apart, so a movement says how many of its own kind came before it, never how many of
the other. A `Point` is what is known between two movements: the balance and both next counters. A
`Gap` (缺口) is where the point after one movement is not the point before the next::

    after(previous) - before(next) - loose movements that lie in it  =  price of the gap

Summed over a card everything in between cancels, whatever order was chosen, and what remains is
the proof of the float (I3)::

    latest balance + sum of prices  =  loads - debits

where a movement is loose that is posted and no link: the card signed it, but its counter or its
balances, which nobody signed, put it nowhere.
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
class Loose:
    """A posted movement outside the chain. `amount_fen` left the card: loads are negative."""

    counter: int
    amount_fen: int
    day: date

    @property
    def kind(self) -> CounterKind:
        """Which counter it claims to have used up."""
        return CounterKind.LOAD if self.amount_fen < 0 else CounterKind.DEBIT


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole in the chain, or loose movements that lie in none (then left and right are one point).

    `number` names the gap among those of its card, from 0, for as long as any of it is open.
    """

    number: int
    opened_day: date
    left: Point
    right: Point
    right_time: datetime | None
    loose: tuple[Loose, ...] = ()

    @property
    def price_fen(self) -> int:
        """Money that went missing here; negative when money came that nothing explains."""
        moved_fen = sum(each.amount_fen for each in self.loose)
        return self.left.balance_fen - self.right.balance_fen - moved_fen

    @property
    def is_hole(self) -> bool:
        """Whether the chain itself is broken here."""
        return self.left != self.right

    @property
    def is_explained(self) -> bool:
        """Whether loose movements stand at every counter that is missing, and for all the money."""
        missing = sum(self.right.counter(kind) - self.left.counter(kind) for kind in CounterKind)
        return self.price_fen == 0 and missing == len(
            {
                (each.kind, each.counter)
                for each in self.loose
                if self.left.counter(each.kind) <= each.counter < self.right.counter(each.kind)
            }
        )


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
