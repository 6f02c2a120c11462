"""Custody of the storage key (保管存储密钥): any two custodians open it, and one alone never.

Decides how the storage key is bound to PINs. Leaves counting wrong tries to `device`, and asking
for PINs to the command line.

Each custodian has a pair of X25519 (RFC 7748). The private half is enciphered under a key from his
PIN, without anything that tells a right PIN from a wrong one: every PIN opens some private half.
For each two custodians the storage key is wrapped under a key from what both their private halves
make of one more pair, whose private half nobody keeps. So only both PINs together can be judged,
and wrong tries count against the two who came.

To wrap takes the public halves only; they are kept under the storage key. So a new PIN, which is
also how a custodian is replaced, makes a new pair for him and a new storage key wrapped for all,
without the PINs of those who are not there; and nobody who once held a storage key can find
anybody's private half with it.

Whoever copies the folder can try PINs at his own speed: scrypt is paid for each PIN and once more
for the two together, a quarter of a gigabyte and half a second each. Who has once opened the device
can keep the public halves and judge the PIN of another alone, for scrypt's cost a try. A device of
metal guards against that by its walls, this one by the length of the PINs and by where its folder
lies.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from cardcore.text import Text, shorten
from hsm_sim.device.custodians.pins import check_pins, shared_pin
from hsm_sim.device.errors import CustodyError, DeviceError

STORAGE_KEY_BYTES = 32  # AES-256: TR-31 blocks of version D are kept under it
CUSTODIANS_MIN, CUSTODIANS_MAX = 2, 9
OPENING_CUSTODIANS = 2
ROLE_CHARACTERS_MAX = 32
#: scrypt N (RFC 7914): 256 MiB and about half a second. Kept in the device, so that it can grow for
#: new ones.
SCRYPT_COST = 1 << 18
_SCRYPT_COST_MAX = 1 << 20  # a damaged file must not ask for the machine's whole memory
_SALT_BYTES = 16
_SECRET_BYTES = 32
_ECB = modes.ECB()  # noqa: S305 - private halves only

Random = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Custodian:
    """One custodian (密钥保管员), known by role. `under_pin` is his private half under his PIN."""

    role: str
    salt: bytes = field(repr=False)
    under_pin: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Custody:
    """Who holds a device, and its storage key wrapped for each two of them. `carrier` is the public
    half of the pair that was made to wrap it, and is another one for every storage key;
    `public_keys` are the public halves of all, in their order, under the storage key.
    """

    device_id: str
    scrypt_cost: int
    custodians: tuple[Custodian, ...]
    carrier: bytes = field(repr=False)
    public_keys: bytes = field(repr=False)
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
    device_id: str, pins: Mapping[str, bytes], storage_key: bytes, random: Random, name: str = ""
) -> Custody:
    """Make the custody of a new device, which people call `name`. `pins` gives each custodian's
    first PIN by role.

    Raises `CustodyError` for fewer than two or more than nine of them, for a bad role or PIN, and
    for one PIN of two custodians.
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
    check_pins(pins, (device_id, name))
    custody = Custody(device_id, SCRYPT_COST, (), b"", b"", {})
    made = [_appointed(custody, role, pin, random) for role, pin in pins.items()]
    custody = replace(custody, custodians=tuple(each for each, _ in made))
    return _wrapped(custody, [public for _, public in made], storage_key, random)


def private_half(custody: Custody, role: str, pin: bytes) -> bytes:
    """What a PIN makes of a custodian's private half: the one he has, or another one that cannot be
    told from it. `CustodyError` when there is no custodian of that role.
    """
    held = custody.custodian(role)
    cipher = Cipher(algorithms.AES(_pin_key(custody, role, held.salt, pin)), _ECB)
    return cipher.decryptor().update(held.under_pin)


def storage_key_of(custody: Custody, halves: Mapping[str, bytes]) -> bytes | None:
    """The storage key, from the private halves of two custodians; None when one of them is none,
    and which one nobody can tell.

    Raises `DeviceError` when nothing is wrapped for these two: the file was altered.
    """
    assert len(halves) == OPENING_CUSTODIANS, tuple(halves)
    first, second = sorted(halves)
    try:
        wrapped = custody.pairs[first, second]
        shared = [_agreed(halves[role], custody.carrier) for role in (first, second)]
        return aes_key_unwrap(_pair_key(custody, (first, second), shared), wrapped)
    except InvalidUnwrap:
        return None
    except (KeyError, ValueError):
        raise DeviceError(
            Text(
                f"设备文件中没有 {first} 与 {second} 的存储密钥：设备已损坏；请从副本恢复其目录，"
                "或从备份恢复密钥",
                f"the device's file has no storage key for {first} and {second}: it is damaged; "
                "restore its folder from a copy, or its keys from a backup",
            )
        ) from None


