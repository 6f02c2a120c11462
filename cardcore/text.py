"""Words for people: one shape for what is said in two languages, and for what is quoted.

Decides the shape only. What is said stands with whatever it is said of.
"""

from dataclasses import dataclass

#: Characters of somebody's input that a message repeats at most: enough to find it.
QUOTED_CHARACTERS_MAX = 40


@dataclass(frozen=True, slots=True)
class Text:
    """The same said in Chinese and in English; printed, it is said in both.

    >>> Text("圈存", "load").en
    'load'
    >>> print(Text("圈存", "load"))
    圈存 / load
    """

    zh: str
    en: str

    def __str__(self) -> str:
        return f"{self.zh} / {self.en}"


def quoted(value: object) -> str:
    r"""Somebody's input as a message repeats it: control characters escaped, and not more than a
    glance, for a whole line of it helps nobody.

    >>> quoted("a\x1bb"), quoted(5), len(quoted("x" * 100_000))
    ("'a\\x1bb'", '5', 43)
    """
    if isinstance(value, str):
        cut = value[:QUOTED_CHARACTERS_MAX]
        return repr(cut if len(cut) == len(value) else f"{cut}…")
    text = repr(value)
    return text if len(text) <= QUOTED_CHARACTERS_MAX else f"{text[:QUOTED_CHARACTERS_MAX]}…"
