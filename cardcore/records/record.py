"""The transaction record: 256 bytes, the contract between terminal and back office.

Decides the bytes of one record and its two keys. Leaves the closed words to `kinds`, what is signed
of it to `tac`, payloads to `payloads`, and whether the record is true to settlement. Terminals,
batch files, the archive and the API all use these bytes; `docs/formats.md` prints the table below,
and columns of records are read by the same table.

A record keeps its own two dates, transaction time and business day. The other two, received time
and settlement day, are facts of the back office and stand beside the record, never in it.

The fields from `balance_after_fen` to `time` stand in the order of the TAC messages of JR/T 0025,
so that a column of messages is cut out of a column of records without touching a field.

Version 1 had 192 bytes, one purse and no record MAC. Its fields stand at the same places, so such a
record is lifted into the 256 bytes, keeps its version and is read by the same table.
"""

import struct
from dataclasses import dataclass, fields
from datetime import date, datetime
from enum import IntEnum
from operator import attrgetter
from typing import Any

from cardcore import digits
from cardcore.concession import Concession
from cardcore.errors import DecodeError, RecordFormatError
from cardcore.layouts.fixed import BYTES, DATE, HEX, UINT, Coding, Field
from cardcore.records.kinds import (
    Mac2Check,
    MacProfile,
    RecordFlag,
    RecordKind,
    TransactionType,
)
from cardcore.records.payloads import decode_payload, payload_sizes

VERSION = 2
RECORD_BYTES = 256
PAYLOAD_BYTES_MAX = 84
#: Where the bytes end that a card signs without a purse, and those under the record MAC.
BODY_END, DIGEST_END = 228, 240
#: The first version: its length, where its payload and its TAC stood, and the most it could carry.
V1_VERSION, V1_RECORD_BYTES, V1_PAYLOAD_BYTES_MAX = 1, 192, 40
V1_TAC, V1_PAYLOAD = 142, 146
#: Bytes of a record by version.
BYTES_OF_VERSION = {V1_VERSION: V1_RECORD_BYTES, VERSION: RECORD_BYTES}
#: Written in place of a counter the terminal had no reason to read.
COUNTER_NOT_READ = 0xFFFF


@dataclass(frozen=True, slots=True)
class TransactionRecord:
    """One transaction. Times are the city's wall clock, amounts fen, ids the card's own bytes.

    `psam_sequence` is the number the PSAM counted and the TAC covers; `terminal_serial` is the
    journal's own, without holes, so that a missing record shows.
    """

    kind: RecordKind
    sector: int  # any number: which sectors there are is the catalogue of settlement
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
    tac: bytes  # of the card: as many bytes as the kind's evidence has
    payload: bytes = b""
    application: int = 0  # which purse, or which application was asked; 0 transit
    mac2_check: Mac2Check = Mac2Check.NOT_ASKED
    mac_profile: MacProfile = MacProfile.NONE
    mac_algorithm: int = 0
    mac_key_version: int = 0
    mac: bytes = bytes(16)
    version: int = VERSION

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


def _optional_time(value: datetime | None, length: int) -> bytes:
    return bytes(length) if value is None else digits.encode_time(value)


def _decode_optional_time(data: bytes) -> datetime | None:
    return digits.decode_time(data) if any(data) else None


def _decode_card_number(data: bytes) -> str:
    number = digits.decode_bcd(data)
    # T-Union writes 0 before its 19 digits; with it a number fits an unsigned 64-bit column.
    if number[0] != "0":
        raise DecodeError("card number", 0, f"first digit is {number[0]}, not 0")
    return number


BCD = Coding(digits.encode_bcd, digits.decode_bcd, "bcd")
CARD = Coding(digits.encode_bcd, _decode_card_number, "bcd")
TIME = Coding(lambda v, _: digits.encode_time(v), digits.decode_time, "time")
TIME_OR_ZERO = Coding(_optional_time, _decode_optional_time, "time or zeros")


def _enum(kind: type[IntEnum]) -> Coding:
    return Coding(UINT.encode, lambda d: kind(int.from_bytes(d, "big")), kind.__name__)


def _decode_flags(data: bytes) -> RecordFlag:
    value = int.from_bytes(data, "big")
    if value & ~0x0F:
        raise ValueError(f"unknown flag in {value:#04x}")
    return RecordFlag(value)


def _table() -> tuple[Field, ...]:
    rows: list[tuple[str, int, Coding]] = [
        ("kind", 1, _enum(RecordKind)),
        ("sector", 1, UINT),
        ("flags", 1, Coding(UINT.encode, _decode_flags, "RecordFlag")),
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
        ("application", 1, UINT),
    ]
    tail: list[tuple[str, int, Coding]] = [
        ("tac", 8, BYTES),
        ("mac2_check", 1, _enum(Mac2Check)),
        ("mac_profile", 1, _enum(MacProfile)),
        ("mac_algorithm", 1, UINT),
        ("mac_key_version", 1, UINT),
        ("mac", 16, BYTES),
    ]
    table, offset = [], 1
    for name, length, coding in rows:
        table.append(Field(name, offset, length, coding))
        offset += length
    offset = BODY_END
    for name, length, coding in tail:
        table.append(Field(name, offset, length, coding))
        offset += length
    assert offset == RECORD_BYTES
    return tuple(table)


