"""The transaction record: 192 bytes, the contract between terminal and back office.

Decides the bytes of one record, its two keys and the message under its TAC. Leaves whether the
record is true to settlement. Terminals, batch files, the archive and the API all use these bytes;
`docs/formats.md` prints the table below, and columns of records are read by the same table.

A record keeps its own two dates, transaction time and business day. The other two, received time
and settlement day, are facts of the back office and stand beside the record, never in it.

The fields from `balance_after_fen` to `time` stand in the order of the TAC messages of JR/T 0025,
so that a column of messages is cut out of a column of records without touching a field.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import IntEnum, IntFlag
from typing import Any, NamedTuple

from cardcore import digits
from cardcore.errors import DecodeError, RecordFormatError

VERSION = 1
RECORD_BYTES = 192
PAYLOAD_BYTES_MAX = 40
#: Written in place of a counter the terminal had no reason to read.
COUNTER_NOT_READ = 0xFFFF


class RecordKind(IntEnum):
    """What happened. Numbers are never used again for something else."""

    LOAD = 1  # 圈存
    PURCHASE = 2  # 消费
    ENTRY = 3  # 进站
    EXIT = 4  # 出站


class Sector(IntEnum):
    """In which sector of the city it happened."""

    TRANSIT = 1  # 公交地铁
    HEALTH = 2  # 卫生
    SOCIAL_SECURITY = 3  # 社保
    LIBRARY = 4  # 图书馆
    MERCHANT = 5  # 小额消费
    CARD_SERVICE = 6  # 卡服务


class Concession(IntEnum):
    """The fare class the terminal applied (优惠类别)."""

    ADULT = 0  # 普通
    HALF = 1  # 半价
    FREE = 2  # 免费
    FULL = 3  # 不打折


class TransactionType(IntEnum):
    """PBOC transaction type, as it stands in the card's log and under MAC and TAC."""

    NONE = 0x00
    LOAD = 0x02
    PURCHASE = 0x06
    COMPOSITE = 0x09


class RecordFlag(IntFlag):
    """What else the back office must know of the tap."""

    TRANSFER = 1  # 联程: the discount of a transfer was given
    SEQUENCE_EXEMPT = 2  # 进出次序免检: the gate did not check entry against exit
    RECOVERED = 4  # the tap was torn; the card proved it on its next visit
    TAC_MISSING = 8  # the tap was torn and the card could no longer prove it


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """One transaction. Times are the city's wall clock, amounts fen, ids the card's own bytes.

    `psam_sequence` is the number the PSAM counted and the TAC covers; `terminal_serial` is the
    journal's own, without holes, so that a missing record shows.
    """

    kind: RecordKind
    sector: Sector
    flags: RecordFlag
    issuer: bytes  # 8 bytes, EF15
    card_number: str  # 20 digits, EF15; the first is 0
    card_kind: int  # EF17
    concession: Concession
    balance_before_fen: int
    balance_after_fen: int
    online_counter: int  # loads; COUNTER_NOT_READ in a debit that had no reason to read it
    amount_fen: int  # charged, or loaded
    transaction_type: TransactionType
    terminal: str  # 12 hexadecimal digits
    psam_sequence: int
    time: datetime
    offline_counter: int  # debits; COUNTER_NOT_READ in a load
    tariff_fen: int  # full tariff before any discount
    psam: str  # 20 digits
    terminal_serial: int
    operator: int
    line: int
    station: int
    vehicle: int
    business_day: date
    entry_terminal: str
    entry_time: datetime | None
    entry_station: int
    previous_type: int  # the card's newest log record before this one; 0 when it had none
    previous_counter: int
    previous_amount_fen: int
    previous_terminal: str
    previous_time: datetime | None
    tariff_version: int
    hotlist_version: int
    algorithm: int
    key_version: int
    key_index: int
    tac: bytes
    payload: bytes = b""

    @property
    def id(self) -> str:
        """The terminal key as people write it: terminal and serial."""
        return f"{self.terminal}-{self.terminal_serial:08d}"

    @property
    def is_load(self) -> bool:
        """Whether money came onto the card."""
        return self.kind is RecordKind.LOAD

    @property
    def counter(self) -> int:
        """The counter of the purse that this transaction used up."""
        return self.online_counter if self.is_load else self.offline_counter


