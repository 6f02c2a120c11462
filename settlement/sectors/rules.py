"""What a sector (行业) of the city says of a debit: one rule a sector, one file a rule.

Decides the shape of a rule, and the rule of whoever has none of its own. What a tap must cost is
the price rule of the scheme; a sector says which class explains what was charged, and who gets how
much of it. Leaves which sectors there are to `catalogue`, and posting to `settlement.ledger`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cardcore.records.kinds import RecordKind
from cardcore.schemes import Scheme
from cardcore.text import Text
from settlement.sectors.fares import Explanation, Fare


@dataclass(frozen=True, slots=True)
class Payment:
    """What an accepted debit pays, to be shared out. Only what is signed or registered stands here:
    what a record claims of itself never says who is paid.
    """

    application: int
    operator: int
    amount_fen: int


def no_tariff(_scheme: Scheme, _operator: int, _kind: RecordKind) -> None:
    """Nobody knows what it costs at most: the record's tariff is its own word."""


@dataclass(frozen=True, slots=True)
class SectorRule:
    """One sector. `number` stands in records and is never used again for another one.

    `explain` says what is known of a fare, `share` who gets how much of a payment, by participant.
    The shares sum to the amount (I5). `known_tariff` is what a debit of that kind costs at most
    with an operator, None where nobody knows. All are asked once for many records that are alike.
    """

    number: int
    name: str
    title: Text
    explain: Callable[[Fare, Scheme], Explanation]
    share: Callable[[Payment], Mapping[int, int]]
    known_tariff: Callable[[Scheme, int, RecordKind], int | None] = no_tariff

    def __post_init__(self) -> None:
        assert 0 <= self.number <= 0xFF, self

    def excess_fen(self, scheme: Scheme, operator: int, kind: RecordKind, amount_fen: int) -> int:
        """What a debit charges above what it can cost at most."""
        known_fen = self.known_tariff(scheme, operator, kind)
        return 0 if known_fen is None else max(0, amount_fen - known_fen)

    def passed_on(self, payment: Payment) -> dict[int, int]:
        """What others than the operator get of a payment. The rest stays with the operator."""
        shares_fen = self.share(payment)
        assert sum(shares_fen.values()) == payment.amount_fen, (self.name, payment, shares_fen)
        assert min(shares_fen.values()) >= 0, (self.name, payment, shares_fen)
        return {
            code: share_fen
            for code, share_fen in shares_fen.items()
            if code != payment.operator and share_fen
        }


def no_fare(_fare: Fare, _scheme: Scheme) -> Explanation:
    """Nothing is known of what it must cost: goods cost what they cost."""
    return Explanation()


def whole(payment: Payment) -> dict[int, int]:
    """Whoever did the work gets the whole charge.

    >>> whole(Payment(application=0, operator=201, amount_fen=380))
    {201: 380}
    """
    return {payment.operator: payment.amount_fen}
