"""What a request claims: keys by usage and label, and the terminal or PSAM it is for.

Decides where in the arguments of an operation a key, a terminal and a PSAM are named. Leaves
whether somebody may have them to `rights`. A request to a channel names no key but those to be
wrapped, and one to a PSAM that is there none at all: theirs were chosen when they were made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cardcore.applets.catalogue import city_of
from cardcore.errors import DecodeError
from cardcore.key_labels import maintenance_label
from cardcore.keys import KeyRef, KeyUsage
from hsm_sim.keys.vault import CHANNEL_USAGES
from hsm_sim.psam import KeySlot, PsamKeyType, PsamProfile
from hsm_sim.psam.image import decode_image
from hsm_sim.wire.access.duties import Operation
from hsm_sim.wire.codec import messages

#: Operations that name a label and no usage: theirs is always the same.
_USAGES_BY_LABEL: Mapping[Operation, frozenset[KeyUsage]] = {
    messages.OPEN_CHANNEL: CHANNEL_USAGES,
    messages.PROVE_TACS: frozenset({KeyUsage.TAC}),
    messages.PROVE_RECORD_MACS: frozenset({KeyUsage.RECORD_MAC}),
    messages.PROVE_AUTHENTICATIONS: frozenset({KeyUsage.INTERNAL_AUTHENTICATION}),
    messages.SEALED_DAYS: frozenset({KeyUsage.DAY_SEAL}),
}
_TERMINAL_BYTES = 6
#: The messages of a load that a host makes or judges (JR/T 0025): how long one is, and where the
#: terminal stands in it. What the card makes itself is not made for anybody.
_SESSION_MESSAGES: Mapping[Operation, tuple[int, int]] = {
    messages.VERIFY_SESSION_MAC: (15, 9),  # MAC1: balance, amount, type, terminal
    messages.SESSION_MAC: (18, 5),  # MAC2: amount, type, terminal, time
}


@dataclass(frozen=True, slots=True)
class Place:
    """For which terminal (12 hexadecimal digits, capital), and with which PSAM (20 digits)."""

    terminal: str | None = None
    psam: str | None = None


@dataclass(frozen=True, slots=True)
class NoSuchMessage:
    """A session MAC over something that is no message of its transaction."""

    data_bytes: int


def keys_claimed(
    operation: Operation, arguments: Sequence[object]
) -> Iterator[tuple[KeyUsage, str]]:
    """Usage and label of every key that a request names.

    What every PSAM has of its own, its maintenance key and its record MAC key, comes with the PSAM
    and is not claimed.
    """
    for (parameter, _), value in zip(operation.parameters, arguments, strict=True):
        match value:
            case KeyRef():
                yield value.usage, value.label
            case PsamProfile():
                yield KeyUsage.PURCHASE, value.key_label
            case str() if parameter == "label" and operation in _USAGES_BY_LABEL:
                yield from ((usage, value) for usage in sorted(_USAGES_BY_LABEL[operation]))
            case tuple():
                for each in value:
                    ref = each.ref if isinstance(each, KeySlot) else each
                    if isinstance(ref, KeyRef):
                        yield ref.usage, ref.label
            case bytes() if parameter == "image":
                yield from _keys_of_image(value)


def place_claimed(
    operation: Operation, arguments: Sequence[object]
) -> Place | NoSuchMessage | None:
    """The terminal and PSAM that a request is for; None where an operation has none."""
    named = {
        parameter: value
        for (parameter, _), value in zip(operation.parameters, arguments, strict=True)
    }
    match named:
        case {"profile": PsamProfile() as profile}:
            return _place_of(profile)
        case {"image": bytes() as image}:
            try:
                return _place_of(decode_image(image).profile)
            except DecodeError:
                return None  # no PSAM wakes up from it
        case {"session_input": _, "data": bytes() as data}:
            length, at = _SESSION_MESSAGES[operation]
            if len(data) != length:
                return NoSuchMessage(len(data))
            return Place(data[at : at + _TERMINAL_BYTES].hex().upper())
    return None


def comes_with_psam(profile: PsamProfile, slot: KeySlot) -> bool:
    """Whether a key in a PSAM is its own: every PSAM of its label has it, made for its number."""
    city = city_of(profile.key_label)
    own = {
        PsamKeyType.MAINTENANCE: (KeyUsage.FILE_MAINTENANCE, maintenance_label(city)),
        PsamKeyType.RECORD_MAC: (KeyUsage.RECORD_MAC, city),
    }
    return own.get(slot.kind) == (slot.ref.usage, slot.ref.label)


def _place_of(profile: PsamProfile) -> Place:
    return Place(profile.terminal.upper(), profile.number)


def _keys_of_image(image: bytes) -> Iterator[tuple[KeyUsage, str]]:
    """Nothing for a damaged image, which no PSAM wakes up from."""
    try:
        read = decode_image(image)
    except DecodeError:
        return
    yield KeyUsage.PURCHASE, read.profile.key_label
    for slot, _ in read.keys:
        if not comes_with_psam(read.profile, slot):
            yield slot.ref.usage, slot.ref.label
