"""Records in EF1A beyond metro and bus: bicycle and parking hire, concession and monthly counters.

Decides which field stands at which byte. Leaves fares and discounts to the scheme of the city.
JT/T 978 keeps the ids 27xx for composite records and publishes the first two; these three are
ours. They start like the others (id, length, valid, interoperable, locked), so that a gate that
does not know them passes over them, and they are written by the DEBIT of the ride they belong to.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import IntEnum

from cardcore.concession import Concession
from cardcore.digits import decode_date, encode_date
from cardcore.layouts.fixed import BYTES, HEX, TIME, UINT, Coding, FixedLayout, table

RECORD_BICYCLE, RECORD_PARKING, RECORD_CONCESSION = 0x2710, 0x2711, 0x2720
_NO_DAY = bytes(4)
DAY = Coding(
    lambda value, _: _NO_DAY if value is None else encode_date(value),
    lambda data: None if data == _NO_DAY else decode_date(data),
)
_HEAD = (
    ("record_id", 2, UINT),
    ("length", 1, UINT),
    ("valid", 1, UINT),
    ("interoperable", 1, UINT),
    ("locked", 1, UINT),
)


class HireStatus(IntEnum):
    """Where a hire stands."""

    NONE = 0  # 无
    OPEN = 1  # 租用中: taken or parked; the deposit is held
    CLOSED = 2  # 已归还: brought back or left; the deposit is free again


@dataclass(frozen=True, slots=True)
class HireRecord(FixedLayout):
    """A bicycle (2710) or a parking place (2711): entry, exit and the deposit held between them.

    >>> hire = HireRecord(RECORD_BICYCLE, status=HireStatus.OPEN, deposit_held_fen=20000)
    >>> HireRecord.decode(hire.encode()) == hire
    True
    """

    TITLE = "EF1A hire"
    SIZE, SIZE_MIN = 128, 76
    FIELDS = table(
        *_HEAD,
        ("status", 1, UINT),
        ("city", 2, HEX),
        ("operator", 8, BYTES),
        ("vehicle", 8, HEX),
        ("entry_place", 8, HEX),
        ("exit_place", 8, HEX),
        ("entry_time", 7, TIME),
        ("exit_time", 7, TIME),
        ("deposit_held_fen", 4, UINT),
        ("amount_fen", 4, UINT),
        ("entry_terminal", 6, HEX),
        ("exit_terminal", 6, HEX),
        ("local", 53, BYTES),
    )

    record_id: int
    length: int = 125
    valid: int = 1
    interoperable: int = 0
    locked: int = 0
    status: int = HireStatus.NONE
    city: str = "0000"
    operator: bytes = bytes(8)
    vehicle: str = "0" * 16  # number of the bicycle, or of the car's place
    entry_place: str = "0" * 16
    exit_place: str = "0" * 16
    entry_time: datetime | None = None
    exit_time: datetime | None = None
    deposit_held_fen: int = 0  # 押金冻结
    amount_fen: int = 0
    entry_terminal: str = "0" * 12
    exit_terminal: str = "0" * 12
    local: bytes = bytes(53)

    def opened(
        self, place: str, terminal: str, time: datetime, *, vehicle: str, deposit_fen: int
    ) -> "HireRecord | None":
        """After taking a bicycle or driving in, or None when the last hire is still open."""
        if self.status == HireStatus.OPEN:
            return None
        return HireRecord(
            self.record_id,
            interoperable=self.interoperable,
            status=HireStatus.OPEN,
            city=self.city,
            operator=self.operator,
            vehicle=vehicle,
            entry_place=place,
            entry_time=time,
            entry_terminal=terminal,
            deposit_held_fen=deposit_fen,
        )

    def closed(
        self, place: str, terminal: str, time: datetime, *, amount_fen: int
    ) -> "HireRecord | None":
        """After bringing it back or driving out, or None when nothing is open. The deposit is
        free again.
        """
        if self.status != HireStatus.OPEN:
            return None
        return replace(
            self,
            status=HireStatus.CLOSED,
            exit_place=place,
            exit_time=time,
            exit_terminal=terminal,
            amount_fen=amount_fen,
            deposit_held_fen=0,
        )


def held_fen(hires: Iterable[HireRecord]) -> int:
    """How much of the balance must stay on the card for hires that are open.

    >>> held_fen([HireRecord(RECORD_BICYCLE, status=HireStatus.OPEN, deposit_held_fen=20000),
    ...           HireRecord(RECORD_PARKING)])
    20000
    """
    return sum(hire.deposit_held_fen for hire in hires if hire.status == HireStatus.OPEN)


@dataclass(frozen=True, slots=True)
class ConcessionRecord(FixedLayout):
    """The holder's concession (2720) and the rides of one month, on which discounts grow.

    >>> record = ConcessionRecord(concession=Concession.HALF, month=202403, metro_rides=4)
    >>> record.with_ride(date(2024, 3, 30), 250, metro=True).metro_rides
    5
    >>> record.with_ride(date(2024, 4, 1), 250, metro=True).metro_rides
    1
    """

    TITLE = "EF1A concession"
    SIZE, SIZE_MIN = 128, 34
    FIELDS = table(
        *_HEAD,
        ("concession", 1, UINT),
        ("concession_to", 4, DAY),
        ("month", 3, UINT),
        ("metro_rides", 2, UINT),
        ("bus_rides", 2, UINT),
        ("spent_fen", 4, UINT),
        ("transfers", 2, UINT),
        ("year", 2, UINT),
        ("free_rides", 2, UINT),
        ("local", 100, BYTES),
    )

    record_id: int = RECORD_CONCESSION
    length: int = 125
    valid: int = 1
    interoperable: int = 0
    locked: int = 0
    concession: int = Concession.ADULT
    concession_to: date | None = None  # 年审: the last day of the concession
    month: int = 0  # year * 100 + month; 0: no ride yet
    metro_rides: int = 0
    bus_rides: int = 0
    spent_fen: int = 0
    transfers: int = 0
    year: int = 0
    free_rides: int = 0  # of that year
    local: bytes = bytes(100)

    def with_ride(
        self, day: date, amount_fen: int, *, metro: bool, transfer: bool = False
    ) -> "ConcessionRecord":
        """After one ride; the counters start again with the month, the free rides with the year."""
        month = 100 * day.year + day.month
        start = (
            self
            if self.month == month
            else replace(self, month=month, metro_rides=0, bus_rides=0, spent_fen=0, transfers=0)
        )
        if start.year != day.year:
            start = replace(start, year=day.year, free_rides=0)
        return replace(
            start,
            metro_rides=start.metro_rides + metro,
            bus_rides=start.bus_rides + (not metro),
            spent_fen=start.spent_fen + amount_fen,
            transfers=start.transfers + transfer,
            free_rides=start.free_rides + (amount_fen == 0),
        )
