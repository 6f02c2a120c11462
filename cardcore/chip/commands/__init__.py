"""Commands of the card as decisions: handlers take a context and a command, return a `Reply`.

This file decides what a handler may see (files, session, random bytes) and what it may ask for (an
answer, a next session, changes to memory). `cardcore.chip.card` carries out what they decide. The
families of commands::

    files.py     SELECT, READ BINARY, READ RECORD
    update.py    UPDATE BINARY, UPDATE RECORD, APPEND RECORD, plain and with secure messaging
    store.py     STORE DATA: several files by one command, through the secure channel
    security.py  GET CHALLENGE, INTERNAL and EXTERNAL AUTHENTICATE; which conditions hold
    pin.py       VERIFY, CHANGE PIN, RELOAD PIN, PIN UNBLOCK
    payment.py   the commands of the purse
    blocking.py  APPLICATION BLOCK and UNBLOCK, CARD BLOCK
    manage.py    the secure channel opened; packages installed and deleted, keys put
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip import scp03
from cardcore.chip.access import Condition
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.purse import offline as purse
from cardcore.chip.tree import DedicatedFile, ElementaryFile
from cardcore.limits import CHANNEL_RESPONSE_BYTES_MAX, RESPONSE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class CachedRecord:
    """A record held back by UPDATE CAPP DATA CACHE; number 0 appends."""

    file: ElementaryFile
    number: int
    data: bytes


class Session(NamedTuple):
    """What the card has in mind between two commands; gone with the power.

    `granted` are the conditions that have come true, each with the number of the directory whose
    key or PIN it was. `challenge` and `opening` live for one command.
    """

    directory: DedicatedFile
    file: ElementaryFile | None = None
    record: int = 0
    granted: frozenset[tuple[int, Condition]] = frozenset()
    challenge: bytes = b""
    pending: purse.Pending | None = None
    cached: tuple[CachedRecord, ...] = ()
    opening: scp03.Opening | None = None

    def __repr__(self) -> str:
        waits = "" if self.is_idle else ", something waits, hidden"
        return f"Session(directory {self.directory.fid:04X}{waits})"

    def at(self, file: ElementaryFile, record: int = 0) -> "Session":
        """The session with another current file and record; nothing is pending in it."""
        if file is self.file and record == self.record and self.is_idle:
            return self
        return Session(self.directory, file, record, self.granted)

    def entered(
        self, directory: DedicatedFile, granted: frozenset[tuple[int, Condition]]
    ) -> "Session":
        """The session in a directory, with what is still granted there."""
        return Session(directory, None, 0, granted)

    @property
    def is_idle(self) -> bool:
        """Whether neither a transaction nor a challenge nor the opening of a channel waits."""
        return (
            self.pending is None and self.opening is None and not self.challenge and not self.cached
        )

    def idle(self) -> "Session":
        """The session without transaction and challenge."""
        if self.is_idle:
            return self
        return Session(self.directory, self.file, self.record, self.granted)


class Reply(NamedTuple):
    """What a handler decided. `session` None: as it was, without transaction and challenge.

    `new_tree`: files come or go with the changes. `channel` is open from now on.
    """

    data: bytes = b""
    sw: int = StatusWord.OK
    session: Session | None = None
    changes: Mapping[int, bytes] = MappingProxyType({})
    new_tree: bool = False
    channel: scp03.Channel | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A secret is about to be compared. `spend` is committed before `compare` may be called, so
    that power lost in between costs a try and never gives one.
    """

    spend: Mapping[int, bytes]
    compare: Callable[[], Reply]


class Context(NamedTuple):
    """What a handler sees. `random` gives that many fresh bytes; `channel` is the secure channel
    that the command came through.
    """

    files: FileSystem
    session: Session
    random: Callable[[int], bytes]
    channel: scp03.Channel | None = None

    @property
    def in_channel(self) -> bool:
        """Whether the command came through the secure channel."""
        return self.channel is not None

    @property
    def room(self) -> int:
        """How many bytes of data one answer carries."""
        return RESPONSE_BYTES_MAX if self.channel is None else CHANNEL_RESPONSE_BYTES_MAX


Decision = StatusWord | Reply | Attempt
Handler = Callable[[Context, CommandApdu], Decision]
