"""What a bucket of cards came to: its tallies, and what its cards are worth.

Decides which records count as alike. Leaves counting them to reconciliation and summing to
`totals`.
"""

from dataclasses import dataclass

from settlement.dispositions import Reason
from settlement.ledger.accounts import CARD_FLOAT
from settlement.ledger.movements import Movement, decide_movements, sum_up
from settlement.sectors.rules import whole


@dataclass(frozen=True, slots=True, order=True)
class Tally:
    """How many records of a bucket ended alike, and their sums in fen. What a closed day suspended
    and the run decides again is taken back: a tally of its own, with a minus.
    """

    disposition: int
    reason: int
    operator: int
    is_load: bool
    fare_class: int
    notes: int
    chained: bool
    late: bool
    records: int
    amount_fen: int
    tariff_fen: int

    @property
    def is_release(self) -> bool:
        """Whether this takes back what a closed day decided."""
        return self.records < 0

    @property
    def movements(self) -> tuple[Movement, ...]:
        """What the records moved; where a closed day's decision is taken back, the way back."""
        amount_fen = abs(self.amount_fen)
        movements = decide_movements(
            Reason(self.reason),
            is_load=self.is_load,
            is_chained=self.chained,
            operator=self.operator,
            amount_fen=amount_fen,
            shares_fen=whole(self.operator, amount_fen),
        )
        return tuple(each.taken_back for each in movements) if self.is_release else movements

    @property
    def float_fen(self) -> int:
        """What the records did to the float (I3): loads came in, debits went out."""
        moved = sum_up(self.movements).get(CARD_FLOAT)
        return 0 if moved is None else -moved.net_fen


@dataclass(frozen=True, slots=True)
class BucketResult:
    """What became of a bucket: its output files with their SHA-256, its tallies, its cards.

    `balance_fen` is the sum of the latest proven balances, `gap_fen` that of the open gaps, and
    `worth_before_fen` both together before the run.
    """

    bucket: int
    outputs: tuple[tuple[str, str], ...]
    tallies: tuple[Tally, ...]
    card_count: int
    balance_fen: int
    gap_count: int
    gap_fen: int
    worth_before_fen: int


@dataclass(frozen=True, slots=True)
class DiscountRow:
    """What an operator gave away to one fare class: a report, no money is posted for it."""

    operator: int
    fare_class: str
    record_count: int
    tariff_fen: int
    charged_fen: int

    @property
    def discount_fen(self) -> int:
        """The sum a subsidy claim would start from."""
        return self.tariff_fen - self.charged_fen
