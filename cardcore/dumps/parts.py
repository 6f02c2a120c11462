"""Which part of a card each entry of a published dump is.

Decides, from the name of an entry and its bytes, whether it is an FCI, a file, a record, a balance
or a comment. Leaves reading the bytes to `cardcore.dumps.dumps`. Publishers name the same part in
many ways (`file15`, `ep_file15`, `rec18`, `records18`, `file17_11bytes`, `r1`), so names are taken
apart, and a record whose name says nothing is known by how it begins.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_FILE = re.compile(r"(?:[a-z]+_)?(?:file|ef|sfi|records|record|recs|rec)_?([01][0-9a-f])(?:_\w+)?")
_BALANCE = re.compile(r"balance(?:_p1)?(?:_?(0[0-3]))?(?:_resp(?:onse)?)?")
_FCI = re.compile(r"(?:[a-z]+_)*fci(?:_\w+)?")
_COMMENT = re.compile(r".*(?:apdu|note|meaning|source|layout|expect)")
_RECORD = re.compile(r"r(?:ec|ecord)?_?\d")
_NESTED = ("hex", "data", "resp", "value")
#: A whole UPDATE CAPP DATA CACHE as it is found in logs of gates: 80 DC P1 P2 Lc data.
_CAPP_HEAD = b"\x80\xdc"
SFI_PUBLIC, SFI_RIDES = 0x15, 0x1A
#: Shorter texts of hexadecimal digits are dates and numbers that a publisher took out himself.
_UNREAD_DIGITS_MIN = 24


class Part(NamedTuple):
    """One part of a dump. `number` is the SFI of a file or record, P1 of a balance; `data` is the
    bytes, or None when what stands there is no hexadecimal text.
    """

    name: str
    kind: str  # "fci", "file", "balance"
    number: int
    data: bytes | None


def parts(document: Mapping[str, object]) -> Iterator[Part]:
    """The parts of one card, in the order of the document; a list gives one part an element.

    >>> [part[:3] for part in parts({"ep_file15": "00", "records18": ["00"], "note": "x"})]
    [('ep_file15', 'file', 21), ('records18[0]', 'file', 24)]
    """
    for key, value in document.items():
        found = _kind(key.lower())
        elements = value if isinstance(value, list) else [value]
        for index, element in enumerate(elements):
            name = f"{key}[{index}]" if isinstance(value, list) else key
            data = hexadecimal(element)
            kind = found or _kind_of_bytes(data)
            if kind is not None:
                yield Part(name, *kind, _without_command(data))


def hexadecimal(value: object) -> bytes | None:
    r"""The bytes of an entry: hexadecimal text, or an object that has such a text in `hex`.

    >>> hexadecimal({"hex": "0A 0B"}), hexadecimal("no")
    (b'\n\x0b', None)
    """
    if isinstance(value, Mapping):
        value = next((value[name] for name in _NESTED if name in value), None)
    if not isinstance(value, str):
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


def unread(document: Mapping[str, object]) -> Iterator[str]:
    """Where bytes stand that are no part of a card known here, as paths through the document.

    >>> [*unread({"note": "00", "app": [{"fci2": "6F318408A000000632010105A525"}]})]
    ['app[0].fci2']
    """
    for key, value in document.items():
        if not _COMMENT.fullmatch(key.lower()) and not is_part(key) and not _bytes_tell(value):
            yield from _unread(key, value)


def _bytes_tell(value: object) -> bool:
    elements = value if isinstance(value, list) else [value]
    return any(_kind_of_bytes(hexadecimal(each)) is not None for each in elements)


def _unread(path: str, value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _unread(f"{path}.{key}", each)
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _unread(f"{path}[{index}]", each)
    elif isinstance(value, str) and len(value) >= _UNREAD_DIGITS_MIN and hexadecimal(value):
        yield path


def is_part(key: str) -> bool:
    """Whether an entry of that name is a part of a card."""
    return _kind(key.lower()) is not None


def _kind(key: str) -> tuple[str, int] | None:
    if _COMMENT.fullmatch(key):
        return None
    if _FCI.fullmatch(key):
        return "fci", 0
    if found := _BALANCE.fullmatch(key):
        return "balance", int(found[1] or "0", 16)
    if found := _FILE.fullmatch(key):
        return "file", int(found[1], 16)
    return ("file", SFI_RIDES) if _RECORD.fullmatch(key) else None


def _kind_of_bytes(data: bytes | None) -> tuple[str, int] | None:
    """A record of EF1A begins with its id 27xx and the length 7D, also inside a gate's command."""
    record = _without_command(data)
    if record is not None and record[:1] == b"\x27" and record[2:3] == b"\x7d":
        return "file", SFI_RIDES
    return None


def _without_command(data: bytes | None) -> bytes | None:
    if data is not None and data[:2] == _CAPP_HEAD and len(data) > 5:
        return data[5 : 5 + data[4]]
    return data
