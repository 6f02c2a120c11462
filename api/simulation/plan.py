"""The plan of a virtual city: which cards exist, who taps where and when. Decides nothing while
it runs; a plan is made whole, then driven. A published tap file and a seeded demonstration both
become plans, so one road drives both.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from cardcore.concession import Concession
from cardcore.schemes import Scheme


@dataclass(frozen=True, slots=True)
class PlannedCard:
    """A card to issue: a whole card of a shipped product. `inside_since` is set for a card that is
    already past an entry gate.
    """

    number: str
    product: str
    valid_from: date
    inside_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class PlannedTerminal:
    """A terminal to set up; `role` is a name in the catalogue of roles."""

    terminal: str
    participant: int
    role: str


@dataclass(frozen=True, slots=True)
class PlannedTap:
    """One tap: who, where, when, and what the fare rule of the terminal says. `role` is a name in
    the catalogue of roles, which says the rest of the device. Codes of line and station are 0
    where none is named.

    `request` names the tap for ever: driving a plan again never charges it twice. `copies` is how
    often the collector uploads the record once more. `torn` takes the card away after it executed
    the debit and before its answer arrives; the passenger then taps again. `application` names the
    purse where the device leaves the choice to whoever asks. `forged_fen` is the amount of a record
    that its collector makes up from this one, 0 where it is honest.
    """

    request: str
    card: str
    time: datetime
    role: str
    terminal: str
    participant: int
    tariff_fen: int
    amount_fen: int
    settlement_day: date
    concession: Concession = Concession.ADULT
    transfer: bool = False
    line: int = 0
    station: int = 0
    vehicle: int = 0
    copies: int = 0
    torn: bool = False
    application: str = ""
    forged_fen: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole plan: taps in the order of their time, each with the day that settles it. A tap may
    be settled later than ones that come after it.

    `names` gives the texts behind the codes of lines, stations and vehicles, `lost` the cards whose
    holders have reported them, each with the day since when; the terminals have old hotlists.
    """

    scheme: Scheme
    fingerprint: str
    cards: tuple[PlannedCard, ...]
    terminals: tuple[PlannedTerminal, ...]
    names: Mapping[str, Mapping[int, str]]
    taps: tuple[PlannedTap, ...]
    lost: Mapping[str, date] = field(default_factory=dict)

    @property
    def settlement_days(self) -> tuple[date, ...]:
        """The days to be closed, in order."""
        return tuple(sorted({tap.settlement_day for tap in self.taps}))

    def taps_by_day(self) -> Iterator[tuple[date, int]]:
        """Each day to be closed, in order, and how many taps have happened when it is uploaded: up
        to the last one that it or a day before it settles.
        """
        ends = {tap.settlement_day: end for end, tap in enumerate(self.taps, start=1)}
        happened = 0
        for day in sorted(ends):
            happened = max(happened, ends[day])
            yield day, happened
