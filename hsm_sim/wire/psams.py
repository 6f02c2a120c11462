"""PSAMs that live in the server, so that a terminal's program never holds a purchase key.

Decides which PSAM a handle means and how many there are. Leaves what a PSAM answers to
`hsm_sim.psam`, and the keeping of its image to the client, as with a PSAM in a terminal.
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
from hsm_sim.wire.codec.messages import PsamAnswer

#: A city has some ten thousand terminals; one PSAM takes a few kilobytes.
PSAMS_MAX = 20_000
HANDLE_BYTES = 16


@dataclass(slots=True)
class _Seat:
    """A PSAM that takes one command at a time."""

    psam: Psam
    lock: threading.Lock = field(default_factory=threading.Lock)


class HostedPsams:
    """Hosted PSAMs by handle. A handle cannot be guessed: it is all a client needs to use one."""

    def __init__(self, psams_max: int = PSAMS_MAX) -> None:
        self._psams_max = psams_max
        self._seats: OrderedDict[bytes, _Seat] = OrderedDict()
        self._lock = threading.Lock()

    def make(
        self, masters: MasterKeys, profile: PsamProfile, further: Iterable[KeySlot]
    ) -> PsamAnswer:
        """A new PSAM; the answer is its handle. Raises `UnknownKeyError` without its keys."""
        return self._seat(make_psam(profile, masters, further))

    def wake(self, masters: MasterKeys, image: bytes) -> PsamAnswer:
        """A PSAM after power came back; the answer is its handle.

        Raises `KeyServiceError` for a damaged image or other keys than it names.
        """
        return self._seat(_read(image, masters, Psam.from_image))

    def renew(self, masters: MasterKeys, image: bytes) -> PsamAnswer:
        """A PSAM with the keys in use now; the answer is its handle, with another image.

        Raises `KeyServiceError` for a damaged image or other keys than it names.
        """
        return self._seat(_read(image, masters, renew_psam))

    def transmit(self, handle: bytes, command: bytes, generation: int) -> PsamAnswer:
        """One command. The image comes with the answer unless the client has it already."""
        seat = self._find(handle)
        with seat.lock:
            answer = seat.psam.transmit(command)
            now = seat.psam.generation
            return PsamAnswer(answer, now, b"" if now == generation else seat.psam.image())

    def reset(self, handle: bytes) -> None:
        """Power off and on."""
        seat = self._find(handle)
        with seat.lock:
            seat.psam.reset()

    def _seat(self, psam: Psam) -> PsamAnswer:
        handle = secrets.token_bytes(HANDLE_BYTES)
        with self._lock:
            self._seats[handle] = _Seat(psam)
            while len(self._seats) > self._psams_max:
                # The one not used for longest loses power; its client wakes it up again.
                self._seats.popitem(last=False)
        return PsamAnswer(handle, psam.generation, psam.image())

    def _find(self, handle: bytes) -> _Seat:
        with self._lock:
            seat = self._seats.get(handle)
            if seat is None:
                raise KeyServiceUnavailableError(
                    Text(
                        "此 PSAM 在密钥服务中已断电：请用其映像唤醒",
                        "this PSAM lost power in the key service: wake it up from its image",
                    )
                )
            self._seats.move_to_end(handle)
            return seat


def _read(image: bytes, masters: MasterKeys, make: Callable[[bytes, MasterKeys], Psam]) -> Psam:
    """A damaged image is the caller's mistake, and travels as one."""
    try:
        return make(image, masters)
    except DecodeError as error:
        raise KeyServiceError(text_of(error)) from None
