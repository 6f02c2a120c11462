"""The files of a T-Union transit card (交通联合) and the codecs of their contents.

Decides which field stands at which byte of EF15, EF16, EF17, EF18 and of the records in EF1A and
EF1E (JR/T 0025 and JT/T 978), and the names and numbers of those files. Leaves where they are
kept to `cardcore.chip.filesystem`, and what a gate makes of them to the terminal.

Real cards carry odd values: times of the year 1990, times that are all zero or no time at all,
records of a city that laid the ride out in its own way, records published shorter than the file.
A gate must go on with such a card, so a time that is none reads as None; only what a reader must
be able to trust (number, validity, length) is refused. Every `decode` raises `DecodeError` with
the byte where reading stopped, every `encode` raises `ValueError` for a value that does not fit.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import IntEnum

from cardcore import digits
from cardcore.layouts.fixed import (
    AMOUNT,
    ASCII,
    BALANCE,
    BYTES,
    CARD_NUMBER,
    DATE,
    FLAG,
    GBK,
    HEX,
    TIME,
    UINT,
    FixedLayout,
    table,
)

#: Name of the directory of contactless applications (PPSE).
PPSE_NAME = b"2PAY.SYS.DDF01"
#: The electronic purse of T-Union, and its sister, the electronic cash.
AID_PURSE = bytes.fromhex("A000000632010105")
AID_CASH = bytes.fromhex("A000000632010106")
#: File id of the master file and of the transit application.
FID_MASTER = 0x3F00
FID_TRANSIT = 0x1001
#: Record ids of EF1A: one record a mode of transport.
RECORD_METRO = 0x2701
RECORD_BUS = 0x2702
LOG_RECORDS = 10
TRIP_RECORDS = 30


class Sfi(IntEnum):
    """Short file ids of the transit application; file id 00xx holds the same number."""

    __hash__ = int.__hash__  # files are looked up by it: as quick as the number it is

    PUBLIC = 0x15  # 公共信息
    HOLDER = 0x16  # 持卡人信息
    PROPERTIES = 0x17  # 管理信息
    LOG = 0x18  # 交易明细
    TRANSIT = 0x1A  # 复合交易记录, one record a mode of transport
    TRIPS = 0x1E  # 乘车记录, newest first


class CardKind(IntEnum):
    """Kind of card as EF17 names it; cities use further numbers of their own."""

    NORMAL = 1  # 普通卡
    STUDENT = 2  # 学生卡
    SENIOR = 3  # 老人卡
    TEST = 4  # 测试卡
    SOLDIER = 5  # 军人卡


class TransitStatus(IntEnum):
    """Where the holder stands in a mode of transport (EF1A)."""

    NONE = 0  # 无
    INSIDE = 1  # 已进站
    OUTSIDE = 2  # 已出站


class TripType(IntEnum):
    """Type of a trip record (EF1E) as gates write it."""

    LOAD = 0x02  # 充值, also a single purchase in some cities
    ENTRY = 0x03  # 进站
    EXIT = 0x04  # 出站
    SINGLE = 0x06  # 单次消费
    SUPPLEMENT = 0x08  # 补票


class Industry(IntEnum):
    """Industry of a trip record."""

    METRO = 1  # 轨道交通
    BUS = 2  # 公共汽车


@dataclass(frozen=True, slots=True)
class PublicInformation(FixedLayout):
    """EF15, 30 bytes, free to read: who issued the card, its number, its validity.

    >>> info = PublicInformation.decode(bytes.fromhex(
    ...     "00083010FFFFFFFF02010310483001000641250720220301204912310000"))
    >>> info.card_number, info.valid_to, info.factor.hex()
    ('03104830010006412507', datetime.date(2049, 12, 31), '4830010006412507')
    """

    TITLE = "EF15"
    SIZE = SIZE_MIN = 30
    FIELDS = table(
        ("issuer", 8, BYTES),
        ("application_type", 1, UINT),
        ("application_version", 1, UINT),
        ("card_number", 10, CARD_NUMBER),
        ("valid_from", 4, DATE),
        ("valid_to", 4, DATE),
        ("issuer_data", 2, BYTES),
    )

    issuer: bytes  # 8 bytes: organisation and FFFFFFFF
    application_type: int  # 1 存折 ED, 2 钱包 EP, 3 both
    application_version: int  # 1 in use, 0 not yet
    card_number: str  # 20 digits: a leading 0 and the 19 printed ones
    valid_from: date
    valid_to: date
    issuer_data: bytes = bytes(2)

    @property
    def factor(self) -> bytes:
        """The 8 bytes from which the card's keys are derived: the last of its serial."""
        return digits.encode_bcd(self.card_number[-16:], 8)