#: Every fixed field, in order. Byte 0 is the version; the payload stands between `application` and
#: `tac`, its length before it.
FIELDS = _table()
FIELD = {field.name: field for field in FIELDS}
PAYLOAD_AT = FIELD["application"].offset + 1
assert FIELD["application"].offset == V1_TAC
assert PAYLOAD_AT + 1 + PAYLOAD_BYTES_MAX == BODY_END == FIELD["tac"].offset
assert FIELD["mac"].offset == DIGEST_END
assert {f.name for f in FIELDS} | {"payload", "version"} == {
    f.name for f in fields(TransactionRecord)
}


def lift_record(data: bytes) -> bytes:
    """The 192 bytes of a record of version 1 in 256: nothing of them is lost, damage neither.

    >>> lift_record(bytes([1]) + bytes(191)) == bytes([1]) + bytes(255)
    True
    """
    assert len(data) == V1_RECORD_BYTES, len(data)
    front, tac, payload = data[:V1_TAC], data[V1_TAC:V1_PAYLOAD], data[V1_PAYLOAD:]
    return (front + b"\x00" + payload).ljust(BODY_END, b"\x00") + tac.ljust(28, b"\x00")


#: Numbers are packed all at once; of every other field its bytes.
_NUMBERS = {1: "B", 2: "H", 4: "I"}
_FORMATS = [
    _NUMBERS[field.length] if field.coding.encode is UINT.encode else f"{field.length}s"
    for field in FIELDS
]
_TAIL = next(at for at, field in enumerate(FIELDS) if field.offset >= BODY_END)
_RECORD = struct.Struct(
    ">B" + "".join(_FORMATS[:_TAIL]) + f"B{PAYLOAD_BYTES_MAX}s" + "".join(_FORMATS[_TAIL:])
)
assert _RECORD.size == RECORD_BYTES
_VALUES = attrgetter(*(field.name for field in FIELDS))
_CODED = [
    (at, field.coding.encode, field.length)
    for at, field in enumerate(FIELDS)
    if field.coding.encode is not UINT.encode and field.name != "tac"
]


def encode_record(record: TransactionRecord) -> bytes:
    """The 256 bytes of a record. `ValueError` names a value that does not fit its field."""
    _check(record)
    values, payload = list(_VALUES(record)), record.payload
    try:
        for at, encode, length in _CODED:
            values[at] = encode(values[at], length)
        return _RECORD.pack(record.version, *values[:_TAIL], len(payload), payload, *values[_TAIL:])
    except (ValueError, OverflowError, struct.error):
        _name_fault(record)
        raise


def _name_fault(record: TransactionRecord) -> None:
    """Raise `ValueError` for the first field whose value does not fit it."""
    for field in FIELDS:
        if field.name == "tac":
            continue
        try:
            field.coding.encode(getattr(record, field.name), field.length)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"record field {field.name}: {error}") from error


def _check(record: TransactionRecord) -> None:
    if record.version not in BYTES_OF_VERSION:
        raise ValueError(f"record field version: {record.version} is not known")
    if len(record.tac) != record.kind.evidence.cryptogram_bytes:
        raise ValueError(f"record field tac: {len(record.tac)} bytes for {record.kind.name}")
    if len(record.payload) not in payload_sizes_of(record.version, record.kind):
        raise ValueError(
            f"record field payload: {len(record.payload)} bytes do not fit {record.kind.name}"
        )


def payload_sizes_of(version: int, kind: RecordKind) -> frozenset[int]:
    """How many bytes of payload a record may carry: by the table of its kind, from version 2 on."""
    if version == V1_VERSION:
        return frozenset(range(V1_PAYLOAD_BYTES_MAX + 1))
    return payload_sizes(kind)


def decode_record(data: bytes) -> TransactionRecord:
    """Read 256 bytes, or the 192 of version 1. `RecordFormatError` names the first field that is
    damaged: the fixed fields in their order, then the payload, what is reserved, and what a kind
    may not have.
    """
    if len(data) == V1_RECORD_BYTES:
        data = lift_record(data)
    if len(data) != RECORD_BYTES:
        raise RecordFormatError("length", len(data), f"{len(data)} bytes, not {RECORD_BYTES}")
    version = data[0]
    if version not in BYTES_OF_VERSION:
        raise RecordFormatError("version", 0, f"version {version} is not known")
    values: dict[str, Any] = {}
    for field in FIELDS:
        try:
            values[field.name] = field.coding.decode(
                data[field.offset : field.offset + field.length]
            )
        except (DecodeError, ValueError) as error:
            raise RecordFormatError(field.name, field.offset, str(error)) from error
    kind: RecordKind = values["kind"]
    payload = _read_payload(data, version, kind)
    size = kind.evidence.cryptogram_bytes
    tac = values.pop("tac")
    if any(tac[size:]):
        raise RecordFormatError("cryptogram", BODY_END + size, f"not zero behind {size} bytes")
    if version == V1_VERSION and (values["application"] or any(data[BODY_END + 4 :])):
        raise RecordFormatError("version", 0, "version 1 has no application and no record MAC")
    return TransactionRecord(**values, tac=tac[:size], payload=payload, version=version)


def _read_payload(data: bytes, version: int, kind: RecordKind) -> bytes:
    size, start = data[PAYLOAD_AT], PAYLOAD_AT + 1
    if size not in payload_sizes_of(version, kind):
        raise RecordFormatError("payload", PAYLOAD_AT, f"{size} bytes do not fit {kind.name}")
    payload = data[start : start + size]
    if version != V1_VERSION:
        try:
            decode_payload(kind, payload)
        except DecodeError as error:
            raise RecordFormatError("payload", start + error.offset, error.reason) from error
    if any(data[start + size : BODY_END]):
        raise RecordFormatError("reserved", start + size, "not zero")
    return payload
