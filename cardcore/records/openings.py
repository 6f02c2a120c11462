"""The opening balances of a city that is taken over (期初余额文件), signed by its old centre.

Decides the bytes of a row, its digest, and the file. Leaves who may hand cards over, and which, to
settlement.

A row is what the old centre says of one purse at one moment. Its digest covers the centre and the
number of the row as well, so that a row that somebody shows alone still says whose word it is.
`docs/formats.md` prints the tables.
"""

import hashlib
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from cardcore import digits
from cardcore.crypto import signatures
from cardcore.crypto.signatures import SIGNATURE_BYTES
from cardcore.errors import CryptogramError, DecodeError, FileFaultError
from cardcore.keys import Algorithm
from cardcore.layouts.fixed import HEX, UINT, FixedLayout, table
from cardcore.records.record import CARD, TIME
from cardcore.text import Text

MAGIC, TRAILER_MAGIC = b"OCO1", b"OCOT"
VERSION = 1
TAG = b"onecard opening 1\x00"
DIGEST_BYTES = 16
_SIGNATURES = {1: Algorithm.ED25519, 2: Algorithm.SM2}
_SIGNATURE_CODES = {algorithm: code for code, algorithm in _SIGNATURES.items()}
HEADER = struct.Struct(">4sBBHIIIIQ7s7s2s")
TRAILER = struct.Struct(">4s32s")
TRAILER_BYTES = TRAILER.size + SIGNATURE_BYTES
#: Some 13 megabytes, less than the largest batch file. A larger city takes several files.
ROWS_MAX = 262_144


@dataclass(frozen=True, slots=True)
class OpeningBalance(FixedLayout):
    """What the old centre says of one purse: balance and counters, as of when."""

    TITLE: ClassVar = "opening balance"
    SIZE: ClassVar = 35
    SIZE_MIN: ClassVar = 35
    FIELDS: ClassVar = table(
        ("issuer", 8, HEX),
        ("card_number", 10, CARD),
        ("application", 1, UINT),
        ("balance_fen", 4, UINT),
        ("online_counter", 2, UINT),
        ("debit_counter", 2, UINT),
        ("debit_counter_known", 1, UINT),
        ("as_of", 7, TIME),
    )

    issuer: str  # 16 hexadecimal digits
    card_number: str  # 20 digits
    application: int  # code of the purse
    balance_fen: int
    online_counter: int  # of its next load
    debit_counter: int  # of its next debit, 0 where the old centre does not know it
    debit_counter_known: int  # 1 where it does
    as_of: datetime  # the city's wall clock


ROW_BYTES = OpeningBalance.SIZE + DIGEST_BYTES


class OpeningFaultError(FileFaultError):
    """A file of opening balances that proves itself wrong, `entry` being the row at fault."""

    def __init__(self, kind: str, row: int, offset: int, reason: Text) -> None:
        if row:
            where = f"第 {row} 行，字节 {offset}", f"row {row}, byte {offset}"
            reason = Text(f"{where[0]}：{reason.zh}", f"{where[1]}: {reason.en}")
        super().__init__("opening balances", kind, offset, reason, entry=row)


@dataclass(frozen=True, slots=True)
class OpeningHeader:
    """The head of a file: who signed it, for which old centre, what all rows come to."""

    sender: int
    key_version: int  # of the sender's signing key
    centre: int  # the participant that owes what it hands over
    row_count: int
    total_fen: int
    as_of: datetime  # no row is later
    created_at: datetime
    signature_algorithm: Algorithm = Algorithm.ED25519


@dataclass(frozen=True, slots=True)
class OpeningFile:
    """A proven file. `rows` are its rows as they stand in it, one after another."""

    header: OpeningHeader
    rows: bytes
    content_hash: str

    def balances(self) -> Iterator[OpeningBalance]:
        """What each row says."""
        for at in range(0, len(self.rows), ROW_BYTES):
            yield OpeningBalance.decode(self.rows[at : at + OpeningBalance.SIZE])


def row_offset(row: int) -> int:
    """Where a row stands in the file; they count from 1.

    >>> row_offset(1), row_offset(3)
    (48, 150)
    """
    return HEADER.size + (row - 1) * ROW_BYTES


def encode_row(balance: OpeningBalance, centre: int, row: int) -> bytes:
    """A row with its digest."""
    data = balance.encode()
    return data + _digest(centre, row, data)


def encode_openings(
    header: OpeningHeader, rows: Sequence[bytes], sign: Callable[[bytes], bytes]
) -> bytes:
    """The whole file. `sign` makes the header's kind of signature over everything before it."""
    content = _front(header) + b"".join(rows)
    trailer = TRAILER.pack(TRAILER_MAGIC, hashlib.sha256(content).digest())
    return content + trailer + sign(content + trailer)


