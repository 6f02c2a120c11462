"""The PSAM (销售点终端安全存取模块): the keys inside a terminal, one APDU in, one out.

Decides which command the bytes are, whether the lock lets it through, and when what it changes is
written. Leaves what each command does to the files beside it, and the keeping of its image to
whoever builds it.

Power loss. Sequence numbers are reserved in the non-volatile image in runs of
`SEQUENCES_RESERVED`, and the one now in use is kept in volatile memory only. A PSAM that wakes up
from its image goes on after the whole run, so it may skip numbers and never repeats one. A try is
written before a MAC is compared, and given back after a right one. The image must be stored
whenever `generation` has grown, before the answer that came with it is passed on: while cards are
honest, that is once in a run.

Answers come at once with their data and 9000. Any string of bytes has a status word for an answer,
and a refused command changes nothing.
"""

import os
from collections.abc import Callable, Collection, Iterable

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.errors import (
    DecodeError,
    KeyServiceError,
    KeyServiceUnavailableError,
    PowerLossError,
)
from cardcore.keys import KeyUsage
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.psam import cipher, files, lock, purchase, records
from hsm_sim.psam.commands import Attempt, Context, Decision, Numbers, Reply, Session
from hsm_sim.psam.image import (
    SEQUENCES_RESERVED,
    WRITES_MAX,
    Held,
    PsamImage,
    decode_image,
    encode_body,
)
from hsm_sim.psam.keys import USUAL, KeySlot, PsamKey, find_keys, recognise_key, renew_keys
from hsm_sim.psam.profile import PsamProfile
from hsm_sim.psam.seal import check_seal, seal, sealing_place

_HANDLERS = {
    **files.HANDLERS,
    **purchase.HANDLERS,
    **records.HANDLERS,
    **cipher.HANDLERS,
    **lock.HANDLERS,
}
#: Classes of which an unknown instruction is 6D00. 84 is for APPLICATION UNBLOCK alone.
_CLASSES = frozenset({0x00, 0x80})


class Psam:
    """One PSAM. `make_psam` makes a new one, `from_image` wakes one up.

    Its keys live in `masters`; it knows their names, and asks for one card's key a command. When
    they do not answer, neither can it: 6400, and nothing has changed.
    """

    def __init__(
        self,
        profile: PsamProfile,
        keys: tuple[PsamKey, ...],
        masters: MasterKeys,
        held: Held,
        writes: int = 0,
    ) -> None:
        assert held.reserved % SEQUENCES_RESERVED == 0, held
        self._profile = profile
        self._keys = keys
        self._places = {(key.slot.kind, key.slot.number): key for key in keys}
        self._masters = masters
        self._held = held
        self._writes_before = writes
        self._generation = 0
        #: Asked before and after each write of what survives; fault injection raises
        #: `PowerLossError` here.
        self.power: Callable[[], None] | None = None
        self._wake_up()

    def _wake_up(self) -> None:
        """Nothing volatile is left: sequence numbers go on after the reserved run."""
        reserved = self._held.reserved
        self._numbers = Numbers(reserved, reserved, reserved)
        self.reset()

    def __repr__(self) -> str:
        return f"Psam({self._profile.number}, terminal {self._profile.terminal})"

    def reset(self) -> None:
        """Power on: the application is selected, no transaction is open, no key delivered."""
        # The application is the one implicitly selected after a reset (ISO/IEC 7816-4), so a
        # terminal that never selects anything works as well as one that selects both.
        self._session = Session()

    @property
    def generation(self) -> int:
        """How many commands have changed the image since this PSAM woke up. Store the image before
        passing on the answer that came with a change.
        """
        return self._generation

    @property
    def number(self) -> str:
        """Its number, 20 digits."""
        return self._profile.number

    @property
    def held(self) -> Held:
        """What survives the loss of power."""
        return self._held

    @property
    def writes(self) -> int:
        """How many images this PSAM has had: of two, the newer has the higher."""
        return min(self._writes_before + self._generation, WRITES_MAX)

    def transmit(self, command: bytes) -> bytes:
        """The answer to one command: data and status word."""
        try:
            apdu = CommandApdu.decode(command)
        except DecodeError:
            return ResponseApdu(b"", StatusWord.WRONG_LENGTH).encode()
        try:
            decision = self._decide(apdu)
        except KeyServiceError:  # other levels than its master's, or destroyed by now
            decision = StatusWord.KEY_NOT_FOUND
        except KeyServiceUnavailableError:
            decision = StatusWord.EXECUTION_ERROR
        before = self._held
        try:
            reply = self._carry_out(decision)
        except PowerLossError:
            self._wake_up()
            raise
        finally:
            self._generation += self._held != before
        return ResponseApdu(reply.data, reply.sw).encode()

    def _carry_out(self, decision: Decision) -> Reply:
        """Spend a try before a MAC is compared, write what survives, then move on."""
        if isinstance(decision, Attempt):
            self._write(decision.spend)
            decision = decision.compare()
        reply = Reply(sw=decision) if isinstance(decision, int) else decision
        if reply.held is not None:
            self._write(reply.held)
        self._numbers = reply.numbers or self._numbers
        self._session = reply.session or self._session
        return reply

    def _decide(self, apdu: CommandApdu) -> Decision:
        context = Context(
            self._profile,
            self._places,
            self._masters,
            os.urandom,
            self._held,
            self._numbers,
            self._session,
        )
        refused = lock.refusal(context, apdu)
        if refused is not None:
            return refused
        handler = _HANDLERS.get((apdu.cla, apdu.ins))
        if handler is None:
            known = apdu.cla in _CLASSES
            return StatusWord.INS_NOT_SUPPORTED if known else StatusWord.CLA_NOT_SUPPORTED
        return handler(context, apdu)

    def _write(self, held: Held) -> None:
        if held == self._held:
            return
        if self.power is not None:
            self.power()
        self._held = held
        if self.power is not None:
            self.power()

    def image(self) -> bytes:
        """Everything that survives power loss, without a key byte, sealed by the masters; see
        `psam.image`. Raises what they raise when they cannot seal it.
        """
        place = sealing_place(self._keys, self._masters)
        body = encode_body(self._profile, self._held, self._keys, self.writes, place)
        return body + seal(body, self.number, self._keys[place].slot, self._masters)

    @staticmethod
    def from_image(image: bytes, masters: MasterKeys) -> "Psam":
        """Wake a PSAM up; its keys are found in `masters` by name.

        Raises `DecodeError` for an image that is damaged or was not sealed by these masters,
        `UnknownKeyError` for a key that is not held, `KeyServiceError` when another key is held
        under the name.
        """
        read = open_image(image, masters)
        return wake_psam(read, masters, read.held, read.writes)


