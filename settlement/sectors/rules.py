"""What a sector (行业) of the city says of a debit: one rule a sector, one file a rule.

Decides the shape of a rule, and the rule of whoever has none of its own. What a tap must cost is
the price rule of the scheme; a sector says which class explains what was charged, and who gets how
much of it. Leaves which sectors there are to `catalogue`, and posting to `settlement.ledger`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cardcore.schemes import Scheme
from cardcore.text import Text
from settlement.dispositions import Note
from settlement.sectors.fares import NOT_A_FARE, Fare


@dataclass(frozen=True, slots=True)
class SectorRule:
    """One sector. `number` stands in records and is never used again for another one.

    `explain` gives the class code and the notes of a fare. `share` splits what an operator charged
    by participant; the shares sum to the amount (I5).
    """

    number: int
    name: str
    title: Text
    explain: Callable[[Fare, Scheme], tuple[int, Note]]
    share: Callable[[int, int], Mapping[int, int]]

    def __post_init__(self) -> None:
        assert 0 <= self.number <= 0xFF, self


def no_fare(_fare: Fare, _scheme: Scheme) -> tuple[int, Note]:
    """Nothing is known of what it must cost: goods cost what they cost."""
    return NOT_A_FARE, Note(0)


def whole(operator: int, amount_fen: int) -> dict[int, int]:
    """Whoever did the work gets the whole charge.

    >>> whole(201, 380)
    {201: 380}
    """
    return {operator: amount_fen}
