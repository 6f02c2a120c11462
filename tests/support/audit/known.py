"""What the city knows on the day it settles: who is registered, which keys it holds.

Decides what holds on which day. Rows are dated, the first and the last day included.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

#: The city's wall clock: terminals write it, received times are brought to it.
CITY_CLOCK = timezone(timedelta(hours=8))


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
    """Card numbers that belong to the keys of an application."""

    application: int
    prefix: str
    issuer: bytes


@dataclass(frozen=True, slots=True)
class TacKey:
    """A registered version of the key under an application's TACs; None while it is not held."""

    application: int
    version: int
    algorithm: int
    value: bytes | None


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

    def is_own(self, application: int, issuer: bytes, card_number: str) -> bool:
        """Whether a number belongs to keys of this city. Of an application for which no numbers are
        registered every number may be: then its keys decide.
        """
        ranges = [each for each in self.ranges if each.application == application]
        return not ranges or any(
            each.issuer == issuer and card_number.startswith(each.prefix) for each in ranges
        )

    def is_listed(self, factor: str, day: date, version: int) -> bool:
        """R10: an entry binds once the grace is over, before that whoever says to have the list.
        A card is known by what it signs with.
        """
        grace = timedelta(days=self.grace_days)
        return any(
            each.card_number[-16:] == factor
            and each.first <= day <= each.last
            and (version >= each.version or each.first == date.min or each.first + grace <= day)
            for each in self.hotlist
        )
