"""The load host's log (圈存授权日志): every load that was allowed, and the signed file of a part.

Decides the bytes of an entry, the chain that binds each to all before it, and the file. Leaves
keeping the log to the load host, and what an allowed load means to settlement.

An entry is written before MAC2 leaves the host. So the log lists whatever may have been loaded,
whether or not the kiosk or the card ever says so. Numbers begin at 1 and have no holes; the last 32
bytes of an entry are the digest of everything in the log up to it. A file holds a run of entries
and says what it follows, so files laid one behind the other are the whole log or show that they are
not. `docs/formats.md` prints the tables.
"""

import hashlib
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from cardcore import digits
from cardcore.crypto import signatures
from cardcore.crypto.signatures import SIGNATURE_BYTES
from cardcore.errors import CryptogramError, DecodeError, FileFaultError
from cardcore.keys import Algorithm
from cardcore.layouts.fixed import BYTES, HEX, UINT, FixedLayout, table
from cardcore.records.kinds import Funding
from cardcore.records.payloads import NO_TERMINAL, words
from cardcore.records.record import CARD, TIME
from cardcore.text import Text

MAGIC, TRAILER_MAGIC = b"OCL1", b"OCLT"
VERSION = 1
TAG = b"onecard load log 1\x00"
HASH_BYTES = 32
_SIGNATURES = {1: Algorithm.ED25519, 2: Algorithm.SM2}
_SIGNATURE_CODES = {algorithm: code for code, algorithm in _SIGNATURES.items()}
HEADER = struct.Struct(">4sBBH8sIII32s7s5s")
TRAILER = struct.Struct(">4sIQ32s")
TRAILER_BYTES = TRAILER.size + SIGNATURE_BYTES
#: A host begins a new file here; a larger one is refused unread.
ENTRIES_MAX = 65_536


@dataclass(frozen=True, slots=True)
class AllowedLoad(FixedLayout):
    """One load that the host allowed: what the card said, what the host answered, whose money it
    is. A refund names the debit it gives back.
    """

    TITLE: ClassVar = "allowed load"
    SIZE: ClassVar = 62
    SIZE_MIN: ClassVar = 62
    FIELDS: ClassVar = table(
        ("number", 4, UINT),
        ("application", 1, UINT),
        ("card_number", 10, CARD),
        ("key_version", 1, UINT),
        ("random", 4, BYTES),
        ("online_counter", 2, UINT),
        ("balance_before_fen", 4, UINT),
        ("amount_fen", 4, UINT),
        ("terminal", 6, HEX),
        ("time", 7, TIME),
        ("mac1", 4, BYTES),
        ("mac2", 4, BYTES),
        ("funding", 1, words(Funding)),
        ("debit_terminal", 6, HEX),
        ("debit_serial", 4, UINT),
    )

    number: int  # from 1, without holes
    application: int  # code of the purse
    card_number: str  # 20 digits
    key_version: int
    random: bytes  # of the card; MAC1 stands over it
    online_counter: int
    balance_before_fen: int
    amount_fen: int
    terminal: str
    time: datetime
    mac1: bytes  # the card's, which held
    mac2: bytes  # the host's
    funding: Funding
    debit_terminal: str = NO_TERMINAL
    debit_serial: int = 0


ENTRY_BYTES = AllowedLoad.SIZE + HASH_BYTES


def chain_start(issuer: bytes) -> bytes:
    """What the first entry of an issuer's log follows.

    >>> chain_start(bytes(8)).hex()[:16]
    'b497e7b59b98361b'
    """
    return hashlib.sha256(TAG + issuer).digest()


def encode_entry(load: AllowedLoad, previous: bytes) -> bytes:
    """An entry behind everything that `previous` is the digest of."""
    data = load.encode()
    return data + hashlib.sha256(TAG + previous + data).digest()


class LoadLogFaultError(FileFaultError):
    """A load log that proves itself wrong."""

    def __init__(self, kind: str, entry: int, offset: int, reason: Text) -> None:
        if entry:
            reason = Text(f"第 {entry} 条：{reason.zh}", f"entry {entry}: {reason.en}")
        super().__init__("load log", kind, offset, reason, entry=entry)


