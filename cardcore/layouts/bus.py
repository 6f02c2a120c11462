"""The bus record of EF1A (2702) as published Beijing cards carry it.

Decides which field stands at which byte. Leaves the metro record (2701), and the bus record of
cities that give both one layout, to `cardcore.layouts.transit.TransitRecord`.

No text describes this record; its bytes do, as far as they go. Head, serial and status stand as
in the metro record. Behind the status come two legs of one form, boarding (上车) and alighting
(下车): city, operator, line, stop, vehicle number in ASCII, terminal, time. Behind the first leg
stands the highest fare, behind the second what was charged, and behind that a number that is
the full fare wherever a discount of one half explains both. Not known: the byte at 57, whether
the four bytes called `line` are one number, and everything from 102 on; all of it is kept as it is.
"""

from dataclasses import dataclass
from datetime import datetime

from cardcore.digits import decode_time
from cardcore.errors import DecodeError
from cardcore.layouts.fixed import AMOUNT, ASCII, BYTES, HEX, TIME, UINT, FixedLayout, table
from cardcore.layouts.transit import RECORD_BUS

_TIMES_AT = (46, 89)


@dataclass(frozen=True, slots=True)
class BusRecord(FixedLayout):
    """Record 2702: 128 bytes; published copies stop after 113, the missing end reads as zero.

    >>> ride = BusRecord.decode(bytes.fromhex(
    ...     "27027D010100000000000007708502100011011000FFFFFFFF000100291030303033323834350000"
    ...     "001009007597201911291325450000012CAB100011011000FFFFFFFF000100290D30303033323834"
    ...     "350000001009007598201911291330460000006400C80000000000000000000000"))
    >>> ride.entry_vehicle, ride.exit_time, ride.actual_amount_fen, ride.tariff_fen
    ('00032845', datetime.datetime(2019, 11, 29, 13, 30, 46), 100, 200)
    """

    TITLE = "EF1A bus"
    SIZE, SIZE_MIN = 128, 100
    FIELDS = table(
        ("record_id", 2, UINT),
        ("length", 1, UINT),
        ("valid", 1, UINT),
        ("interoperable", 1, UINT),
        ("locked", 1, UINT),
        ("transaction_serial", 8, UINT),
        ("status", 1, UINT),
        ("entry_city", 2, HEX),
        ("entry_operator", 8, BYTES),
        ("entry_line", 4, HEX),
        ("entry_station", 1, UINT),
        ("entry_vehicle", 8, ASCII),
        ("entry_device", 8, HEX),
        ("entry_time", 7, TIME),
        ("fare_max_fen", 4, AMOUNT),
        ("unknown", 1, UINT),
        ("exit_city", 2, HEX),
        ("exit_operator", 8, BYTES),
        ("exit_line", 4, HEX),
        ("exit_station", 1, UINT),
        ("exit_vehicle", 8, ASCII),
        ("exit_device", 8, HEX),
        ("exit_time", 7, TIME),
        ("actual_amount_fen", 4, AMOUNT),
        ("tariff_fen", 2, UINT),
        ("local", 26, BYTES),
    )

    record_id: int = RECORD_BUS
    length: int = 125  # bytes after this one
    valid: int = 1
    interoperable: int = 1
    locked: int = 0
    transaction_serial: int = 0
    status: int = 0
    entry_city: str = "0000"
    entry_operator: bytes = bytes(8)
    entry_line: str = "0" * 8
    entry_station: int = 0  # 上车站
    entry_vehicle: str = ""
    entry_device: str = "0" * 16
    entry_time: datetime | None = None
    fare_max_fen: int = 0
    unknown: int = 0
    exit_city: str = "0000"
    exit_operator: bytes = bytes(8)
    exit_line: str = "0" * 8
    exit_station: int = 0  # 下车站
    exit_vehicle: str = ""
    exit_device: str = "0" * 16
    exit_time: datetime | None = None
    actual_amount_fen: int = 0
    tariff_fen: int = 0
    local: bytes = bytes(26)


def is_bus_layout(data: bytes) -> bool:
    """Whether a record is in this layout and not in the metro's: it must be a 2702, and a time
    must stand where this layout has one.

    >>> is_bus_layout(BusRecord(entry_time=datetime(2019, 11, 29, 13, 25, 45)).encode())
    True
    >>> is_bus_layout(bytes.fromhex("2702") + bytes(126))
    False
    """
    if data[:2] != RECORD_BUS.to_bytes(2, "big"):
        return False
    return any(_is_time(data[at : at + 7]) for at in _TIMES_AT)


def _is_time(data: bytes) -> bool:
    try:
        decode_time(data)
    except DecodeError:
        return False
    return True
