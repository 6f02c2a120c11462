"""What a PSAM keeps without power, and its image in bytes, in which no key byte stands.

Decides what survives and how it is laid out. Leaves when it is written to `module`, and what makes
an image genuine to `seal`.
"""

import struct
from dataclasses import dataclass

from cardcore.digits import decode_bcd, decode_date, encode_bcd, encode_date
from cardcore.errors import DecodeError, KeyUsageError
from cardcore.keys import KeyRef, KeyUsage
from cardcore.text import Text
from hsm_sim.psam.keys import KeySlot, PsamKey, PsamKeyType
from hsm_sim.psam.profile import PsamProfile
from hsm_sim.psam.seal import SEAL_BYTES

#: How many sequence numbers one write reserves.
SEQUENCES_RESERVED = 64
#: Forged cards in a row until the application locks. Ours, the most that one hexadecimal digit
#: counts: three would let any passer-by with three forged taps stop a bus.
MAC2_TRIES_MAX = 15
#: Wrong MACs of APPLICATION UNBLOCK in a row until that key is used up for good.
MAINTENANCE_TRIES_MAX = 3

_FRONT = struct.Struct(">4s10s6s8s4s4sBIBBBBIB")
_KEY = struct.Struct(">BB3sB")
_MAGIC = b"OCP6"
WRITES_MAX = 0xFFFF_FFFF
_NOT_OURS = Text("不是本版本的映像", "not an image of this version")


@dataclass(frozen=True, slots=True)
class Held:
    """What changes in a PSAM and survives the loss of power.

    `reserved` is the last sequence number that may have been given; the tries are those left.
    """

    reserved: int = 0
    mac2_tries: int = MAC2_TRIES_MAX
    maintenance_tries: int = MAINTENANCE_TRIES_MAX

    @property
    def is_locked(self) -> bool:
        """Whether the purchase application is locked (应用锁定)."""
        return self.mac2_tries == 0


@dataclass(frozen=True, slots=True)
class PsamImage:
    """An image taken apart. Keys are places with the check value of what belongs there; `writes`
    counts the images of this PSAM. What is here is as true as the seal, which is not looked at.
    """

    profile: PsamProfile
    held: Held
    keys: tuple[tuple[KeySlot, str], ...]
    writes: int
    sealing: tuple[KeySlot, str]
    body: bytes
    sealed: bytes


def encode_body(
    profile: PsamProfile, held: Held, keys: tuple[PsamKey, ...], writes: int, sealing: int
) -> bytes:
    """Everything that survives power loss; the seal (16 bytes) comes behind it.

    Layout: magic 4, number 10, terminal 6, issuer 8, valid from 4, to 4, key index 1, sequence
    reserved 4, MAC2 tries left 1, maintenance tries left 1, length of label 1, keys 1, images
    written 4, place of the sealing key 1; label; of each key type 1, number 1, check value 3,
    length of name 1, name.
    """
    label = profile.key_label.encode()
    body = _FRONT.pack(
        _MAGIC,
        encode_bcd(profile.number, 10),
        bytes.fromhex(profile.terminal),
        profile.issuer,
        encode_date(profile.valid_from),
        encode_date(profile.valid_to),
        profile.key_index,
        held.reserved,
        held.mac2_tries,
        held.maintenance_tries,
        len(label),
        len(keys),
        writes,
        sealing,
    )
    parts = [body, label]
    for key in keys:
        name = str(key.slot.ref).encode()
        shown = bytes.fromhex(key.check_value)
        parts += (_KEY.pack(key.slot.kind, key.slot.number, shown, len(name)), name)
    return b"".join(parts)


def decode_image(image: bytes) -> PsamImage:
    """Take an image apart; `DecodeError` when it is of another version or its fields cannot be. Who
    acts on it checks its seal first (`hsm_sim.psam.seal.check_seal`).
    """
    body, sealed = image[:-SEAL_BYTES], image[-SEAL_BYTES:]
    if len(body) < _FRONT.size or body[: len(_MAGIC)] != _MAGIC:
        raise DecodeError("PSAM image", 0, _NOT_OURS)
    try:
        return _read(body, sealed)
    except (struct.error, ValueError, KeyUsageError) as error:
        raise DecodeError("PSAM image", len(_MAGIC), _NOT_OURS) from error


def _read(body: bytes, sealed: bytes) -> PsamImage:
    """`ValueError` or `struct.error` for fields that cannot be."""
    (
        _, number, terminal, issuer, first, last, index, reserved, mac2_tries, maintenance_tries,
        label_bytes, count, writes, sealing,
    ) = _FRONT.unpack_from(body)  # fmt: skip
    at = _FRONT.size + label_bytes
    label = body[_FRONT.size : at].decode()
    keys = []
    for _ in range(count):
        kind, key_number, shown, name_bytes = _KEY.unpack_from(body, at)
        at += _KEY.size + name_bytes
        slot = KeySlot(PsamKeyType(kind), key_number, _ref(body[at - name_bytes : at].decode()))
        keys.append((slot, shown.hex().upper()))
    held = Held(reserved, mac2_tries, maintenance_tries)
    tries = mac2_tries <= MAC2_TRIES_MAX and maintenance_tries <= MAINTENANCE_TRIES_MAX
    if at != len(body) or reserved % SEQUENCES_RESERVED or not tries or sealing >= count:
        raise ValueError(_NOT_OURS)
    profile = PsamProfile(
        terminal.hex(),
        decode_bcd(number),
        issuer,
        decode_date(first),
        decode_date(last),
        index,
        label,
    )
    return PsamImage(profile, held, tuple(keys), writes, keys[sealing], body, sealed)


def _ref(name: str) -> KeyRef:
    usage, _, rest = name.partition("/")
    label, _, version = rest.rpartition("/v")
    return KeyRef(KeyUsage(usage), label, int(version))