class Coding(NamedTuple):
    """How one kind of value becomes bytes and comes back."""

    name: str
    encode: Callable[[Any, int], bytes]
    decode: Callable[[bytes], Any]


def _optional_time(value: datetime | None, length: int) -> bytes:
    return bytes(length) if value is None else digits.encode_time(value)


def _decode_optional_time(data: bytes) -> datetime | None:
    return digits.decode_time(data) if any(data) else None


def _encode_hex(value: str, length: int) -> bytes:
    data = bytes.fromhex(value)
    if len(data) != length:
        raise ValueError(f"{value!r} is not {length} bytes of hexadecimal")
    return data


def _encode_bytes(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes where the record has {length}")
    return value


def _decode_card_number(data: bytes) -> str:
    number = digits.decode_bcd(data)
    # T-Union writes 0 before its 19 digits; with it a number fits an unsigned 64-bit column.
    if number[0] != "0":
        raise DecodeError("card number", 0, f"first digit is {number[0]}, not 0")
    return number


UINT = Coding("uint", lambda v, n: int(v).to_bytes(n, "big"), lambda d: int.from_bytes(d, "big"))
BYTES = Coding("bytes", _encode_bytes, bytes)
HEX = Coding("hex", _encode_hex, bytes.hex)
BCD = Coding("bcd", digits.encode_bcd, digits.decode_bcd)
CARD = Coding("bcd", digits.encode_bcd, _decode_card_number)
DATE = Coding("date", lambda v, _: digits.encode_date(v), digits.decode_date)
TIME = Coding("time", lambda v, _: digits.encode_time(v), digits.decode_time)
TIME_OR_ZERO = Coding("time or zeros", _optional_time, _decode_optional_time)


def _enum(kind: type[IntEnum]) -> Coding:
    return Coding(kind.__name__, UINT.encode, lambda d: kind(int.from_bytes(d, "big")))


def _decode_flags(data: bytes) -> RecordFlag:
    value = int.from_bytes(data, "big")
    if value & ~0x0F:
        raise ValueError(f"unknown flag in {value:#04x}")
    return RecordFlag(value)


class Field(NamedTuple):
    """One field of the record: name, first byte, length in bytes, coding."""

    name: str
    offset: int
    length: int
    coding: Coding


def _table() -> tuple[Field, ...]:
    rows: list[tuple[str, int, Coding]] = [
        ("kind", 1, _enum(RecordKind)),
        ("sector", 1, _enum(Sector)),
        ("flags", 1, Coding("RecordFlag", UINT.encode, _decode_flags)),
        ("issuer", 8, BYTES),
        ("card_number", 10, CARD),
        ("card_kind", 1, UINT),
        ("concession", 1, _enum(Concession)),
        ("balance_before_fen", 4, UINT),
        ("balance_after_fen", 4, UINT),
        ("online_counter", 2, UINT),
        ("amount_fen", 4, UINT),
        ("transaction_type", 1, _enum(TransactionType)),
        ("terminal", 6, HEX),
        ("psam_sequence", 4, UINT),
        ("time", 7, TIME),
        ("offline_counter", 2, UINT),
        ("tariff_fen", 4, UINT),
        ("psam", 10, BCD),
        ("terminal_serial", 4, UINT),
        ("operator", 4, UINT),
        ("line", 4, UINT),
        ("station", 4, UINT),
        ("vehicle", 4, UINT),
        ("business_day", 4, DATE),
        ("entry_terminal", 6, HEX),
        ("entry_time", 7, TIME_OR_ZERO),
        ("entry_station", 4, UINT),
        ("previous_type", 1, UINT),
        ("previous_counter", 2, UINT),
        ("previous_amount_fen", 4, UINT),
        ("previous_terminal", 6, HEX),
        ("previous_time", 7, TIME_OR_ZERO),
        ("tariff_version", 2, UINT),
        ("hotlist_version", 4, UINT),
        ("algorithm", 1, UINT),
        ("key_version", 1, UINT),
        ("key_index", 1, UINT),
        ("tac", 4, BYTES),
    ]
    table, offset = [], 1
    for name, length, coding in rows:
        table.append(Field(name, offset, length, coding))
        offset += length
    return tuple(table)


#: Every fixed field, in order. Byte 0 is the version; the payload follows the last field.
FIELDS = _table()
FIELD = {field.name: field for field in FIELDS}
_PAYLOAD_OFFSET = FIELDS[-1].offset + FIELDS[-1].length
assert _PAYLOAD_OFFSET + 1 + PAYLOAD_BYTES_MAX <= RECORD_BYTES
assert {f.name for f in FIELDS} | {"payload"} == {f.name for f in fields(TransactionRecord)}


def encode_record(record: TransactionRecord) -> bytes:
    """The 192 bytes of a record. `ValueError` names a value that does not fit its field."""
    parts = [bytes((VERSION,))]
    for field in FIELDS:
        try:
            parts.append(field.coding.encode(getattr(record, field.name), field.length))
        except (ValueError, OverflowError) as error:
            raise ValueError(f"record field {field.name}: {error}") from error
    if len(record.payload) > PAYLOAD_BYTES_MAX:
        raise ValueError(f"record field payload: {len(record.payload)} bytes, at most 40")
    parts.append(bytes((len(record.payload),)) + record.payload)
    return b"".join(parts).ljust(RECORD_BYTES, b"\x00")


def decode_record(data: bytes) -> TransactionRecord:
    """Read 192 bytes. `RecordFormatError` names the first field that is damaged."""
    if len(data) != RECORD_BYTES:
        raise RecordFormatError("length", len(data), f"{len(data)} bytes, not {RECORD_BYTES}")
    if data[0] != VERSION:
        raise RecordFormatError("version", 0, f"version {data[0]} is not known")
    values: dict[str, Any] = {}
    for name, offset, length, coding in FIELDS:
        try:
            values[name] = coding.decode(data[offset : offset + length])
        except (DecodeError, ValueError) as error:
            raise RecordFormatError(name, offset, str(error)) from error
    size = data[_PAYLOAD_OFFSET]
    end = _PAYLOAD_OFFSET + 1 + size
    if size > PAYLOAD_BYTES_MAX:
        raise RecordFormatError("payload", _PAYLOAD_OFFSET, f"{size} bytes, at most 40")
    if any(data[end:]):
        raise RecordFormatError("reserved", end, "not zero")
    return TransactionRecord(**values, payload=data[_PAYLOAD_OFFSET + 1 : end])


def tac_message(data: bytes) -> bytes:
    """The bytes under the TAC of an encoded record, unpadded (JR/T 0025; `docs/formats.md`).

    Load: balance after, online counter, amount, type, terminal, date, time (24 bytes).
    Every debit: amount, type, terminal, PSAM sequence, date, time (22 bytes).
    """
    load = data[FIELD["kind"].offset] == RecordKind.LOAD
    return b"".join(data[start:end] for start, end in tac_message_slices(load=load))


def tac_message_slices(*, load: bool) -> tuple[tuple[int, int], ...]:
    """Which bytes of an encoded record stand under its TAC: (start, end) pairs in order."""
    psam_sequence, end = FIELD["psam_sequence"], FIELD["offline_counter"].offset
    if load:
        return (
            (FIELD["balance_after_fen"].offset, psam_sequence.offset),
            (FIELD["time"].offset, end),
        )
    return ((FIELD["amount_fen"].offset, end),)
