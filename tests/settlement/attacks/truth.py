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
    is_load: bool
    amount_fen: int
    terminal: str
    day: date
    #: A record that carries its signature came, from somebody who may deliver it.
    is_known: bool = False
    #: The same, with nothing changed that would keep it from being judged.
    is_due: bool = False


@dataclass
class Truth:
    """Everything that cards signed, and the terminals as they are registered."""

    movements: list[Movement] = field(default_factory=list)
    owners: dict[str, Owners] = field(default_factory=dict)

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
