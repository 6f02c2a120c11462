"""PSAMs that live in the server, so that a terminal's program never holds a purchase key.

Decides which PSAM a handle means, that it answers only the client that had it made or woken up, and
how many there are. Leaves what a PSAM answers to `hsm_sim.psam`, which keys one may have and for
whom to `access`, and the keeping of its image to the client, as with a PSAM in a terminal.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cardcore.errors import DecodeError, KeyServiceError, KeyServiceUnavailableError
from cardcore.text import Text, text_of
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.psam import KeySlot, Psam, PsamProfile, make_psam, renew_psam
from hsm_sim.wire.access.rights import Permit
from hsm_sim.wire.codec.messages import PsamAnswer

#: A city has some ten thousand terminals; one PSAM takes a few kilobytes.
PSAMS_MAX = 20_000
HANDLE_BYTES = 16


@dataclass(slots=True)
class _Seat:
    """A PSAM that takes one command at a time."""

    psam: Psam
    client: str
    lock: threading.Lock = field(default_factory=threading.Lock)


class HostedPsams:
    """Hosted PSAMs by handle. A handle cannot be guessed, and is good for one client only."""

    def __init__(self, psams_max: int = PSAMS_MAX) -> None:
        self._psams_max = psams_max
        self._seats: OrderedDict[bytes, _Seat] = OrderedDict()
        self._lock = threading.Lock()

    def make(
        self, permit: Permit, masters: MasterKeys, profile: PsamProfile, further: Iterable[KeySlot]
    ) -> PsamAnswer:
        """A new PSAM, with those of its usual keys that the client may have; the answer is its
        handle. Raises `UnknownKeyError` without its keys.
        """
        return self._seat(permit, make_psam(profile, masters, further, permit.psam_usages))

    def wake(self, permit: Permit, masters: MasterKeys, image: bytes) -> PsamAnswer:
        """A PSAM after power came back; the answer is its handle.

        Raises `KeyServiceError` for a damaged image or other keys than it names.
        """
        return self._seat(permit, _read(image, lambda read: Psam.from_image(read, masters)))

    def renew(self, permit: Permit, masters: MasterKeys, image: bytes) -> PsamAnswer:
        """A PSAM with the keys in use now that the client may have; the answer is its handle, with
        another image.

        Raises `KeyServiceError` for a damaged image or other keys than it names.
        """
        usages = permit.psam_usages
        return self._seat(permit, _read(image, lambda read: renew_psam(read, masters, usages)))

    def transmit(
        self, permit: Permit, handle: bytes, command: bytes, generation: int
    ) -> PsamAnswer:
        """One command. The image comes with the answer unless the client has it already."""
        seat = self._find(permit, handle)
        with seat.lock:
            answer = seat.psam.transmit(command)
            now = seat.psam.generation
            return PsamAnswer(answer, now, b"" if now == generation else seat.psam.image())

    def reset(self, permit: Permit, handle: bytes) -> None:
        """Power off and on."""
        seat = self._find(permit, handle)
        with seat.lock:
            seat.psam.reset()

    def _seat(self, permit: Permit, psam: Psam) -> PsamAnswer:
        handle = secrets.token_bytes(HANDLE_BYTES)
        with self._lock:
            self._seats[handle] = _Seat(psam, permit.client)
            while len(self._seats) > self._psams_max:
                # The one not used for longest loses power; its client wakes it up again.
                self._seats.popitem(last=False)
        return PsamAnswer(handle, psam.generation, psam.image())

    def _find(self, permit: Permit, handle: bytes) -> _Seat:
        with self._lock:
            seat = self._seats.get(handle)
            # To another client there is no such PSAM.
            if seat is None or seat.client != permit.client:
                raise KeyServiceUnavailableError(
                    Text(
                        "此 PSAM 在密钥服务中已断电：请用其映像唤醒",
                        "this PSAM lost power in the key service: wake it up from its image",
                    )
                )
            self._seats.move_to_end(handle)
            return seat


def _read(image: bytes, make: Callable[[bytes], Psam]) -> Psam:
    """A damaged image is the caller's mistake, and travels as one."""
    try:
        return make(image)
    except DecodeError as error:
        raise KeyServiceError(text_of(error)) from None
