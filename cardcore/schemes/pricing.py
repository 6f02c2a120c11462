"""What a ride costs: per cent of the full tariff, in bands, by kind of ride and class of passenger.

Decides a fare in fen from rules that are data. Leaves the rules to a scheme's file, and which class
explains a fare that was charged to the scheme.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cardcore.concession import Concession
from cardcore.records.kinds import RecordKind

#: The kinds of ride that have a price of their own: a metro ride ends with an exit, a bus ride is a
#: purchase. An entry costs nothing.
RIDES = {"bus": RecordKind.PURCHASE, "metro": RecordKind.EXIT}


@dataclass(frozen=True, slots=True)
class Band:
    """A part of the tariff, up to so many fen (None: all that is left), and how many per cent of
    that part are charged.
    """

    to_fen: int | None
    percent: int


def charge_fen(tariff_fen: int, bands: tuple[Band, ...]) -> int:
    """The part of a tariff that is charged. Parts are summed in hundredths of a fen: the fare
    rounds down once, at the end.

    >>> bus = (Band(300, 80), Band(600, 75), Band(None, 65))
    >>> [charge_fen(tariff, bus) for tariff in (200, 300, 500, 1000)]
    [160, 240, 390, 725]
    """
    hundredths, lower_fen = 0, 0
    for band in bands:
        upper_fen = tariff_fen if band.to_fen is None else min(tariff_fen, band.to_fen)
        hundredths += max(0, upper_fen - lower_fen) * band.percent
        lower_fen = max(lower_fen, upper_fen)
    return hundredths // 100


@dataclass(frozen=True, slots=True)
class Prices:
    """The prices of a scheme: bands for every kind of ride and class, and what a transfer takes
    off.
    """

    bands: Mapping[tuple[RecordKind, Concession], tuple[Band, ...]]
    transfer_discount_fen: int
    transfer_window_minutes: int

    def fare_fen(
        self, kind: RecordKind, tariff_fen: int, concession: Concession, *, transfer: bool
    ) -> int:
        """What a ride costs a passenger of that class."""
        if kind is RecordKind.ENTRY:
            return 0
        ride = kind if kind is RecordKind.EXIT else RecordKind.PURCHASE
        fare = charge_fen(tariff_fen, self.bands[ride, concession])
        return max(0, fare - self.transfer_discount_fen) if transfer else fare