def decode_openings(data: bytes, public_key: bytes) -> OpeningFile:
    """Take a file apart and prove it whole. Raises `OpeningFaultError`, in this order of
    precedence: not_an_opening_file, version_unknown, too_large, truncated, too_long, altered,
    signature_wrong; then the first row at fault (row_wrong); then totals_wrong.
    """
    header = decode_header(data)
    rows_end = row_offset(header.row_count + 1)
    expected = rows_end + TRAILER_BYTES
    if len(data) < expected:
        reason = Text(f"应有 {expected} 字节", f"{expected} bytes announced")
        raise OpeningFaultError("truncated", 0, len(data), reason)
    if len(data) > expected:
        extra = len(data) - expected
        reason = Text(f"多出 {extra} 字节", f"{extra} bytes too many")
        raise OpeningFaultError("too_long", 0, expected, reason)
    magic, digest = TRAILER.unpack_from(data, rows_end)
    if magic != TRAILER_MAGIC or digest != hashlib.sha256(data[:rows_end]).digest():
        reason = Text("内容与文件尾不符", "content and trailer do not agree")
        raise OpeningFaultError("altered", 0, rows_end, reason)
    signature, signed = data[-SIGNATURE_BYTES:], data[:-SIGNATURE_BYTES]
    try:
        signatures.verify(header.signature_algorithm, public_key, signature, signed)
    except (CryptogramError, DecodeError) as error:
        reason = Text("不是其原中心所签", "not signed by its old centre")
        at = expected - SIGNATURE_BYTES
        raise OpeningFaultError("signature_wrong", 0, at, reason) from error
    rows = data[HEADER.size : rows_end]
    total_fen = _prove_rows(rows, header)
    if total_fen != header.total_fen:
        reason = Text(
            f"文件头合计 {header.total_fen} 分，各行合计 {total_fen} 分",
            f"the header says {header.total_fen} fen, the rows come to {total_fen}",
        )
        raise OpeningFaultError("totals_wrong", 0, 24, reason)
    return OpeningFile(header, rows, hashlib.sha256(data).hexdigest())


def decode_header(data: bytes) -> OpeningHeader:
    """What the head of a file claims, not yet proven: not_an_opening_file, version_unknown,
    too_large, truncated as above.
    """
    if not data.startswith(MAGIC):
        reason = Text("不以 OCO1 开头", "does not start with OCO1")
        raise OpeningFaultError("not_an_opening_file", 0, 0, reason)
    if len(data) < HEADER.size:
        reason = Text("文件头不完整", "ends inside the header")
        raise OpeningFaultError("truncated", 0, len(data), reason)
    (_, version, algorithm, row_bytes, sender, key_version, centre, count, total_fen, as_of,
     created, reserved) = HEADER.unpack_from(data)  # fmt: skip
    is_known = (version, row_bytes, reserved) == (VERSION, ROW_BYTES, bytes(2))
    if not is_known or algorithm not in _SIGNATURES:
        reason = Text(
            f"版本 {version}，每行 {row_bytes} 字节", f"version {version}, {row_bytes} bytes"
        )
        raise OpeningFaultError("version_unknown", 0, 4, reason)
    if not 1 <= count <= ROWS_MAX:
        reason = Text(f"应有 1 至 {ROWS_MAX} 行", f"1 to {ROWS_MAX} rows are needed")
        raise OpeningFaultError("too_large", 0, 20, reason)
    try:
        moments = digits.decode_time(as_of), digits.decode_time(created)
    except DecodeError as error:
        reason = Text("文件头中的时间不合法", "a time in the header is none")
        raise OpeningFaultError("not_an_opening_file", 0, 32, reason) from error
    return OpeningHeader(
        sender, key_version, centre, count, total_fen, *moments, _SIGNATURES[algorithm]
    )


def _front(header: OpeningHeader) -> bytes:
    return HEADER.pack(
        MAGIC,
        VERSION,
        _SIGNATURE_CODES[header.signature_algorithm],
        ROW_BYTES,
        header.sender,
        header.key_version,
        header.centre,
        header.row_count,
        header.total_fen,
        digits.encode_time(header.as_of),
        digits.encode_time(header.created_at),
        bytes(2),
    )


def _digest(centre: int, row: int, data: bytes) -> bytes:
    return hashlib.sha256(TAG + struct.pack(">II", centre, row) + data).digest()[:DIGEST_BYTES]


_AT = {each.name: each for each in OpeningBalance.FIELDS}


def _prove_rows(rows: bytes, header: OpeningHeader) -> int:
    """The sum of the rows. Each is looked at by itself: a hundred thousand take half a second."""
    total_fen, last = 0, digits.encode_time(header.as_of)
    balance, known, as_of = _AT["balance_fen"], _AT["debit_counter_known"], _AT["as_of"]
    for row in range(1, header.row_count + 1):
        at = (row - 1) * ROW_BYTES
        data = rows[at : at + OpeningBalance.SIZE]
        if rows[at + OpeningBalance.SIZE : at + ROW_BYTES] != _digest(header.centre, row, data):
            raise _row_fault(row, "issuer", Text("与其摘要不符", "it and its digest do not agree"))
        try:
            digits.decode_time(data[as_of.offset :])
            CARD.decode(data[8:18])
        except DecodeError as error:
            text = Text("卡号或时间不合法", "its card number or its moment is none")
            raise _row_fault(row, "card_number", text) from error
        if data[known.offset] > 1 or (not data[known.offset] and any(data[25:27])):
            text = Text("脱机序号标志不合法", "the debit counter contradicts its flag")
            raise _row_fault(row, "debit_counter", text)
        if data[as_of.offset :] > last:
            text = Text("时点晚于文件头", "its moment is later than the header's")
            raise _row_fault(row, "as_of", text)
        total_fen += int.from_bytes(data[balance.offset : balance.offset + 4], "big")
    return total_fen


def _row_fault(row: int, field: str, text: Text) -> OpeningFaultError:
    return OpeningFaultError("row_wrong", row, row_offset(row) + _AT[field].offset, text)
