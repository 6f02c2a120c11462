"""Records of fields at fixed offsets: the codings of one field and what the codecs share.

Decides how a table of fields becomes `encode` and `decode`. Leaves which fields a file or record
has to `cardcore.layouts.transit`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar, NamedTuple, Self

from cardcore import digits
from cardcore.digits import wrong_length
from cardcore.errors import DecodeError
from cardcore.layouts.labels import NO_TEXT, of_field
from cardcore.text import Text

#: Several cards set the topmost bit of amounts; readers mask it. Of what is left, the highest bit
#: of a balance is its sign.
_NOISE, _SIGN = 1 << 31, 1 << 30


class Coding(NamedTuple):
    """How a value becomes `length` bytes, and back. `name` is what documents call it."""

    encode: Callable[[Any, int], bytes]
    decode: Callable[[bytes], Any]
    name: str = ""


class Field(NamedTuple):
    """One field: name, first byte, length in bytes, coding."""

    name: str
    offset: int
    length: int
    coding: Coding


def _encode_bytes(value: bytes, length: int) -> bytes:
    if len(value) != length:
        raise ValueError(f"{len(value)} bytes where the file has {length}")
    return value


def _encode_text(codec: str) -> Callable[[str, int], bytes]:
    def encode(value: str, length: int) -> bytes:
        data = value.encode(codec)
        if len(data) > length:
            raise ValueError(f"{value!r} takes {len(data)} bytes, the file has {length}")
        return data.ljust(length, b"\x00")

    return encode


def _decode_text(codec: str) -> Callable[[bytes], str]:
    # Issuers fill names with zeros, blanks or the FF of an empty memory.
    return lambda data: data.rstrip(b"\x00\xff ").decode(codec)


def _encode_card_number(value: str, length: int) -> bytes:
    if len(value) != 2 * length:
        raise ValueError(f"{value!r} is not {2 * length} digits")
    return digits.encode_bcd(value, length)


def _encode_amount(value: int, length: int) -> bytes:
    if not 0 <= value < _NOISE:
        raise ValueError(f"{value} is no amount of a card")
    return value.to_bytes(length, "big")


def _decode_amount(data: bytes) -> int:
    return int.from_bytes(data, "big") & ~_NOISE


def signed_balance(data: bytes) -> int:
    """Four bytes of a balance: bit 31 is noise and is dropped, bit 30 is the sign.

    >>> signed_balance(bytes.fromhex("8000164E")), signed_balance(bytes.fromhex("FFFFFF38"))
    (5710, -200)
    """
    value = _decode_amount(data)
    return value - 2 * _SIGN if value & _SIGN else value


def _encode_balance(value: int, length: int) -> bytes:
    if not -_SIGN <= value < _SIGN:
        raise ValueError(f"{value} is no balance of a card")
    return value.to_bytes(length, "big", signed=True)


def _decode_time(data: bytes) -> datetime | None:
    try:
        return digits.decode_time(data)
    except DecodeError:
        return None


UINT = Coding(lambda v, n: int(v).to_bytes(n, "big"), lambda d: int.from_bytes(d, "big"), "uint")
AMOUNT = Coding(_encode_amount, _decode_amount, "uint")
BALANCE = Coding(_encode_balance, signed_balance, "int")
BYTES = Coding(_encode_bytes, bytes, "bytes")
HEX = Coding(lambda v, n: _encode_bytes(bytes.fromhex(v), n), bytes.hex, "hex")
CARD_NUMBER = Coding(_encode_card_number, digits.decode_bcd)
DATE = Coding(lambda v, _: digits.encode_date(v), digits.decode_date, "date")
TIME = Coding(lambda v, n: digits.encode_time(v) if v is not None else bytes(n), _decode_time)
FLAG = Coding(lambda v, n: int(v).to_bytes(n, "big"), lambda d: d == b"\x00\x01")
FLAG_BYTE = Coding(lambda v, n: int(v).to_bytes(n, "big"), lambda d: d == b"\x01")
GBK = Coding(_encode_text("gbk"), _decode_text("gbk"))
ASCII = Coding(_encode_text("ascii"), _decode_text("ascii"))


def table(*rows: tuple[str, int, Coding]) -> tuple[Field, ...]:
    """Fields from rows of name, length and coding, laid one after another."""
    fields, offset = [], 0
    for name, length, coding in rows:
        fields.append(Field(name, offset, length, coding))
        offset += length
    return tuple(fields)


class FixedLayout:
    """Fields one after another at fixed offsets; what the codecs share."""

    #: Its bytes, once they have been asked for: a card's number stands in several of its files.
    __slots__ = ("_encoded",)
    _encoded: bytes
    TITLE: ClassVar[str]
    SIZE: ClassVar[int]
    #: Published copies stop here or later; what is missing to SIZE reads as zero.
    SIZE_MIN: ClassVar[int]
    FIELDS: ClassVar[tuple[Field, ...]]

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        last = cls.FIELDS[-1]
        assert last.offset + last.length == cls.SIZE, cls

    def encode(self) -> bytes:
        """The bytes of the file or record. `ValueError` names a value that does not fit."""
        try:
            return self._encoded
        except AttributeError:
            encoded = self._encode()
        # A layout is frozen and stays what it is.
        object.__setattr__(self, "_encoded", encoded)
        return encoded

    def _encode(self) -> bytes:
        parts = []
        for name, _, length, coding in self.FIELDS:
            try:
                parts.append(coding.encode(getattr(self, name), length))
            except (ValueError, OverflowError) as error:
                raise ValueError(f"{self.TITLE}, {name}: {error}") from error
        return b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read the bytes; `DecodeError` names the field and the byte where it is damaged."""
        if not cls.SIZE_MIN <= len(data) <= cls.SIZE:
            raise DecodeError(cls.TITLE, len(data), wrong_length(len(data), cls.SIZE))
        data = data.ljust(cls.SIZE, b"\x00")
        values = {}
        for name, offset, length, coding in cls.FIELDS:
            try:
                values[name] = coding.decode(data[offset : offset + length])
            except DecodeError as error:
                reason = of_field(name, error.said)
                raise DecodeError(cls.TITLE, offset + error.offset, reason) from error
            except UnicodeDecodeError as error:
                reason = of_field(name, NO_TEXT)
                raise DecodeError(cls.TITLE, offset + error.start, reason) from error
        return cls(**values)


