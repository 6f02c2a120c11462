"""A device while it is served: keys as ceremonies leave them, and every attempt in its log.

Decides which events belong into the device's own log, that nothing is served while none could be
written, and what becomes of requests when the device is damaged or destroyed under the service.
Leaves keys and log to `hsm_sim.device`.

No log, no service: before every request the log is looked at, an event that could not be written
is kept until it is, and a key leaves only once the entry about it stands in the log.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from cardcore.errors import KeyServiceUnavailableError, placed_system_words
from cardcore.text import Text, text_of
from hsm_sim.device.device import Device
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.log import Outcome
from hsm_sim.host_commands.codec import ErrorCode
from hsm_sim.host_commands.commands import HostContext, answer
from hsm_sim.host_commands.keys import HostKeys
from hsm_sim.keys.operations import KeyOperations, Prove
from hsm_sim.keys.seal_register import SEALS, SealRegister
from hsm_sim.proof.column import prove_column
from hsm_sim.wire.dispatch import ServedKeys
from hsm_sim.wire.events import Event, EventKind, EventRate, plain

#: Who came and was let in is said, not kept: a clearing run connects many times.
_KEPT = frozenset(EventKind) - {EventKind.CONNECTED}
_DONE = frozenset({EventKind.STARTED, EventKind.STOPPED, EventKind.DONE})
#: Events that wait for the log: who connects in vain could make more than memory holds.
_WAITING_MAX = 1_000
#: Clients whose coming is remembered, so that it is said once.
_CLIENTS_MAX = 1_000
#: How long an entry about a key that left may be unsealed, and the power take it.
_SEAL_SECONDS = 0.5


class ServedDevice:
    """An open device for many threads. `say` is told of every event, kept or not; `prove` is what
    columns of TACs are proven by, see `KeyOperations`.
    """

    def __init__(
        self, device: Device, say: Callable[[Text], None], prove: Prove = prove_column
    ) -> None:
        self._device = device
        self._say = say
        self._lock = threading.Lock()
        seals = SealRegister(device.path / SEALS)
        operations = KeyOperations(device.vault, device.today, prove, seals)
        self._keys = ServedKeys(operations, device.vault)
        self._host_keys = HostKeys(
            device.storage_key, os.urandom, takes_published=device.is_demonstration
        )
        self._why_closed: Text | None = None
        self._waiting: deque[Event] = deque()
        self._left_out = 0
        self._sealing: threading.Timer | None = None
        self._rate = EventRate()
        self._came: set[tuple[str, str]] = set()

    def keys(self) -> ServedKeys:
        """What is served now. Costs one look at the device's folder.

        Raises `KeyServiceUnavailableError` when the device cannot be read: whoever asks must not
        take missing keys for an answer about his records.
        """
        with self._lock:
            if not self._why_closed:
                try:
                    self._device.refresh()
                except (DeviceError, OSError) as error:
                    self._close(error)
            if self._why_closed:
                raise KeyServiceUnavailableError(self._why_closed)
            try:
                self._device.check_log()
                self._write_waiting()
            except (DeviceError, OSError) as error:
                raise KeyServiceUnavailableError(self._no_log(error)) from None
        return self._keys

    def log(self, event: Event) -> None:
        """Say an event, and write what matters into the device's log. What cannot be written waits,
        and nothing is served meanwhile.

        Of events that anybody can cause so many a minute are kept, see `EventRate`. Raises
        `KeyServiceUnavailableError` where a key would leave and no entry says so.
        """
        with self._lock:
            passed = self._rate.passed(event)
        for each in passed:
            self._keep(each)

    def _keep(self, event: Event) -> None:
        if event.kind is not EventKind.CONNECTED or self._is_first_of(event):
            self._say(event.said)
        if event.kind not in _KEPT or self._why_closed:
            return
        with self._lock:
            if len(self._waiting) < _WAITING_MAX or event.kind is EventKind.DONE:
                self._waiting.append(event)
            else:
                self._left_out += 1
            try:
                self._write_waiting()
            except (DeviceError, OSError) as error:
                why = self._no_log(error)
                self._say(why)
                if event.kind is EventKind.DONE:
                    if self._waiting and self._waiting[-1] is event:
                        self._waiting.pop()  # it is not done after all
                    raise KeyServiceUnavailableError(why) from None

    def _is_first_of(self, event: Event) -> bool:
        """Whether this client was not let in before: a run of a day connects many times, each time
        from another port.
        """
        client = event.who.en.rpartition(":")[0] or event.who.en, event.what.en
        with self._lock:
            is_first = client not in self._came
            if len(self._came) >= _CLIENTS_MAX:
                self._came.clear()
            self._came.add(client)
        return is_first

    def _write_waiting(self) -> None:
        """Everything that waits, in its order. Raises `DeviceError`, `OSError`."""
        is_written, is_urgent = bool(self._waiting), bool(self._left_out)
        while self._waiting:
            event = self._waiting[0]
            outcome = Outcome.DONE if event.kind in _DONE else Outcome.REFUSED
            self._device.note_quickly(f"serve {event.kind}", outcome, event.reason)
            self._waiting.popleft()
            is_urgent |= event.kind is not EventKind.DONE
        if self._left_out:
            reason = f"{self._left_out} events left out while the log could not be written"
            self._device.note_quickly(f"serve {EventKind.FAILED}", Outcome.REFUSED, reason)
            self._left_out = 0
        if is_urgent:
            self._device.seal_log()
        elif is_written:
            self._seal_soon()

    def _seal_soon(self) -> None:
        """Cards are made many a second: their entries are sealed together, a moment later."""
        if self._sealing is None:
            self._sealing = threading.Timer(_SEAL_SECONDS, self._seal)
            self._sealing.daemon = True
            self._sealing.start()

    def _seal(self) -> None:
        with self._lock:
            self._sealing = None
            # What fails here fails at the next request, which is refused then.
            with suppress(DeviceError, OSError):
                self._device.seal_log()

    def host_answer(self, who: Text, message: bytes) -> bytes:
        """The answer to a host command; see `hsm_sim.host_commands.commands.answer`.

        Raises `KeyServiceUnavailableError` as `keys` does.
        """
        self.keys()

        def note(command: str, code: str, reason: Text) -> None:
            kind = EventKind.DONE if code == ErrorCode.OK else EventKind.REFUSED
            said = Text(f"{code}：{reason.zh}", f"{code}: {reason.en}")
            self.log(Event(kind, who, plain(command), said))

        return answer(HostContext(self._host_keys, note), message)

    def _no_log(self, error: DeviceError | OSError) -> Text:
        """Why nothing is served. A log that was cut or changed has closed the device for good."""
        said = _why(error)
        why = Text(
            f"设备日志写不进去，故不提供服务：{said.zh}",
            f"no log, no service: the device's log cannot be written: {said.en}",
        )
        if not self._device.is_open:
            self._why_closed = why
        return why

    def _close(self, error: DeviceError | OSError) -> None:
        """A device that holds its keys still is tried again at the next request."""
        said = _why(error)
        why = Text(f"设备读不出来：{said.zh}", f"the device cannot be read: {said.en}")
        if self._device.is_open:
            raise KeyServiceUnavailableError(why) from None
        self._why_closed = why


def _why(error: DeviceError | OSError) -> Text:
    return text_of(error) if isinstance(error, DeviceError) else placed_system_words(error)
