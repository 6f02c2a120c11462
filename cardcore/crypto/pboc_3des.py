"""Suite `pboc-3des`: two-key triple DES as JR/T 0025 (PBOC purse) uses it.

Decides padding, derivation, session keys and MACs. Leaves the choice of key and the composition
of the messages to others. Formulas: `vectors/pboc_purse.json` recomputes every one of them.
"""

import hashlib

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes

BLOCK = 8
_IV_ZERO = bytes(BLOCK)
_COMPLEMENT = bytes(range(0xFF, -1, -1))
_ECB = modes.ECB()  # noqa: S305 - JR/T 0025


def expand(key: bytes) -> bytes:
    """Bring an 8- or 16-byte key to the 24 bytes the library wants; the only place that does.

    >>> expand(bytes.fromhex("0011223344556677")).hex()
    '001122334455667700112233445566770011223344556677'
    """
    if len(key) == 16:
        return key + key[:8]
    if len(key) == 8:
        return key * 3
    raise ValueError(f"a DES key has 8 or 16 bytes, not {len(key)}")


def pad(data: bytes) -> bytes:
    """Append 80 and zeros to a multiple of 8; an aligned message gets a whole block.

    >>> pad(bytes.fromhex("00001000")).hex()
    '0000100080000000'
    """
    return data + b"\x80" + bytes(-(len(data) + 1) % BLOCK)


def encrypt_ecb(key: bytes, blocks: bytes) -> bytes:
    """3DES-ECB without padding."""
    return Cipher(TripleDES(expand(key)), _ECB).encryptor().update(blocks)


def decrypt_ecb(key: bytes, blocks: bytes) -> bytes:
    """3DES-ECB without padding, the other way."""
    return Cipher(TripleDES(expand(key)), _ECB).decryptor().update(blocks)


def _cbc_mac(key8: bytes, iv: bytes, data: bytes) -> bytes:
    """Last block of single-DES CBC over padded data (single DES = 3DES with three equal keys)."""
    encryptor = Cipher(TripleDES(expand(key8)), modes.CBC(iv)).encryptor()
    return encryptor.update(pad(data))[-BLOCK:]


def complement(data: bytes) -> bytes:
    """Every bit the other way.

    >>> complement(bytes.fromhex("0487")).hex()
    'fb78'
    """
    return data.translate(_COMPLEMENT)


def _retail_mac(key: bytes, iv: bytes, data: bytes) -> bytes:
    """ISO 9797-1 algorithm 3: the last block of the chain once more D(right), E(left)."""
    last = _cbc_mac(key[:BLOCK], iv, data)
    if len(key) == BLOCK:
        return last
    return encrypt_ecb(key[:BLOCK], decrypt_ecb(key[BLOCK:], last))


def fold(key: bytes) -> bytes:
    """Left half XOR right half: how a 16-byte TAC key becomes a DES key.

    >>> fold(bytes.fromhex("00112233445566778899AABBCCDDEEFF")).hex()
    '8888888888888888'
    """
    return bytes(left ^ right for left, right in zip(key[:8], key[8:], strict=True))


class Pboc3DesSuite:
    """See `cardcore.crypto.Suite`."""

    block_bytes = BLOCK

    def check_value(self, key: bytes) -> bytes:
        """3DES-ECB of 8 zero bytes, the first three.

        >>> SUITE.check_value(bytes.fromhex("404142434445464748494A4B4C4D4E4F")).hex()
        '8baf47'
        """
        return Cipher(TripleDES(expand(key)), _ECB).encryptor().update(_IV_ZERO)[:3]

    def authenticate(self, card_key: bytes, challenge: bytes) -> bytes:
        """3DES-ECB of the challenge."""
        return encrypt_ecb(card_key, challenge)

    def diversify(self, master: bytes, factor: bytes) -> bytes:
        """Left = 3DES(master, factor), right = 3DES(master, NOT factor).

        >>> m = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
        >>> SUITE.diversify(m, bytes.fromhex("0487123456789012")).hex()
        '4fee1118cd14a8cc42bf97f1df9f3fb0'
        """
        return encrypt_ecb(master, factor + complement(factor))

    def session_key(self, card_key: bytes, session_input: bytes) -> bytes:
        """3DES-ECB of the 8-byte input: an 8-byte, single-DES key.

        >>> k = bytes.fromhex("11223344556677888877665544332211")
        >>> SUITE.session_key(k, bytes.fromhex("1122334400000001")).hex()
        '003238abc57659dd'
        """
        return encrypt_ecb(card_key, session_input)

    def session_mac(self, session_key: bytes, data: bytes) -> bytes:
        """Single-DES CBC-MAC, IV zero, leftmost four bytes.

        >>> s = bytes.fromhex("003238ABC57659DD")
        >>> SUITE.session_mac(s, bytes.fromhex("00001000")).hex()
        '56988a13'
        """
        return _cbc_mac(session_key, _IV_ZERO, data)[:4]

    def tac(self, card_key: bytes, data: bytes) -> bytes:
        """Single-DES CBC-MAC under the folded key, IV zero, leftmost four bytes.

        >>> k = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
        >>> d = bytes.fromhex("00001000060011223344550000000120120229135100")
        >>> SUITE.tac(k, d).hex()
        'b3a0d49c'
        """
        return _cbc_mac(fold(card_key), _IV_ZERO, data)[:4]

    def message_mac(self, card_key: bytes, challenge: bytes, data: bytes) -> bytes:
        """ISO 9797-1 algorithm 3: DES-CBC under the left half, last block D(right) then E(left).

        A four-byte challenge is padded with zeros to make the IV.

        >>> k = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
        >>> SUITE.message_mac(k, bytes.fromhex("A1B2C3D4"),
        ...                   bytes.fromhex("04D695000800112233")).hex()
        'd8e8aec5'
        """
        return _retail_mac(card_key, challenge.ljust(BLOCK, b"\x00"), data)[:4]

    def record_mac(self, psam_key: bytes, digest: bytes) -> bytes:
        """ISO 9797-1 algorithm 3 with padding method 2, initial value zero, all 8 bytes.

        >>> k = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
        >>> SUITE.record_mac(k, bytes(range(16))).hex()
        '3ac30b6946438851'
        >>> SUITE.message_mac(k, bytes(8), bytes(range(16))).hex()  # its first four bytes
        '3ac30b69'
        """
        return _retail_mac(psam_key, _IV_ZERO, digest)

    def encipher(self, card_key: bytes, blocks: bytes) -> bytes:
        """3DES-ECB.

        >>> k = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
        >>> SUITE.decipher(k, SUITE.encipher(k, bytes(16))) == bytes(16)
        True
        """
        return encrypt_ecb(card_key, blocks)

    def decipher(self, card_key: bytes, blocks: bytes) -> bytes:
        """3DES-ECB, the other way."""
        return decrypt_ecb(card_key, blocks)

    def digest(self, data: bytes) -> bytes:
        """SHA-256."""
        return hashlib.sha256(data).digest()


SUITE = Pboc3DesSuite()