@dataclass(frozen=True, slots=True)
class LoadLogHeader:
    """The head of a file. `previous` is the digest of the log before its first entry."""

    issuer: bytes  # 8 bytes
    key_version: int  # of the host's signing key
    first_number: int
    entry_count: int
    previous: bytes
    created_at: datetime
    signature_algorithm: Algorithm = Algorithm.ED25519


@dataclass(frozen=True, slots=True)
class LoadLogFile:
    """A file taken apart, every entry in its place in the chain. `digest` is that of the log up to
    its end: what the next file must follow.
    """

    header: LoadLogHeader
    loads: tuple[AllowedLoad, ...]
    digest: bytes
    content_hash: str

    def follows(self, before: "LoadLogFile") -> bool:
        """Whether this file goes on where the other one ends."""
        expected = before.header.first_number + before.header.entry_count
        return (self.header.issuer, self.header.first_number, self.header.previous) == (
            before.header.issuer,
            expected,
            before.digest,
        )


def read_entries(
    data: bytes, first_number: int, previous: bytes
) -> tuple[tuple[AllowedLoad, ...], bytes]:
    """Entries one after another, and the digest after the last. Raises `LoadLogFaultError` at the
    first entry that is not what it says: truncated, number_wrong, altered, damaged.
    """
    loads: list[AllowedLoad] = []
    for at in range(0, len(data), ENTRY_BYTES):
        number = first_number + len(loads)
        entry = data[at : at + ENTRY_BYTES]
        if len(entry) < ENTRY_BYTES:
            reason = Text(
                f"{ENTRY_BYTES} 字节中只有 {len(entry)} 字节",
                f"{len(entry)} of {ENTRY_BYTES} bytes",
            )
            raise LoadLogFaultError("truncated", number, at, reason)
        body, digest = entry[: AllowedLoad.SIZE], entry[AllowedLoad.SIZE :]
        found = int.from_bytes(body[:4], "big")
        if found != number:
            reason = Text(f"该处编号为 {found}", f"the number there is {found}")
            raise LoadLogFaultError("number_wrong", number, at, reason)
        if hashlib.sha256(TAG + previous + body).digest() != digest:
            reason = Text("与其摘要不符", "it and its digest do not agree")
            raise LoadLogFaultError("altered", number, at, reason)
        try:
            loads.append(AllowedLoad.decode(body))
        except DecodeError as error:
            reason = Text("其中有字段不合法", error.reason)
            raise LoadLogFaultError("damaged", number, at + error.offset, reason) from error
        previous = digest
    return tuple(loads), previous


def encode_load_log(
    header: LoadLogHeader, entries: Sequence[bytes], sign: Callable[[bytes], bytes]
) -> bytes:
    """The whole file. `sign` makes the header's kind of signature over everything before it."""
    assert len(entries) == header.entry_count, len(entries)
    front = HEADER.pack(
        MAGIC,
        VERSION,
        _SIGNATURE_CODES[header.signature_algorithm],
        ENTRY_BYTES,
        header.issuer,
        header.key_version,
        header.first_number,
        header.entry_count,
        header.previous,
        digits.encode_time(header.created_at),
        bytes(5),
    )
    content = front + b"".join(entries)
    total = _total_fen(content[HEADER.size :])
    trailer = TRAILER.pack(
        TRAILER_MAGIC, header.entry_count, total, hashlib.sha256(content).digest()
    )
    return content + trailer + sign(content + trailer)