@dataclass(frozen=True, slots=True)
class HolderInformation(FixedLayout):
    r"""EF16, 55 bytes: the holder (持卡人). All zero on an anonymous card.

    >>> data = bytes.fromhex("0000") + "张三".encode("gbk").ljust(20, b"\0") + bytes(33)
    >>> HolderInformation.decode(data).name
    '张三'
    """

    TITLE = "EF16"
    SIZE = SIZE_MIN = 55
    FIELDS = table(
        ("holder_type", 1, UINT),
        ("staff", 1, UINT),
        ("name", 20, GBK),
        ("id_number", 32, ASCII),
        ("id_type", 1, UINT),
    )

    holder_type: int = 0
    staff: int = 0
    name: str = ""
    id_number: str = ""
    id_type: int = 0


@dataclass(frozen=True, slots=True)
class CardProperties(FixedLayout):
    r"""EF17, 60 bytes: where the card comes from, whether it travels, what kind it is.

    >>> CardProperties.decode(bytes.fromhex("0000015658005840000101"))
    ... # doctest: +NORMALIZE_WHITESPACE, +ELLIPSIS
    CardProperties(country='00000156', province='5800', city='5840', interoperable=True,
        card_kind=1, rest=b'\x00...')
    """

    TITLE = "EF17"
    SIZE, SIZE_MIN = 60, 11
    FIELDS = table(
        ("country", 4, HEX),
        ("province", 2, HEX),
        ("city", 2, HEX),
        ("interoperable", 2, FLAG),
        ("card_kind", 1, UINT),
        ("rest", 49, BYTES),
    )

    country: str = "00000156"
    province: str = "0000"
    city: str = "0000"
    interoperable: bool = True  # 互联互通标识
    card_kind: int = CardKind.NORMAL
    rest: bytes = bytes(49)


@dataclass(frozen=True, slots=True)
class LogRecord(FixedLayout):
    """EF18, 23 bytes, newest first: one load or purchase as the purse wrote it.

    >>> log = LogRecord.decode(bytes.fromhex("042D000000000001F40930008900034020241229141740"))
    >>> log.counter, log.amount_fen, log.transaction_type, log.terminal, log.time
    (1069, 500, 9, '300089000340', datetime.datetime(2024, 12, 29, 14, 17, 40))
    """

    TITLE = "EF18"
    SIZE = SIZE_MIN = 23
    FIELDS = table(
        ("counter", 2, UINT),
        ("overdraft_fen", 3, UINT),
        ("amount_fen", 4, AMOUNT),
        ("transaction_type", 1, UINT),
        ("terminal", 6, HEX),
        ("time", 7, TIME),
    )

    counter: int  # online for loads, offline for purchases; the value before it moved on
    overdraft_fen: int
    amount_fen: int
    transaction_type: int
    terminal: str  # 12 hexadecimal digits
    time: datetime | None