def make_psam(
    profile: PsamProfile,
    masters: MasterKeys,
    further: Iterable[KeySlot] = (),
    usages: Collection[KeyUsage] = frozenset(USUAL),
) -> Psam:
    """A new PSAM with the keys of its label that are in use now, in every version, and `further`
    ones for cards of other applications; see `psam.keys.find_keys`.
    """
    keys = find_keys(profile.key_label, masters, further, usages)
    return Psam(profile, keys, masters, Held())


def renew_psam(
    image: bytes, masters: MasterKeys, usages: Collection[KeyUsage] = frozenset(USUAL)
) -> Psam:
    """A PSAM whose keys are renewed in the depot after a rotation. Its numbers go on where they
    were, its tries stay spent; the image is another one if any key came or went.

    Raises `DecodeError` for a damaged image, and what `psam.keys.renew_keys` raises.
    """
    read = open_image(image, masters)
    return renewed_psam(read, masters, read.held, read.writes, usages)


def wake_psam(read: PsamImage, masters: MasterKeys, held: Held, writes: int) -> Psam:
    """The PSAM of an opened image as it stands now, which may be newer than the image."""
    keys = tuple(recognise_key(slot, shown, masters) for slot, shown in read.keys)
    return Psam(read.profile, keys, masters, held, writes)


def renewed_psam(
    read: PsamImage,
    masters: MasterKeys,
    held: Held,
    writes: int,
    usages: Collection[KeyUsage] = frozenset(USUAL),
) -> Psam:
    """The same with its keys renewed; that is another image if any came or went."""
    keys = renew_keys(read.profile.key_label, read.keys, masters, usages)
    is_other = [(key.slot, key.check_value) for key in keys] != list(read.keys)
    return Psam(read.profile, keys, masters, held, writes + is_other)


def open_image(image: bytes, masters: MasterKeys) -> PsamImage:
    """An image that these masters have sealed. Raises `DecodeError` for any other one, and what
    `psam.keys.recognise_key` raises for its key.
    """
    read = decode_image(image)
    check_seal(read.body, read.sealed, read.profile.number, read.sealing, masters)
    return read