def is_unwritten(data: bytes) -> bool:
    """Whether a record was never written: cards deliver empty slots as zeros, or as FF.

    >>> is_unwritten(bytes(23)), is_unwritten(bytes.fromhex("FFFF")), is_unwritten(b"")
    (True, True, True)
    >>> is_unwritten(bytes.fromhex("00FF"))
    False
    """
    return set(data) <= {0x00} or set(data) <= {0xFF}


def read_prefix(
    layout: type[FixedLayout], data: bytes
) -> tuple[dict[str, Any], tuple[DecodeError, ...]]:
    """The fields that can be read from damaged bytes, and what could not be, in their order.

    A field that holds nonsense is left out and reading goes on; where the bytes end, it stops.
    """
    values: dict[str, Any] = {}
    errors = []
    for name, offset, length, coding in layout.FIELDS:
        if offset + length > len(data):
            ends = Text(
                f"到第 {len(data)} 字节为止，应有 {layout.SIZE} 字节",
                f"ends after {len(data)} of {layout.SIZE} bytes",
            )
            errors.append(DecodeError(layout.TITLE, len(data), of_field(name, ends)))
            break
        try:
            values[name] = coding.decode(data[offset : offset + length])
        except DecodeError as error:
            reason = of_field(name, error.said)
            errors.append(DecodeError(layout.TITLE, offset + error.offset, reason))
        except UnicodeDecodeError as error:
            reason = of_field(name, NO_TEXT)
            errors.append(DecodeError(layout.TITLE, offset + error.start, reason))
    return values, tuple(errors)
