"""What the city knows on the day it settles: who is registered, which keys it holds.

Decides what holds on which day, and under whose keys a card number's cards sign: ours, or a
partner's whose centre answers for them. Rows are dated, the first and the last day included.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone

#: The city's wall clock: terminals write it, received times are brought to it.
CITY_CLOCK = timezone(timedelta(hours=8))
#: Whose keys: ours, nobody's that is registered, else the name of a partner's city.
OURS, NOBODYS = "", "?"


@dataclass(frozen=True, slots=True)
class TerminalDays:
    """A terminal on some days: who is paid, who delivers, which sector (None: its owner's)."""

    terminal: str
    owner: int
    collector: int
    sector: int | None = None
    first: date = date.min
    last: date = date.max


@dataclass(frozen=True, slots=True)
class ListedDays:
    """A card on the hotlist on some days, and the version of the list that names it first."""

    card_number: str
    first: date = date.min
    last: date = date.max
    version: int = 1


@dataclass(frozen=True, slots=True)
class CardRange:
    """Card numbers that belong to the keys of an application, ours or of a partner's city."""

    application: int
    prefix: str
    issuer: bytes
    city: str = OURS
    first: date = date.min
    last: date = date.max

    def has(self, issuer: bytes, card_number: str) -> bool:
        """Whether a number is one of them, on whatever day."""
        return self.issuer == issuer and card_number.startswith(self.prefix)


@dataclass(frozen=True, slots=True)
class TacKey:
    """A registered version of the key under an application's TACs; None while it is not held."""

    application: int
    version: int
    algorithm: int
    value: bytes | None
    city: str = OURS


@dataclass(frozen=True, slots=True)
class MacKey:
    """A version of the key under record MACs."""

    version: int
    algorithm: int
    value: bytes


@dataclass(frozen=True)
class Known:
    """Everything a day is settled with."""

    sectors: Mapping[int, int]  # of participants
    terminals: tuple[TerminalDays, ...]
    ranges: tuple[CardRange, ...]
    tac_keys: tuple[TacKey, ...]
    mac_keys: tuple[MacKey, ...] = ()
    hotlist: tuple[ListedDays, ...] = ()
    cutover_hour: int = 0
    #: Days after its publication on which an entry of the hotlist binds only who has it.
    grace_days: int = 0
    #: Days after which no file is expected any more.
    late_days: int = 30
    #: The participant that answers for the cards of a partner's city.
    centres: Mapping[str, int] = field(default_factory=dict)

    def business_day(self, time: datetime) -> date:
        """The day begins at the cutover hour."""
        return (time - timedelta(hours=self.cutover_hour)).date()

    def rows_of(self, terminal: str) -> list[TerminalDays]:
        """A terminal's rows on any day."""
        return [row for row in self.terminals if row.terminal == terminal]

    def row_on(self, terminal: str, day: date) -> TerminalDays | None:
        """A terminal's row on one day."""
        rows = [row for row in self.rows_of(terminal) if row.first <= day <= row.last]
        return rows[0] if rows else None

    def may_deliver(self, participant: int, terminal: str, day: date) -> bool:
        """R7: the collector on the record's day or on any later one. What nobody registered anybody
        may bring.
        """
        rows = self.rows_of(terminal)
        return not rows or any(row.collector == participant and row.last >= day for row in rows)

    def city_of(self, application: int, issuer: bytes, card_number: str, day: date) -> str:
        """Under whose keys the cards of a number sign on a day (§2). Of an application for which we
        have no numbers every number may be ours that is never anybody else's: then our keys decide.
        """
        ranges = [each for each in self.ranges if each.application == application]
        named = [each for each in ranges if each.has(issuer, card_number)]
        cities = {each.city for each in named if each.first <= day <= each.last}
        for city in (OURS, *self.centres):
            if city in cities:
                return city
        return NOBODYS if named or any(each.city == OURS for each in ranges) else OURS

    def is_listed(self, city: str, factor: str, day: date, version: int) -> bool:
        """R10: an entry binds once the grace is over, before that whoever says to have the list.
        A card is known by what it signs with: the digits of its key, and whose key that is.
        """
        grace = timedelta(days=self.grace_days)
        return any(
            each.card_number[-16:] == factor
            and city in self._cities_named(each.card_number)
            and each.first <= day <= each.last
            and (version >= each.version or each.first == date.min or each.first + grace <= day)
            for each in self.hotlist
        )

    def _cities_named(self, card_number: str) -> set[str]:
        """Whose card a number on the list may be: no issuer stands there."""
        named = {each.city for each in self.ranges if card_number.startswith(each.prefix)}
        return named or {OURS}
