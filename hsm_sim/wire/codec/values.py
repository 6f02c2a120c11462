"""How one argument or result lies in a message: JSON in the header, bytes in a part.

Decides the form of every kind of value both ways and refuses what has another form, so that
nothing behind it meets a length or a type it was not made for. Leaves which operation takes which
values to `messages`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date
from enum import Enum
from typing import Any, Generic, TypeVar, get_type_hints

from cardcore.keys import (
    Algorithm,
    AuthenticationColumn,
    KeyDescription,
    KeyRef,
    KeyState,
    KeyUsage,
    RecordMacColumn,
    TacColumn,
)
from cardcore.text import Text, text_of
from hsm_sim.keys.masters import LEVELS_MAX
from hsm_sim.psam import KeySlot, PsamKeyType, PsamProfile
from hsm_sim.wire.codec.frames import MessageError

#: Labels name a city, an application or a sender.
TEXT_CHARACTERS_MAX = 256
#: In one request, half of a message; a client cuts what is longer, a server refuses it.
COLUMN_ROWS_MAX, COLUMN_BYTES_MAX = 1_000_000, 32 * 1024 * 1024
KEYS_MAX = 256
T = TypeVar("T")


class Kind(ABC, Generic[T]):
    """One form of value, both ways."""

    @abstractmethod
    def write(self, value: T, parts: list[bytes]) -> object:
        """What stands in the header; bytes are appended to `parts`."""

    @abstractmethod
    def read(self, value: object, parts: Iterator[bytes]) -> T:
        """The value again. Raises `MessageError` for another form."""


class Plain(Kind[T]):
    """A form that stands in the header alone."""

    @abstractmethod
    def to_json(self, value: T) -> object:
        """What stands in the header."""

    @abstractmethod
    def from_json(self, value: object) -> T:
        """The value again. Raises `MessageError` for another form."""

    def write(self, value: T, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts  # none is needed
        return self.to_json(value)

    def read(self, value: object, parts: Iterator[bytes]) -> T:
        """See `Kind`."""
        del parts  # none belongs to it
        return self.from_json(value)


class Word(Plain[str]):
    """A word that can be shown in a log: printable, and not long."""

    def to_json(self, value: str) -> object:
        """See `Plain`."""
        return value

    def from_json(self, value: object) -> str:
        """See `Plain`."""
        if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
            raise MessageError(
                Text(
                    f"不是至多 {TEXT_CHARACTERS_MAX} 个字符的文字",
                    f"not a text of at most {TEXT_CHARACTERS_MAX} characters",
                )
            )
        if not value.isprintable():
            raise MessageError(
                Text("文字中有不能显示的字符", "a text with characters that cannot be shown")
            )
        return value


@dataclass(frozen=True, slots=True)
class Number(Plain[int]):
    """A whole number from 0 to a limit."""

    maximum: int

    def to_json(self, value: int) -> object:
        """See `Plain`."""
        return value

    def from_json(self, value: object) -> int:
        """See `Plain`."""
        if type(value) is not int or not 0 <= value <= self.maximum:
            raise MessageError(
                Text(
                    f"不是 0 至 {self.maximum} 的整数",
                    f"not a whole number from 0 to {self.maximum}",
                )
            )
        return value


@dataclass(frozen=True, slots=True)
class Octets(Kind[bytes]):
    """Bytes, in a part of their own: of one of these lengths, or up to a limit in whole blocks."""

    lengths: tuple[int, ...] = ()
    maximum: int = 0
    block_bytes: int = 1

    def write(self, value: bytes, parts: list[bytes]) -> object:
        """See `Kind`."""
        parts.append(value)
        return None

    def read(self, value: object, parts: Iterator[bytes]) -> bytes:
        """See `Kind`."""
        part = next(parts, None)
        if part is None or value is not None:
            raise MessageError(
                Text(
                    "字节应在消息的一部分中，却已没有剩余",
                    "bytes stand in a part of the message, and none is left",
                )
            )
        if self.lengths and len(part) not in self.lengths:
            lengths = " or ".join(str(each) for each in self.lengths)
            raise MessageError(
                Text(
                    f"{len(part)} 字节，应为 {lengths.replace(' or ', ' 或 ')} 字节",
                    f"{len(part)} bytes, not {lengths}",
                )
            )
        if not self.lengths and len(part) > self.maximum:
            raise MessageError(
                Text(
                    f"{len(part)} 字节，至多 {self.maximum} 字节",
                    f"{len(part)} bytes, at most {self.maximum}",
                )
            )
        if len(part) % self.block_bytes:
            raise MessageError(
                Text(
                    f"{len(part)} 字节，不是 {self.block_bytes} 字节分组的整数倍",
                    f"{len(part)} bytes, not whole blocks of {self.block_bytes}",
                )
            )
        return part


class Nothing(Plain[None]):
    """No result: that there is an answer says it."""

    def to_json(self, value: None) -> object:
        """See `Plain`."""
        return value

    def from_json(self, value: object) -> None:
        """See `Plain`."""
        if value is not None:
            raise MessageError(Text("此处不应有值", "a value where none belongs"))


Member = TypeVar("Member", bound=Enum)


@dataclass(frozen=True, slots=True)
class OneOf(Plain[Member]):
    """A member of an enumeration, by its value."""

    enumeration: type[Member]

    def to_json(self, value: Member) -> object:
        """See `Plain`."""
        return value.value  # a word or a whole number in every enumeration that travels

    def from_json(self, value: object) -> Member:
        """See `Plain`."""
        for member in self.enumeration:
            if (type(value), value) == (type(member.value), member.value):
                return member
        raise MessageError(
            Text(f"不是 {self.enumeration.__name__} 的值", f"not a {self.enumeration.__name__}")
        )


@dataclass(frozen=True, slots=True)
class Perhaps(Plain[T | None]):
    """A value or nothing; only for kinds that stand in the header."""

    kind: Plain[T]

    def to_json(self, value: T | None) -> object:
        """See `Plain`."""
        return None if value is None else self.kind.to_json(value)

    def from_json(self, value: object) -> T | None:
        """See `Plain`."""
        return None if value is None else self.kind.from_json(value)


class Day(Plain[date]):
    """A date, as ISO 8601 writes it."""

    def to_json(self, value: date) -> object:
        """See `Plain`."""
        return value.isoformat()

    def from_json(self, value: object) -> date:
        """See `Plain`."""
        try:
            return date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            raise MessageError(Text("不是日期", "not a date")) from None


USAGE = OneOf(KeyUsage)
TEXT = Word()
#: A batch file names the version of its key in four bytes.
KEY_VERSION = Number(0xFFFF_FFFF)
_PERHAPS_DAY = Perhaps(Day())


class Name(Plain[KeyRef]):
    """The name of a key: a list of usage, label and version."""

    def to_json(self, value: KeyRef) -> object:
        """See `Plain`."""
        return [value.usage.value, value.label, value.version]

    def from_json(self, value: object) -> KeyRef:
        """See `Plain`."""
        usage, label, version = _list(value, 3)
        return KeyRef(USAGE.from_json(usage), TEXT.from_json(label), KEY_VERSION.from_json(version))


REF = Name()


class Names(Plain[tuple[KeyRef, ...]]):
    """Names of keys: a list of them."""

    def to_json(self, value: Sequence[KeyRef]) -> object:
        """See `Plain`."""
        return [REF.to_json(each) for each in value]

    def from_json(self, value: object) -> tuple[KeyRef, ...]:
        """See `Plain`."""
        return tuple(REF.from_json(each) for each in _few(value))


class Descriptions(Plain[tuple[KeyDescription, ...]]):
    """What may be shown of keys: a list of lists, in the order of the fields."""

    def to_json(self, value: tuple[KeyDescription, ...]) -> object:
        """See `Plain`."""
        return [
            [
                REF.to_json(each.ref),
                each.algorithm.value,
                each.state.value,
                each.check_value,
                _PERHAPS_DAY.to_json(each.valid_from),
                _PERHAPS_DAY.to_json(each.valid_to),
                Perhaps(REF).to_json(each.parent),
                each.levels,
            ]
            for each in value
        ]

    def from_json(self, value: object) -> tuple[KeyDescription, ...]:
        """See `Plain`."""
        if not isinstance(value, list):
            raise MessageError(Text("不是密钥列表", "not a list of keys"))
        return tuple(self._key(_list(each, 8)) for each in value)

    @staticmethod
    def _key(fields: list[object]) -> KeyDescription:
        ref, algorithm, state, check_value, valid_from, valid_to, parent, levels = fields
        return KeyDescription(
            REF.from_json(ref),
            OneOf(Algorithm).from_json(algorithm),
            OneOf(KeyState).from_json(state),
            TEXT.from_json(check_value),
            _PERHAPS_DAY.from_json(valid_from),
            _PERHAPS_DAY.from_json(valid_to),
            Perhaps(REF).from_json(parent),
            Number(LEVELS_MAX).from_json(levels),
        )


class Tacs(Kind[TacColumn]):
    """A column of TACs: a part for each field; the header has the length of a message."""

    def write(self, value: TacColumn, parts: list[bytes]) -> object:
        """See `Kind`."""
        parts += value.parts
        return value.message_bytes

    def read(self, value: object, parts: Iterator[bytes]) -> TacColumn:
        """See `Kind`."""
        message_bytes = Number(0xFFFF).read(value, parts)
        algorithms, versions, factors, messages, tacs = _bounded(_parts(parts, 5))
        with _refused_rows():
            return TacColumn(algorithms, versions, factors, messages, message_bytes, tacs)


FixedColumn = TypeVar("FixedColumn", RecordMacColumn, AuthenticationColumn)


@dataclass(frozen=True, slots=True)
class Rows(Kind[FixedColumn]):
    """A column whose rows have one length: a part for each field, nothing in the header."""

    column: type[FixedColumn]

    def write(self, value: FixedColumn, parts: list[bytes]) -> object:
        """See `Kind`."""
        parts += value.parts
        return None

    def read(self, value: object, parts: Iterator[bytes]) -> FixedColumn:
        """See `Kind`."""
        Nothing().read(value, parts)
        with _refused_rows():
            return self.column(*_bounded(_parts(parts, len(fields(self.column)))))


def _parts(parts: Iterator[bytes], count: int) -> list[bytes]:
    """The next so many."""
    found = [part for _, part in zip(range(count), parts, strict=False)]
    if len(found) < count:
        raise MessageError(
            Text(
                f"有 {len(found)} 个部分；一列须有 {count} 个",
                f"the parts are {len(found)}; a column has {count}",
            )
        )
    return found


def _bounded(column: list[bytes]) -> list[bytes]:
    rows, size = len(column[0]), sum(map(len, column))  # the first field has a byte a row
    if rows > COLUMN_ROWS_MAX or (rows > 1 and size > COLUMN_BYTES_MAX):
        raise MessageError(
            Text(
                f"一列 {rows} 行、{size} 字节：一次至多 {COLUMN_ROWS_MAX} 行、"
                f"{COLUMN_BYTES_MAX} 字节",
                f"a column of {rows} rows and {size} bytes: at most {COLUMN_ROWS_MAX} rows and "
                f"{COLUMN_BYTES_MAX} bytes at once",
            )
        )
    return column


def _few(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > KEYS_MAX:
        raise MessageError(
            Text(f"不是至多 {KEYS_MAX} 把密钥的列表", f"not a list of at most {KEYS_MAX} keys")
        )
    return value


@contextmanager
def _refused_rows() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise MessageError(
            Text(
                f"各部分不是同样长的一列；{text_of(error).zh}",
                f"the parts are not a column of one length; {text_of(error).en}",
            )
        ) from None


class Profile(Plain[PsamProfile]):
    """What is written into a PSAM for its life: an object, bytes in hexadecimal digits."""

    def to_json(self, value: PsamProfile) -> object:
        """See `Plain`."""
        return {name: _plain(getattr(value, name)) for name in PROFILE_TYPES}

    def from_json(self, value: object) -> PsamProfile:
        """See `Plain`."""
        if not isinstance(value, dict) or value.keys() != PROFILE_TYPES.keys():
            raise MessageError(Text("不是 PSAM 的个人化资料", "not the profile of a PSAM"))
        try:
            fields = {name: _PLAIN[PROFILE_TYPES[name]](each) for name, each in value.items()}
            return PsamProfile(**fields)
        except ValueError as error:
            raise MessageError(text_of(error)) from None


class Slots(Plain[tuple[KeySlot, ...]]):
    """Further keys of a PSAM: a list of lists, type, number and name."""

    def to_json(self, value: tuple[KeySlot, ...]) -> object:
        """See `Plain`."""
        return [[each.kind.value, each.number, REF.to_json(each.ref)] for each in value]

    def from_json(self, value: object) -> tuple[KeySlot, ...]:
        """See `Plain`. Raises `KeyUsageError` for a key that cannot be there."""
        return tuple(self._slot(_list(each, 3)) for each in _few(value))

    @staticmethod
    def _slot(fields: list[object]) -> KeySlot:
        kind, number, ref = fields
        return KeySlot(
            OneOf(PsamKeyType).from_json(kind),
            Number(0xFF).from_json(number),
            REF.from_json(ref),
        )


def _plain(value: str | int | bytes | date) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else value


def _hexadecimal(value: object) -> bytes:
    return bytes.fromhex(TEXT.from_json(value))


PROFILE_TYPES: Mapping[str, type] = get_type_hints(PsamProfile)
_PLAIN: Mapping[type, Callable[[object], Any]] = {
    str: TEXT.from_json, int: KEY_VERSION.from_json, bytes: _hexadecimal, date: Day().from_json,
}  # fmt: skip


def _list(value: object, length: int) -> list[object]:
    if not isinstance(value, list) or len(value) != length:
        raise MessageError(Text(f"不是长度为 {length} 的列表", f"not a list of {length}"))
    return value
