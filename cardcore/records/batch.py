"""The batch file: a header, records, device registers and a signed trailer.

Decides the bytes of the file and every proof that needs no memory: form, length, totals,
signature. Leaves sequence, repetition and who may send to settlement. One sender (a bus depot's
or a station's collector, a shop's host) sends the records of the terminals in its care.
Layout: `docs/formats.md`. The trailer's hash total follows NACHA's entry hash: a sum that means
nothing in itself and changes when a record is lost or exchanged.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from cardcore import digits
from cardcore.crypto import signatures
from cardcore.crypto.signatures import SIGNATURE_BYTES
from cardcore.errors import CryptogramError, DecodeError, FileFaultError
from cardcore.keys import Algorithm
from cardcore.records.kinds import RecordKind
from cardcore.records.record import BYTES_OF_VERSION, FIELD, RECORD_BYTES, VERSION, lift_record
from cardcore.text import Text

MAGIC, TRAILER_MAGIC = b"OCB1", b"OCBT"
#: Signature algorithms by their number in the header, never used again for something else.
_SIGNATURES = {1: Algorithm.ED25519, 2: Algorithm.SM2}
_SIGNATURE_CODES = {algorithm: code for code, algorithm in _SIGNATURES.items()}
HEADER = struct.Struct(">4sBBHII4sIIIB7s24x")
REGISTER = struct.Struct(">6s2xIIIQQIQ")
TRAILER = struct.Struct(">4sIQQQ32s")
TRAILER_BYTES = TRAILER.size + SIGNATURE_BYTES
#: A collector starts a new file here; a file larger than this is refused unread.
RECORDS_MAX = 65_536
FILE_BYTES_MAX = HEADER.size + RECORDS_MAX * (RECORD_BYTES + REGISTER.size) + TRAILER_BYTES
#: Kinds whose amount is in no sum. A kind that is none counts as a debit: it hides nothing.
_MOVES_NO_PURSE = frozenset(kind for kind in RecordKind if not kind.moves_purse)
assert HEADER.size == 64
assert REGISTER.size == 48


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """Who sends what: (sender, sequence) names a file, and sequences have no holes."""

    sender: int
    sequence: int  # from 1, strictly increasing for a sender
    business_day: date
    key_version: int
    created_at: datetime
    record_count: int
    register_count: int
    signature_algorithm: Algorithm = Algorithm.ED25519
    version: int = VERSION  # of the file and of every record in it

    @property
    def record_bytes(self) -> int:
        """How long each record of the file is."""
        return BYTES_OF_VERSION[self.version]


@dataclass(frozen=True, slots=True)
class DeviceRegister:
    """Running totals a terminal keeps over its whole life, as they stood after this file.

    The increase since the terminal's last file must equal the records between. Unresolved taps
    are torn ones whose card has not come back yet.
    """

    terminal: str
    first_serial: int
    last_serial: int
    lifetime_records: int
    lifetime_debit_fen: int
    lifetime_load_fen: int
    unresolved_records: int
    unresolved_fen: int


@dataclass(frozen=True, slots=True)
class BatchTotals:
    """What the trailer says of the records."""

    record_count: int
    debit_fen: int
    load_fen: int
    hash_total: int


class BatchFaultError(FileFaultError):
    """A batch file that proves itself wrong."""

    def __init__(self, kind: str, offset: int, reason: Text) -> None:
        super().__init__("batch file", kind, offset, reason)


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch file taken apart. `records` is n * 256 bytes, not yet looked into; those of a file of
    version 1 are lifted.
    """

    header: BatchHeader
    records: bytes
    registers: tuple[DeviceRegister, ...]
    totals: BatchTotals
    content_hash: str  # SHA-256 of the whole file, hexadecimal


