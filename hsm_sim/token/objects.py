"""Which objects a key is in a token, and the description that lies beside it.

Decides the attributes of every object. A key is one secret object, or a private and a public one,
labelled with the key's name (`tac/demo/v1`): kept in the token, sensitive, not extractable, not
copied, not changed, and able to do what its usage needs and no more. Which state and validity a
key has is no attribute of PKCS#11, so a data object of the same label says it, as JSON. It is
private like the key: without the PIN nobody reads it or sets a retired key active.

A state changes by a second data object before the first is removed; of two the one further down
its life counts, so a cut between the two leaves old or new.
"""

import ctypes
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag, ObjectClass

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from cardcore.text import Text, shorten
from hsm_sim.keys.masters import LEVELS_MAX
from hsm_sim.keys.vault import CHANNEL_USAGES, DIVERSIFIED_USAGES

Template = dict[Attribute, object]

APPLICATION = "onecard key"
#: 1.3.101.112, id-Ed25519 (RFC 8410 §3), as PKCS#11 wants its curves: DER.
ED25519 = bytes.fromhex("06032b6570")
_ED25519_BYTES = 32
_CAPABILITIES = {
    Attribute.ENCRYPT: MechanismFlag.ENCRYPT,
    Attribute.DECRYPT: MechanismFlag.DECRYPT,
    Attribute.SIGN: MechanismFlag.SIGN,
    Attribute.VERIFY: MechanismFlag.VERIFY,
    Attribute.WRAP: MechanismFlag.WRAP,
    Attribute.UNWRAP: MechanismFlag.UNWRAP,
    Attribute.DERIVE: MechanismFlag.DERIVE,
}


class TokenKey(Protocol):
    """A secret or private key object, as far as it is used here (python-pkcs11 types it less)."""

    def __getitem__(self, key: Attribute) -> object: ...

    def destroy(self) -> None:
        """C_DestroyObject."""

    def encrypt(self, data: bytes, **mechanism: object) -> bytes:
        """C_Encrypt."""
        ...

    def decrypt(self, data: bytes, **mechanism: object) -> bytes:
        """C_Decrypt."""
        ...

    def sign(self, data: bytes, **mechanism: object) -> bytes:
        """C_Sign."""
        ...

    def derive_key(self, key_type: KeyType, key_length: int, **how: object) -> "TokenKey":
        """C_DeriveKey; the length is in bits."""
        ...


class DerivationData(ctypes.Structure):
    """CK_KEY_DERIVATION_STRING_DATA (PKCS#11 2.40 §2.15): what is enciphered to make a key.

    python-pkcs11 makes it for AES and takes the bytes of this one for triple DES.
    """

    _fields_ = (("data", ctypes.c_char_p), ("length", ctypes.c_ulong))


@dataclass(frozen=True, slots=True)
class Cipher:
    """How a token names what one symmetric algorithm needs."""

    key_type: KeyType
    block_bytes: int
    ecb: Mechanism


CIPHERS: Mapping[Algorithm, Cipher] = {
    Algorithm.PBOC_3DES: Cipher(KeyType.DES2, 8, Mechanism.DES3_ECB),
    Algorithm.AES: Cipher(KeyType.AES, 16, Mechanism.AES_ECB),
}


def is_offered(algorithm: Algorithm) -> bool:
    """Whether PKCS#11 2.40 has mechanisms for keys of that algorithm."""
    return algorithm in CIPHERS or algorithm is Algorithm.ED25519


def check_offered(ref: KeyRef, algorithm: Algorithm) -> None:
    """Raises `KeyServiceError` for an algorithm that is not offered."""
    if not is_offered(algorithm):
        raise KeyServiceError(
            Text(
                f"{ref}：PKCS#11 令牌没有 {algorithm.name}；此类密钥请放在其他提供者",
                f"{ref}: a PKCS#11 token has no {algorithm.name}; hold keys of it in another "
                "provider",
            )
        )


def _abilities(usage: KeyUsage) -> MechanismFlag:
    if usage in CHANNEL_USAGES:
        return MechanismFlag.SIGN | MechanismFlag.ENCRYPT  # the CMAC that derives; check value
    if usage is KeyUsage.DATA_ENCRYPTION:
        return MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT
    if usage in DIVERSIFIED_USAGES:
        return MechanismFlag.DERIVE | MechanismFlag.ENCRYPT
    return MechanismFlag.ENCRYPT  # its check value


def _guarded(ref: KeyRef, abilities: MechanismFlag, *, stored: bool) -> Template:
    return {
        Attribute.LABEL: str(ref),
        Attribute.TOKEN: stored,
        Attribute.PRIVATE: True,
        Attribute.SENSITIVE: True,
        Attribute.EXTRACTABLE: False,
        Attribute.MODIFIABLE: False,
        Attribute.COPYABLE: False,
    } | {each: bool(abilities & flag) for each, flag in _CAPABILITIES.items()}


