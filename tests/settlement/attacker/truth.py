"""What cards signed, and who may be paid for it: a model that knows nothing of the office.

Decides from signed bytes and the days of the registry only. It is as plain as it can be, so that
it can be believed: a list of movements, each with the participant whose terminal it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

#: Who owns a terminal from which day on, the latest last.
Owners = list[tuple[date, int]]


@dataclass(eq=False)
class Movement:
    """One movement of a card's money: the bytes its terminal wrote, and what was signed of them."""

    record: bytes
    card: int
    is_load: bool
    amount_fen: int
    terminal: str
    day: date
    #: Of a card of another issuer: its centre owes it, and nobody is paid for it yet.
    is_guest: bool = False
    #: The load host's log tells of it, in a file that came: the card's balance before it is known.
    is_logged: bool = False
    #: A record that carries its signature came, from somebody who may deliver it.
    is_known: bool = False
    #: The same, with nothing changed that would keep it from being judged.
    is_due: bool = False


@dataclass
class Truth:
    """Everything that cards signed, and the terminals as they are registered."""

    movements: list[Movement] = field(default_factory=list)
    owners: dict[str, Owners] = field(default_factory=dict)
    #: No clock was wrong so far: the days and times of movements are in the order of their life.
    has_true_clocks: bool = True

    def owner(self, terminal: str, day: date) -> int | None:
        """Whose terminal it was on a day."""
        held = [owner for first, owner in self.owners.get(terminal, []) if first <= day]
        return held[-1] if held else None

    def may_deliver(self, participant: int, terminal: str, day: date) -> bool:
        """R7: the owner of the day, or of any later one; of an unknown terminal anybody, who then
        answers for it.
        """
        rows = self.owners.get(terminal)
        if not rows:
            return True
        later = {owner for first, owner in rows if first > day}
        return participant in later | {self.owner(terminal, day)}

    def confirm_loads(self) -> None:
        """R6: what its card said later confirms a load that the log tells of, whether a record of
        the later load came or the log tells of that one too.
        """
        later_known: set[int] = set()
        later_due: set[int] = set()
        for each in reversed(self.movements):
            if not each.is_load:
                continue
            each.is_known |= each.is_logged and each.card in later_known
            each.is_due |= each.is_logged and each.card in later_due
            if each.is_known or each.is_logged:
                later_known.add(each.card)
            if each.is_due or each.is_logged:
                later_due.add(each.card)

    def debits_fen(self, participant: int, movements: Iterable[Movement]) -> int:
        """What the participant earned of these."""
        return sum(
            each.amount_fen
            for each in movements
            if not each.is_load and self.owner(each.terminal, each.day) == participant
        )

    def loads_fen(self, participant: int, movements: Iterable[Movement]) -> int:
        """What the participant took in for cards."""
        return sum(
            each.amount_fen
            for each in movements
            if each.is_load and self.owner(each.terminal, each.day) == participant
        )

    def missing_fen(self) -> tuple[int, int]:
        """R5: what left cards between two of their statements and is not known, and what came onto
        them, each summed up for itself; what is missing of both between the same two is one price.
        """
        prices = [
            price
            for card in {each.card for each in self.movements}
            for price in _prices([each for each in self.movements if each.card == card])
        ]
        return sum(max(each, 0) for each in prices), sum(max(-each, 0) for each in prices)


def _prices(life: Iterable[Movement]) -> list[int]:
    """Per pair of statements of one card, in the order of its life, what is missing between."""
    prices, missing_fen = [], 0
    for each in life:
        if each.is_load and (each.is_known or each.is_logged):
            prices.append(missing_fen)
            missing_fen = 0
        if not each.is_known:
            missing_fen += -each.amount_fen if each.is_load else each.amount_fen
    return prices
