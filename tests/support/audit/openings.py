"""What a city that was taken over owes its cards from the first day, and who owes it that.

Decides by the rules alone (taking over a city's cards, I3): the opening balance of a card is what
the old centre's file says; of a card that stands in no file it is what its next statement says it
had, with the debits proven since; until then it is unopened, and what it paid is due to be opened.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tests.support.audit.words import Entry, Purse

#: What one load can have brought at most: a named card holds so much.
CARD_FEN_MAX = 500_000


@dataclass(frozen=True, slots=True)
class Takeover:
    """An application whose cards came from an old centre: whose numbers begin so."""

    centre: int
    application: int
    prefix: str
    #: Opening balances by the file of the old centre.
    handed_fen: Mapping[Purse, int]


@dataclass(frozen=True, slots=True)
class Told:
    """What a card signed of itself when it asked for a load: its balance, its counter, when."""

    purse: Purse
    online_counter: int
    balance_fen: int
    time: datetime


@dataclass
class Openings:
    """Fen. `centre_fen` is owed by the old centre, `due_fen` by whom only the cards can say."""

    centre_fen: int = 0
    opened: dict[Purse, int] = field(default_factory=dict)
    unopened: dict[Purse, int] = field(default_factory=dict)

    @property
    def due_fen(self) -> int:
        """What unopened cards have paid."""
        return sum(self.unopened.values())


def openings_of(
    entries: Iterable[Entry], takeover: Takeover, told: Sequence[Told] = ()
) -> Openings:
    """The openings over the last word on every record. Told are statements beside loads."""
    found = Openings()
    by_purse: dict[Purse, list[Entry]] = {purse: [] for purse in takeover.handed_fen}
    for each in told:
        by_purse.setdefault(each.purse, [])
    for entry in entries:
        if not entry.is_booked or entry.centre or entry.sound.application != takeover.application:
            continue
        if entry.sound.card_number.startswith(takeover.prefix):
            by_purse.setdefault(entry.purse, []).append(entry)
    for purse, booked in by_purse.items():
        statements = [each for each in told if each.purse == purse]
        _open(found, takeover, purse, booked, statements)
    found.centre_fen = sum(found.opened.values())
    return found


def _open(
    found: Openings,
    takeover: Takeover,
    purse: Purse,
    booked: Sequence[Entry],
    statements: Sequence[Told],
) -> None:
    if purse in takeover.handed_fen:
        found.opened[purse] = takeover.handed_fen[purse]
        return
    debits = [each for each in booked if not each.is_load]
    said = [(each.online_counter, each.time, each.balance_fen) for each in statements]
    said += [_before_load(each) for each in booked if each.is_load]
    if not said:
        spent_fen = sum(each.sound.amount_fen for each in debits)
        if spent_fen:
            found.unopened[purse] = spent_fen
        return
    counter, time, balance_fen = min(said)
    had_fen = balance_fen + sum(each.sound.amount_fen for each in debits if each.witnessed < time)
    # Money that no load can have brought was never on it: that is a contradiction, and no opening.
    if 0 < had_fen <= counter * CARD_FEN_MAX:
        found.opened[purse] = had_fen


def _before_load(load: Entry) -> tuple[int, datetime, int]:
    record = load.sound
    return record.online_counter, load.witnessed, record.balance_after_fen - record.amount_fen
