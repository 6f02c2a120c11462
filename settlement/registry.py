"""The public registry of a city: who takes part and may send files, which terminals and keys exist.

Decides the rows, their one JSON document, and whether new rows agree with the ones held. Leaves
keeping them to the store. A city folder that receives another one's document can take in the same
files; no secret is in it.
"""

import json
from collections.abc import Hashable
from dataclasses import astuple, dataclass, fields
from typing import Any

from cardcore.errors import DecodeError
from settlement.errors import SettlementError
from settlement.seal import canonical_json

FORMAT = 1


class RegistryConflictError(SettlementError):
    """A row with the same key and other content is held already; nothing was registered."""

    def __init__(self, kind: str, key: object) -> None:
        super().__init__(f"{kind} {key} is registered with other content")
        self.kind = kind
        self.key = key


@dataclass(frozen=True, slots=True, order=True)
class ParticipantRow:
    """A participant: `role` and `sector` are the numbers of `schemes.Role`, `records.Sector`."""

    code: int
    name: str
    role: int
    sector: int

    @property
    def key(self) -> Hashable:
        """What names the row."""
        return self.code


@dataclass(frozen=True, slots=True, order=True)
class SenderRow:
    """A sender of files and one version of its Ed25519 public key (64 hexadecimal digits)."""

    sender: int
    key_version: int
    participant: int
    public_key: str

    @property
    def key(self) -> Hashable:
        """What names the row."""
        return self.sender, self.key_version


@dataclass(frozen=True, slots=True, order=True)
class TerminalRow:
    """A terminal (12 hexadecimal digits), whose it is and what it does."""

    terminal: str
    participant: int
    role: str

    @property
    def key(self) -> Hashable:
        """What names the row."""
        return self.terminal


@dataclass(frozen=True, slots=True, order=True)
class NameRow:
    """What people call a line, station or vehicle that records carry as a code."""

    kind: str  # line, station or vehicle
    code: int
    text: str

    @property
    def key(self) -> Hashable:
        """What names the row."""
        return self.kind, self.code


@dataclass(frozen=True, slots=True, order=True)
class HotlistRow:
    """A card on the hotlist (黑名单) and the list version from which on a terminal could know."""

    card_number: str
    version: int

    @property
    def key(self) -> Hashable:
        """What names the row."""
        return self.card_number


@dataclass(frozen=True, slots=True, order=True)
class TacKeyRow:
    """One version of the key under the TACs, by what may be read aloud: `algorithm` is a number of
    `cardcore.keys.Algorithm`, the check value (密钥校验值) has six hexadecimal digits.
    """

    label: str
    version: int
    algorithm: int
    check_value: str

    @property
    def key(self) -> Hashable:
        """What names the row."""
        return self.label, self.version


RegistryRow = ParticipantRow | SenderRow | TerminalRow | NameRow | HotlistRow | TacKeyRow


@dataclass(frozen=True, slots=True)
class Registry:
    """Rows of the registry, of every kind; some of them or all."""

    participants: tuple[ParticipantRow, ...] = ()
    senders: tuple[SenderRow, ...] = ()
    terminals: tuple[TerminalRow, ...] = ()
    names: tuple[NameRow, ...] = ()
    hotlist: tuple[HotlistRow, ...] = ()
    tac_keys: tuple[TacKeyRow, ...] = ()


_ROWS: dict[str, type[RegistryRow]] = {
    "participants": ParticipantRow,
    "senders": SenderRow,
    "terminals": TerminalRow,
    "names": NameRow,
    "hotlist": HotlistRow,
    "tac_keys": TacKeyRow,
}
#: Documents written before there was this kind are read without it.
_ADDED_LATER = frozenset({"tac_keys"})
assert list(_ROWS) == [field.name for field in fields(Registry)]


def additions(held: Registry, offered: Registry) -> Registry:
    """The offered rows that are not held yet.

    Raises `RegistryConflictError` when an offered row contradicts a held one, or another offered
    one.
    """
    new: dict[str, Any] = {}
    for kind in _ROWS:
        known = {row.key: row for row in getattr(held, kind)}
        rows = []
        for row in getattr(offered, kind):
            if known.setdefault(row.key, row) != row:
                raise RegistryConflictError(kind, row.key)
        held_keys = {row.key for row in getattr(held, kind)}
        rows = [row for key, row in known.items() if key not in held_keys]
        new[kind] = tuple(sorted(rows))
    return Registry(**new)


def encode_registry(registry: Registry) -> bytes:
    """The registry as one canonical JSON document, rows sorted by key.

    >>> encode_registry(Registry(names=(NameRow("line", 1, "一号线"),)))[:28]
    b'{"format":1,"hotlist":[],"na'
    """
    tables: dict[str, Any] = {
        kind: [list(astuple(row)) for row in sorted(getattr(registry, kind))] for kind in _ROWS
    }
    return canonical_json({"format": FORMAT, **tables})


def decode_registry(data: bytes) -> Registry:
    """Read what `encode_registry` wrote; `DecodeError` names what cannot be read."""
    try:
        document = json.loads(data)
        if document["format"] != FORMAT:
            raise DecodeError("registry", 0, f"format {document['format']} is not known")
        kinds = [kind for kind in _ROWS if kind in document or kind not in _ADDED_LATER]
        return Registry(**{kind: _rows(kind, document[kind]) for kind in kinds})
    except (ValueError, KeyError, TypeError) as error:
        raise DecodeError("registry", 0, f"{type(error).__name__}: {error}") from error


def _rows(kind: str, rows: list[list[Any]]) -> tuple[Any, ...]:
    row_type = _ROWS[kind]
    decoded = tuple(row_type(*row) for row in rows)
    for row in decoded:
        for field in fields(row_type):
            if type(getattr(row, field.name)) is not field.type:
                raise TypeError(f"{kind}: {field.name} of {row.key} is not {field.type}")
    return decoded