def secret_template(ref: KeyRef, algorithm: Algorithm, *, stored: bool = True) -> Template:
    """A symmetric key without its value; `stored` False: gone with the session."""
    return {
        Attribute.CLASS: ObjectClass.SECRET_KEY,
        Attribute.KEY_TYPE: CIPHERS[algorithm].key_type,
    } | _guarded(ref, _abilities(ref.usage), stored=stored)


def private_template(ref: KeyRef) -> Template:
    """An Ed25519 key that signs, without curve and value: a pair made inside gets both there."""
    template = _guarded(ref, MechanismFlag.SIGN, stored=True)
    for each in (Attribute.ENCRYPT, Attribute.VERIFY, Attribute.WRAP):  # not of a private key
        del template[each]
    return template | {
        Attribute.CLASS: ObjectClass.PRIVATE_KEY,
        Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
    }


def public_template(ref: KeyRef) -> Template:
    """Its public half, without the point. Private, so that nobody without the PIN changes it."""
    return {
        Attribute.CLASS: ObjectClass.PUBLIC_KEY,
        Attribute.KEY_TYPE: KeyType.EC_EDWARDS,
        Attribute.EC_PARAMS: ED25519,
        Attribute.LABEL: str(ref),
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.MODIFIABLE: False,
        Attribute.VERIFY: True,
    }


def point_of(public: bytes) -> bytes:
    """CKA_EC_POINT of a public key: a DER octet string (PKCS#11 2.40 §2.3.3).

    >>> point_of(bytes(32)).hex()[:8]
    '04200000'
    """
    return bytes((0x04, len(public))) + public


def public_of(point: bytes) -> bytes:
    """The other way; some tokens answer without the DER around the point.

    >>> public_of(point_of(bytes(range(32)))) == public_of(bytes(range(32))) == bytes(range(32))
    True
    """
    return point[-_ED25519_BYTES:]


def description_template(description: KeyDescription) -> Template:
    """The data object beside the key."""
    return {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.LABEL: str(description.ref),
        Attribute.APPLICATION: APPLICATION,
        Attribute.VALUE: encode_description(description),
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.MODIFIABLE: False,
    }


def encode_description(description: KeyDescription) -> bytes:
    """JSON of what may be shown of a key; dates as ISO 8601, a name as usage, label, version.

    >>> ref = KeyRef(KeyUsage.TAC, "demo", 1)
    >>> made = KeyDescription(ref, Algorithm.PBOC_3DES, KeyState.ACTIVE, "04C851")
    >>> decode_description(encode_description(made)) == made
    True
    """
    fields = {
        "key": _encode_ref(description.ref),
        "algorithm": description.algorithm.name,
        "state": description.state,
        "check_value": description.check_value,
        "valid_from": description.valid_from and description.valid_from.isoformat(),
        "valid_to": description.valid_to and description.valid_to.isoformat(),
        "parent": description.parent and _encode_ref(description.parent),
        "levels": description.levels,
    }
    return json.dumps(fields).encode()


def decode_description(value: bytes) -> KeyDescription:
    """The other way; a key kept before levels were is an issuer's, one level above its cards.

    Raises `KeyServiceError` for bytes that are none: somebody else wrote into the token.

    >>> decode_description(b"{}")
    Traceback (most recent call last):
    cardcore.errors.KeyServiceError: a key's description in the token is damaged: {}
    """
    try:
        fields = json.loads(value)
        first, last = fields["valid_from"], fields["valid_to"]
        return KeyDescription(
            _decode_ref(fields["key"]),
            Algorithm[fields["algorithm"]],
            KeyState(fields["state"]),
            bytes.fromhex(fields["check_value"]).hex().upper(),
            date.fromisoformat(first) if first else None,
            date.fromisoformat(last) if last else None,
            _decode_ref(fields["parent"]) if fields["parent"] else None,
            _levels(fields.get("levels", 1)),
        )
    except (ValueError, TypeError, KeyError) as error:
        shown = value[:80].decode("ascii", errors="replace")
        raise KeyServiceError(
            Text(
                f"令牌中一把密钥的说明已损坏：{shorten(shown)}",
                f"a key's description in the token is damaged: {shorten(shown)}",
            )
        ) from error


def _levels(number: object) -> int:
    if type(number) is not int or not 1 <= number <= LEVELS_MAX:
        raise ValueError(number)
    return number


def _encode_ref(ref: KeyRef) -> list[str | int]:
    return [ref.usage, ref.label, ref.version]


def _decode_ref(parts: list[str | int]) -> KeyRef:
    usage, label, version = parts
    return KeyRef(KeyUsage(str(usage)), str(label), int(version))
