"""A device while it is served: keys as ceremonies leave them, and every attempt in its log.

Decides which events belong into the device's own log and what becomes of requests when the device
is damaged or destroyed under the service. Leaves keys and log to `hsm_sim.device`.
"""

import os
import threading
from collections.abc import Callable

from cardcore.errors import KeyServiceUnavailableError
from hsm_sim.device.device import Device
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.log import Outcome
from hsm_sim.host_commands.codec import ErrorCode
from hsm_sim.host_commands.commands import HostContext, answer
from hsm_sim.host_commands.keys import HostKeys
from hsm_sim.keys.operations import KeyOperations, Prove
from hsm_sim.proof.column import prove_column
from hsm_sim.wire.dispatch import ServedKeys
from hsm_sim.wire.events import Event, EventKind

#: Who came and was let in is said, not kept: a clearing run connects many times.
_KEPT = frozenset(EventKind) - {EventKind.CONNECTED}
_DONE = frozenset({EventKind.STARTED, EventKind.STOPPED, EventKind.DONE})


class ServedDevice:
    """An open device for many threads. `say` is told of every event, kept or not; `prove` is what
    columns of TACs are proven by, see `KeyOperations`.
    """

    def __init__(
        self, device: Device, say: Callable[[str], None], prove: Prove = prove_column
    ) -> None:
        self._device = device
        self._say = say
        self._lock = threading.Lock()
        self._keys = ServedKeys(KeyOperations(device.vault, device.today, prove), device.vault)
        self._host_keys = HostKeys(device.storage_key, os.urandom)
        self._why_closed = ""

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
        return self._keys

    def log(self, event: Event) -> None:
        """Say an event, and write what matters into the device's log."""
        self._say(str(event))
        if event.kind not in _KEPT or self._why_closed:
            return
        outcome = Outcome.DONE if event.kind in _DONE else Outcome.REFUSED
        try:
            with self._lock:
                self._device.note(f"serve {event.kind}", outcome, reason=event.reason)
        except (DeviceError, OSError) as error:
            self._say(f"the device's log could not be written: {error}")

    def host_answer(self, who: str, message: bytes) -> bytes:
        """The answer to a host command; see `hsm_sim.host_commands.commands.answer`.

        Raises `KeyServiceUnavailableError` as `keys` does.
        """
        self.keys()

        def note(command: str, code: str, reason: str) -> None:
            kind = EventKind.DONE if code == ErrorCode.OK else EventKind.REFUSED
            self.log(Event(kind, who, command, f"{code}: {reason}"))

        return answer(HostContext(self._host_keys, note), message)

    def _close(self, error: Exception) -> None:
        """A device that holds its keys still is tried again at the next request."""
        why = f"the device cannot be read: {error}"
        try:
            held = self._device.storage_key
        except DeviceError:
            held = b""
        if held:
            raise KeyServiceUnavailableError(why) from None
        self._why_closed = why
