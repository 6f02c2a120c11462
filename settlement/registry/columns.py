"""What may stand in a column of the registry: read from text, written as text, checked.

Decides forms of values only. Leaves which columns a row has to `rows`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from cardcore.text import Text, shorten

Value = int | str | None


class ValueFaultError(ValueError):
    """A text is no value of its column; `fault` says what is needed."""

    def __init__(self, fault: Text) -> None:
        super().__init__(fault)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Number:
    """A whole number between two."""

    least: int
    most: int

    def read(self, text: str) -> int:
        """The number in decimal digits."""
        if not re.fullmatch(r"[0-9]{1,19}", text) or not self.least <= int(text) <= self.most:
            zh, en = (
                f"应为 {self.least} 至 {self.most} 的整数",
                f"a whole number {self.least} to {self.most}",
            )
            raise ValueFaultError(Text(zh, f"{en} is needed"))
        return int(text)

    def has(self, value: int | str) -> bool:
        """Whether a text gives this value."""
        return isinstance(value, int) and max(0, self.least) <= value <= self.most


@dataclass(frozen=True, slots=True)
class Form:
    """A text of one form, said in words."""

    pattern: re.Pattern[str]
    said: Text

    def read(self, text: str) -> str:
        """The text as it is."""
        if not self.pattern.fullmatch(text) or not text.isprintable():
            raise ValueFaultError(Text(f"应为{self.said.zh}", f"{self.said.en} is needed"))
        return text

    def has(self, value: int | str) -> bool:
        """Whether a text gives this value: the same text, if any."""
        fits = isinstance(value, str) and self.pattern.fullmatch(value)
        return bool(fits) and str(value).isprintable()


@dataclass(frozen=True, slots=True)
class Words:
    """One of some words, each standing for a value. Where `most` is set, numbers that have no word
    yet may be written as numbers.
    """

    words: Mapping[str, int | str]
    most: int = 0

    def read(self, text: str) -> int | str:
        """What the word stands for."""
        if text in self.words:
            return self.words[text]
        if self.most and re.fullmatch(r"[0-9]{1,9}", text) and int(text) <= self.most:
            return int(text)
        said = shorten(text)
        zh = f"未知的词 {said}，可用 {'、'.join(self.words)}"
        en = f"{said} is none of {', '.join(self.words)}"
        raise ValueFaultError(Text(zh, en))

    def has(self, value: int | str) -> bool:
        """Whether a text gives this value."""
        numbered = self.most and isinstance(value, int) and 0 <= value <= self.most
        return bool(numbered) or value in self.words.values()


@dataclass(frozen=True, slots=True)
class Day:
    """A day as YYYY-MM-DD."""

    def read(self, text: str) -> str:
        """The text as it is."""
        if not self.has(text):
            said = shorten(text)
            zh, en = f"{said} 不是 YYYY-MM-DD 日期", f"{said} is no date YYYY-MM-DD"
            raise ValueFaultError(Text(zh, en))
        return text

    def has(self, value: int | str) -> bool:
        """Whether a text gives this value: the same text, if any."""
        try:
            return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, what may stand in it, and whether it may stay empty. What the registry
    says itself (`is_own`) nobody states: it comes from the chain, or from a city taken over.
    """

    name: str
    form: Number | Form | Words | Day
    optional: bool = False
    is_own: bool = False

    def read(self, text: str) -> Value:
        """The value that a text gives. `ValueFaultError` says what is needed instead."""
        if not text and self.optional:
            return None
        return self.form.read(text)

    def write(self, value: Value) -> str:
        """The text that reads as the value."""
        if value is None:
            return ""
        if isinstance(self.form, Words):
            return next(
                (word for word, each in self.form.words.items() if each == value), str(value)
            )
        return str(value)

    def is_sound(self, value: object) -> bool:
        """Whether a value that came some other way could have been read from a text."""
        if value is None or (value == "" and self.optional):
            return value is None and self.optional
        if isinstance(value, bool) or not isinstance(value, int | str):
            return False
        return self.form.has(value)