def total_records(records: bytes, record_bytes: int = RECORD_BYTES) -> BatchTotals:
    """Count, sums and hash total of concatenated records, read at fixed offsets only. Records of
    kinds that move no purse count, and are in no sum.
    """
    debit = load = hash_total = 0
    kind_at, amount_at = FIELD["kind"].offset, FIELD["amount_fen"].offset
    factor_end = FIELD["card_number"].offset + FIELD["card_number"].length
    for start in range(0, len(records), record_bytes):
        amount = int.from_bytes(records[start + amount_at : start + amount_at + 4], "big")
        kind = records[start + kind_at]
        if kind == RecordKind.LOAD:
            load += amount
        elif kind not in _MOVES_NO_PURSE:
            debit += amount
        hash_total += int.from_bytes(records[start + factor_end - 8 : start + factor_end], "big")
    return BatchTotals(len(records) // record_bytes, debit, load, hash_total % 2**64)


def encode_batch(
    header: BatchHeader,
    records: Sequence[bytes],
    registers: Sequence[DeviceRegister],
    sign: Callable[[bytes], bytes],
) -> bytes:
    """The whole file. `sign` makes the header's kind of signature over everything before it."""
    body = b"".join(records)
    assert len(body) == header.record_count * header.record_bytes, len(body)
    totals = total_records(body, header.record_bytes)
    assert (totals.record_count, len(registers)) == (header.record_count, header.register_count)
    front = HEADER.pack(
        MAGIC,
        header.version,
        _SIGNATURE_CODES[header.signature_algorithm],
        header.record_bytes,
        header.sender,
        header.sequence,
        digits.encode_date(header.business_day),
        header.record_count,
        header.register_count,
        header.key_version,
        0,
        digits.encode_time(header.created_at),
    )
    front += body + b"".join(_encode_register(register) for register in registers)
    front += TRAILER.pack(
        TRAILER_MAGIC,
        totals.record_count,
        totals.debit_fen,
        totals.load_fen,
        totals.hash_total,
        hashlib.sha256(front).digest(),
    )
    return front + sign(front)


def _encode_register(register: DeviceRegister) -> bytes:
    return REGISTER.pack(
        bytes.fromhex(register.terminal),
        register.first_serial,
        register.last_serial,
        register.lifetime_records,
        register.lifetime_debit_fen,
        register.lifetime_load_fen,
        register.unresolved_records,
        register.unresolved_fen,
    )


def decode_header(data: bytes) -> BatchHeader:
    """Read the first 64 bytes. Proves form only: the signature still has to be checked."""
    if not data.startswith(MAGIC):
        raise BatchFaultError("not_a_batch", 0, Text("不以 OCB1 开头", "does not start with OCB1"))
    if len(data) < HEADER.size:
        reason = Text("文件头不完整", "ends inside the header")
        raise BatchFaultError("truncated", len(data), reason)
    (_, version, algorithm, record_bytes, sender, sequence, day, records, registers, key_version,
     reserved, created) = HEADER.unpack_from(data)  # fmt: skip
    is_known = BYTES_OF_VERSION.get(version) == record_bytes and not reserved
    if not is_known or algorithm not in _SIGNATURES:
        reason = Text(
            f"版本 {version}，签名算法 {algorithm}", f"version {version}, signature {algorithm}"
        )
        raise BatchFaultError("version_unknown", 4, reason)
    if records > RECORDS_MAX or registers > RECORDS_MAX:
        reason = Text(
            f"记录或设备登记超过 {RECORDS_MAX} 条", f"more than {RECORDS_MAX} records or registers"
        )
        raise BatchFaultError("too_large", 20, reason)
    try:
        return BatchHeader(
            sender,
            sequence,
            digits.decode_date(day),
            key_version,
            digits.decode_time(created),
            records,
            registers,
            _SIGNATURES[algorithm],
            version,
        )
    except DecodeError as error:
        reason = Text("文件头中的日期或时间不合法", "a day or a time in the header is none")
        raise BatchFaultError("not_a_batch", 16, reason) from error


def decode_batch(data: bytes, public_key: bytes) -> Batch:
    """Take a file apart and prove it whole. Raises `BatchFaultError`, in this order of precedence:
    not_a_batch, version_unknown, too_large, truncated, too_long, altered, signature_wrong,
    totals_wrong.
    """
    header = decode_header(data)
    records_end = HEADER.size + header.record_count * header.record_bytes
    registers_end = records_end + header.register_count * REGISTER.size
    expected = registers_end + TRAILER_BYTES
    if len(data) < expected:
        reason = Text(f"应有 {expected} 字节", f"{expected} bytes announced")
        raise BatchFaultError("truncated", len(data), reason)
    if len(data) > expected:
        extra = len(data) - expected
        reason = Text(f"多出 {extra} 字节", f"{extra} bytes too many")
        raise BatchFaultError("too_long", expected, reason)
    magic, count, debit, load, hash_total, digest = TRAILER.unpack_from(data, registers_end)
    if magic != TRAILER_MAGIC or digest != hashlib.sha256(data[:registers_end]).digest():
        reason = Text("内容与文件尾不符", "content and trailer do not agree")
        raise BatchFaultError("altered", registers_end, reason)
    signature, signed = data[-SIGNATURE_BYTES:], data[:-SIGNATURE_BYTES]
    try:
        signatures.verify(header.signature_algorithm, public_key, signature, signed)
    except (CryptogramError, DecodeError) as error:
        reason = Text("不是其发送方所签", "not signed by its sender")
        raise BatchFaultError("signature_wrong", expected - 64, reason) from error
    records = data[HEADER.size : records_end]
    totals = BatchTotals(count, debit, load, hash_total)
    if totals != total_records(records, header.record_bytes):
        reason = Text("文件尾的合计与记录不符", "trailer totals are not the records'")
        raise BatchFaultError("totals_wrong", registers_end, reason)
    return Batch(
        header,
        lift_records(records, header.version),
        decode_registers(data[records_end:registers_end]),
        totals,
        hashlib.sha256(data).hexdigest(),
    )


def lift_records(records: bytes, version: int) -> bytes:
    """Concatenated records of a file as n * 256 bytes, whatever its version.

    >>> lift_records(bytes([1]) * 192, 1) == lift_record(bytes([1]) * 192)
    True
    """
    size = BYTES_OF_VERSION[version]
    if size == RECORD_BYTES:
        return records
    return b"".join(lift_record(records[at : at + size]) for at in range(0, len(records), size))


def read_records(data: bytes) -> bytes:
    """The records of a whole file as n * 256 bytes; the file was proven when it came in."""
    header = decode_header(data)
    end = HEADER.size + header.record_count * header.record_bytes
    return lift_records(data[HEADER.size : end], header.version)


def read_registers(data: bytes) -> tuple[DeviceRegister, ...]:
    """The device registers of a whole file that was proven when it came in."""
    header = decode_header(data)
    start = HEADER.size + header.record_count * header.record_bytes
    return decode_registers(data[start : start + header.register_count * REGISTER.size])


def decode_registers(data: bytes) -> tuple[DeviceRegister, ...]:
    """Read n * 48 bytes. They prove nothing by themselves: the file around them does."""
    return tuple(_decode_register(fields) for fields in REGISTER.iter_unpack(data))


def _decode_register(fields: tuple[bytes, int, int, int, int, int, int, int]) -> DeviceRegister:
    terminal, *numbers = fields
    return DeviceRegister(terminal.hex(), *numbers)
