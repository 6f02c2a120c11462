"""The process around the key service: connections, deadlines, and the end.

Decides how many connections there are at once, at each listener and of each client, who gives way,
how long a message may take, and that what runs is finished before the process ends. Leaves who may
speak to `listeners`, what each may do to `rights`, what is asked to `dispatcher`, and host commands
to whoever is handed in for them.

One thread serves one connection. Whoever has not proven who it is has places of its own at each
listener; when they are taken, the address with most of them loses its oldest, and nobody else
anything. A client that has all its places loses the one that waits longest for a whole message,
never another's. A message that has begun must be there before a deadline, so nobody holds a place
by sending slowly (docs/adr/0039-quotas.md).
"""

import os
import select
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from cardcore.errors import KeyRightError, KeyServiceUnavailableError, system_words
from cardcore.text import Text, text_of
from hsm_sim.hardening import class_and_place
from hsm_sim.keys.operations import today_here
from hsm_sim.wire.access.budgets import Budgets
from hsm_sim.wire.access.rights import Peer, Rights
from hsm_sim.wire.codec.frames import MessageError
from hsm_sim.wire.codec.messages import encode_error
from hsm_sim.wire.codec.streams import (
    Deadline,
    HalfSentError,
    close_gently,
    receive_exactly,
    receive_frame,
    send_all,
    wait_for_news,
)
from hsm_sim.wire.dispatch import Dispatcher, ServedKeys, Shared
from hsm_sim.wire.events import Event, EventKind, Log, plain
from hsm_sim.wire.links.listeners import Dialect, Listener, TurnedAwayError, admit
from hsm_sim.wire.psams import HostedPsams

#: Who asks and one host command without its length; the answer, also without. No bytes at all end
#: the connection: who is there does not speak this dialect. So does `KeyServiceUnavailableError`.
HostAnswer = Callable[[Text, bytes], bytes]
_HOST_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What one server takes on."""

    unproven_max: int = 32  # at one listener, before it is known who they are
    connections_a_client: int = 64  # of one client at one listener
    connections_max: int = 256  # of all clients at one listener
    handshake_seconds: float = 10
    message_seconds: float = 30  # a whole message in, and a whole answer out
    drain_seconds: float = 30  # what runs when the service is told to stop
    proofs_at_once: int = 2  # a column of a million records takes some 300 MiB


@dataclass(slots=True, eq=False)
class _Connection:
    stream: socket.socket
    listener: Listener
    #: The machine it comes from, or nothing at a Unix socket.
    address: str
    #: Who it is, once that is proven.
    client: str | None = None
    #: It was told to end, and holds no place any more.
    is_cut: bool = False
    #: Since when it waits for a whole message (monotonic seconds); None while one is worked on.
    silent_since: float | None = field(default_factory=time.monotonic)

    def cut(self) -> None:
        """End it below TLS, whose state belongs to the connection's own thread."""
        self.is_cut = True
        with suppress(OSError):
            socket.socket.shutdown(self.stream, socket.SHUT_RDWR)


