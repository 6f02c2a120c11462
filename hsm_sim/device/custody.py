"""Custody of the storage key (保管存储密钥): any two custodians open it, and one alone never.

Decides how the storage key is bound to PINs. Leaves which PINs are taken and what a try costs to
`pins`, counting wrong tries to `admission`, and asking for PINs to the command line.

Each custodian has a pair of X25519 (RFC 7748). The private half *is* his stretched PIN and stands
nowhere; the public one stands under the storage key. For each two custodians the storage key is
wrapped under a key that is stretched from what both their private halves make of one more pair,
whose private half nobody keeps. So nothing in the folder tells whether one PIN is right: two are
tried together or not at all, and each two cost a stretching of their own.

To wrap takes the public halves only. So a new PIN, which is also how a custodian is replaced, makes
a new pair for him and a new storage key wrapped for all, without the PINs of those who are not
there. Whoever held a storage key has seen the public halves of its time, and can judge PINs of
those who stayed alone, at the cost of a try each; to open anything he needs a second PIN.

Whoever copies the folder can try PINs at his own speed: a device of metal guards against that by
its walls, this one by what a try costs, by the length of the PINs and by where its folder lies.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from cardcore.text import Text, shorten
from hsm_sim.device import pins as tries
from hsm_sim.device.errors import CustodyError, DeviceError
from hsm_sim.device.pins import PinCost

STORAGE_KEY_BYTES = 32  # AES-256: TR-31 blocks of version D are kept under it
CUSTODIANS_MIN, CUSTODIANS_MAX = 2, 9
OPENING_CUSTODIANS = 2
ROLE_CHARACTERS_MAX = 32
_SALT_BYTES = 16
_SECRET_BYTES = 32

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Custodian:
    """One custodian (密钥保管员), known by role. `sealed_half`: his public half under the storage
    key.
    """

    role: str
    salt: bytes = field(repr=False)
    sealed_half: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Custody:
    """Who holds a device, and its storage key wrapped for each two of them. `carrier` is the public
    half of the pair that was made to wrap it, and is another one for every storage key.
    """

    device_id: str
    cost: PinCost
    custodians: tuple[Custodian, ...]
    carrier: bytes = field(repr=False)
    pairs: Mapping[tuple[str, str], bytes] = field(repr=False)

    def custodian(self, role: str) -> Custodian:
        """The custodian of that role; `CustodyError` when there is none."""
        for each in self.custodians:
            if each.role == role:
                return each
        known = ", ".join(each.role for each in self.custodians)
        raise CustodyError(
            Text(
                f"没有名为 {shorten(role)} 的保管员；有：{known.replace(', ', '、')}",
                f"no custodian is called {shorten(role)} here; they are {known}",
            )
        )


def check_role(role: str) -> None:
    """`CustodyError` for a name that could not be told apart in a log or an option."""
    good = 0 < len(role) <= ROLE_CHARACTERS_MAX and role.isprintable()
    if not good or any(character in role for character in "=/+ "):
        raise CustodyError(
            Text(
                f"{shorten(role)} 不能作保管员名称：须为 1 至 {ROLE_CHARACTERS_MAX} 个字母、数字或"
                " -，不含空格",
                f"{shorten(role)} is no role: 1 to {ROLE_CHARACTERS_MAX} letters, digits and -, "
                "no space",
            )
        )


def appoint(
    device_id: str, pins: Mapping[str, bytes], storage_key: bytes, random: Random
) -> Custody:
    """Make the custody of a new device. `pins` gives each custodian's first PIN by role.

    Raises `CustodyError` for fewer than two or more than nine of them, and for a bad role or PIN.
    """
    if not CUSTODIANS_MIN <= len(pins) <= CUSTODIANS_MAX:
        raise CustodyError(
            Text(
                f"有 {len(pins)} 名保管员；一台设备须有 {CUSTODIANS_MIN} 至 {CUSTODIANS_MAX} 名",
                f"{len(pins)} custodians; a device has {CUSTODIANS_MIN} to {CUSTODIANS_MAX}",
            )
        )
    for role in pins:
        check_role(role)
    tries.check_pins(pins)
    custody = Custody(device_id, tries.PIN_COST, (), b"", {})
    salts = {role: random(_SALT_BYTES) for role in pins}
    halves = {
        role: _public_half(custodian_secret(custody, salts[role], pin))
        for role, pin in pins.items()
    }
    return _wrapped(custody, salts, halves, storage_key, random)


def custodian_secret(custody: Custody, salt: bytes, pin: bytes) -> bytes:
    """The private half that a PIN makes; nothing tells whether it is the right one."""
    return tries.stretch(custody.cost, salt, pin)


def storage_key_for(custody: Custody, pins: Mapping[str, bytes]) -> bytes | None:
    """The storage key, for two custodians and their PINs; None when one or both are wrong, which of
    the two cannot be told. Raises `DeviceError` when the file was altered.
    """
    if not all(0 < len(pin) <= tries.PIN_BYTES_MAX for pin in pins.values()):
        return None
    secrets = {
        role: custodian_secret(custody, custody.custodian(role).salt, pin)
        for role, pin in pins.items()
    }
    return storage_key_of(custody, secrets)


def storage_key_of(custody: Custody, secrets: Mapping[str, bytes]) -> bytes | None:
    """The storage key, from the secrets of two custodians; None when they are not theirs.

    Raises `DeviceError` when nothing was wrapped for this pair: the file was altered.
    """
    assert len(secrets) == OPENING_CUSTODIANS, tuple(secrets)
    first, second = pair = pair_of(*secrets)
    try:
        wrapped = custody.pairs[pair]
        shared = [_agreed(secrets[role], custody.carrier) for role in (first, second)]
        return aes_key_unwrap(_pair_key(custody, pair, shared), wrapped)
    except InvalidUnwrap:
        return None
    except (KeyError, ValueError):
        raise DeviceError(
            Text(
                f"{first} 与 {second} 打不开存储密钥：设备已损坏；请从副本恢复其目录，或从备份恢复"
                "密钥",
                f"the storage key does not open for {first} and {second}: the device is damaged; "
                "restore its folder from a copy, or its keys from a backup",
            )
        ) from None


def pair_of(first: str, second: str) -> tuple[str, str]:
    """Two custodians, in the order in which pairs are named."""
    return (first, second) if first < second else (second, first)


def pairs_among(roles: Iterable[str]) -> list[str]:
    """Each two of them, as they are named in files: `a+b`."""
    return ["+".join(pair) for pair in combinations(sorted(roles), OPENING_CUSTODIANS)]


def with_new_pin(
    custody: Custody, role: str, pin: bytes, keys: tuple[bytes, bytes], random: Random
) -> Custody:
    """The custody in which one custodian has another PIN and another pair, and a new storage key is
    wrapped for all; `keys` is the old one and the new. What he had before opens none of it.

    Raises `CustodyError` for a PIN that is weak, or that another custodian has.
    """
    custody.custodian(role)
    tries.check_pins({role: pin})
    old_key, storage_key = keys
    halves = {
        each.role: aes_key_unwrap(_half_key(custody, old_key), each.sealed_half)
        for each in custody.custodians
    }
    salts = {each.role: each.salt for each in custody.custodians}
    for other, half in halves.items():
        # The public half is at hand here, so even the PIN of one who is absent can be compared.
        if other != role and _public_half(custodian_secret(custody, salts[other], pin)) == half:
            raise tries.shared_pin(other, role)
    salts[role] = random(_SALT_BYTES)
    halves[role] = _public_half(custodian_secret(custody, salts[role], pin))
    return _wrapped(custody, salts, halves, storage_key, random)


def _public_half(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _wrapped(
    custody: Custody,
    salts: Mapping[str, bytes],
    halves: Mapping[str, bytes],
    storage_key: bytes,
    random: Random,
) -> Custody:
    """The storage key for each two custodians, under a carrier that is thrown away."""
    secret = random(_SECRET_BYTES)
    sealing = _half_key(custody, storage_key)
    custody = replace(
        custody,
        carrier=_public_half(secret),
        custodians=tuple(
            Custodian(role, salts[role], aes_key_wrap(sealing, halves[role])) for role in salts
        ),
    )
    shared = {role: _agreed(secret, half) for role, half in halves.items()}
    pairs = {
        (first, second): aes_key_wrap(
            _pair_key(custody, (first, second), [shared[first], shared[second]]), storage_key
        )
        for first, second in combinations(sorted(shared), OPENING_CUSTODIANS)
    }
    return replace(custody, pairs=pairs)


def custody_document(custody: Custody) -> dict[str, Any]:
    """The custody as it stands in the device's file."""
    return {
        "pin_cost": {"memory_kib": custody.cost.memory_kib, "passes": custody.cost.passes},
        "custodians": [
            {
                "role": each.role,
                "salt": each.salt.hex(),
                "sealed_half": each.sealed_half.hex(),
            }
            for each in custody.custodians
        ],
        "carrier": custody.carrier.hex(),
        "pairs": {"+".join(pair): wrapped.hex() for pair, wrapped in custody.pairs.items()},
    }


