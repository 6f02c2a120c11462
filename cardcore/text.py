"""Words for people: one shape for everything that is said in two languages.

Decides the shape only. What is said stands with whatever it is said of.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """The same said in Chinese and in English.

    >>> Text("圈存", "load").en
    'load'
    """

    zh: str
    en: str
