"""A device while it is served: keys as ceremonies leave them, and every attempt in its log.

Decides which events belong into the device's own log and what becomes of requests when the device
is damaged or destroyed under the service. Leaves keys and log to `hsm_sim.device`.
"""

import os
import threading
from collections.abc import Callable

from cardcore.errors import KeyServiceUnavailableError, placed_system_words
from cardcore.text import Text, text_of
from hsm_sim.device.device import Device
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.log import Outcome
from hsm_sim.host_commands.codec import ErrorCode
from hsm_sim.host_commands.commands import HostContext, answer
from hsm_sim.host_commands.keys import HostKeys
from hsm_sim.keys.operations import KeyOperations, Prove
from hsm_sim.proof.column import prove_column
from hsm_sim.wire.dispatch import ServedKeys
from hsm_sim.wire.events import Event, EventKind, plain

#: Who came and was let in is said, not kept: a clearing run connects many times.
_KEPT = frozenset(EventKind) - {EventKind.CONNECTED}
_DONE = frozenset({EventKind.STARTED, EventKind.STOPPED, EventKind.DONE})


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
        self._keys = ServedKeys(KeyOperations(device.vault, device.today, prove), device.vault)
        self._host_keys = HostKeys(device.storage_key, os.urandom)
        self._why_closed: Text | None = None

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
        self._say(event.said)
        if event.kind not in _KEPT or self._why_closed:
            return
        outcome = Outcome.DONE if event.kind in _DONE else Outcome.REFUSED
        try:
            with self._lock:
                self._device.note(f"serve {event.kind}", outcome, reason=event.reason)
        except (DeviceError, OSError) as error:
            why = _why(error)
            self._say(
                Text(
                    f"设备日志写不进去：{why.zh}",
                    f"the device's log could not be written: {why.en}",
                )
            )

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

    def _close(self, error: DeviceError | OSError) -> None:
        """A device that holds its keys still is tried again at the next request."""
        said = _why(error)
        why = Text(f"设备读不出来：{said.zh}", f"the device cannot be read: {said.en}")
        try:
            held = self._device.storage_key
        except DeviceError:
            held = b""
        if held:
            raise KeyServiceUnavailableError(why) from None
        self._why_closed = why


def _why(error: DeviceError | OSError) -> Text:
    return text_of(error) if isinstance(error, DeviceError) else placed_system_words(error)
