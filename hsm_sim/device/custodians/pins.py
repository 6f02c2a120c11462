"""Which PINs of custodians are taken: long enough, and of their custodian's own making.

Decides what is guessed first. Leaves what a PIN opens to `custody`, and counting wrong ones to
`admission`.

What a guesser tries first has little in it that is its custodian's own: characters of a row (1234,
abcd, qwer), of a date, of a name that everybody knows, or a group for the second time. Those are
left out, and of the rest there must be enough. No message repeats a PIN.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import combinations, pairwise

from cardcore.text import Text
from hsm_sim.device.errors import CustodyError

PIN_BYTES_MIN, PIN_BYTES_MAX = 8, 64
OWN_CHARACTERS_MIN = 6
_GROUP = 3  # so many characters that came before are a group once more
_ROW, _DOUBLED_ROW = 4, 6  # so many neighbours in one direction make a row, and so many of 112233
_NAME_CHARACTERS_MIN = 3
_ROWS = (
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "!@#$%^&*()",
)
_UP = frozenset(pair for row in _ROWS for pair in pairwise(row))
_DOWN = frozenset((after, before) for before, after in _UP)
#: Eight digits in which a day may be written, year first or last, with anything between its parts.
_DATES = (
    re.compile(r"(?=((?P<year>\d{4})\D?(?P<one>\d{2})\D?(?P<other>\d{2})))"),
    re.compile(r"(?=((?P<one>\d{2})\D?(?P<other>\d{2})\D?(?P<year>\d{4})))"),
)
_YEARS = range(1900, 2100)
_PRODUCT = "onecard"


def weakness(pin: bytes, names: Iterable[str] = ()) -> Text | None:
    """Why a PIN is not taken, or None. `names` are those of its device and its custodian.

    >>> str(weakness(b"abcd1234").en)[:34]
    'that PIN is guessed first: besides'
    >>> weakness(b"48 Tugboat") is None
    True
    """
    if not PIN_BYTES_MIN <= len(pin) <= PIN_BYTES_MAX or b"\n" in pin or b"\r" in pin:
        return Text(
            f"PIN 须为一行 {PIN_BYTES_MIN} 至 {PIN_BYTES_MAX} 字节",
            f"a PIN has {PIN_BYTES_MIN} to {PIN_BYTES_MAX} bytes on one line",
        )
    # One character a byte, whatever alphabet it is of.
    text = pin.decode("latin-1").lower()
    known = _of_rows(text) | _of_groups(text) | _of_dates(text) | _of_names(text, names)
    if len(text) - len(known) >= OWN_CHARACTERS_MIN:
        return None
    return Text(
        f"PIN 太易猜：除顺序字符、重复字符、日期及设备和保管员的名称外，须另有至少 "
        f"{OWN_CHARACTERS_MIN} 个字符",
        "that PIN is guessed first: besides rows and groups of characters that come again, dates "
        f"and the names of the device and its custodian, it needs {OWN_CHARACTERS_MIN} characters",
    )


def check_pin(role: str, pin: bytes, names: Iterable[str] = ()) -> None:
    """`CustodyError` for a PIN that is not taken."""
    if (why := weakness(pin, (role, *names))) is not None:
        raise CustodyError(Text(f"{role}：{why.zh}", f"{role}: {why.en}"))


def check_pins(pins: Mapping[str, bytes], names: Iterable[str] = ()) -> None:
    """`CustodyError` for one that is not taken, and for one that two custodians have."""
    names = tuple(names)
    for role, pin in pins.items():
        check_pin(role, pin, names)
    for one, other in combinations(pins, 2):
        if pins[one] == pins[other]:
            raise shared_pin(one, other)


def shared_pin(role: str, other: str) -> CustodyError:
    """Two custodians with one PIN are one."""
    return CustodyError(
        Text(
            f"{role} 与 {other} 的 PIN 相同：各人须自选，不告诉别人",
            f"{role} and {other} have the same PIN: each chooses one and tells nobody",
        )
    )


def _of_rows(text: str) -> set[int]:
    """Places in a row: of one character, of neighbours up or down, or of both (112233)."""
    pairs = list(pairwise(text))
    same = [one == other for one, other in pairs]
    found = _runs(same, _ROW)
    for neighbours in (_UP, _DOWN):
        goes_on = [pair in neighbours for pair in pairs]
        found |= _runs(goes_on, _ROW)
        found |= _runs([a or b for a, b in zip(same, goes_on, strict=True)], _DOUBLED_ROW)
    return found


def _runs(goes_on: Sequence[bool], least: int) -> set[int]:
    """Places of so many characters at least, of which each goes on with the next."""
    found, start = set[int](), 0
    for at, more in enumerate((*goes_on, False), 1):
        if not more:
            found |= set(range(start, at)) if at - start >= least else set()
            start = at
    return found


def _of_groups(text: str) -> set[int]:
    """Places in a group of characters that stood further in front already."""
    return {
        place
        for at in range(1, len(text) - _GROUP + 1)
        if text.find(text[at : at + _GROUP], 0, at + _GROUP - 1) >= 0
        for place in range(at, at + _GROUP)
    }


def _of_dates(text: str) -> set[int]:
    found = set[int]()
    for pattern in _DATES:
        for match in pattern.finditer(text):
            year, one, other = (int(match[name]) for name in ("year", "one", "other"))
            if _is_day(year, one, other) or _is_day(year, other, one):
                found |= set(range(match.start(1), match.end(1)))
    return found


def _is_day(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return year in _YEARS


def _of_names(text: str, names: Iterable[str]) -> set[int]:
    found = set[int]()
    for name in (_PRODUCT, *names):
        named = name.lower().encode(errors="replace").decode("latin-1")
        if len(named) >= _NAME_CHARACTERS_MIN:
            for match in re.finditer(re.escape(named), text):
                found |= set(range(match.start(), match.end()))
    return found