@dataclass(frozen=True, slots=True)
class TransitRecord(FixedLayout):
    """EF1A, 128 bytes: one mode of transport (2701 metro, 2702 bus) and the ride in it.

    Published copies stop after 113 bytes; the missing end reads as zero.

    >>> ride = TransitRecord.decode(bytes.fromhex(
    ...     "27017D0101000000000000043835025810581012205810FFFFFFFF12205810000000000100751309009025"
    ...     "1000000000000000000041310173800800004131013299462019120711350020191207115635000000BE1E"
    ...     "0900000000000004B50000011D0000000000000000000000000000"))
    >>> ride.record_id == RECORD_METRO, ride.entry_city, ride.exit_time, ride.actual_amount_fen
    (True, '5810', datetime.datetime(2019, 12, 7, 11, 56, 35), 285)
    """

    TITLE = "EF1A"
    SIZE, SIZE_MIN = 128, 99
    FIELDS = table(
        ("record_id", 2, UINT),
        ("length", 1, UINT),
        ("valid", 1, UINT),
        ("interoperable", 1, UINT),
        ("locked", 1, UINT),
        ("transaction_serial", 8, UINT),
        ("status", 1, UINT),
        ("entry_city", 2, HEX),
        ("exit_city", 2, HEX),
        ("entry_operator", 8, BYTES),
        ("exit_operator", 8, BYTES),
        ("entry_station", 8, HEX),
        ("exit_station", 8, HEX),
        ("entry_device", 8, HEX),
        ("exit_device", 8, HEX),
        ("entry_time", 7, TIME),
        ("exit_time", 7, TIME),
        ("fare_max_fen", 4, AMOUNT),
        ("entry_line", 1, UINT),
        ("exit_line", 1, UINT),
        ("entry_amount_fen", 4, AMOUNT),
        ("entry_balance_fen", 4, BALANCE),
        ("actual_amount_fen", 4, AMOUNT),
        ("local", 29, BYTES),
    )

    record_id: int
    length: int = 125  # bytes after this one
    valid: int = 1
    interoperable: int = 1
    locked: int = 0
    transaction_serial: int = 0
    status: int = TransitStatus.NONE
    entry_city: str = "0000"
    exit_city: str = "0000"
    entry_operator: bytes = bytes(8)
    exit_operator: bytes = bytes(8)
    entry_station: str = "0" * 16
    exit_station: str = "0" * 16
    entry_device: str = "0" * 16
    exit_device: str = "0" * 16
    entry_time: datetime | None = None
    exit_time: datetime | None = None
    fare_max_fen: int = 0
    entry_line: int = 0
    exit_line: int = 0
    entry_amount_fen: int = 0
    entry_balance_fen: int = 0
    actual_amount_fen: int = 0
    local: bytes = bytes(29)  # the city's own use


@dataclass(frozen=True, slots=True)
class TripRecord(FixedLayout):
    """EF1E, 48 bytes, newest first: one entry, exit or single ride.

    >>> trip = TripRecord.decode(bytes.fromhex(
    ...     "0400003000890003400108001900300000000001F400000E0120241229141740"
    ...     "100001011000FFFFFFFF000000000000"))
    >>> trip.trip_type == TripType.EXIT, trip.terminal, trip.amount_fen, trip.balance_fen
    (True, '0000300089000340', 500, 3585)
    """

    TITLE = "EF1E"
    SIZE = SIZE_MIN = 48
    FIELDS = table(
        ("trip_type", 1, UINT),
        ("terminal", 8, HEX),
        ("industry", 1, UINT),
        ("line", 2, UINT),
        ("station", 2, UINT),
        ("operator", 2, UINT),
        ("reserved", 1, UINT),
        ("amount_fen", 4, AMOUNT),
        ("balance_fen", 4, BALANCE),
        ("time", 7, TIME),
        ("city", 2, HEX),
        ("acquirer", 8, BYTES),
        ("rest", 6, BYTES),
    )

    trip_type: int
    terminal: str  # 16 hexadecimal digits
    industry: int
    line: int
    station: int
    operator: int
    amount_fen: int
    balance_fen: int  # after the trip, below zero on overdraft
    time: datetime | None
    city: str  # 4 hexadecimal digits
    acquirer: bytes  # 8 bytes: organisation and FFFFFFFF
    reserved: int = 0
    rest: bytes = bytes(6)
