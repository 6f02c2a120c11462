"""Words for people: one shape for everything that is said in two languages.

Decides the shape only. What is said stands with whatever it is said of.
"""

from dataclasses import dataclass


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
