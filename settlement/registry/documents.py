"""The registry as one JSON document: to carry it to another city folder, and as a run saw it.

Decides its form. Who registered what and why stays behind: whoever takes a document in registers
its rows in a name of their own. Documents written before rows had days are read as rows that hold
from the beginning.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from cardcore.errors import DecodeError
from cardcore.text import Text, shorten
from settlement.errors import reason_of
from settlement.registry.book import (
    BEGINNING,
    FIELDS,
    FOREVER,
    AnyDated,
    Change,
    Dated,
    Registry,
    book_of,
    registry_of,
)
from settlement.registry.columns import Value
from settlement.registry.rows import KINDS, Kind, content_of
from settlement.seal import Sealable, canonical_json

FORMAT = 2
#: What stood in documents of format 1, which had lists of values without names and without days.
_FIRST_FORMAT: Mapping[str, tuple[str, ...]] = {
    "participant": ("code", "name", "kind", "sector"),
    "sender": ("sender", "key_version", "participant", "public_key"),
    "terminal": ("terminal", "participant", "role"),
    "name": ("kind", "code", "text"),
    "hotlist": ("card_number", "version"),
    "tac_key": ("label", "version", "algorithm", "check_value"),
}
#: Documents of format 1 that were written before there was this kind are read without it.
_ADDED_LATER = "tac_keys"
#: The same of format 2: left out while there is none, so that what was written before stays so.
_ADDED_SINCE = frozenset({"load_hosts", "centres", "cards"})


def encode_registry(registry: Registry) -> bytes:
    """The registry as one canonical JSON document, rows in order of subject and day.

    >>> encode_registry(Registry())[:34]
    b'{"card_numbers":[],"format":2,"hot'
    """
    tables: dict[str, Sealable] = {
        name: [_content(each) for each in getattr(registry, name)]
        for name in FIELDS.values()
        if name not in _ADDED_SINCE or getattr(registry, name)
    }
    return canonical_json({"format": FORMAT, **tables})


def read_by_runs(changes: Sequence[Change]) -> Registry:
    """The part of what the changes say that a run may read: what places are called decides no
    record, and which of an old system's cards was given out again does not either.
    """
    return replace(registry_of(book_of(changes)), names=(), load_hosts=(), cards=())


def decode_registry(data: bytes) -> Registry:
    """Read what `encode_registry` wrote; `DecodeError` names what cannot be read."""
    try:
        document = json.loads(data)
        if document["format"] not in {1, FORMAT}:
            given = shorten(str(document["format"]), 20)
            reason = Text(f"格式 {given} 不识别", f"format {given} is not known")
            raise DecodeError("registry", 0, reason)
        read = _old_rows if document["format"] == 1 else _rows
        tables: dict[str, Any] = {name: read(name, kind, document) for kind, name in FIELDS.items()}
        return Registry(**tables)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DecodeError("registry", 0, reason_of(error)) from error


def _content(each: AnyDated) -> Sealable:
    first = None if each.valid_from == BEGINNING else each.valid_from
    last = None if each.valid_to == FOREVER else each.valid_to
    return [content_of(each.row), first, last]


def _rows(name: str, kind: str, document: Mapping[str, Any]) -> tuple[AnyDated, ...]:
    if name in _ADDED_SINCE and name not in document:
        return ()
    return tuple(_row(KINDS[kind], *each) for each in document[name])


def _row(kind: Kind, values: Mapping[str, Value], first: str | None, last: str | None) -> AnyDated:
    dated: AnyDated = Dated(
        kind.make(values),
        BEGINNING if first is None else date.fromisoformat(first),
        FOREVER if last is None else date.fromisoformat(last),
    )
    if dated.valid_to < dated.valid_from:
        raise ValueError(
            Text(f"{kind.name}：{last} 早于 {first}", f"{kind.name}: {last} lies before {first}")
        )
    return dated


def _old_rows(name: str, kind: str, document: Mapping[str, Any]) -> tuple[AnyDated, ...]:
    columns = _FIRST_FORMAT.get(kind)
    if columns is None or (name == _ADDED_LATER and name not in document):
        return ()
    return tuple(
        Dated(KINDS[kind].make(dict(zip(columns, row, strict=True)))) for row in document[name]
    )
