"""What a ruling is about, in one line of text: exactly as lists print it in their column `item`.

Decides the grammar of each noun. Leaves whether there is such a thing to whoever reads it::

    record/<16 hex of the file>/<row>            a record: suspended, claimed, alarmed
    gap/<24 hex>                                 a hole in a card's statements or chain, by a digest
    load/<issuer>/<number>                       a load that the host allowed
    serials/<terminal>/<first>-<last>            serials that no file brought
    register/<settlement day>/<terminal>[/...]   a device register that differs
    sequence/<sender>/<number>                   a file that its sender never sent
    file/<64 hex>                                a batch file
    refusal/<number>                             a refused file, as the audit counts them
    case/record/<16 hex of the file>/<row>       money held for the holder of a record's card
    case/contradiction/<24 hex>                  what cannot be, of a card, by a digest
    registry/<kind>/<subject>                    a row of the registry
    day/<settlement day>                         a settlement day
    person/<name>                                a person
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Self

from cardcore.text import Text, shorten

SUBJECT_LENGTH_MAX = 160
#: The kind of case that is about no record.
CONTRADICTION = "contradiction"
_NUMBER = "(0|[1-9][0-9]{0,18})"
#: Of all that makes a gap of a card, which is not named so: what changes is another one.
_DIGEST = "([0-9a-f]{24})"
_DAY = "([0-9]{4}-[0-9]{2}-[0-9]{2})"
_TERMINAL = "([0-9a-f]{12})"
#: As rows of the store write them, letters included: what is ruled is found again by its text.
#: Behind the noun and its first stroke. One group for each part; the last may hold strokes.
_GRAMMAR: Mapping[str, re.Pattern[str]] = {
    noun: re.compile(pattern)
    for noun, pattern in {
        "record": f"([0-9a-f]{{16}})/{_NUMBER}",
        "gap": _DIGEST,
        "load": f"([0-9A-F]{{16}})/{_NUMBER}",
        "serials": f"{_TERMINAL}/{_NUMBER}-{_NUMBER}",
        "register": f"{_DAY}/{_TERMINAL}(?:/(.+))?",
        "sequence": f"{_NUMBER}/{_NUMBER}",
        "file": "([0-9a-f]{64})",
        "refusal": _NUMBER,
        "case": f"(record)/([0-9a-f]{{16}})/{_NUMBER}|({CONTRADICTION})/{_DIGEST}",
        "registry": "([a-z_]+)/(.+)",
        "day": _DAY,
        "person": "(.+)",
    }.items()
}


#: Nouns whose parts of digits are numbers, and those that begin with a day.
_NUMBERED = frozenset({"record", "load", "serials", "sequence", "refusal", "case"})
_DATED = frozenset({"register", "day"})
#: What a column of the store holds.
_NUMBER_MAX = str(2**63 - 1)


class SubjectError(ValueError):
    """A text is no subject; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """What a ruling is about: a noun, and what names the thing among its kind.

    >>> Subject.parse("sequence/101/17")
    Subject(noun='sequence', parts=('101', '17'))
    >>> Subject.parse("serials/0000000a0001/7-9").parts
    ('0000000a0001', '7', '9')
    >>> Subject.parse("register/2018-09-01/0000000a0001").parts
    ('2018-09-01', '0000000a0001')
    >>> str(Subject("sequence", ("101", "17"))), str(Subject.parse("serials/0000000a0001/7-9"))
    ('sequence/101/17', 'serials/0000000a0001/7-9')
    >>> Subject.parse("sequence/101/seventeen")
    Traceback (most recent call last):
    settlement.rulings.subjects.SubjectError: sequence/101/seventeen: nothing can be named so
    >>> Subject.parse("day/2018-13-45")
    Traceback (most recent call last):
    settlement.rulings.subjects.SubjectError: day/2018-13-45: there is no such day
    """

    noun: str
    parts: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a text names; raises `SubjectError` for any other."""
        noun, _, rest = text.partition("/") if isinstance(text, str) else ("", "", "")
        pattern = _GRAMMAR.get(noun)
        found = None if pattern is None else pattern.fullmatch(rest)
        if found is None or len(text) > SUBJECT_LENGTH_MAX or not text.isprintable():
            said = shorten(str(text))
            raise SubjectError(
                Text(f"{said}：没有这样的事项写法", f"{said}: nothing can be named so")
            )
        parts = tuple(each for each in found.groups() if each is not None)
        _check_bounds(text, noun, parts)
        return cls(noun, parts)

    def __str__(self) -> str:
        if self.noun == "serials":
            terminal, first, last = self.parts
            return f"serials/{terminal}/{first}-{last}"
        return "/".join((self.noun, *self.parts))


def _check_bounds(text: str, noun: str, parts: tuple[str, ...]) -> None:
    """Raises `SubjectError` for a day that the calendar does not have, and for a number that the
    store does not.
    """
    said = shorten(text)
    if noun in _DATED:
        try:
            date.fromisoformat(parts[0])
        except ValueError as error:
            raise SubjectError(
                Text(f"{said}：没有这一日", f"{said}: there is no such day")
            ) from error
    # Of what these nouns are made of, nothing but a number is as long as the longest.
    if noun in _NUMBERED and any(
        len(each) == len(_NUMBER_MAX) and each > _NUMBER_MAX for each in parts
    ):
        raise SubjectError(Text(f"{said}：数字过大", f"{said}: the number is too large"))
