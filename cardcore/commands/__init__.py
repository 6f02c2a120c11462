"""Commands of the card as decisions: handlers take a context and a command, return a `Reply`.

This file decides what a handler may see (files, session, random bytes) and what it may ask for (an
answer, a next session, changes to memory). The families of commands stand in the files beside it;
`cardcore.card` carries out what they decide.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from cardcore import purse
from cardcore.apdu import CommandApdu, StatusWord
from cardcore.filesystem import FileSystem
from cardcore.tree import DedicatedFile, ElementaryFile


@dataclass(frozen=True, slots=True)
class CachedRecord:
    """A record held back by UPDATE CAPP DATA CACHE; number 0 appends."""

    file: ElementaryFile
    number: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Session:
    """What the card has in mind between two commands; gone with the power."""

    directory: DedicatedFile
    file: ElementaryFile | None = None
    pending: purse.Pending | None = None
    cached: tuple[CachedRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler decided. `session` None leaves it as it is."""

    data: bytes = b""
    sw: StatusWord = StatusWord.OK
    session: Session | None = None
    changes: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler sees. `random` gives that many fresh bytes."""

    files: FileSystem
    session: Session
    random: Callable[[int], bytes]


Handler = Callable[[Context, CommandApdu], StatusWord | Reply]
