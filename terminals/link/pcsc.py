"""Real readers, through PC/SC. The only module that imports pyscard.

Decides which reader is meant, what every code of PC/SC means for a terminal, and who may speak
to a card when two programs share its reader. Leaves what is said to the session.

One visit of a card is one PC/SC transaction: INITIALIZE to DEBIT is not to be interrupted
(JR/T 0025), and a program that speaks in between would drop it. pcscd lets others wait without
an end in SCardConnect and SCardBeginTransaction, so both are asked for in a thread of their own,
and whoever waits longer than `patience_s` is told that the reader is in use.

A card that leaves, or is reset by another program, has lost its session: `CardRemovedError`, as
when it is torn out. Everything else is a `ReaderError` that says what to do.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from cardcore.text import Text, shorten
from terminals.errors import CardRemovedError
from terminals.link.connection import whole_answer
from terminals.link.reader_faults import ReaderError, ReaderProblem

try:
    from smartcard import scard as _scard
except ImportError:  # the extra `pcsc` is not installed, or libpcsclite is missing
    _scard = None

PATIENCE_S = 5.0
#: Waiting for an event ends this often, so that a caller can be interrupted.
_POLL_MS = 500
#: A name of PC/SC for "a reader came or went".
_ANY_READER = "\\\\?PnP?\\Notification"
_CODE_MASK = 0xFFFFFFFF
_OK = 0

# Codes of PC/SC part 5; they are the same on every platform.
_REMOVED = {
    0x80100016: Text(
        "卡未完成指令", "the card did not finish the command"
    ),  # SCARD_E_NOT_TRANSACTED
    0x8010002F: Text("与卡的联系中断", "the link to the card was lost"),  # SCARD_E_COMM_DATA_LOST
    0x80100067: Text("卡已断电", "the card has lost power"),  # SCARD_W_UNPOWERED_CARD
    0x80100068: Text(
        "卡被其他程序复位", "the card was reset by another program"
    ),  # SCARD_W_RESET_CARD
    0x80100069: Text("卡已移走", "the card was removed"),  # SCARD_W_REMOVED_CARD
}
_PROBLEMS = {
    0x80100003: ReaderProblem.SERVICE_NOT_RUNNING,  # SCARD_E_INVALID_HANDLE: pcscd was restarted
    0x80100009: ReaderProblem.READER_UNPLUGGED,  # SCARD_E_UNKNOWN_READER
    0x8010000B: ReaderProblem.READER_IN_USE,  # SCARD_E_SHARING_VIOLATION
    0x8010000C: ReaderProblem.NO_CARD,  # SCARD_E_NO_SMARTCARD
    0x8010000F: ReaderProblem.CARD_MUTE,  # SCARD_E_PROTO_MISMATCH
    0x80100013: ReaderProblem.SERVICE_NOT_RUNNING,  # SCARD_F_COMM_ERROR
    0x80100017: ReaderProblem.READER_UNPLUGGED,  # SCARD_E_READER_UNAVAILABLE
    0x8010001D: ReaderProblem.SERVICE_NOT_RUNNING,  # SCARD_E_NO_SERVICE
    0x8010001E: ReaderProblem.SERVICE_NOT_RUNNING,  # SCARD_E_SERVICE_STOPPED
    0x8010002E: ReaderProblem.NO_READER,  # SCARD_E_NO_READERS_AVAILABLE
    0x80100065: ReaderProblem.CARD_MUTE,  # SCARD_W_UNSUPPORTED_CARD
    0x80100066: ReaderProblem.CARD_MUTE,  # SCARD_W_UNRESPONSIVE_CARD
    0x8010006A: ReaderProblem.ACCESS_DENIED,  # SCARD_W_SECURITY_VIOLATION
}
#: Before the first command a card that is not there is a matter of the reader, not of a tap.
_AT_CONNECT = {
    0x80100016: ReaderProblem.CARD_MUTE,
    0x80100067: ReaderProblem.CARD_MUTE,
    0x80100069: ReaderProblem.NO_CARD,
}
_NO_READERS = 0x8010002E
_TIMEOUT = 0x8010000A


class CardEvent(Enum):
    """What a reader can report."""

    INSERTED = "inserted"  # 卡已放入
    REMOVED = "removed"  # 卡已移走
    UNKNOWN_CARD = "unknown card"  # 无法识别的卡: something is there and does not answer
    READER_ADDED = "reader added"  # 读卡器已连接
    READER_REMOVED = "reader removed"  # 读卡器已断开


@dataclass(frozen=True, slots=True)
class ReaderEvent:
    """One event at one reader; `atr` is what an inserted card answered to reset."""

    kind: CardEvent
    reader: str
    atr: bytes = b""


@dataclass(frozen=True, slots=True)
class ReaderState:
    """A reader and what is on it now. `is_mute`: something that does not answer."""

    reader: str
    atr: bytes
    is_present: bool
    is_mute: bool
    is_exclusive: bool  # another program holds the card for itself


def choose_reader(names: list[str], wanted: str | None) -> str:
    """The reader whose name contains `wanted`; the first one when nothing is asked for.

    A name that is written out in full is that reader, also when it is part of a longer one.

    >>> choose_reader(["ACS ACR122U 00 00", "Virtual PCD 00 00"], "virtual")
    'Virtual PCD 00 00'
    """
    if not names:
        raise ReaderError(ReaderProblem.NO_READER)
    if wanted is None or wanted in names:
        return names[0] if wanted is None else wanted
    found = [name for name in names if wanted.casefold() in name.casefold()]
    if len(found) == 1:
        return found[0]
    problem = ReaderProblem.READER_AMBIGUOUS if found else ReaderProblem.READER_UNKNOWN
    raise ReaderError(problem, f"{shorten(wanted)}: {', '.join(found or names)}")


def translate(code: int, detail: str = "", *, connecting: bool = False) -> Exception:
    """The exception for a code of PC/SC.

    >>> translate(0x80100069)
    CardRemovedError(Text(zh='卡已移走', en='the card was removed'))
    >>> translate(0x8010001D).problem.name
    'SERVICE_NOT_RUNNING'
    """
    code &= _CODE_MASK
    if connecting and code in _AT_CONNECT:
        return ReaderError(_AT_CONNECT[code], detail)
    if code in _REMOVED:
        return CardRemovedError(_REMOVED[code])
    if code in _PROBLEMS:
        return ReaderError(_PROBLEMS[code], detail)
    return ReaderError(ReaderProblem.OTHER, f"PC/SC {code:08X} {detail}".rstrip())


class ReaderService:
    """The readers of this machine. Use as a context manager."""

    def __init__(self) -> None:
        self._context = _establish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _scard.SCardReleaseContext(self._context)

    def names(self) -> list[str]:
        """Every reader, in the order of pcscd; empty when there is none."""
        code, names = _scard.SCardListReaders(self._context, [])
        if code & _CODE_MASK == _NO_READERS:
            return []
        _check(code)
        return list(names)

    def states(self) -> list[ReaderState]:
        """What is on every reader now."""
        names = self.names()
        if not names:
            return []
        return [_state(*row) for row in self._changes([(name, 0) for name in names], 0)]

    def connect(
        self, reader: str | None, *, exclusive: bool = False, patience_s: float = PATIENCE_S
    ) -> "ReaderConnection":
        """The card on the reader whose name contains `reader`, for one visit."""
        name = choose_reader(self.names(), reader)
        return ReaderConnection(name, exclusive=exclusive, patience_s=patience_s)

    def watch(self, stop: Callable[[], bool] = lambda: False) -> Iterator[ReaderEvent]:
        """What happens at the readers, starting with what is there, until `stop` says so.

        `stop` is asked twice a second. `ReaderError` when pcscd goes away.
        """
        known: dict[str, int] = {}
        while not stop():
            names = self.names()
            for gone in known.keys() - set(names):
                del known[gone]
                yield ReaderEvent(CardEvent.READER_REMOVED, gone)
            for new in (name for name in names if name not in known):
                known[new] = 0
                yield ReaderEvent(CardEvent.READER_ADDED, new)
            # The count of readers in the upper half tells pcscd what we know already.
            watched = [*known.items(), (_ANY_READER, len(known) << 16)]
            for name, state, atr in self._changes(watched, _POLL_MS):
                if name in known and (kind := _event(known[name], state)) is not None:
                    yield ReaderEvent(kind, name, bytes(atr))
                if name in known:
                    known[name] = state & ~_scard.SCARD_STATE_CHANGED

    def _changes(
        self, watched: list[tuple[str, int]], timeout_ms: int
    ) -> list[tuple[str, int, list[int]]]:
        """SCardGetStatusChange; no change within the time is no rows."""
        code, rows = _scard.SCardGetStatusChange(self._context, timeout_ms, watched)
        if code & _CODE_MASK == _TIMEOUT:
            return []
        if code & _CODE_MASK in {0x80100009, 0x80100017}:
            return []  # a reader went while we asked; the next list of names says which
        _check(code)
        return list(rows)


class ReaderConnection:
    """A card on a reader for one visit: nobody else speaks to it until `close`.

    A `CardConnection`. Closing resets the card, so that nobody inherits what it was told.
    """

    def __init__(self, reader: str, *, exclusive: bool, patience_s: float) -> None:
        self.reader = reader
        self._visit = _begin(reader, exclusive=exclusive, patience_s=patience_s)
        self._protocol = (
            _scard.SCARD_PCI_T0
            if self._visit.protocol == _scard.SCARD_PROTOCOL_T0
            else _scard.SCARD_PCI_T1
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def atr(self) -> bytes:
        """What the card answered to reset."""
        code, _, _, _, atr = _scard.SCardStatus(self._visit.card)
        _check(code, self.reader)
        return bytes(atr)

    def transmit(self, command: bytes) -> bytes:
        """See `CardConnection`."""
        is_t0 = self._visit.protocol == _scard.SCARD_PROTOCOL_T0
        return whole_answer(self._send, command, t0=is_t0)

    def _send(self, command: bytes) -> bytes:
        code, answer = _scard.SCardTransmit(self._visit.card, self._protocol, list(command))
        _check(code, self.reader)
        return bytes(answer)

    def reset(self) -> None:
        """Power the card down and up, as if it had left the field; the visit goes on."""
        code, _ = _scard.SCardReconnect(
            self._visit.card,
            self._visit.share,
            self._visit.protocol,
            _scard.SCARD_UNPOWER_CARD,
        )
        _check(code, self.reader)

    def close(self) -> None:
        """End the visit. A card, a reader or a service that is gone already is no fault here."""
        self._visit.end()


@dataclass(slots=True)
class _Visit:
    """A context, a card and a transaction of PC/SC. A context of its own, because the calls of
    one context wait for each other.
    """

    context: object
    card: object
    protocol: int
    share: int

    def end(self) -> None:
        """Give everything back."""
        _scard.SCardEndTransaction(self.card, _scard.SCARD_RESET_CARD)
        _scard.SCardDisconnect(self.card, _scard.SCARD_LEAVE_CARD)
        _scard.SCardReleaseContext(self.context)


def _begin(reader: str, *, exclusive: bool, patience_s: float) -> _Visit:
    """Connect and begin a transaction, or say after `patience_s` who is in the way."""
    outcome: list[_Visit | Exception] = []
    lock = threading.Lock()
    given_up = False

    def ask() -> None:
        found: _Visit | Exception
        try:
            found = _connect(reader, exclusive=exclusive)
        except Exception as error:  # noqa: BLE001 - carried to the caller's thread, raised there
            found = error
        with lock:
            outcome.append(found)
            late = given_up
        if late and isinstance(found, _Visit):
            found.end()

    asking = threading.Thread(target=ask, name=f"connect {reader}", daemon=True)
    asking.start()
    asking.join(patience_s)
    with lock:
        given_up = not outcome
    if given_up:
        raise ReaderError(ReaderProblem.READER_IN_USE, reader)
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    return outcome[0]


def _connect(reader: str, *, exclusive: bool) -> _Visit:
    share = _scard.SCARD_SHARE_EXCLUSIVE if exclusive else _scard.SCARD_SHARE_SHARED
    protocols = _scard.SCARD_PROTOCOL_T0 | _scard.SCARD_PROTOCOL_T1
    context = _establish()
    code, card, protocol = _scard.SCardConnect(context, reader, share, protocols)
    if code != _OK:
        _scard.SCardReleaseContext(context)
        raise translate(code, reader, connecting=True)
    visit = _Visit(context, card, protocol, share)
    code = _scard.SCardBeginTransaction(card)
    if code & _CODE_MASK == 0x80100068:
        # The visit before ours ended with a reset: PC/SC wants that acknowledged.
        code, visit.protocol = _scard.SCardReconnect(
            card, share, protocols, _scard.SCARD_LEAVE_CARD
        )
        code = code or _scard.SCardBeginTransaction(card)
    if code != _OK:
        visit.end()
        raise translate(code, reader, connecting=True)
    return visit


def _establish() -> object:
    if _scard is None:
        raise ReaderError(ReaderProblem.DRIVER_MISSING)
    code, context = _scard.SCardEstablishContext(_scard.SCARD_SCOPE_SYSTEM)
    _check(code)
    return context


def _check(code: int, detail: str = "") -> None:
    if code != _OK:
        raise translate(code, detail)


def _state(name: str, state: int, atr: list[int]) -> ReaderState:
    return ReaderState(
        name,
        bytes(atr),
        is_present=bool(state & _scard.SCARD_STATE_PRESENT),
        is_mute=bool(state & _scard.SCARD_STATE_MUTE),
        is_exclusive=bool(state & _scard.SCARD_STATE_EXCLUSIVE),
    )


def _event(before: int, now: int) -> CardEvent | None:
    """What changed at a reader. The upper half of a state counts its cards, so that a card
    that was changed for another between two looks is seen as well.
    """
    present, mute = _scard.SCARD_STATE_PRESENT, _scard.SCARD_STATE_MUTE
    if not now & present:
        return CardEvent.REMOVED if before & present else None
    if before & present and before >> 16 == now >> 16 and before & mute == now & mute:
        return None
    return CardEvent.UNKNOWN_CARD if now & mute else CardEvent.INSERTED


@contextmanager
def open_card(
    reader: str | None, *, exclusive: bool = False, patience_s: float = PATIENCE_S
) -> Iterator[ReaderConnection]:
    """The card on a reader for one visit, from this machine's readers."""
    with (
        ReaderService() as service,
        service.connect(reader, exclusive=exclusive, patience_s=patience_s) as connection,
    ):
        yield connection
