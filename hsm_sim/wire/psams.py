"""PSAMs that live in the server, so that a terminal's program never holds a purchase key.

Decides which PSAM a handle means, that it answers only the client that had it made or woken up, and
how many each client has: of each number one, the one woken up last. Want of room takes a client's
own and nobody else's. Leaves what a PSAM answers to `hsm_sim.psam`, which keys one may have and for
whom to `access`, the keeping of its image to the client, as with a PSAM in a terminal, and whether
that image is the newest to `counters`.
"""

import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cardcore.errors import DecodeError, KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import KeyUsage
from cardcore.text import Text, text_of
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.psam import KeySlot, Psam, PsamProfile
from hsm_sim.psam.image import Held, PsamImage
from hsm_sim.psam.keys import USUAL, find_keys
from hsm_sim.psam.module import open_image, renewed_psam, wake_psam
from hsm_sim.wire.access.rights import Permit
from hsm_sim.wire.codec.messages import PsamAnswer
from hsm_sim.wire.counters import PsamCounters

#: Of one client. A city has some ten thousand terminals; one PSAM takes a few kilobytes.
PSAMS_A_CLIENT = 20_000
HANDLE_BYTES = 16


_Wake = Callable[[PsamImage, MasterKeys, Held, int], Psam]


@dataclass(slots=True)
class _Seat:
    """A PSAM that takes one command at a time, until it has lost power."""

    psam: Psam
    client: str
    has_power: bool = True
    lock: threading.Lock = field(default_factory=threading.Lock)


class HostedPsams:
    """Hosted PSAMs by handle. A handle cannot be guessed, and is good for one client only."""

    def __init__(
        self, psams_a_client: int = PSAMS_A_CLIENT, counters: PsamCounters | None = None
    ) -> None:
        self._psams_a_client = psams_a_client
        self._counters = counters or PsamCounters()
        self._seats: dict[bytes, _Seat] = {}
        #: Of each client, the one not used for longest first.
        self._handles_of: dict[str, OrderedDict[bytes, None]] = {}
        #: By the number of the PSAM.
        self._handles: dict[str, bytes] = {}
        self._lock = threading.Lock()
        #: Held while a PSAM gets power: two that get it at once would go on from one number.
        self._powering = threading.Lock()

    def make(
        self, permit: Permit, masters: MasterKeys, profile: PsamProfile, further: Iterable[KeySlot]
    ) -> PsamAnswer:
        """A PSAM with the purchase keys of its label, its own keys and `further` ones; the answer
        is its handle. Raises `UnknownKeyError` without its keys.

        One of a number that was there already goes on where that one is: its sequence, its lock
        and its tries are not made anew, and no image of it wakes up any more.
        """
        keys = find_keys(profile.key_label, masters, further, (KeyUsage.PURCHASE,))
        with self._powering:
            # Before it is asked how far it came: a command may still be running.
            self._take_power(profile.number)
            psam = Psam(profile, keys, masters, *self._counters.next_of(profile.number))
            self._counters.made(psam)
            return self._seat(permit, psam)

    def wake(self, permit: Permit, masters: MasterKeys, image: bytes) -> PsamAnswer:
        """A PSAM after power came back; the answer is its handle.

        Raises `KeyServiceError` for an image that is damaged, forged or older than one with which
        somebody went on, and for other keys than it names.
        """
        return self._wake(permit, image, masters, wake_psam)

    def renew(self, permit: Permit, masters: MasterKeys, image: bytes) -> PsamAnswer:
        """A PSAM with the keys in use now of the usages that it has; the answer is its handle, with
        another image.

        Raises `KeyServiceError` as `wake` does.
        """
        return self._wake(permit, image, masters, _renewed)

    def transmit(
        self, permit: Permit, handle: bytes, command: bytes, generation: int
    ) -> PsamAnswer:
        """One command. The image comes with the answer unless the client has it already."""
        seat = self._find(permit, handle)
        with seat.lock:
            if not seat.has_power:
                raise _no_power()
            before = seat.psam.generation
            if generation == before:
                self._counters.showed(seat.psam)
            answer = seat.psam.transmit(command)
            now = seat.psam.generation
            if now != before:
                self._counters.gave(seat.psam)
            return PsamAnswer(answer, now, b"" if now == generation else seat.psam.image())

    def reset(self, permit: Permit, handle: bytes) -> None:
        """Power off and on."""
        seat = self._find(permit, handle)
        with seat.lock:
            seat.psam.reset()

    def _wake(self, permit: Permit, image: bytes, masters: MasterKeys, wake: _Wake) -> PsamAnswer:
        """A damaged image is the caller's mistake, and travels as one."""
        try:
            read = open_image(image, masters)
        except DecodeError as error:
            raise KeyServiceError(text_of(error)) from None
        with self._powering:
            self._counters.check(read)
            # Before it is asked how far it came: a command may still be running.
            self._take_power(read.profile.number)
            psam = wake(read, masters, *self._counters.admit(read))
            self._counters.gave(psam)
            return self._seat(permit, psam)

    def _take_power(self, number: str) -> None:
        with self._lock:
            seat = self._leave(number)
        if seat is not None:
            with seat.lock:
                seat.has_power = False

    def _seat(self, permit: Permit, psam: Psam) -> PsamAnswer:
        handle = secrets.token_bytes(HANDLE_BYTES)
        with self._lock:
            self._leave(psam.number)
            self._seats[handle] = _Seat(psam, permit.client)
            self._handles[psam.number] = handle
            mine = self._handles_of.setdefault(permit.client, OrderedDict())
            mine[handle] = None
            if len(mine) > self._psams_a_client:
                # Its own, not used for longest, loses power; it wakes it up again.
                self._leave(self._seats[next(iter(mine))].psam.number)
        return PsamAnswer(handle, psam.generation, psam.image())

    def _leave(self, number: str) -> _Seat | None:
        """Whoever has that number's seat gets up."""
        handle = self._handles.pop(number, b"")
        seat = self._seats.pop(handle, None)
        if seat is not None:
            del self._handles_of[seat.client][handle]
        return seat

    def _find(self, permit: Permit, handle: bytes) -> _Seat:
        with self._lock:
            seat = self._seats.get(handle)
            # To another client there is no such PSAM.
            if seat is None or seat.client != permit.client:
                raise _no_power()
            self._handles_of[seat.client].move_to_end(handle)
            return seat


def _renewed(read: PsamImage, masters: MasterKeys, held: Held, writes: int) -> Psam:
    """A renewal brings new versions, and nothing that the PSAM was not made for."""
    usages = {slot.ref.usage for slot, _ in read.keys if USUAL.get(slot.ref.usage) is slot.kind}
    return renewed_psam(read, masters, held, writes, usages)


def _no_power() -> KeyServiceUnavailableError:
    return KeyServiceUnavailableError(
        Text(
            "此 PSAM 在密钥服务中已断电：请用其映像唤醒",
            "this PSAM lost power in the key service: wake it up from its image",
        )
    )
