"""Canonical bytes and hash chains: how a stored row or a closed day shows that it was changed.

Decides which bytes stand for a value and how a link follows the one before it. Leaves what is
chained to the ledger and the close. Chaining follows "nothing is corrected, only followed": a
changed row breaks its own link and every later one, and the day's seal covers the last link.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime

#: What stands before the first link of a chain.
GENESIS = "0" * 64

#: What may stand in a sealed document: text, whole numbers, dates, and lists and maps of them.
Sealable = (
    str | int | bool | date | datetime | None | Sequence["Sealable"] | Mapping[str, "Sealable"]
)


def canonical_json(value: Sealable) -> bytes:
    """The one JSON text of a value: keys sorted, no spaces, UTF-8, dates in ISO 8601.

    >>> canonical_json({"b": [1, None], "a": date(2018, 9, 1)})
    b'{"a":"2018-09-01","b":[1,null]}'

    Raises `TypeError` for anything else; there are no floats in money.
    """
    text = json.dumps(
        value,
        default=_iso,
        ensure_ascii=False,
        allow_nan=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    return text.encode()


def _iso(value: object) -> str:
    if isinstance(value, date):  # a datetime is a date too
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no canonical JSON")


def digest(value: Sealable) -> str:
    """SHA-256 of the canonical JSON, hexadecimal.

    >>> digest([])[:16]
    '4f53cda18c2baa0c'
    """
    return hashlib.sha256(canonical_json(value)).hexdigest()


def link(previous: str, value: Sealable) -> str:
    """The next link of a chain: it covers the link before it and the value.

    >>> link(GENESIS, {"a": 1}) == link(GENESIS, {"a": 2})
    False
    """
    assert len(previous) == len(GENESIS), previous
    return digest([previous, value])
