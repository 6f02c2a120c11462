"""One card's key, derived inside the token for one operation and destroyed after it.

Decides how the formulas of a suite become mechanisms of PKCS#11 2.40, and so what stays inside.
The formulas themselves are those of `cardcore.crypto` and `cardcore.chip.scp03`; the tests hold
both ways equal.

* A key of `pboc-3des` is made by CKM_DES3_ECB_ENCRYPT_DATA from the factor and its complement.
  Single DES is triple DES with one key three times, so a session key, or one half of a card's
  key, is derived as such a three-part object and the MAC is taken inside by CKM_DES3_CBC.
* A key of `aes` is made by CKM_AES_ECB_ENCRYPT_DATA; MACs are CKM_AES_CMAC.
* A key of the secure channel is an AES-CMAC of the master over the chip's number. PKCS#11 has no
  such derivation: the key is the answer, and is in this process.

Tokens set the parity bits of DES keys they derive, which DES does not look at. Where the key itself
is wanted it is taken as the enciphered factor, whose bits are those every other provider gives.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import ClassVar

from pkcs11 import Attribute, KeyType, Mechanism, MechanismFlag
from pkcs11.constants import DEFAULT

from cardcore.chip import scp03
from cardcore.crypto import SUITES, pboc_3des
from cardcore.keys import Algorithm, KeyUsage
from hsm_sim.keys.vault import CardKeyInMemory
from hsm_sim.token.objects import CIPHERS, Cipher, DerivationData, TokenKey

_SINGLE_DES_PARTS = 3
_KEY_BYTES = 16
_MAC_BYTES = 4
_ANSWER_BYTES = 8
_FACTOR_BYTES = 8
#: A session object that this process can neither read nor copy out.
_HIDDEN = {Attribute.PRIVATE: True, Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False}
_CIPHER = MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT


def levels(factor: bytes) -> list[bytes]:
    """Factors in the order they are applied: the issuer's stands last and comes first.

    >>> levels(b"the cardissuer_1")
    [b'issuer_1', b'the card']
    """
    starts = range(len(factor) - _FACTOR_BYTES, -1, -_FACTOR_BYTES)
    return [factor[start : start + _FACTOR_BYTES] for start in starts]


def complement(factor: bytes) -> bytes:
    """Every bit the other way."""
    return bytes(byte ^ 0xFF for byte in factor)


@contextmanager
def derived_3des(key: TokenKey, data: bytes) -> Iterator[TokenKey]:
    """A triple-DES key inside the token: `data` (16 or 24 bytes) under `key`."""
    parameter = DerivationData(data, len(data))
    made = key.derive_key(
        KeyType.DES2 if len(data) == _KEY_BYTES else KeyType.DES3,
        8 * len(data),
        mechanism=Mechanism.DES3_ECB_ENCRYPT_DATA,
        mechanism_param=bytes(parameter),
        capabilities=_CIPHER | MechanismFlag.DERIVE,
        # A DES key has one length, and says no other (PKCS#11 2.40 §2.14).
        template=_HIDDEN | {Attribute.VALUE_LEN: DEFAULT},
    )
    try:
        yield made
    finally:
        made.destroy()


@contextmanager
def derived_aes(key: TokenKey, data: bytes) -> Iterator[TokenKey]:
    """An AES-128 key inside the token: `data` (16 bytes) under `key`."""
    made = key.derive_key(
        KeyType.AES,
        8 * _KEY_BYTES,
        mechanism=Mechanism.AES_ECB_ENCRYPT_DATA,
        mechanism_param=data,
        capabilities=_CIPHER | MechanismFlag.DERIVE | MechanismFlag.SIGN,
        template=_HIDDEN,
    )
    try:
        yield made
    finally:
        made.destroy()


#: The master for one operation, with the session for this thread alone.
Master = Callable[[], AbstractContextManager[TokenKey]]


@dataclass(frozen=True, slots=True)
class _CardKeyInToken(ABC):
    """What both suites do alike; `factor` has 8 bytes a level."""

    master: Master
    factor: bytes
    cipher: ClassVar[Cipher]

    @abstractmethod
    def derived(self, key: TokenKey, factor: bytes) -> AbstractContextManager[TokenKey]:
        """The key that `Suite.diversify` makes from `key`, inside."""

    def value(self) -> bytes:
        """See `hsm_sim.keys.masters.CardKeyHandle`. The key leaves the token."""
        with self._parent() as (parent, factor):
            return parent.encrypt(factor + complement(factor), mechanism=self.cipher.ecb)

    def check_value(self) -> bytes:
        """See the protocol."""
        return self.encipher(bytes(self.cipher.block_bytes))[:3]

    def encipher(self, blocks: bytes) -> bytes:
        """See the protocol."""
        with self._card_key() as key:
            return key.encrypt(blocks, mechanism=self.cipher.ecb)

    @contextmanager
    def _parent(self) -> Iterator[tuple[TokenKey, bytes]]:
        """The key that the card's comes from, and the card's factor."""
        *issuer, card = levels(self.factor)
        with ExitStack() as stack:
            key = stack.enter_context(self.master())
            for level in issuer:
                key = stack.enter_context(self.derived(key, level))
            yield key, card

    @contextmanager
    def _card_key(self) -> Iterator[TokenKey]:
        with self._parent() as (parent, factor), self.derived(parent, factor) as key:
            yield key


class Pboc3DesCardKey(_CardKeyInToken):
    """`hsm_sim.keys.masters.CardKeyHandle` of suite `pboc-3des`."""

    __slots__ = ()
    cipher = CIPHERS[Algorithm.PBOC_3DES]

    def derived(self, key: TokenKey, factor: bytes) -> AbstractContextManager[TokenKey]:
        """See the base."""
        return derived_3des(key, factor + complement(factor))

    def authenticate(self, challenge: bytes) -> bytes:
        """See the protocol."""
        return self.encipher(challenge)

    def session_mac(self, session_input: bytes, data: bytes) -> bytes:
        """See the protocol. The session key stays inside."""
        with (
            self._card_key() as key,
            derived_3des(key, session_input * _SINGLE_DES_PARTS) as session_key,
        ):
            return _cbc_mac(session_key, bytes(pboc_3des.BLOCK), data)[:_MAC_BYTES]

    def message_mac(self, challenge: bytes, data: bytes) -> bytes:
        """See the protocol. Both halves of the card's key stay inside."""
        return self._retail_mac(challenge.ljust(pboc_3des.BLOCK, b"\x00"), data)[:_MAC_BYTES]

    def record_mac(self, digest: bytes) -> bytes:
        """See the protocol."""
        return self._retail_mac(bytes(pboc_3des.BLOCK), digest)

    def _retail_mac(self, vector: bytes, data: bytes) -> bytes:
        with (
            self._parent() as (parent, factor),
            derived_3des(parent, factor * _SINGLE_DES_PARTS) as left,
            derived_3des(parent, complement(factor) * _SINGLE_DES_PARTS) as right,
        ):
            last = _cbc_mac(left, vector, data)
            last = right.decrypt(last, mechanism=Mechanism.DES3_ECB)
            return left.encrypt(last, mechanism=Mechanism.DES3_ECB)


