"""Which application of a card each part of a published dump belongs to.

Decides how a dump of a card with several purses is taken apart, so that no number of one purse
stands under the name of another. Leaves finding the parts to `cardcore.dumps.parts` and reading
them to `cardcore.dumps.dumps`.

Three things tell: the name in an FCI, a public file that only one family writes, and a word in the
entry's name that no other purse's entries have (`cu_fci`, `cu_file15`). What none of them tells
belongs to the purse that readers ask for first.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cardcore.dumps.parts import SFI_PUBLIC, Part, hexadecimal
from cardcore.dumps.public import CardFamily, family_of
from cardcore.errors import DecodeError
from cardcore.layouts.fixed import is_unwritten
from cardcore.tlv import decode_all, find

#: The order in which readers ask for purses.
_ORDER = (
    CardFamily.T_UNION,
    CardFamily.CITY_UNION,
    CardFamily.SHENZHEN,
    CardFamily.LINGNAN,
)
_WORD = re.compile(r"[a-z]+[0-9a-f]*")
_TAG_NAME = 0x84


class OneApplication(NamedTuple):
    """The parts of one application, and the names it was selected by or answered with."""

    names: tuple[bytes, ...]
    parts: tuple[Part, ...]


def by_application(
    document: Mapping[str, object], parts: Sequence[Part]
) -> tuple[OneApplication, ...]:
    """The applications of one card, in the order in which readers ask for them; at least one.

    >>> from cardcore.dumps.parts import parts
    >>> two = {"tu_fci": "6F0A8408A000000632010105", "cu_fci": "6F0B8409A00000000386980701"}
    >>> [[each.name for each in one.parts] for one in by_application(two, [*parts(two)])]
    [['tu_fci'], ['cu_fci']]
    """
    selected = _names(document)
    known = {part.name: family for part in parts if (family := _family(part)) is not None}
    named = [family for name in selected if (family := _of_name(name)) is not None]
    families = sorted({*known.values(), *named}, key=_ORDER.index)
    if len(families) < 2:
        return (OneApplication(selected, tuple(parts)),)
    words = _telling_words(known)
    found = []
    for family in families:
        names = tuple(name for name in selected if _of_name(name) in {family, None})
        own = tuple(
            part for part in parts if _belongs_to(part, known, words, families[0]) is family
        )
        if own:
            found.append(OneApplication(names, own))
    return tuple(found) or (OneApplication(selected, ()),)


def fci_name(data: bytes) -> bytes | None:
    """The name of the application in an FCI (tag 84), also in one that does not hold together."""
    try:
        named = find(decode_all(data), _TAG_NAME)
    except DecodeError:
        at = data.find(_TAG_NAME)
        return data[at + 2 : at + 2 + data[at + 1]] if 0 <= at < len(data) - 1 else None
    return None if named is None else named.content


def _names(document: Mapping[str, object]) -> tuple[bytes, ...]:
    """Names the dump says were selected: the AID itself, or a SELECT by name."""
    names: list[bytes] = []
    aid, select = document.get("aid"), hexadecimal(document.get("select_apdu"))
    if isinstance(aid, str):
        names.append(hexadecimal(aid) or aid.encode())
    if select is not None and select[1:3] == b"\xa4\x04" and len(select) > 5:
        names.append(select[5 : 5 + select[4]])
    return tuple(names)


def _of_name(name: bytes) -> CardFamily | None:
    family = family_of((name,), {})
    return family if family in _ORDER else None


def _family(part: Part) -> CardFamily | None:
    """Whose a part is by itself, if it says so."""
    if part.data is None:
        return None
    if part.kind == "fci":
        name = fci_name(part.data)
        return None if name is None else _of_name(name)
    if (part.kind, part.number) != ("file", SFI_PUBLIC) or is_unwritten(part.data):
        return None
    family = family_of((), {SFI_PUBLIC: part.data})
    return family if family in _ORDER else None


def _telling_words(known: Mapping[str, CardFamily]) -> Mapping[str, CardFamily]:
    """Words that stand in the names of one family's entries only."""
    families: dict[str, set[CardFamily]] = {}
    for name, family in known.items():
        for word in _WORD.findall(name.lower()):
            families.setdefault(word, set()).add(family)
    return {word: family for word, (family, *others) in families.items() if not others}


def _belongs_to(
    part: Part,
    known: Mapping[str, CardFamily],
    words: Mapping[str, CardFamily],
    first: CardFamily,
) -> CardFamily:
    if part.name in known:
        return known[part.name]
    told = (words[word] for word in _WORD.findall(part.name.lower()) if word in words)
    return next(told, first)
