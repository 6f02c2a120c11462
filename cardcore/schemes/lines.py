"""On which line of a TOML text each entry stands: `tomllib` says that of faults of form only.

Decides lines only, and only for texts that `tomllib` has read; what they say is read there. An
entry is named by its way from the top: keys, and the number of an element in its list.
"""

from bisect import bisect_right
from collections.abc import Mapping

#: The way to an entry.
Way = tuple[str | int, ...]


def entry_lines(text: str) -> Mapping[Way, int]:
    r"""The line, counted from 1, on which each entry of a valid TOML text begins.

    >>> found = entry_lines('a = 1\n[[b]]\nc = [\n  { d = 2 }]\n[[b]]')
    >>> found["a",], found["b", 0], found["b", 0, "c", 0, "d"], found["b", 1]
    (1, 2, 4, 5)
    """
    reader = _Reader(text.replace("\r\n", "\n"))
    reader.read()
    return reader.lines


class _Reader:
    """Walks through a text once and notes where entries begin."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Way, int] = {(): 1}
        self._text = text
        self._at = 0
        self._breaks = [at for at, sign in enumerate(text) if sign == "\n"]
        self._elements: dict[Way, int] = {}  # lists made by [[headers]], and how long they are

    def read(self) -> None:
        """The whole text: headers and entries, one a line."""
        table: Way = ()
        while self._skip() < len(self._text):
            table = self._header() if self._peek("[") else self._entry(table)

    def _header(self) -> Way:
        start = self._at
        is_list = self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        keys = self._keys()
        self._at += 2 if is_list else 1
        way: Way = ()
        for key in keys[:-1]:
            way = (*way, key)
            if way in self._elements:
                way = (*way, self._elements[way] - 1)
            self._note(way, start)
        way = (*way, keys[-1])
        self._note(way, start)
        if is_list:
            self._elements[way] = self._elements.get(way, 0) + 1
            way = (*way, self._elements[way] - 1)
            self._note(way, start)
        return way

    def _entry(self, table: Way) -> Way:
        start, way = self._at, table
        for key in self._keys():
            way = (*way, key)
            self._note(way, start)
        self._at += 1  # the sign of equality
        self._value(way)
        return table

    def _value(self, way: Way) -> None:
        self._skip()
        if self._peek("["):
            self._at += 1
            number = 0
            while self._more("]"):
                self._note((*way, number), self._at)
                self._value((*way, number))
                number += 1
        elif self._peek("{"):
            self._at += 1
            while self._more("}"):
                self._entry(way)
        elif self._peek('"') or self._peek("'"):
            self._string()
        else:
            while self._at < len(self._text) and self._text[self._at] not in ",]}#\n":
                self._at += 1

    def _more(self, end: str) -> bool:
        """Whether another element follows; what closes the list is passed."""
        self._skip(",")
        if self._peek(end):
            self._at += 1
            return False
        return True

    def _keys(self) -> list[str]:
        """A key, or several with dots between, up to the sign that follows."""
        keys = []
        while True:
            self._skip(".")
            if self._peek('"') or self._peek("'"):
                keys.append(self._string())
            elif self._text[self._at] in "=]":
                return keys
            else:
                start = self._at
                while self._text[self._at] not in ".=] \t":
                    self._at += 1
                keys.append(self._text[start : self._at])

    def _string(self) -> str:
        """A string of any kind, passed; its text as it is written."""
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        start = self._at = self._at + len(mark)
        while not self._text.startswith(mark, self._at):
            self._at += 2 if quote == '"' and self._peek("\\") else 1
        text = self._text[start : self._at]
        self._at += len(mark)
        # Up to two quotes may stand right before the three that close.
        while len(mark) > 1 and self._peek(quote):
            self._at += 1
        return text

    def _skip(self, also: str = "") -> int:
        """Pass spaces, ends of lines and comments, and the signs of `also`."""
        while self._at < len(self._text):
            if self._peek("#"):
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in " \t\n" + also:
                self._at += 1
            else:
                break
        return self._at

    def _peek(self, sign: str) -> bool:
        return self._text.startswith(sign, self._at)

    def _note(self, way: Way, at: int) -> None:
        self.lines.setdefault(way, 1 + bisect_right(self._breaks, at - 1))
