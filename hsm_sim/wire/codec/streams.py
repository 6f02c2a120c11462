"""Exact reading and writing on a connection, before a deadline.

Decides what happens to a message that stops half way or never comes to its end: a named error,
and the connection is over. Leaves what the bytes mean to `frames`.
"""

import select
import socket
import ssl
import time
from contextlib import suppress

from cardcore.text import Text
from hsm_sim.wire.codec.frames import LENGTH, Frame, decode_frame, frame_bytes

#: Read at once: memory grows with what arrived, never with what a length field claims.
_PIECE_BYTES = 1024 * 1024
_LINGER_SECONDS = 1.0


class HalfSentError(ConnectionError):
    """The other side stopped in the middle of a message."""


class Deadline:
    """A moment after which waiting is over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left_seconds(self) -> float:
        """Seconds left. Raises `TimeoutError` when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def receive_exactly(stream: socket.socket, count: int, deadline: Deadline) -> bytes:
    """So many bytes; b"" when the other side ended the stream before the first of them.

    Raises `HalfSentError` when it ended later, `TimeoutError` when the deadline passed.
    """
    received = bytearray()
    while len(received) < count:
        stream.settimeout(deadline.left_seconds())
        piece = stream.recv(min(count - len(received), _PIECE_BYTES))
        if not piece and received:
            raise HalfSentError(
                Text(
                    f"只发了一半：{count} 字节中的 {len(received)} 字节，随即断开",
                    f"half sent: {len(received)} of {count} bytes, then the end",
                )
            )
        if not piece:
            break
        received += piece
    return bytes(received)


def send_all(stream: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Every byte. Raises `TimeoutError` when the other side does not take them in time."""
    stream.settimeout(deadline.left_seconds())
    stream.sendall(data)


def receive_frame(stream: socket.socket, deadline: Deadline) -> Frame | None:
    """One message; None when the stream ended before it. Raises `MessageError` for bytes that
    are none, and what `receive_exactly` raises.
    """
    length = receive_exactly(stream, LENGTH.size, deadline)
    if not length:
        return None
    size = frame_bytes(length)
    body = receive_exactly(stream, size, deadline)
    if not body:
        raise HalfSentError(
            Text(
                f"只发了一半：长度占 {size} 字节，随即断开",
                f"half sent: a length of {size} bytes, then the end",
            )
        )
    return decode_frame(body)


def has_news(stream: socket.socket) -> bool:
    """Whether something can be read now: bytes, or the end."""
    if isinstance(stream, ssl.SSLSocket) and stream.pending():
        return True
    poller = select.poll()
    poller.register(stream, select.POLLIN)
    return bool(poller.poll(0))


def wait_for_news(stream: socket.socket, wake: int) -> bool:
    """Wait for something to read; False when the descriptor `wake` became readable instead."""
    if has_news(stream):
        return True
    poller = select.poll()
    poller.register(stream, select.POLLIN)
    poller.register(wake, select.POLLIN)
    ready = {descriptor for descriptor, _ in poller.poll()}
    return wake not in ready


def close_gently(stream: socket.socket) -> None:
    """Close, once the other side has read what was sent last.

    Closing with bytes unread resets the connection, and the refusal just sent would be lost.
    """
    # Below TLS: nothing more is enciphered here, the bytes are only waited out.
    with suppress(OSError):
        socket.socket.shutdown(stream, socket.SHUT_WR)
        deadline = Deadline(_LINGER_SECONDS)
        stream.settimeout(deadline.left_seconds())
        while socket.socket.recv(stream, _PIECE_BYTES):
            stream.settimeout(deadline.left_seconds())
    stream.close()
