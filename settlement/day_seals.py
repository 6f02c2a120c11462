"""The signed seal of a closed day (日封存): as participants keep it, and as people write it down.

Decides how a seal is named in JSON and in writing, and how both are read back. Leaves the signature
to `cardcore.crypto.day_seals`, and comparing a seal with a city to verification. Pure.

In writing: the day's number, then the first 100 bits of its digest in groups of four and a group
of 20 bits that shows a slip of the pen, in the letters of Crockford's Base32, which has none that
is read as another::

    7:4KQ8-M2XW-9TRC-VH3P-0ZJD-E6Y1
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Self

from cardcore.keys import DaySeal
from cardcore.text import Text, shorten

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: What is written instead by whoever does not know better.
_READ_AS = str.maketrans({"O": "0", "I": "1", "L": "1"})
_GROUP, _GROUPS = 4, 6
_BITS_A_LETTER = 5
_WRITTEN = re.compile(r"([1-9][0-9]{0,9}):([0-9A-Z]+)")
_HASH, _SIGNATURE = re.compile("[0-9a-f]{64}"), re.compile("[0-9a-f]{128}")
#: A JSON document of ours is not nested deeper; a stranger's may be.
_DEPTH_MAX = 16


class SealTextError(ValueError):
    """What was written down is no seal; the message says how one looks."""


@dataclass(frozen=True, slots=True)
class SignedSeal:
    """The seal of one day with its signature: all that is needed to check it by a public key."""

    label: str  # of the key: the city's name
    key_version: int
    number: int
    settlement_day: date
    seal: str  # 64 hexadecimal digits
    signature: str  # 128 hexadecimal digits

    @property
    def signed(self) -> DaySeal:
        """What the key service signed."""
        return DaySeal(self.number, self.settlement_day, bytes.fromhex(self.seal))

    @property
    def written(self) -> str:
        """As people write it down.

        >>> SignedSeal("demo", 1, 7, date(2018, 9, 1), "00" * 32, "").written
        '7:0000-0000-0000-0000-0000-S3YG'
        """
        return written_seal(self.number, self.seal)

    def document(self) -> dict[str, str | int]:
        """As one JSON object."""
        return {
            "label": self.label,
            "key_version": self.key_version,
            "number": self.number,
            "settlement_day": self.settlement_day.isoformat(),
            "seal": self.seal,
            "signature": self.signature,
            "written": self.written,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, object]) -> Self | None:
        """What `document` made; None for anything else."""
        match document:
            case {
                "label": str(label),
                "key_version": int(version),
                "number": int(number),
                "settlement_day": str(day),
                "seal": str(seal),
                "signature": str(signature),
            } if _HASH.fullmatch(seal) and _SIGNATURE.fullmatch(signature):
                try:
                    return cls(label, version, number, date.fromisoformat(day), seal, signature)
                except ValueError:
                    return None
        return None


def find_seals(document: object, depth: int = 0) -> Iterator[SignedSeal]:
    """Every signed seal in a JSON document, wherever it stands: an acknowledgement, a statement.

    >>> made = SignedSeal("demo", 1, 7, date(2018, 9, 1), "00" * 32, "11" * 64)
    >>> list(find_seals({"files": [{"newest_seal": made.document()}]})) == [made]
    True
    """
    if depth > _DEPTH_MAX:
        return
    if isinstance(document, Mapping):
        found = SignedSeal.from_document(document)
        if found is not None:
            yield found
        for each in document.values():
            yield from find_seals(each, depth + 1)
    elif isinstance(document, Sequence) and not isinstance(document, str):
        for each in document:
            yield from find_seals(each, depth + 1)


def written_seal(number: int, seal: str) -> str:
    """A day's number and digest (hexadecimal) as people write them down."""
    letters = _letters(bytes.fromhex(seal), _GROUP * (_GROUPS - 1))
    letters += _check(number, letters)
    groups = (letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
    return f"{number}:{'-'.join(groups)}"


def read_written(text: str) -> tuple[int, str]:
    """The day's number, and the seal in writing as `written_seal` writes it: small letters, other
    spaces and dashes, O for 0 and the like are taken for what they are meant.

    Raises `SealTextError`, also where the last group shows that something was written wrongly.

    >>> read_written("7: 0000 OOOO 0000-0000-0000 s3yg")
    (7, '7:0000-0000-0000-0000-0000-S3YG')
    >>> read_written("7:0000-0000-0000-0001-0000-S3YG")
    Traceback (most recent call last):
    settlement.day_seals.SealTextError: 7:0000-0000-0000-0001-0000-S3YG: its last group does not \
fit the others: one of them was written down wrongly
    """
    plain = re.sub(r"[\s‐-―−-]", "", text).upper()
    number, colon, letters = plain.partition(":")
    letters = letters.translate(_READ_AS)
    found = _WRITTEN.fullmatch(f"{number}{colon}{letters}")
    if not found or len(letters) != _GROUP * _GROUPS or not set(letters) <= set(_LETTERS):
        raise SealTextError(
            Text(
                f"{shorten(text)}：不是写下的封存；应为序号、冒号与 {_GROUPS} 组各 {_GROUP} 个字符"
                "，例如 7:4KQ8-M2XW-9TRC-VH3P-0ZJD-E6Y1",
                f"{shorten(text)}: no seal as it is written down, which is a number, a colon and "
                f"{_GROUPS} groups of {_GROUP}, as in 7:4KQ8-M2XW-9TRC-VH3P-0ZJD-E6Y1",
            )
        )
    body, check = letters[:-_GROUP], letters[-_GROUP:]
    if check != _check(int(number), body):
        raise SealTextError(
            Text(
                f"{shorten(text)}：末组与其余各组不符：有一处写错了",
                f"{shorten(text)}: its last group does not fit the others: one of them was written "
                "down wrongly",
            )
        )
    groups = (letters[at : at + _GROUP] for at in range(0, len(letters), _GROUP))
    return int(number), f"{int(number)}:{'-'.join(groups)}"


def _letters(data: bytes, count: int) -> str:
    """The first bits of some bytes, five a letter."""
    bits = int.from_bytes(data, "big") >> (8 * len(data) - _BITS_A_LETTER * count)
    shifts = range(_BITS_A_LETTER * (count - 1), -1, -_BITS_A_LETTER)
    return "".join(_LETTERS[bits >> shift & 31] for shift in shifts)


def _check(number: int, letters: str) -> str:
    return _letters(hashlib.sha256(f"{number}:{letters}".encode()).digest(), _GROUP)
