"""Where master keys live, seen from what is done with them: a vault in memory, or a token.

`operations` and `psam` ask only for what stands here, so a device that keeps its masters inside
need not let them out: what must leave it is one card's key, for as long as one call takes. Decides
how many factors lead from a master to a card's key; all else is its implementations'.
"""

import hashlib
from typing import Protocol

from cardcore.errors import KeyUsageError
from cardcore.keys import KeyDescription, KeyRef
from cardcore.text import Text
from hsm_sim.proof.circuits.bitslice import Words

FACTOR_BYTES = 8
#: A card's key is at most three levels below its master: scheme, city, card (JR/T 0025, PSAM part,
#: Lc 2C of INIT_SAM_FOR_PURCHASE).
LEVELS_MAX = 3
#: How a factor begins that seals, and its complement. No number in BCD begins so.
_SEALING = bytes.fromhex("F0F0F0F0")
_SEALINGS = (_SEALING, bytes.fromhex("0F0F0F0F"))


def check_levels(key: KeyDescription, factor_bytes: int) -> None:
    """Raises `KeyUsageError` unless factors of so many bytes lead from this key to a card's.

    With fewer, an issuer's key would be used as a card's; and since diversification (JR/T 0025) is
    the cipher itself, what it enciphers of a card's factor and complement is that card's key.
    """
    if factor_bytes != FACTOR_BYTES * key.levels:
        raise KeyUsageError(
            Text(
                f"{key.ref}：分散因子有 {factor_bytes} 字节；由它到卡片密钥为 {key.levels} 级，须"
                f"有 {FACTOR_BYTES * key.levels} 字节",
                f"{key.ref}: {factor_bytes} bytes of factors; levels from it to a card's key: "
                f"{key.levels}, so it takes {FACTOR_BYTES * key.levels}",
            )
        )


def check_factor(key: KeyDescription, factor: bytes) -> None:
    """Raises `KeyUsageError` for another number of levels, and for a factor that seals.

    Whoever could ask anything of a card's key under such a factor, or under its complement, which
    gives the same two halves the other way round, could make the seal of any image.
    """
    check_levels(key, len(factor))
    starts = range(0, len(factor), FACTOR_BYTES)
    if any(factor[at : at + len(_SEALING)] in _SEALINGS for at in starts):
        raise KeyUsageError(
            Text(
                f"{key.ref}：分散因子 {factor.hex().upper()} 不是卡号：这样开头的因子"
                "只用于签封 PSAM 映像",
                f"{key.ref}: the factor {factor.hex().upper()} is no number of a card: what begins "
                "so seals images of PSAMs and does nothing else",
            )
        )


def sealing_factor(number: str, levels: int) -> bytes:
    """What leads to the key under which the images of a PSAM are sealed; see `check_factor`.

    >>> sealing_factor("00000000040900010001", 1)[:4].hex()
    'f0f0f0f0'
    """
    told = hashlib.sha256(b"onecard PSAM image " + number.encode()).digest()
    rest = FACTOR_BYTES - len(_SEALING)
    return b"".join(_SEALING + told[rest * at : rest * (at + 1)] for at in range(levels))


class CardKeyHandle(Protocol):
    """One card's key, or one PSAM's own, made from a master for one call. The formulas are the
    suite's.
    """

    def value(self) -> bytes:
        """The key itself, to be put into the card it belongs to."""
        ...

    def check_value(self) -> bytes:
        """3 bytes by which it is recognised."""
        ...

    def authenticate(self, challenge: bytes) -> bytes:
        """The 8-byte answer to an 8-byte challenge."""
        ...

    def encipher(self, blocks: bytes) -> bytes:
        """Whole blocks under the key."""
        ...

    def session_mac(self, session_input: bytes, data: bytes) -> bytes:
        """4 bytes under the session key made from `session_input`."""
        ...

    def message_mac(self, challenge: bytes, data: bytes) -> bytes:
        """4 bytes of secure messaging."""
        ...

    def record_mac(self, digest: bytes) -> bytes:
        """A PSAM's MAC over the 16-byte digest of a record: 8 bytes of triple DES, 16 else."""
        ...


class MasterKeys(Protocol):
    """Master keys and signing keys by name. None of them ever leaves.

    Every method raises `UnknownKeyError` for a name that is not held, `UnknownKeyVersionError`
    when other versions of it are, and `KeyStateError` when the key is destroyed.
    """

    def descriptions(self) -> tuple[KeyDescription, ...]:
        """Every key, in order of names. States are as set, before validity is looked at."""
        ...

    def describe(self, ref: KeyRef) -> KeyDescription:
        """One key."""
        ...

    def card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        """A card's key; `factor` has 8 bytes a level, the card's first.

        Raises `KeyUsageError` for a factor that is none of a card (`check_factor`).
        """
        ...

    def sealing_key(self, ref: KeyRef, number: str) -> CardKeyHandle:
        """The key under which the images of a PSAM are sealed (`sealing_factor`). No operation of
        the key service and no command to a PSAM reaches it.
        """
        ...

    def card_key_column(self, ref: KeyRef, factors: Words) -> Words:
        """Keys of many cards in one call: (n,) factors in, (n, 2) halves out.

        Raises `KeyUsageError` for a key that stands more than one level above them.
        """
        ...

    def sign(self, ref: KeyRef, message: bytes) -> bytes:
        """64 bytes under a signing key."""
        ...

    def public_key(self, ref: KeyRef) -> bytes:
        """The public half of a signing key."""
        ...

    def encipher_data(self, ref: KeyRef, nonce: bytes, data: bytes, context: bytes) -> bytes:
        """GCM: cipher text and tag, without the nonce."""
        ...

    def decipher_data(self, ref: KeyRef, nonce: bytes, data: bytes, context: bytes) -> bytes:
        """The other way; `CryptogramError` when the tag does not hold."""
        ...