def read_custody(device_id: str, document: Mapping[str, Any]) -> Custody:
    """The other way. One of `NOT_OF_THE_FORM` for a document that is none."""
    cost = PinCost(**{name: int(value) for name, value in document["pin_cost"].items()})
    custodians = tuple(
        Custodian(
            str(each["role"]),
            bytes.fromhex(each["salt"]),
            bytes.fromhex(each["sealed_half"]),
        )
        for each in document["custodians"]
    )
    pairs = {}
    for text, wrapped in document["pairs"].items():
        first, second = text.split("+")
        pairs[first, second] = bytes.fromhex(wrapped)
    return Custody(device_id, cost, custodians, bytes.fromhex(document["carrier"]), pairs)


def _half_key(custody: Custody, storage_key: bytes) -> bytes:
    return _key(storage_key, f"onecard device {custody.device_id} public halves")


def _agreed(private: bytes, public: bytes) -> bytes:
    """Raises `ValueError` for bytes that are no point; the file was altered then."""
    point = X25519PublicKey.from_public_bytes(public)
    return X25519PrivateKey.from_private_bytes(private).exchange(point)


def _pair_key(custody: Custody, pair: tuple[str, str], shared: Sequence[bytes]) -> bytes:
    """Stretched once more, so that each two PINs cost a try, not each one."""
    purpose = f"onecard device {custody.device_id} pair {'+'.join(pair)}"
    return _key(tries.stretch(custody.cost, custody.carrier, b"".join(shared)), purpose)


def _key(material: bytes, purpose: str) -> bytes:
    """HKDF (RFC 5869): a key that is good for one purpose in one device."""
    return HKDF(SHA256(), STORAGE_KEY_BYTES, salt=None, info=purpose.encode()).derive(material)
