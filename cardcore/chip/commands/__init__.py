"""Commands of the card as decisions: handlers take a context and a command, return a `Reply`.

This file decides what a handler may see (files, session, random bytes) and what it may ask for (an
answer, a next session, changes to memory). `cardcore.chip.card` carries out what they decide. The
families of commands::

    files.py     SELECT, READ BINARY, READ RECORD
    update.py    UPDATE BINARY, UPDATE RECORD, APPEND RECORD, plain and with secure messaging
    security.py  GET CHALLENGE, INTERNAL and EXTERNAL AUTHENTICATE; which conditions hold
    pin.py       VERIFY, CHANGE PIN, RELOAD PIN, PIN UNBLOCK
    payment.py   the commands of the purse
    blocking.py  APPLICATION BLOCK and UNBLOCK, CARD BLOCK
    manage.py    the secure channel opened; packages installed and deleted, keys put
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

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


@dataclass(frozen=True, slots=True)
class Session:
    """What the card has in mind between two commands; gone with the power.

    `granted` are the conditions that have come true, each with the number of the directory whose
    key or PIN it was. `challenge` and `opening` live for one command, `channel` until a command
    comes outside of it.
    """

    directory: DedicatedFile
    file: ElementaryFile | None = None
    record: int = 0
    granted: frozenset[tuple[int, Condition]] = frozenset()
    challenge: bytes = field(default=b"", repr=False)
    pending: purse.Pending | None = None
    cached: tuple[CachedRecord, ...] = ()
    opening: scp03.Opening | None = None
    channel: scp03.Channel | None = None

    def at(self, file: ElementaryFile, record: int = 0) -> "Session":
        """The session with another current file and record; nothing is pending in it."""
        return Session(self.directory, file, record, self.granted, channel=self.channel)

    def entered(
        self, directory: DedicatedFile, granted: frozenset[tuple[int, Condition]]
    ) -> "Session":
        """The session in a directory, with what is still granted there."""
        return Session(directory, granted=granted, channel=self.channel)

    def idle(self) -> "Session":
        """The session without transaction and challenge."""
        return Session(self.directory, self.file, self.record, self.granted, channel=self.channel)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler decided. `session` None: as it was, without transaction and challenge."""

    data: bytes = b""
    sw: int = StatusWord.OK
    session: Session | None = None
    changes: Mapping[int, bytes] = field(default_factory=dict)
    #: Files come or go with the changes.
    new_tree: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A secret is about to be compared. `spend` is committed before `compare` may be called, so
    that power lost in between costs a try and never gives one.
    """

    spend: Mapping[int, bytes]
    compare: Callable[[], Reply]


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler sees. `random` gives that many fresh bytes; `in_channel` says that the
    command came through the secure channel.
    """

    files: FileSystem
    session: Session
    random: Callable[[int], bytes]
    in_channel: bool = False

    @property
    def room(self) -> int:
        """How many bytes of data one answer carries."""
        return CHANNEL_RESPONSE_BYTES_MAX if self.in_channel else RESPONSE_BYTES_MAX


Decision = StatusWord | Reply | Attempt
Handler = Callable[[Context, CommandApdu], Decision]