def with_new_pin(
    custody: Custody, role: str, pin: bytes, old_key: bytes, storage_key: bytes, random: Random
) -> Custody:
    """The custody in which one custodian has another PIN and another pair, and a new storage key is
    wrapped for all. What he had before opens none of it. `old_key` is the storage key so far.

    Raises `CustodyError` for a PIN that another custodian has: what it makes of his private half is
    held against his public one.
    """
    held = custody.custodian(role)
    known = aes_key_unwrap(_public_key(custody, old_key), custody.public_keys)
    public_keys = [known[at : at + _SECRET_BYTES] for at in range(0, len(known), _SECRET_BYTES)]
    for each, theirs in zip(custody.custodians, public_keys, strict=True):
        if each is not held and _public_half(private_half(custody, each.role, pin)) == theirs:
            raise shared_pin(role, each.role)
    place = custody.custodians.index(held)
    changed, public_keys[place] = _appointed(custody, role, pin, random)
    custodians = tuple(changed if each is held else each for each in custody.custodians)
    return _wrapped(replace(custody, custodians=custodians), public_keys, storage_key, random)


def _appointed(custody: Custody, role: str, pin: bytes, random: Random) -> tuple[Custodian, bytes]:
    """A custodian, and his public half."""
    private, salt = random(_SECRET_BYTES), random(_SALT_BYTES)
    public = _public_half(private)
    # Whatever key deciphers it, the outcome could be a private half: a mode with a check would say
    # which PIN was right. Random bytes, never twice under one key.
    cipher = Cipher(algorithms.AES(_pin_key(custody, role, salt, pin)), _ECB)
    return Custodian(role, salt, cipher.encryptor().update(private)), public


def _wrapped(
    custody: Custody, public_keys: Sequence[bytes], storage_key: bytes, random: Random
) -> Custody:
    """The storage key for each two custodians, under a carrier that is thrown away."""
    carrier = random(_SECRET_BYTES)
    custody = replace(custody, carrier=_public_half(carrier))
    under_key = aes_key_wrap(_public_key(custody, storage_key), b"".join(public_keys))
    custody = replace(custody, public_keys=under_key)
    shared = {
        each.role: _agreed(carrier, theirs)
        for each, theirs in zip(custody.custodians, public_keys, strict=True)
    }
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
        "scrypt_cost": custody.scrypt_cost,
        "custodians": [
            {
                "role": each.role,
                "salt": each.salt.hex(),
                "under_pin": each.under_pin.hex(),
            }
            for each in custody.custodians
        ],
        "carrier": custody.carrier.hex(),
        "public_keys": custody.public_keys.hex(),
        "pairs": {"+".join(pair): wrapped.hex() for pair, wrapped in custody.pairs.items()},
    }


def read_custody(device_id: str, document: Mapping[str, Any]) -> Custody:
    """The other way. One of `NOT_OF_THE_FORM` for a document that is none."""
    cost = int(document["scrypt_cost"])
    if not SCRYPT_COST <= cost <= _SCRYPT_COST_MAX or cost & (cost - 1):
        raise ValueError("scrypt_cost is out of range")
    custodians = tuple(
        Custodian(
            str(each["role"]),
            bytes.fromhex(each["salt"]),
            bytes.fromhex(each["under_pin"]),
        )
        for each in document["custodians"]
    )
    pairs = {}
    for text, wrapped in document["pairs"].items():
        first, second = text.split("+")
        pairs[first, second] = bytes.fromhex(wrapped)
    carrier, public_keys = (bytes.fromhex(document[name]) for name in ("carrier", "public_keys"))
    return Custody(device_id, cost, custodians, carrier, public_keys, pairs)


def _pin_key(custody: Custody, role: str, salt: bytes, pin: bytes) -> bytes:
    return _key(_stretched(custody, salt, pin), f"onecard device {custody.device_id} PIN of {role}")


def _stretched(custody: Custody, salt: bytes, secret: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=custody.scrypt_cost, r=8, p=1).derive(secret)


def _public_half(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def _agreed(private: bytes, public: bytes) -> bytes:
    """Raises `ValueError` for bytes that are no point; the file was altered then."""
    point = X25519PublicKey.from_public_bytes(public)
    return X25519PrivateKey.from_private_bytes(private).exchange(point)


def _pair_key(custody: Custody, pair: tuple[str, str], shared: Sequence[bytes]) -> bytes:
    purpose = f"onecard device {custody.device_id} pair {'+'.join(pair)} {custody.carrier.hex()}"
    return _key(_stretched(custody, custody.carrier, b"".join(shared)), purpose)


def _public_key(custody: Custody, storage_key: bytes) -> bytes:
    """What the public halves are kept under."""
    return _key(storage_key, f"onecard device {custody.device_id} public halves")


def _key(material: bytes, purpose: str) -> bytes:
    """HKDF (RFC 5869): a key that is good for one purpose in one device."""
    return HKDF(SHA256(), STORAGE_KEY_BYTES, salt=None, info=purpose.encode()).derive(material)
