"""Records of one byte of tag, one of length and the value, as social security and health cards
keep them (社会保障卡 LD/T 32, 居民健康卡 WS/T 543).

Decides how the value of one field is coded and padded. Leaves which tags a file has to the
applets. Codings: AN is GBK text, CN decimal digits packed from the left, B bytes as they are.
What follows the text is blanks or zeros, what follows the digits is F.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from cardcore.digits import wrong_length
from cardcore.errors import DecodeError
from cardcore.layouts.labels import NO_TEXT
from cardcore.text import Text

TAG_BYTES = 1
_HEAD_BYTES = 2
_TEXT_FILLING = b" \x00\xff"


class ValueCoding(StrEnum):
    """How the standard codes a value."""

    TEXT = "AN"  # AN 文本
    DIGITS = "CN"  # CN 数字
    BYTES = "B"  # 字节


class TaggedField(NamedTuple):
    """One field of a card: its tag, its name, its coding, its length in bytes."""

    tag: int
    name: str
    coding: ValueCoding
    length: int

    def encode(self, value: str | bytes) -> bytes:
        """The record: tag, length, padded value. Bytes are `bytes`, everything else is `str`.

        >>> NAME = TaggedField(0x09, "name", ValueCoding.TEXT, 6)
        >>> NAME.encode("张三").hex()
        '0906d5c5c8fd2020'

        Raises `ValueError` when the value does not fit.
        """
        if isinstance(value, bytes) != (self.coding is ValueCoding.BYTES):
            raise ValueError(f"{self.name}: {self.coding} is not written from {type(value)}")
        if isinstance(value, bytes):
            data, filling = value, b"\x00"
        elif self.coding is ValueCoding.TEXT:
            data, filling = value.encode("gbk"), b" "
        else:
            if value and not (value.isascii() and value.isdigit()):
                raise ValueError(f"{self.name}: {value!r} is not decimal digits")
            data, filling = bytes.fromhex(value + "f" * (len(value) % 2)), b"\xff"
        if len(data) > self.length:
            raise ValueError(f"{self.name}: {len(data)} bytes where the card has {self.length}")
        return bytes((self.tag, self.length)) + data.ljust(self.length, filling)

    def decode(self, record: bytes) -> str | bytes:
        """The value without its filling.

        >>> DAY = TaggedField(0x0D, "birth date", ValueCoding.DIGITS, 4)
        >>> DAY.decode(bytes.fromhex("0D0419900307"))
        '19900307'

        Raises `DecodeError` for another tag, a wrong length, or bytes that are not of the coding.
        """
        if len(record) < _HEAD_BYTES or record[0] != self.tag:
            reason = Text(
                f"不是标签为 {self.tag:02X} 的记录", f"not a record with tag {self.tag:02X}"
            )
            raise DecodeError(self.name, 0, reason)
        data = record[_HEAD_BYTES:]
        if record[1] != len(data) or len(data) != self.length:
            raise DecodeError(self.name, 1, wrong_length(len(data), self.length))
        if self.coding is ValueCoding.BYTES:
            return data
        if self.coding is ValueCoding.TEXT:
            try:
                return data.rstrip(_TEXT_FILLING).decode("gbk")
            except UnicodeDecodeError as error:
                raise DecodeError(self.name, 2 + error.start, NO_TEXT) from error
        digits = data.hex().rstrip("f")
        if digits and not digits.isdecimal():
            reason = Text(f"{digits} 不是十进制数字", f"{digits} is not decimal digits")
            raise DecodeError(self.name, 2, reason)
        return digits


@dataclass(frozen=True)
class TaggedTable:
    """The fields of one file, in the order of its records."""

    fields: tuple[TaggedField, ...]

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each field stands among them."""
        return {field.name: place for place, field in enumerate(self.fields)}

    @cached_property
    def _empty(self) -> tuple[bytes, ...]:
        """The records of a file in which nothing is given."""
        return tuple(
            field.encode(b"" if field.coding is ValueCoding.BYTES else "") for field in self.fields
        )

    @cached_property
    def record_bytes_max(self) -> int:
        """The longest record."""
        return max(_HEAD_BYTES + field.length for field in self.fields)

    def encode(self, values: Mapping[str, str | bytes]) -> list[bytes]:
        """Every record of the file; a field that is not given is empty (filled).

        Raises `ValueError` for a name that is no field, or a value that does not fit.
        """
        places = self.places
        if unknown := sorted(values.keys() - places.keys()):
            raise ValueError(f"no such field: {', '.join(unknown)}")
        records = list(self._empty)
        for name, value in values.items():
            records[places[name]] = self.fields[places[name]].encode(value)
        return records

    def decode(self, records: Iterable[bytes]) -> dict[str, str | bytes]:
        """Values by name, of the records that are there; tags of no field are passed over."""
        by_tag = {field.tag: field for field in self.fields}
        found = ((by_tag.get(record[0]), record) for record in records if record)
        return {field.name: field.decode(record) for field, record in found if field is not None}


def table(*rows: tuple[int, str, ValueCoding, int]) -> TaggedTable:
    """A file from rows of tag, name, coding, length."""
    return TaggedTable(tuple(TaggedField(*row) for row in rows))
