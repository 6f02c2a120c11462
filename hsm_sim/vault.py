"""Keys by usage, label and version, and their check values.

Decides which key a name means and what may be shown of it. Leaves what is done with a key to the
service, and how keys arrive to ceremonies.
"""

import hashlib
from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cardcore import scp03
from cardcore.crypto import pboc_3des
from cardcore.errors import KeyServiceError, UnknownKeyError, UnknownKeyVersionError
from cardcore.keys import Key, KeyRef, KeyUsage

MASTER_KEY_BYTES = 16  # two-key triple DES, JR/T 0025
SIGNING_SEED_BYTES = 32  # Ed25519, RFC 8032 §5.1.5
CHECK_VALUE_BYTES = 3
#: Keys of the secure channel: AES, where every other key of a card is triple DES.
CHANNEL_USAGES = frozenset({KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK})
#: A record, a card and the PSAM's INIT_SAM_FOR_PURCHASE name a version in one byte.
VERSION_MAX = 255


def key_bytes(usage: KeyUsage) -> int:
    """How long a key of that usage is, in bytes.

    >>> key_bytes(KeyUsage.TAC), key_bytes(KeyUsage.FILE_SIGNING)
    (16, 32)
    """
    return SIGNING_SEED_BYTES if usage is KeyUsage.FILE_SIGNING else MASTER_KEY_BYTES


def check_value(key: Key) -> str:
    """Key check value (密钥校验值): six hexadecimal digits that two people may read to each other.

    A card master key encrypts a block of zeros and shows the first three bytes, a key of the
    secure channel a block of 01 under AES. A signing key shows the first three bytes of SHA-256
    over its public key: its seed encrypts nothing.

    >>> check_value(Key(KeyUsage.TAC, bytes.fromhex("404142434445464748494A4B4C4D4E4F")))
    '8BAF47'
    """
    if key.usage is KeyUsage.FILE_SIGNING:
        public = Ed25519PrivateKey.from_private_bytes(key.value).public_key().public_bytes_raw()
        shown = hashlib.sha256(public).digest()
    elif key.usage in CHANNEL_USAGES:
        shown = scp03.check_value(key)
    else:
        shown = pboc_3des.encrypt_ecb(key.value, bytes(pboc_3des.BLOCK))
    return shown[:CHECK_VALUE_BYTES].hex().upper()


class KeyVault:
    """Master keys and signing seeds in this process's memory, several versions side by side.

    Its text form names keys and never shows one:

    >>> ref = KeyRef(KeyUsage.TAC, "shenzhen", 1)
    >>> KeyVault({ref: bytes.fromhex("404142434445464748494A4B4C4D4E4F")})
    KeyVault(tac/shenzhen/v1)
    """

    def __init__(self, keys: Mapping[KeyRef, bytes]) -> None:
        self._keys: dict[KeyRef, Key] = {}
        for ref, value in keys.items():
            self.install(ref, value)

    def __repr__(self) -> str:
        return f"KeyVault({', '.join(str(ref) for ref in self.refs())})"

    def install(self, ref: KeyRef, value: bytes) -> None:
        """Put a key under its name. The same bytes again change nothing.

        Raises `KeyServiceError` for a wrong length, a version that does not fit one byte, or
        other bytes under a name already taken: cards in the field hold keys made from the old.
        """
        if len(value) != key_bytes(ref.usage):
            raise KeyServiceError(f"{ref}: {len(value)} bytes, not {key_bytes(ref.usage)}")
        if not 0 <= ref.version <= VERSION_MAX:
            raise KeyServiceError(f"{ref}: a version is 0 to {VERSION_MAX}")
        held = self._keys.setdefault(ref, Key(ref.usage, bytes(value)))
        if held.value != value:
            raise KeyServiceError(f"{ref}: another key is held under this name")

    def key(self, ref: KeyRef) -> Key:
        """The key of that name.

        Raises `UnknownKeyVersionError` when other versions of it are held, `UnknownKeyError` when
        none is.
        """
        held = self._keys.get(ref)
        if held is not None:
            return held
        versions = self.versions(ref.usage, ref.label)
        if versions:
            raise UnknownKeyVersionError(f"{ref}: not held, versions held are {versions}")
        raise UnknownKeyError(f"{ref}: no version of this key is held")

    def versions(self, usage: KeyUsage, label: str) -> tuple[int, ...]:
        """Versions held, ascending."""
        return tuple(ref.version for ref in self.refs() if (ref.usage, ref.label) == (usage, label))

    def refs(self) -> tuple[KeyRef, ...]:
        """The names of every key held, in order."""
        return tuple(sorted(self._keys))
