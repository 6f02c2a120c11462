"""The link to a card or a PSAM: bytes of a command out, bytes of an answer back.

Decides what a link is, when a card counts as torn out, and how the APDUs of one tap are kept as
its trace. Leaves what the APDUs mean to the session, and real readers to their own driver file.

The trace is part of the journal: with it a tap can be told again from its first APDU. It holds
wire bytes only, and no wire of this package carries a PIN or a key.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.errors import DecodeError, PowerLossError
from cardcore.text import text_of
from terminals.errors import CardRemovedError

_ENTRY = struct.Struct(">BHH")
_WORD_BYTES = 2
#: No answer is longer (ISO/IEC 7816-3 §12.1); a chip that goes on with 61xx is not believed, and
#: neither is one that says so and brings nothing.
_ANSWER_BYTES_MAX = 1 << 16
_DATA_WAITING, _LE_WRONG = 0x61, 0x6C


@runtime_checkable
class CardConnection(Protocol):
    """A powered card, or a PSAM in its slot."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command and wait for the whole answer, also of a chip that hands it out in
        pieces. `CardRemovedError` when the card is gone.
        """
        ...


class Powered(Protocol):
    """A card that lives in this process, as `cardcore.chip.card.Card` does."""

    def reset(self) -> object:
        """Bring the card into the field: volatile state is gone, unfinished writes are settled."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """One command, one answer."""
        ...


class InProcessConnection:
    """A card object held to this terminal's reader; making the connection powers the card up."""

    def __init__(self, card: Powered) -> None:
        card.reset()
        self._card = card

    def transmit(self, command: bytes) -> bytes:
        """See `CardConnection`."""
        try:
            return self._card.transmit(command)
        except PowerLossError as error:
            raise CardRemovedError(text_of(error)) from error


def whole_answer(send: Callable[[bytes], bytes], command: bytes, *, t0: bool) -> bytes:
    """One command over a reader, and its answer put together from its pieces.

    Data a chip holds back (61xx) are fetched by GET RESPONSE with the class of the command
    (ISO/IEC 7816-4 §5.3.4). Under T=0 (ISO/IEC 7816-3 §12.2.1) Le is not sent behind data, and a
    command that was refused for its Le alone (6Cxx) is said again with the right one; so is a
    GET RESPONSE under either protocol, for a chip that said 6100 may know better by then.
    """
    answer = send(_without_le(command) if t0 else command)
    if t0 and answer[-2:-1] == bytes((_LE_WRONG,)) and len(command) <= 5:
        answer = send(command[:4] + answer[-1:])
    data, brings = answer[:-2], True
    while answer[-2:-1] == bytes((_DATA_WAITING,)) and brings and len(data) < _ANSWER_BYTES_MAX:
        ask = bytes((command[0] & 0x03, 0xC0, 0x00, 0x00))
        answer = send(ask + answer[-1:])
        if answer[-2:-1] == bytes((_LE_WRONG,)) and len(answer) == _WORD_BYTES:
            answer = send(ask + answer[-1:])
        data, brings = data + answer[:-2], len(answer) > _WORD_BYTES
    return data + answer[-2:]


def _without_le(command: bytes) -> bytes:
    """The command as T=0 carries it; bytes that are no command go as they are."""
    try:
        apdu = CommandApdu.decode(command)
    except DecodeError:
        return command
    return apdu._replace(le=None).encode() if apdu.data else command


def exchange(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    """Send a command and take the answer apart.

    An answer without a status word is no answer: `CardRemovedError`, as when the card is gone.
    """
    raw = connection.transmit(command.encode())
    try:
        return ResponseApdu.decode(raw)
    except DecodeError as error:
        raise CardRemovedError(text_of(error)) from error


class Peer(IntEnum):
    """Who was spoken to."""

    CARD = 1  # 卡片
    PSAM = 2  # 安全模块


@dataclass(frozen=True, slots=True)
class Exchange:
    """One command and its answer; an empty answer means that the card was gone."""

    peer: Peer
    command: bytes
    response: bytes


class Trace:
    """Collects the exchanges of one tap as compact bytes.

    One exchange is: peer 1, command length 2, response length 2, command, response.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def add(self, peer: Peer, command: bytes, response: bytes) -> None:
        """Keep one exchange."""
        self._parts += (_ENTRY.pack(peer, len(command), len(response)), command, response)

    def take(self) -> bytes:
        """What was collected since the last call."""
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def decode_trace(data: bytes) -> tuple[Exchange, ...]:
    """Read a trace back, in the order of the wire; `DecodeError` when it is cut.

    >>> trace = Trace()
    >>> trace.add(Peer.CARD, bytes.fromhex("805c000204"), bytes.fromhex("00000ac39000"))
    >>> decode_trace(trace.take())[0].response.hex()
    '00000ac39000'
    """
    exchanges, at = [], 0
    while at < len(data):
        body = at + _ENTRY.size
        if body > len(data):
            raise DecodeError("APDU trace", at, "ends inside the head of an exchange")
        peer, command_bytes, response_bytes = _ENTRY.unpack_from(data, at)
        middle, end = body + command_bytes, body + command_bytes + response_bytes
        if end > len(data):
            raise DecodeError("APDU trace", at, "ends inside an exchange")
        exchanges.append(Exchange(Peer(peer), data[body:middle], data[middle:end]))
        at = end
    return tuple(exchanges)


class RecordingConnection:
    """A connection that writes everything said over it into a trace."""

    def __init__(self, inner: CardConnection, peer: Peer, trace: Trace) -> None:
        self._inner = inner
        self._peer = peer
        self._trace = trace

    def transmit(self, command: bytes) -> bytes:
        """See `CardConnection`. A torn command is kept with an empty answer."""
        response = b""
        try:
            response = self._inner.transmit(command)
        finally:
            self._trace.add(self._peer, command, response)
        return response
