"""Words for people: one shape for everything that is said in two languages.

Decides the shape, and that whoever prints says it in one language. Which one is set once, by the
shell that knows whom it speaks to; nothing is ever decided by it. What is said stands with whatever
it is said of.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class Language(StrEnum):
    """A language that everything is said in."""

    ZH = "zh"  # 中文: Chinese
    EN = "en"  # 英文: English


_SPOKEN: ContextVar[Language | None] = ContextVar("language", default=None)
#: Of the whole process: a thread begins with a context of its own and speaks as the others do.
_OF_PROCESS = [Language.EN]


@dataclass(frozen=True, slots=True)
class Text:
    """The same said in Chinese and in English; printed, it is said in the language spoken.

    >>> Text("圈存", "load").en
    'load'
    >>> with spoken(Language.ZH):
    ...     print(Text("圈存", "load"))
    圈存
    """

    zh: str
    en: str

    def __str__(self) -> str:
        return self.zh if spoken_language() is Language.ZH else self.en


def speak(language: Language) -> None:
    """From now on texts are said in this language, in every thread."""
    _OF_PROCESS[0] = language


@contextmanager
def spoken(language: Language) -> Iterator[None]:
    """The same for a while."""
    token = _SPOKEN.set(language)
    try:
        yield
    finally:
        _SPOKEN.reset(token)


def spoken_language() -> Language:
    """The language that texts are said in."""
    return _SPOKEN.get() or _OF_PROCESS[0]


def text_of(error: BaseException) -> Text:
    """What an exception says. One that was raised with a `Text` says it in both languages; what
    others say, of systems and libraries, is the same in both.

    >>> text_of(ValueError(Text("不是日期", "not a date"))).zh
    '不是日期'
    """
    said = error.args[0] if len(error.args) == 1 else None
    return said if isinstance(said, Text) else Text(str(error), str(error))


def shorten(said: object, most: int = 80) -> str:
    r"""Somebody's input, on one line and no longer than a line.

    >>> shorten("a" * 100)[-3:], shorten("two\nlines"), shorten("a\x1bb")
    ('aa…', 'two lines', 'a\\x1bb')
    """
    line = " ".join(str(said).split())
    line = "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)
    return line if len(line) <= most else f"{line[: most - 1]}…"


def words(zh: str, en: str) -> str:
    """What is said once, where it is said.

    >>> words("关闭", "close")
    'close'
    """
    return str(Text(zh, en))