def decode_load_log(data: bytes, public_key: bytes) -> LoadLogFile:
    """Take a file apart and prove it whole. Raises `LoadLogFaultError`, in this order of
    precedence: not_a_load_log, version_unknown, too_large, truncated, too_long, altered,
    signature_wrong, totals_wrong; then the first entry at fault, as `read_entries` names it.
    """
    header = decode_header(data)
    entries_end = HEADER.size + header.entry_count * ENTRY_BYTES
    expected = entries_end + TRAILER_BYTES
    if len(data) < expected:
        reason = Text(f"应有 {expected} 字节", f"{expected} bytes announced")
        raise LoadLogFaultError("truncated", 0, len(data), reason)
    if len(data) > expected:
        extra = len(data) - expected
        reason = Text(f"多出 {extra} 字节", f"{extra} bytes too many")
        raise LoadLogFaultError("too_long", 0, expected, reason)
    magic, count, total, digest = TRAILER.unpack_from(data, entries_end)
    if magic != TRAILER_MAGIC or digest != hashlib.sha256(data[:entries_end]).digest():
        reason = Text("内容与文件尾不符", "content and trailer do not agree")
        raise LoadLogFaultError("altered", 0, entries_end, reason)
    signature, signed = data[-SIGNATURE_BYTES:], data[:-SIGNATURE_BYTES]
    try:
        signatures.verify(header.signature_algorithm, public_key, signature, signed)
    except (CryptogramError, DecodeError) as error:
        at = expected - SIGNATURE_BYTES
        reason = Text("不是其圈存主机所签", "not signed by its host")
        raise LoadLogFaultError("signature_wrong", 0, at, reason) from error
    entries = data[HEADER.size : entries_end]
    if (count, total) != (header.entry_count, _total_fen(entries)):
        reason = Text("文件尾与各条目不符", "trailer is not the entries'")
        raise LoadLogFaultError("totals_wrong", 0, entries_end, reason)
    if header.first_number == 1 and header.previous != chain_start(header.issuer):
        reason = Text("该发卡机构的日志开头不符", "the log of this issuer begins otherwise")
        raise LoadLogFaultError("altered", header.first_number, 28, reason)
    loads, last = read_entries(entries, header.first_number, header.previous)
    return LoadLogFile(header, loads, last, hashlib.sha256(data).hexdigest())


def decode_header(data: bytes) -> LoadLogHeader:
    """What the head of a file claims, not yet proven: not_a_load_log, version_unknown, too_large,
    truncated as above.
    """
    if not data.startswith(MAGIC):
        reason = Text("不以 OCL1 开头", "does not start with OCL1")
        raise LoadLogFaultError("not_a_load_log", 0, 0, reason)
    if len(data) < HEADER.size:
        reason = Text("文件头不完整", "ends inside the header")
        raise LoadLogFaultError("truncated", 0, len(data), reason)
    (_, version, algorithm, entry_bytes, issuer, key_version, first, count, previous, created,
     reserved) = HEADER.unpack_from(data)  # fmt: skip
    is_known = (version, entry_bytes, reserved) == (VERSION, ENTRY_BYTES, bytes(5))
    if not is_known or algorithm not in _SIGNATURES:
        reason = Text(
            f"版本 {version}，{entry_bytes} 字节", f"version {version}, {entry_bytes} bytes"
        )
        raise LoadLogFaultError("version_unknown", 0, 4, reason)
    if count > ENTRIES_MAX:
        reason = Text(f"超过 {ENTRIES_MAX} 条", f"more than {ENTRIES_MAX} entries")
        raise LoadLogFaultError("too_large", 0, 24, reason)
    if first < 1 or first + count > 2**32:
        reason = Text("编号从 1 起，占四字节", "numbers count from 1, in four bytes")
        raise LoadLogFaultError("not_a_load_log", 0, 20, reason)
    try:
        created_at = digits.decode_time(created)
    except DecodeError as error:
        reason = Text("文件头中的时间不合法", "a time in the header is none")
        raise LoadLogFaultError("not_a_load_log", 0, 60, reason) from error
    return LoadLogHeader(
        issuer, key_version, first, count, previous, created_at, _SIGNATURES[algorithm]
    )


def _total_fen(entries: bytes) -> int:
    at = next(each for each in AllowedLoad.FIELDS if each.name == "amount_fen").offset
    return sum(
        int.from_bytes(entries[start + at : start + at + 4], "big")
        for start in range(0, len(entries), ENTRY_BYTES)
    )
