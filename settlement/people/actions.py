"""Who does what, when and why: the four things that stand with every act of the office.

Decides how somebody is named in rows and sealed documents. Leaves who may do what, and who proves
to be whom, to whoever lets people in: a name here is what was said, not what was proven.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from cardcore.text import Text, shorten
from settlement.errors import SettlementError

NAME_LENGTH_MAX = 64
WHY_LENGTH_MAX = 500


class ActorError(SettlementError):
    """Nobody can be named so, or no reason reads so; the message says what is wrong with it."""


class ActorKind(StrEnum):
    """What kind of actor a name stands for."""

    PERSON = "person"  # 人员
    SYSTEM = "system"  # 系统: acts by itself, on what it was sent


@dataclass(frozen=True, slots=True, order=True)
class Actor:
    """Somebody who acts. Raises `ActorError` for a name that is empty or cannot be read."""

    name: str
    kind: ActorKind = ActorKind.PERSON

    def __post_init__(self) -> None:
        _check(Text("名称", "a name"), self.name, NAME_LENGTH_MAX)
        if not self.name:
            raise ActorError(Text("缺少名称：由谁办理？", "a name is needed: who acts?"))

    @property
    def code(self) -> str:
        """How rows and sealed documents name the actor.

        >>> Actor("李雷").code
        'person:李雷'
        """
        return f"{self.kind}:{self.name}"

    @classmethod
    def from_code(cls, code: str) -> Self:
        """The actor a row names. `ActorError` for a code that names none.

        >>> Actor.from_code("system:intake").kind.name
        'SYSTEM'
        """
        kind, colon, name = code.partition(":")
        if not colon or kind not in set(ActorKind):
            said = shorten(code)
            raise ActorError(Text(f"{said} 不是经办人的写法", f"{said} names nobody"))
        return cls(name, ActorKind(kind))


@dataclass(frozen=True, slots=True)
class Actors:
    """One who acts alone, or two who act together: the first does it, the second says so too."""

    first: Actor
    second: Actor | None = None

    @property
    def are_two(self) -> bool:
        """Whether they are two different people: nobody is the second of their own act.

        >>> Actors(Actor("李雷"), Actor("韩梅梅")).are_two
        True
        >>> Actors(Actor("李雷"), Actor("李雷")).are_two
        False
        """
        actors = {each for each in (self.first, self.second) if each is not None}
        return len(actors) == 2 and all(each.kind is ActorKind.PERSON for each in actors)

    @property
    def confirming(self) -> Actor | None:
        """The second of two."""
        return self.second if self.are_two else None


@dataclass(frozen=True, slots=True)
class Action:
    """An act: by whom, at which moment (with its zone), why in a sentence."""

    by: Actor
    at: datetime
    why: str = ""

    def __post_init__(self) -> None:
        assert self.at.tzinfo is not None, self.at
        _check(Text("缘由", "a reason"), self.why, WHY_LENGTH_MAX)


def _check(what: Text, text: str, length_max: int) -> None:
    if len(text) > length_max:
        raise ActorError(
            Text(
                f"{what.zh}至多 {length_max} 字，现有 {len(text)} 字",
                f"{what.en} has at most {length_max} characters, not {len(text)}",
            )
        )
    if not text.isprintable() or text != text.strip():
        said = shorten(text)
        raise ActorError(
            Text(
                f"{what.zh}应为一行文字，首尾无空格：{said}",
                f"{what.en} is one line without spaces around it: {said}",
            )
        )
