"""Secrets of an application on the card: keys and the PIN, each with its counter of tries.

Decides how a secret lies in the key file (file id 0000) and when it is blocked. Leaves which
command uses which key to `cardcore.chip.commands`, and the cryptography to `cardcore.crypto`. The
key file is a linear fixed file that nobody reads; each record is one secret::

    tree.add_file(application, FID_KEYS, Structure.LINEAR_FIXED,
                  [CardKey(...).encode(), ..., Pin.fresh(...).encode()], read=Access.NEVER)

A command looks for a secret in the current directory, then in the ones above it, so a key of the
master file serves every application that has none of its own with that usage and index.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from cardcore.chip import scp03
from cardcore.crypto import SUITES, Suite, suite_algorithm
from cardcore.errors import DecodeError
from cardcore.keys import Key, KeyUsage

#: The key file of a directory.
FID_KEYS = 0x0000
#: In the master file: how many secure channels have been opened, three bytes.
FID_CHANNEL = 0x0003
PIN_BYTES_MIN, PIN_BYTES_MAX = 2, 6
TRIES_MAX = 15  # 63Cx has four bits for the tries that are left
_SECRET = struct.Struct(">BBBBBB16s")
SECRET_BYTES = _SECRET.size
_VALUE_BYTES = 16
#: What is in front of the 16 bytes of a key.
HEAD_BYTES = SECRET_BYTES - _VALUE_BYTES
_ALGORITHM_AT = 3
_HEADS_KEPT = 1024
_PIN_CODE = 0x50
#: Numbers of the usages in the key file, never used again for something else.
_CODES = {
    KeyUsage.PURCHASE: 1,
    KeyUsage.LOAD: 2,
    KeyUsage.TAC: 3,
    KeyUsage.FILE_MAINTENANCE: 4,
    KeyUsage.UNLOAD: 5,
    KeyUsage.OVERDRAFT: 6,
    KeyUsage.PIN_UNBLOCK: 7,
    KeyUsage.PIN_RELOAD: 8,
    KeyUsage.INTERNAL_AUTHENTICATION: 9,
    KeyUsage.EXTERNAL_AUTHENTICATION: 10,
    KeyUsage.CHANNEL_ENC: 11,
    KeyUsage.CHANNEL_MAC: 12,
    KeyUsage.CHANNEL_DEK: 13,
}
_CHANNEL_USAGES = frozenset({KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK})
_CHANNEL_CODES = frozenset(_CODES[usage] for usage in _CHANNEL_USAGES)
_USAGES = {code: usage for usage, code in _CODES.items()}


@dataclass(frozen=True, slots=True)
class CardKey:
    """One key of an application: `index` is what a command names, `version` and `algorithm` what
    INITIALIZE shows (`cardcore.crypto.suite_algorithm`).

    `tries_max` 0: the key is never blocked. Keys of EXTERNAL AUTHENTICATE and of secure
    messaging should count.
    """

    index: int
    version: int
    algorithm: int
    key: Key
    tries_max: int = 0
    tries_left: int | None = None  # None: all of them

    def __post_init__(self) -> None:
        if len(self.key.value) != 16:
            raise ValueError(f"a {self.key.usage} key of a card has 16 bytes")
        if not 0 <= self.tries_max <= TRIES_MAX:
            raise ValueError(f"{self.tries_max} tries do not fit into 63Cx")
        if suite_algorithm(self.algorithm) is None and not self.is_channel:
            raise ValueError(f"algorithm {self.algorithm:02X} has no suite")

    @property
    def is_channel(self) -> bool:
        """Whether it is a key of the secure channel, which is AES and belongs to no suite."""
        return self.key.usage in _CHANNEL_USAGES

    @property
    def blocked(self) -> bool:
        """Whether wrong attempts have used the key up."""
        return bool(self.tries_max) and self.tries_left == 0

    @property
    def suite(self) -> Suite:
        """The algorithm suite the key is for; a key of the secure channel has none."""
        algorithm = suite_algorithm(self.algorithm)
        assert algorithm is not None, self
        return SUITES[algorithm]

    def check_value(self) -> bytes:
        """3 bytes by which the key is recognised, as the key service shows them."""
        if self.is_channel:
            return scp03.check_value(self.key.value)
        return self.suite.check_value(self.key.value)

    def encode(self) -> bytes:
        """22 bytes, one record of the key file.

        >>> key = CardKey(4, 1, 0, Key(KeyUsage.EXTERNAL_AUTHENTICATION, bytes(16)), tries_max=3)
        >>> CardKey.decode(key.encode()).tries_left
        3
        """
        left = self.tries_max if self.tries_left is None else self.tries_left
        code = _CODES[self.key.usage]
        fixed = (code, self.index, self.version, self.algorithm, self.tries_max, left)
        return _SECRET.pack(*fixed, self.key.value)

    @classmethod
    def decode(cls, data: bytes) -> "CardKey":
        """Read a record of the key file; `DecodeError` when it is no key."""
        try:
            code, index, version, algorithm, tries_max, left, value = _SECRET.unpack(data)
            return cls(index, version, algorithm, Key(_USAGES[code], value), tries_max, left)
        except (struct.error, KeyError, ValueError) as error:
            raise DecodeError("card key", 0, str(error)) from error

    def with_tries(self, left: int) -> "CardKey":
        """The same key with that many tries left."""
        return replace(self, tries_left=left)


@lru_cache(maxsize=_HEADS_KEPT)
def is_key_head(head: bytes) -> bool:
    """Whether a key's record can start so: all but its 16 bytes. Cards of one product have the
    same heads.

    >>> is_key_head(bytes.fromhex("030101010000")), is_key_head(bytes(6))
    (True, False)
    """
    try:
        CardKey.decode(head + bytes(_VALUE_BYTES))
    except DecodeError:
        return False
    return True


def key_in(record: bytes) -> Key:
    """The key in a record of the key file, without what the record says of it."""
    return Key(_USAGES[record[0]], record[HEAD_BYTES:])


def check_value(record: bytes) -> bytes:
    """That of the key in a record of the key file, without taking the record apart."""
    return _check_of(record[0], record[_ALGORITHM_AT])(record[HEAD_BYTES:])


@cache
def _check_of(code: int, shown: int) -> Callable[[bytes], bytes]:
    """How the check value of a key with that usage and algorithm is made."""
    if code in _CHANNEL_CODES:
        return scp03.check_value
    algorithm = suite_algorithm(shown)
    assert algorithm is not None, "no such key comes into a key file"
    return SUITES[algorithm].check_value


@dataclass(frozen=True, slots=True, repr=False)
class Pin:
    """The PIN of an application (个人密码): 2 to 6 bytes BCD, an odd last nibble filled with F.

    >>> Pin.fresh(bytes.fromhex("123456"))
    Pin(3 of 3 tries, hidden)
    """

    value: bytes
    tries_max: int
    tries_left: int

    def __repr__(self) -> str:
        return f"Pin({self.tries_left} of {self.tries_max} tries, hidden)"

    @classmethod
    def fresh(cls, value: bytes, tries_max: int = 3) -> "Pin":
        """A new PIN; `ValueError` when it is none."""
        if not is_pin(value):
            raise ValueError("a PIN has 2 to 6 bytes of decimal digits")
        if not 1 <= tries_max <= TRIES_MAX:
            raise ValueError(f"{tries_max} tries do not fit into 63Cx")
        return cls(value, tries_max, tries_max)

    @property
    def blocked(self) -> bool:
        """Whether wrong attempts have used the PIN up (密码锁定)."""
        return self.tries_left == 0

    def encode(self) -> bytes:
        """22 bytes, one record of the key file.

        >>> Pin.decode(Pin.fresh(bytes.fromhex("1234")).encode()).value.hex()
        '1234'
        """
        head = (_PIN_CODE, 0, len(self.value), 0, self.tries_max, self.tries_left)
        return _SECRET.pack(*head, self.value)

    @classmethod
    def decode(cls, data: bytes) -> "Pin":
        """Read a record of the key file; `DecodeError` when it is no PIN."""
        if len(data) != SECRET_BYTES or data[0] != _PIN_CODE:
            raise DecodeError("PIN", 0, "is no record of a PIN")
        _, _, length, _, tries_max, left, value = _SECRET.unpack(data)
        return cls(value[:length], tries_max, left)

    def with_tries(self, left: int) -> "Pin":
        """The same PIN with that many tries left."""
        return replace(self, tries_left=left)


Secret = CardKey | Pin


def key_prefix(usage: KeyUsage, index: int) -> bytes:
    """What the record of that key starts with."""
    return bytes((_CODES[usage], index))


def usage_prefix(usage: KeyUsage) -> bytes:
    """What the record of every key with that usage starts with."""
    return bytes((_CODES[usage],))


#: What the record of the PIN starts with.
PIN_PREFIX = bytes((_PIN_CODE, 0))


def is_pin(value: bytes) -> bool:
    """Whether these bytes can be a PIN: decimal digits, the very last nibble may be F.

    >>> [is_pin(bytes.fromhex(text)) for text in ("1234", "12345F", "12", "1A34", "12F4")]
    [True, True, False, False, False]
    """
    digits = value.hex()
    digits = digits[:-1] + digits[-1:].replace("f", "0")
    return PIN_BYTES_MIN <= len(value) <= PIN_BYTES_MAX and digits.isdecimal()
