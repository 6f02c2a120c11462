"""A virtual card in a virtual reader: the card's side of vsmartcard's vpcd.

Decides how bytes on the wire become resets and commands of a card, and back. Leaves the card to
`cardcore` or `hsm_sim`, and the reader to pcscd, which loads the driver vpcd.

The card program connects to the reader, TCP 35963 for the first slot and 35964 for the second.
A message is a length of two bytes, then so many bytes; one byte is a control (0 power off,
1 power on, 2 reset, 4 ask for the ATR), anything longer a command APDU.

vpcd 3.3 sends length and body in two writes. Without care the second waits for a delayed
acknowledgement of the first, and every command costs 45 ms. So acknowledgements are sent at once
(TCP_QUICKACK, which the kernel forgets after every receive) and answers without waiting.

pcscd looks at a slot every 0.4 s. A card torn out in the middle of a command and put back sooner
than that is never seen to have been away and stays without power: leave it out for half a second.
"""

import socket
from enum import IntEnum
from functools import reduce
from operator import xor
from typing import Protocol

from cardcore.errors import PowerLossError
from cardcore.text import Text

SLOT_PORTS = (35963, 35964)
HOST = "127.0.0.1"
_LENGTH_BYTES = 2
_HISTORICAL_MAX = 15


class Control(IntEnum):
    """Messages of one byte."""

    POWER_OFF = 0  # 断电
    POWER_ON = 1  # 上电
    RESET = 2  # 复位
    ATR = 4  # 取复位应答


class Chip(Protocol):
    """A card or a PSAM."""

    def reset(self) -> object:
        """Power on, forgetting what is volatile."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """One command, one answer; `PowerLossError` when the chip is being torn out."""
        ...


class VirtualReaderMissingError(Exception):
    """Nobody listens where the virtual reader should; the message says what to do."""


def contactless_atr(historical: bytes = b"") -> bytes:
    """The ATR a PC/SC reader makes up for a contactless card (PC/SC part 3 §3.1.3.2.3).

    >>> contactless_atr().hex(), contactless_atr(b"PSAM").hex()
    ('3b80800101', '3b8480015053414d0a')
    """
    assert len(historical) <= _HISTORICAL_MAX, historical
    body = bytes((0x80 | len(historical), 0x80, 0x01)) + historical
    return b"\x3b" + body + bytes((reduce(xor, body),))


def answer(chip: Chip, atr: bytes, message: bytes) -> bytes | None:
    """What the chip says to one message of the reader, or None for a control without an answer."""
    if len(message) != 1:
        return chip.transmit(message)
    if message[0] == Control.ATR:
        return atr
    if message[0] in {Control.POWER_OFF, Control.POWER_ON, Control.RESET}:
        # Off or on, the next command finds a card that remembers nothing volatile.
        chip.reset()
    return None


class VirtualCard:
    """A chip in a slot of the virtual reader, from construction until `remove`.

    Raises `VirtualReaderMissingError` when there is no such slot.
    """

    def __init__(self, chip: Chip, atr: bytes, port: int = SLOT_PORTS[0], host: str = HOST) -> None:
        self._chip = chip
        self._atr = atr
        try:
            self._socket = socket.create_connection((host, port), timeout=5)
        except OSError as error:
            raise VirtualReaderMissingError(
                Text(
                    f"{host}:{port} 上没有虚拟读卡器；请 `sudo apt install pcscd vsmartcard-vpcd` "
                    "并启动 pcscd",
                    f"no virtual reader listens on {host}:{port}; `sudo apt install pcscd "
                    "vsmartcard-vpcd` and start pcscd",
                )
            ) from error
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def serve(self) -> None:
        """Answer the reader until it goes away, `remove` is called, or the chip loses power."""
        try:
            while (message := self._receive()) is not None:
                reply = answer(self._chip, self._atr, message)
                if reply is not None:
                    self._socket.sendall(len(reply).to_bytes(_LENGTH_BYTES, "big") + reply)
        except (PowerLossError, OSError):
            # A torn card and a cut line look the same from the reader: the card is gone.
            return
        finally:
            self._socket.close()

    def remove(self) -> None:
        """Take the card out of the slot; `serve` ends. May be called from another thread."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the card had left already

    def _receive(self) -> bytes | None:
        """One message, or None when the line ends between two messages or inside one."""
        head = self._receive_exactly(_LENGTH_BYTES)
        return None if head is None else self._receive_exactly(int.from_bytes(head, "big"))

    def _receive_exactly(self, count: int) -> bytes | None:
        parts = b""
        while len(parts) < count:
            part = self._socket.recv(count - len(parts))
            if not part:
                return None
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            parts += part
        return parts
