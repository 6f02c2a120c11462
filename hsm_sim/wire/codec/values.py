"""How one argument or result lies in a message: JSON in the header, bytes in a part.

Decides the form of every kind of value both ways and refuses what has another form, so that
nothing behind it meets a length or a type it was not made for. Leaves which operation takes which
values to `messages`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
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
from hsm_sim.keys.masters import LEVELS_MAX
from hsm_sim.psam import KeySlot, PsamKeyType, PsamProfile
from hsm_sim.wire.codec.frames import MessageError

#: Labels name a city, an application or a sender.
TEXT_CHARACTERS_MAX = 256
T = TypeVar("T")


class Kind(ABC, Generic[T]):
    """One form of value, both ways."""

    @abstractmethod
    def write(self, value: T, parts: list[bytes]) -> object:
        """What stands in the header; bytes are appended to `parts`."""

    @abstractmethod
    def read(self, value: object, parts: Iterator[bytes]) -> T:
        """The value again. Raises `MessageError` for another form."""


class Text(Kind[str]):
    """A word that can be shown in a log: printable, and not long."""

    def write(self, value: str, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return value

    def read(self, value: object, parts: Iterator[bytes]) -> str:
        """See `Kind`."""
        del parts
        if not isinstance(value, str) or len(value) > TEXT_CHARACTERS_MAX:
            raise MessageError(f"not a text of at most {TEXT_CHARACTERS_MAX} characters")
        if not value.isprintable():
            raise MessageError("a text with characters that cannot be shown")
        return value


@dataclass(frozen=True, slots=True)
class Number(Kind[int]):
    """A whole number from 0 to a limit."""

    maximum: int

    def write(self, value: int, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return value

    def read(self, value: object, parts: Iterator[bytes]) -> int:
        """See `Kind`."""
        del parts
        if type(value) is not int or not 0 <= value <= self.maximum:
            raise MessageError(f"not a whole number from 0 to {self.maximum}")
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
            raise MessageError("bytes stand in a part of the message, and none is left")
        if self.lengths and len(part) not in self.lengths:
            lengths = " or ".join(str(each) for each in self.lengths)
            raise MessageError(f"{len(part)} bytes, not {lengths}")
        if not self.lengths and len(part) > self.maximum:
            raise MessageError(f"{len(part)} bytes, at most {self.maximum}")
        if len(part) % self.block_bytes:
            raise MessageError(f"{len(part)} bytes, not whole blocks of {self.block_bytes}")
        return part


class Nothing(Kind[None]):
    """No result: that there is an answer says it."""

    def write(self, value: None, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return value

    def read(self, value: object, parts: Iterator[bytes]) -> None:
        """See `Kind`."""
        del parts
        if value is not None:
            raise MessageError("a value where none belongs")


Member = TypeVar("Member", bound=Enum)


@dataclass(frozen=True, slots=True)
class OneOf(Kind[Member]):
    """A member of an enumeration, by its value."""

    enumeration: type[Member]

    def write(self, value: Member, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return value.value  # a word or a whole number in every enumeration that travels

    def read(self, value: object, parts: Iterator[bytes]) -> Member:
        """See `Kind`."""
        del parts
        for member in self.enumeration:
            if (type(value), value) == (type(member.value), member.value):
                return member
        raise MessageError(f"not a {self.enumeration.__name__}")


@dataclass(frozen=True, slots=True)
class Perhaps(Kind[T | None]):
    """A value or nothing; only for kinds that stand in the header."""

    kind: Kind[T]

    def write(self, value: T | None, parts: list[bytes]) -> object:
        """See `Kind`."""
        return None if value is None else self.kind.write(value, parts)

    def read(self, value: object, parts: Iterator[bytes]) -> T | None:
        """See `Kind`."""
        return None if value is None else self.kind.read(value, parts)


class Day(Kind[date]):
    """A date, as ISO 8601 writes it."""

    def write(self, value: date, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return value.isoformat()

    def read(self, value: object, parts: Iterator[bytes]) -> date:
        """See `Kind`."""
        del parts
        try:
            return date.fromisoformat(value if isinstance(value, str) else "")
        except ValueError:
            raise MessageError("not a date") from None


USAGE = OneOf(KeyUsage)
TEXT = Text()
#: A batch file names the version of its key in four bytes.
KEY_VERSION = Number(0xFFFF_FFFF)
_PERHAPS_DAY = Perhaps(Day())


class Name(Kind[KeyRef]):
    """The name of a key: a list of usage, label and version."""

    def write(self, value: KeyRef, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return [value.usage.value, value.label, value.version]

    def read(self, value: object, parts: Iterator[bytes]) -> KeyRef:
        """See `Kind`."""
        usage, label, version = _list(value, 3)
        return KeyRef(
            USAGE.read(usage, parts), TEXT.read(label, parts), KEY_VERSION.read(version, parts)
        )


REF = Name()


class Descriptions(Kind[tuple[KeyDescription, ...]]):
    """What may be shown of keys: a list of lists, in the order of the fields."""

    def write(self, value: tuple[KeyDescription, ...], parts: list[bytes]) -> object:
        """See `Kind`."""
        return [
            [
                REF.write(each.ref, parts),
                each.algorithm.value,
                each.state.value,
                each.check_value,
                _PERHAPS_DAY.write(each.valid_from, parts),
                _PERHAPS_DAY.write(each.valid_to, parts),
                Perhaps(REF).write(each.parent, parts),
                each.levels,
            ]
            for each in value
        ]

    def read(self, value: object, parts: Iterator[bytes]) -> tuple[KeyDescription, ...]:
        """See `Kind`."""
        if not isinstance(value, list):
            raise MessageError("not a list of keys")
        return tuple(self._key(_list(each, 8), parts) for each in value)

    @staticmethod
    def _key(fields: list[object], parts: Iterator[bytes]) -> KeyDescription:
        ref, algorithm, state, check_value, valid_from, valid_to, parent, levels = fields
        return KeyDescription(
            REF.read(ref, parts),
            OneOf(Algorithm).read(algorithm, parts),
            OneOf(KeyState).read(state, parts),
            TEXT.read(check_value, parts),
            _PERHAPS_DAY.read(valid_from, parts),
            _PERHAPS_DAY.read(valid_to, parts),
            Perhaps(REF).read(parent, parts),
            Number(LEVELS_MAX).read(levels, parts),
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
        algorithms, versions, factors, messages, tacs = _parts(parts, 5)
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
            return self.column(*_parts(parts, len(fields(self.column))))


def _parts(parts: Iterator[bytes], count: int) -> list[bytes]:
    """The next so many."""
    found = [part for _, part in zip(range(count), parts, strict=False)]
    if len(found) < count:
        raise MessageError(f"the parts are {len(found)}; a column has {count}")
    return found


@contextmanager
def _refused_rows() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise MessageError(f"the parts are not a column of one length; {error}") from None


class Profile(Kind[PsamProfile]):
    """What is written into a PSAM for its life: an object, bytes in hexadecimal digits."""

    def write(self, value: PsamProfile, parts: list[bytes]) -> object:
        """See `Kind`."""
        del parts
        return {name: _plain(getattr(value, name)) for name in PROFILE_TYPES}

    def read(self, value: object, parts: Iterator[bytes]) -> PsamProfile:
        """See `Kind`."""
        if not isinstance(value, dict) or value.keys() != PROFILE_TYPES.keys():
            raise MessageError("not the profile of a PSAM")
        try:
            fields = {
                name: _PLAIN[PROFILE_TYPES[name]](each, parts) for name, each in value.items()
            }
            return PsamProfile(**fields)
        except ValueError as error:
            raise MessageError(str(error)) from None


class Slots(Kind[tuple[KeySlot, ...]]):
    """Further keys of a PSAM: a list of lists, type, number and name."""

    def write(self, value: tuple[KeySlot, ...], parts: list[bytes]) -> object:
        """See `Kind`."""
        return [[each.kind.value, each.number, REF.write(each.ref, parts)] for each in value]

    def read(self, value: object, parts: Iterator[bytes]) -> tuple[KeySlot, ...]:
        """See `Kind`. Raises `KeyUsageError` for a key that cannot be there."""
        if not isinstance(value, list):
            raise MessageError("not a list of keys")
        return tuple(self._slot(_list(each, 3), parts) for each in value)

    @staticmethod
    def _slot(fields: list[object], parts: Iterator[bytes]) -> KeySlot:
        kind, number, ref = fields
        return KeySlot(
            OneOf(PsamKeyType).read(kind, parts),
            Number(0xFF).read(number, parts),
            REF.read(ref, parts),
        )


def _plain(value: str | int | bytes | date) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, date) else value


def _hexadecimal(value: object, parts: Iterator[bytes]) -> bytes:
    return bytes.fromhex(TEXT.read(value, parts))


PROFILE_TYPES: Mapping[str, type] = get_type_hints(PsamProfile)
_PLAIN: Mapping[type, Callable[[object, Iterator[bytes]], Any]] = {
    str: TEXT.read, int: KEY_VERSION.read, bytes: _hexadecimal, date: Day().read,
}  # fmt: skip


def _list(value: object, length: int) -> list[object]:
    if not isinstance(value, list) or len(value) != length:
        raise MessageError(f"not a list of {length}")
    return value
