"""Algorithm suites: how a card's keys are derived, sessions opened, MACs and TACs computed.

Every suite satisfies `Suite`, is chosen by the algorithm id of key and record, and works on bytes
only. This file has the interface, and which suite an algorithm id means. Read on in this order::

    cryptograms.py   which bytes stand under each MAC and TAC
    pboc_3des.py     two-key triple DES as JR/T 0025 uses it
    block_suites.py  SM4 and AES, by rules of ours
    sm2.py           the curve and the signature that the library has not
    signatures.py    signatures under files: Ed25519, or SM2 with SM3
    day_seals.py     the bytes under the seal of a closed day
"""

from typing import Protocol

from cardcore.crypto import block_suites, pboc_3des
from cardcore.keys import Algorithm


class Suite(Protocol):
    """The operations of one algorithm suite. Keys are raw bytes here and nowhere outside."""

    @property
    def block_bytes(self) -> int:
        """Block of the cipher: enciphered data are whole blocks of it."""
        ...

    def check_value(self, key: bytes) -> bytes:
        """The first 3 bytes of a block of zeros enciphered (密钥校验值)."""
        ...

    def authenticate(self, card_key: bytes, challenge: bytes) -> bytes:
        """The 8-byte answer to an 8-byte challenge."""
        ...

    def diversify(self, master: bytes, factor: bytes) -> bytes:
        """A card's key (16 bytes) from a master key and an 8-byte factor."""
        ...

    def session_key(self, card_key: bytes, session_input: bytes) -> bytes:
        """Key of one transaction from the card's key and 8 bytes of random and counters: 8 bytes
        of triple DES, 16 of the others.
        """
        ...

    def session_mac(self, session_key: bytes, data: bytes) -> bytes:
        """4-byte MAC under a session key."""
        ...

    def tac(self, card_key: bytes, data: bytes) -> bytes:
        """4-byte transaction authentication code under the card's TAC key."""
        ...

    def message_mac(self, card_key: bytes, challenge: bytes, data: bytes) -> bytes:
        """4-byte secure-messaging MAC, starting from the card's challenge."""
        ...

    def record_mac(self, psam_key: bytes, digest: bytes) -> bytes:
        """MAC of a PSAM over the 16-byte digest of a record, whole: 8 bytes of triple DES, 16 of
        the others. A PSAM of the field that has MACs of secure messaging only makes
        `message_mac(psam_key, bytes(8), digest)` instead, 4 bytes.
        """
        ...

    def encipher(self, card_key: bytes, blocks: bytes) -> bytes:
        """Whole blocks under a card's key: enciphered messages."""
        ...

    def decipher(self, card_key: bytes, blocks: bytes) -> bytes:
        """The same, the other way."""
        ...

    def digest(self, data: bytes) -> bytes:
        """32-byte digest of a record that the card signs where no purse moved."""
        ...


SUITES: dict[Algorithm, Suite] = {
    Algorithm.PBOC_3DES: pboc_3des.SUITE,
    Algorithm.SM4: block_suites.SM4_SUITE,
    Algorithm.AES: block_suites.AES_SUITE,
}


_SHOWN: dict[int, Algorithm] = {0: Algorithm.PBOC_3DES, **{int(each): each for each in SUITES}}


def suite_algorithm(shown: int) -> Algorithm | None:
    """The suite that an algorithm id of card, PSAM or record means; None when it means none.

    JT/T 978 writes 01 for triple DES, and published cards show 00 for the same.

    >>> [suite_algorithm(shown) for shown in (0, 4, 2)]
    [<Algorithm.PBOC_3DES: 1>, <Algorithm.SM4: 4>, None]
    """
    return _SHOWN.get(shown)
