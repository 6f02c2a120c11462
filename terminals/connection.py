"""The link to a card or a PSAM: bytes of a command out, bytes of an answer back.

Decides what a link is, when a card counts as torn out, and how the APDUs of one tap are kept as
its trace. Leaves what the APDUs mean to the session, and real readers to their own driver file.

The trace is part of the journal: with it a tap can be told again from its first APDU. It holds
wire bytes only, and no wire of this package carries a PIN or a key.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, runtime_checkable

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.errors import DecodeError, PowerLossError
from terminals.errors import CardRemovedError

_ENTRY = struct.Struct(">BHH")


@runtime_checkable
class CardConnection(Protocol):
    """A powered card, or a PSAM in its slot."""

    def transmit(self, command: bytes) -> bytes:
        """Send one command and wait for the answer. `CardRemovedError` when the card is gone."""
        ...


class Powered(Protocol):
    """A card that lives in this process, as `cardcore.card.Card` does."""

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
            raise CardRemovedError(str(error)) from error


def exchange(connection: CardConnection, command: CommandApdu) -> ResponseApdu:
    """Send a command and take the answer apart.

    An answer without a status word is no answer: `CardRemovedError`, as when the card is gone.
    """
    raw = connection.transmit(command.encode())
    try:
        return ResponseApdu.decode(raw)
    except DecodeError as error:
        raise CardRemovedError(str(error)) from error


class Peer(IntEnum):
    """Who was spoken to."""

    CARD = 1
    PSAM = 2


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
