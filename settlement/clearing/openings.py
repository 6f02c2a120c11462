"""What a bucket's cards were opened with (期初): who owes it, and what is still due.

Decides nothing about cards: how the openings of a run and those before it differ becomes money in
`settlement.ledger.movements`. Leaves what a card was opened with to reconciliation.
"""

from dataclasses import dataclass

from settlement.ledger.accounts import CARD_FLOAT
from settlement.ledger.movements import Movement, decide_opening, sum_up


@dataclass(frozen=True, slots=True, order=True)
class OpeningTally:
    """What a run opened of the cards that came from one old centre, each side gross, in fen.

    `opened_fen` is owed by the centre from now on, `closed_fen` no more; `due_fen` was paid by
    cards that nobody has opened, and `cleared_fen` is no longer due.
    """

    centre: int
    opened_fen: int
    closed_fen: int
    due_fen: int
    cleared_fen: int

    @property
    def movements(self) -> tuple[Movement, ...]:
        """What that moves."""
        return decide_opening(
            self.centre,
            opened_fen=self.opened_fen,
            closed_fen=self.closed_fen,
            due_fen=self.due_fen,
            cleared_fen=self.cleared_fen,
        )

    @property
    def float_fen(self) -> int:
        """What it did to the float (I3)."""
        moved = sum_up(self.movements).get(CARD_FLOAT)
        return 0 if moved is None else -moved.net_fen