def _cbc_mac(key: TokenKey, vector: bytes, data: bytes) -> bytes:
    padded = pboc_3des.pad(data)
    blocks = key.encrypt(padded, mechanism=Mechanism.DES3_CBC, mechanism_param=vector)
    return blocks[-pboc_3des.BLOCK :]


class AesCardKey(_CardKeyInToken):
    """`hsm_sim.keys.masters.CardKeyHandle` of suite `aes`."""

    __slots__ = ()
    cipher = CIPHERS[Algorithm.AES]

    def derived(self, key: TokenKey, factor: bytes) -> AbstractContextManager[TokenKey]:
        """See the base."""
        return derived_aes(key, factor + complement(factor))

    def authenticate(self, challenge: bytes) -> bytes:
        """See the protocol."""
        return self._cmac(challenge)[:_ANSWER_BYTES]

    def session_mac(self, session_input: bytes, data: bytes) -> bytes:
        """See the protocol. The session key leaves the token, for this call."""
        return SUITES[Algorithm.AES].session_mac(self._cmac(session_input), data)

    def message_mac(self, challenge: bytes, data: bytes) -> bytes:
        """See the protocol."""
        return self._cmac(challenge.ljust(_KEY_BYTES, b"\x00") + data)[:_MAC_BYTES]

    def record_mac(self, digest: bytes) -> bytes:
        """See the protocol."""
        return self._cmac(digest)

    def _cmac(self, data: bytes) -> bytes:
        with self._card_key() as key:
            return key.sign(data, mechanism=Mechanism.AES_CMAC)


def channel_key(master: TokenKey, usage: KeyUsage, factor: bytes) -> CardKeyInMemory:
    """A chip's own key of the secure channel. It leaves the token."""
    first, *rest = levels(factor)
    value = master.sign(scp03.static_key_data(first), mechanism=Mechanism.AES_CMAC)
    for part in rest:
        value = scp03.static_key(value, part)
    return CardKeyInMemory(usage, value, Algorithm.AES)