class Server:
    """Serves keys at some listeners until told to stop; for `rights` see `Shared`."""

    def __init__(
        self,
        keys: Callable[[], ServedKeys],
        log: Log,
        limits: ServerLimits | None = None,
        host_answer: HostAnswer | None = None,
        rights: Rights | None = None,
        psams: HostedPsams | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self._limits = limits or ServerLimits()
        self._log_callback = log
        self._log_lock = threading.Lock()
        proofs = threading.BoundedSemaphore(self._limits.proofs_at_once)
        self._shared = Shared(
            keys, self._log, proofs, rights, psams or HostedPsams(), budgets or Budgets(today_here)
        )
        self._host_answer = host_answer
        #: In the order of coming.
        self._connections: dict[_Connection, None] = {}
        self._changed = threading.Condition()
        self._stopping = False
        self._wake, self._wake_writer = os.pipe()

    def stop(self) -> None:
        """End `serve`: what runs is finished, nothing new begins. For a signal handler as well."""
        self._stopping = True
        os.write(self._wake_writer, b"x")

    def serve(self, listeners: Sequence[Listener], ready: Callable[[], None]) -> None:
        """Serve until `stop`. `ready` is called once connections are taken."""
        for listener in listeners:
            assert listener.dialect is Dialect.FRAMES or self._host_answer is not None
            listener.stream.setblocking(False)
            who = self._shared.rights.who if self._shared.rights else ""
            rights = Text(f"权限：{who}", f"rights: {who}") if who else plain("")
            self._log(Event(EventKind.STARTED, plain(str(listener)), rights))
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        by_descriptor = {each.stream.fileno(): each for each in listeners}
        for descriptor in by_descriptor:
            poller.register(descriptor, select.POLLIN)
        with self._woken_by_signals():
            ready()
            while not self._stopping:
                for descriptor, _ in poller.poll():
                    if descriptor in by_descriptor:
                        self._accept(by_descriptor[descriptor])
        for listener in listeners:
            listener.close()
        left = self._drain()
        cut = Text(f"有 {left} 个请求被中断", f"{left} requests were cut off")
        for listener in listeners:
            self._log(
                Event(EventKind.STOPPED, plain(str(listener)), why=cut if left else plain(""))
            )

    @contextmanager
    def _woken_by_signals(self) -> Iterator[None]:
        """A signal wakes `serve` by itself. Its handler runs between two steps of the main thread
        only, and one that comes just before that thread waits would be seen by nobody.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        os.set_blocking(self._wake_writer, False)
        before = signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)

    def _log(self, event: Event) -> None:
        with self._log_lock:
            self._log_callback(event)

    def _accept(self, listener: Listener) -> None:
        try:
            stream, address = listener.accept()
        except OSError:
            return  # whoever it was is gone again
        connection = _Connection(stream, listener, address)
        with self._changed:
            here = [each for each in self._connections if each.listener is listener]
            unproven = [each for each in here if each.client is None and not each.is_cut]
            if len(unproven) >= self._limits.unproven_max:
                held = Counter(each.address for each in unproven)
                # The first of those with most is the oldest: the set is in the order of coming.
                max(unproven, key=lambda each: held[each.address]).cut()
            if len(here) >= self._limits.connections_max + 2 * self._limits.unproven_max:
                stream.close()  # those that were cut have not ended yet
                return
            self._connections[connection] = None
        threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _seat(self, connection: _Connection, client: str) -> None:
        """A place among those who have proven who they are. Raises `TurnedAwayError`."""
        with self._changed:
            others = [
                each
                for each in self._connections
                if each.listener is connection.listener and each.client and not each.is_cut
            ]
            mine = [each for each in others if each.client == client]
            is_full = len(others) >= self._limits.connections_max
            if is_full or len(mine) >= self._limits.connections_a_client:
                silent = [each for each in mine if each.silent_since is not None]
                if not silent:
                    raise TurnedAwayError(
                        Text(
                            f"{client}：连接已满（其 {len(mine)} 个，共 {len(others)} 个）；"
                            "稍后再试",
                            f"{client}: no place, {len(mine)} connections are its own, of "
                            f"{len(others)} in all; try again later",
                        )
                    )
                min(silent, key=lambda each: each.silent_since or 0.0).cut()
            connection.client = client
            connection.silent_since = time.monotonic()

    def _drain(self) -> int:
        """Wait for what runs. How many were still running when the time was over."""
        deadline = time.monotonic() + self._limits.drain_seconds
        with self._changed:
            while self._connections and time.monotonic() < deadline:
                self._changed.wait(deadline - time.monotonic())
            return len(self._connections)

    def _serve_connection(self, connection: _Connection) -> None:
        who = Text("某方", "somebody")
        place, message = plain(str(connection.listener)), Text("一条消息", "a message")
        link = Text("该连接", "the connection")
        close: Callable[[socket.socket], None] = socket.socket.close
        try:
            deadline = Deadline(self._limits.handshake_seconds)
            peer = admit(connection.stream, deadline)
            who = peer.shown
            connection.listener.check(connection.stream)
            self._seat(connection, peer.client)
            self._log(Event(EventKind.CONNECTED, who, plain(connection.listener.dialect)))
            if connection.listener.dialect is Dialect.FRAMES:
                self._serve_frames(connection, peer)
            else:
                if self._shared.rights:
                    self._shared.rights.check_host_commands(peer)
                self._serve_host_commands(connection, who)
        except TurnedAwayError as error:
            self._log(Event(EventKind.TURNED_AWAY, place, why=text_of(error)))
        except KeyRightError as error:
            # That dialect has no word for it: the connection ends.
            self._log(Event(EventKind.TURNED_AWAY, place, who, text_of(error)))
        except (HalfSentError, MessageError) as error:
            close = close_gently  # why stands in the answer just sent
            self._log(Event(EventKind.REFUSED, who, message, text_of(error)))
        except KeyServiceUnavailableError as error:
            self._log(Event(EventKind.FAILED, who, link, text_of(error)))
        except TimeoutError:
            seconds = f"{self._limits.message_seconds:g}"
            late = Text(f"{seconds} 秒内没有发完", f"not complete within {seconds} seconds")
            self._log(Event(EventKind.REFUSED, who, message, late))
        except OSError as error:
            self._log(Event(EventKind.FAILED, who, link, _system_fault(error)))
        except Exception as error:  # noqa: BLE001 - one connection must not end the service
            self._log(Event(EventKind.FAILED, who, link, plain(class_and_place(error))))
        finally:
            close(connection.stream)
            with self._changed:
                self._connections.pop(connection, None)
                self._changed.notify_all()

    def _next_message(self, connection: _Connection) -> Deadline | None:
        """Wait for a message to begin; the deadline for its end, or None to end the connection."""
        connection.silent_since = time.monotonic()
        if self._stopping or not wait_for_news(connection.stream, self._wake):
            return None
        return Deadline(self._limits.message_seconds)

    def _serve_frames(self, connection: _Connection, peer: Peer) -> None:
        dispatcher = Dispatcher(self._shared, peer)
        while deadline := self._next_message(connection):
            try:
                frame = receive_frame(connection.stream, deadline)
            except MessageError as error:
                # Where the next message begins cannot be known: say why, and end.
                answer = encode_error(0, error)
                send_all(connection.stream, answer, Deadline(self._limits.message_seconds))
                raise
            if frame is None:
                return
            connection.silent_since = None
            connection.listener.check(connection.stream)
            answer = dispatcher.answer(frame)
            send_all(connection.stream, answer, Deadline(self._limits.message_seconds))

    def _serve_host_commands(self, connection: _Connection, who: Text) -> None:
        assert self._host_answer is not None
        while deadline := self._next_message(connection):
            head = receive_exactly(connection.stream, _HOST_LENGTH.size, deadline)
            if not head:
                return
            (length,) = _HOST_LENGTH.unpack(head)
            message = receive_exactly(connection.stream, length, deadline)
            if len(message) < length:
                raise HalfSentError(
                    Text(
                        f"只发了一半：长度为 {length} 字节，随即断开",
                        f"half sent: a length of {length} bytes, then the end",
                    )
                )
            connection.silent_since = None
            connection.listener.check(connection.stream)
            answer = self._host_answer(who, message)
            if not answer:
                return
            framed = _HOST_LENGTH.pack(len(answer)) + answer
            send_all(connection.stream, framed, Deadline(self._limits.message_seconds))


def _system_fault(error: OSError) -> Text:
    """The log names the class, as it does of any fault."""
    return Text(system_words(error).zh, type(error).__name__)
