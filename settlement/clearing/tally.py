"""What a bucket of cards came to: its tallies, and what its cards are worth.

Decides which records count as alike. Leaves counting them to reconciliation and summing to
`totals`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cardcore.records.kinds import RecordKind
from settlement.clearing.openings import OpeningTally
from settlement.clearing.proof import FloatFigures
from settlement.dispositions import Reason
from settlement.ledger.accounts import CARD_FLOAT
from settlement.ledger.movements import Movement, decide_movements, sum_up

#: The fields, from the first, in which records of a tally are alike.
KEY_FIELDS = 12


@dataclass(frozen=True, slots=True, order=True)
class Tally:
    """How many records of a bucket ended alike, and their sums in fen. What a closed day suspended
    and the run decides again is taken back: a tally of its own, with a minus. `by_log` are loads of
    which there is no record: the load host's log lists them, and the card has confirmed them.
    `centre` is the participant that answers for the cards, 0 for our own.

    `excess_fen` is what accepted debits charge above known tariffs, and is held for the holders.
    `known_discount_fen` is how far what is paid stays below the tariff, where the tariff is known.
    `passed_on` is what others than the operator get of it, as (participant, fen), summed up record
    by record: shares are rounded, and a share of a sum is not the sum of shares.
    """

    disposition: int
    reason: int
    application: int
    sector: int
    issuer: int
    kind: int
    operator: int
    fare_class: int
    notes: int
    late: bool
    by_log: bool
    centre: int
    records: int
    amount_fen: int
    tariff_fen: int
    excess_fen: int
    known_discount_fen: int
    passed_on: tuple[tuple[int, int], ...]

    @property
    def is_load(self) -> bool:
        """Whether money came onto cards."""
        return self.kind == RecordKind.LOAD

    @property
    def is_release(self) -> bool:
        """Whether this takes back what a closed day decided."""
        return self.records < 0

    @property
    def movements(self) -> tuple[Movement, ...]:
        """What the records moved; where a closed day's decision is taken back, the way back."""
        movements = decide_movements(
            Reason(self.reason),
            kind=self.kind,
            operator=self.operator,
            centre=self.centre,
            amount_fen=abs(self.amount_fen),
            excess_fen=abs(self.excess_fen),
            passed_on_fen=dict(self.passed_on),
        )
        return tuple(each.taken_back for each in movements) if self.is_release else movements

    @property
    def float_fen(self) -> int:
        """What the records did to the float (I3): loads came in, debits went out."""
        moved = sum_up(self.movements).get(CARD_FLOAT)
        return 0 if moved is None else -moved.net_fen


def read_tally(row: Sequence[Any]) -> Tally:
    """A tally out of JSON, where every tuple is a list."""
    return Tally(*row[:-1], *[tuple((code, fen) for code, fen in row[-1])])


@dataclass(frozen=True, slots=True)
class BucketResult:
    """What became of a bucket: its output files with their SHA-256, its tallies, its cards.

    `balance_fen` is the sum of the latest balances that proven records claim, `gap_fen` that of the
    open gaps between them, and `apart_fen` what cards were opened with that no chain begins with;
    `worth_before_fen` is all together before the run. `figures` say the same by what cards stated.
    `openings` are what the run opened.
    """

    bucket: int
    outputs: tuple[tuple[str, str], ...]
    tallies: tuple[Tally, ...]
    card_count: int
    balance_fen: int
    gap_count: int
    gap_fen: int
    worth_before_fen: int
    figures: FloatFigures
    apart_fen: int = 0
    openings: tuple[OpeningTally, ...] = ()

    @property
    def moved_fen(self) -> int:
        """What the run did to the float (I3)."""
        moved_fen = sum(each.float_fen for each in self.tallies)
        return moved_fen + sum(each.float_fen for each in self.openings)


@dataclass(frozen=True, slots=True)
class DiscountRow:
    """What an operator gave away to one fare class: a report, no money is posted for it.

    `tariff_fen` is the records' own word, at most the known tariff; `charged_fen` is without what
    was charged above that. `known_discount_fen` is the discount on known tariffs: a subsidy claim
    starts from it, and from nothing else.
    """

    operator: int
    fare_class: str
    record_count: int
    tariff_fen: int
    charged_fen: int
    known_discount_fen: int

    @property
    def discount_fen(self) -> int:
        """What the records say was given away, be their tariffs known or claimed."""
        return self.tariff_fen - self.charged_fen
