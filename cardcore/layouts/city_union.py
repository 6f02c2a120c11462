"""The public files of a City Union card (城市一卡通, CJ/T 166): near T-Union's, not the same.

Decides which field stands at which byte of EF15 and of the composite records in SFI 17. Leaves
what the records of one city mean inside to that city: past their head the standard lets each
industry write what it likes.
"""

from dataclasses import dataclass
from datetime import date

from cardcore.errors import DecodeError
from cardcore.layouts.fixed import (
    BYTES,
    CARD_NUMBER,
    DATE,
    FLAG_BYTE,
    HEX,
    UINT,
    FixedLayout,
    table,
)
from cardcore.text import Text

#: The purse of CJ/T 166.
AID_CITY_UNION = bytes.fromhex("A00000000386980701")
_HEAD_BYTES = 3


@dataclass(frozen=True, slots=True)
class CityPublicInformation(FixedLayout):
    """EF15 of CJ/T 166: 30 bytes, dates where T-Union has them, everything before them different.

    >>> info = CityPublicInformation.decode(bytes.fromhex(
    ...     "847531000000000000003100310000019856102320191225206912250000"))
    >>> info.city, info.card_number, info.valid_to
    ('3100', '3100000198561023', datetime.date(2069, 12, 25))
    """

    TITLE = "City Union EF15"
    SIZE = SIZE_MIN = 30
    FIELDS = table(
        ("issuer", 2, HEX),
        ("city", 2, HEX),
        ("algorithms", 1, UINT),
        ("industry", 1, UINT),
        ("reserved", 2, BYTES),
        ("interoperable", 1, FLAG_BYTE),
        ("application_version", 1, UINT),
        ("interoperable_id", 2, HEX),
        ("card_number", 8, CARD_NUMBER),
        ("valid_from", 4, DATE),
        ("valid_to", 4, DATE),
        ("issuer_data", 2, BYTES),
    )

    issuer: str  # 4 hexadecimal digits
    city: str  # 4 hexadecimal digits
    card_number: str  # 16 digits
    valid_from: date
    valid_to: date
    algorithms: int = 0  # 多算法标识
    industry: int = 0
    interoperable: bool = False  # 互通标识
    application_version: int = 0
    interoperable_id: str = "0000"
    reserved: bytes = bytes(2)
    issuer_data: bytes = bytes(2)

    @property
    def factor(self) -> bytes:
        """The 8 bytes from which the card's keys are derived: the serial itself."""
        return bytes.fromhex(self.card_number)


@dataclass(frozen=True, slots=True)
class CompositeRecord:
    r"""One record of SFI 17 (复合应用信息): identifier, length, lock, and the industry's own bytes.

    The published ones have 48 bytes: the length 2E counts what follows it.

    >>> record = CompositeRecord.decode(bytes.fromhex("0103 00 0310"))
    >>> record.record_id, record.locked, record.content
    (1, 0, b'\x03\x10')
    >>> record.encode().hex()
    '0103000310'
    """

    record_id: int
    locked: int
    content: bytes

    def encode(self) -> bytes:
        """Head and content. `ValueError` when one byte of length cannot say it."""
        return bytes((self.record_id, len(self.content) + 1, self.locked)) + self.content

    @classmethod
    def decode(cls, data: bytes) -> "CompositeRecord":
        """Read one record; `DecodeError` when its length runs past the end."""
        if len(data) < _HEAD_BYTES:
            reason = Text("短于记录头", "shorter than the head of a record")
            raise DecodeError("SFI 17", len(data), reason)
        end = 2 + data[1]
        if not _HEAD_BYTES <= end <= len(data):
            follow = len(data) - 2
            reason = Text(
                f"长度为 {data[1]}，其后有 {follow} 字节",
                f"length {data[1]} where {follow} bytes follow",
            )
            raise DecodeError("SFI 17", 1, reason)
        return cls(data[0], data[2], data[_HEAD_BYTES:end])
