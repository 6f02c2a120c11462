"""Suites `sm4` and `aes`: the purse over a cipher with blocks and keys of 16 bytes.

Decides derivation, session keys, MACs and TACs of both; only cipher and hash differ. Leaves the
choice of key and the composition of the messages to others.

The rules are ours. No public text or vector says how a purse uses SM4 or AES, so no card of
another maker is claimed to agree. They keep the shape of JR/T 0025 (a factor and its complement,
a key a session, the leftmost four bytes) and take CMAC (NIST SP 800-38B) wherever that standard
chains single DES: one MAC for messages of any length, under the whole key.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES128, SM4
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.hashes import SHA256, SM3, Hash

from cardcore.crypto.pboc_3des import complement

BLOCK = 16
_MAC_BYTES = 4
_ANSWER_BYTES = 8


class BlockSuite:
    """See `cardcore.crypto.Suite`. Keys have 16 bytes, `ValueError` for any other length."""

    block_bytes = BLOCK

    def __init__(self, cipher: type[SM4 | AES128], digest: type[SM3 | SHA256]) -> None:
        self._cipher = cipher
        self._digest = digest

    def cmac(self, key: bytes, data: bytes) -> bytes:
        """CMAC (NIST SP 800-38B), all 16 bytes. RFC 4493, example 2:

        >>> k = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
        >>> AES_SUITE.cmac(k, bytes.fromhex("6BC1BEE22E409F96E93D7E117393172A")).hex()
        '070a16b46b4d4144f79bdd9dd04a287c'
        """
        mac = CMAC(self._cipher(key))
        mac.update(data)
        return mac.finalize()

    def check_value(self, key: bytes) -> bytes:
        """A block of zeros enciphered, the first three bytes.

        >>> SM4_SUITE.check_value(bytes(16)).hex(), AES_SUITE.check_value(bytes(16)).hex()
        ('9f1f7b', '66e94b')
        """
        return self.encipher(key, bytes(BLOCK))[:3]

    def authenticate(self, card_key: bytes, challenge: bytes) -> bytes:
        """CMAC of the challenge, the first eight bytes.

        A MAC and not the enciphered challenge, so that what a reader chooses never comes back as a
        half of a derivation. Triple DES answers as the field does; there each key has one form.
        """
        return self.cmac(card_key, challenge)[:_ANSWER_BYTES]

    def diversify(self, master: bytes, factor: bytes) -> bytes:
        """One block: the factor and its complement, enciphered.

        >>> m = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
        >>> SM4_SUITE.diversify(m, bytes.fromhex("0487123456789012")).hex()
        '7b1a7d9a27db413eb59528c454349fb5'
        """
        return self.encipher(master, factor + complement(factor))

    def session_key(self, card_key: bytes, session_input: bytes) -> bytes:
        """CMAC of the 8-byte input: a key of 16 bytes."""
        return self.cmac(card_key, session_input)

    def session_mac(self, session_key: bytes, data: bytes) -> bytes:
        """CMAC, leftmost four bytes."""
        return self.cmac(session_key, data)[:_MAC_BYTES]

    def tac(self, card_key: bytes, data: bytes) -> bytes:
        """CMAC under the card's TAC key itself, leftmost four bytes.

        >>> k = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
        >>> d = bytes.fromhex("00001000060011223344550000000120120229135100")
        >>> SM4_SUITE.tac(k, d).hex(), AES_SUITE.tac(k, d).hex()
        ('37c040e8', 'b795e3b9')
        """
        return self.cmac(card_key, data)[:_MAC_BYTES]

    def message_mac(self, card_key: bytes, challenge: bytes, data: bytes) -> bytes:
        """CMAC of the challenge, filled with zeros to a block, and the data; leftmost four bytes.

        >>> k = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
        >>> SM4_SUITE.message_mac(k, bytes.fromhex("A1B2C3D4"),
        ...                       bytes.fromhex("04D695000800112233")).hex()
        '111d1e07'
        """
        return self.cmac(card_key, challenge.ljust(BLOCK, b"\x00") + data)[:_MAC_BYTES]

    def record_mac(self, psam_key: bytes, digest: bytes) -> bytes:
        """CMAC of the digest, all 16 bytes.

        >>> k = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
        >>> SM4_SUITE.record_mac(k, bytes(range(16))).hex()
        '12345d43c737d9f2df60ce930bcdd322'
        >>> AES_SUITE.record_mac(k, bytes(range(16))).hex()
        'c1f732b52fb20caab58d5b6c78cbd514'
        """
        return self.cmac(psam_key, digest)

    def encipher(self, card_key: bytes, blocks: bytes) -> bytes:
        """ECB, as in the standard. The example of GB/T 32907, appendix A:

        >>> k = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
        >>> SM4_SUITE.encipher(k, k).hex()
        '681edf34d206965e86b3e94f536e4246'
        """
        cipher = Cipher(self._cipher(card_key), modes.ECB())  # noqa: S305 - JR/T 0025 has ECB
        return cipher.encryptor().update(blocks)

    def decipher(self, card_key: bytes, blocks: bytes) -> bytes:
        """ECB, the other way."""
        cipher = Cipher(self._cipher(card_key), modes.ECB())  # noqa: S305 - JR/T 0025 has ECB
        return cipher.decryptor().update(blocks)

    def digest(self, data: bytes) -> bytes:
        """SM3 beside SM4 (GB/T 32905), SHA-256 beside AES.

        >>> SM4_SUITE.digest(b"abc").hex()[:16], AES_SUITE.digest(b"abc").hex()[:16]
        ('66c7f0f462eeedd9', 'ba7816bf8f01cfea')
        """
        state = Hash(self._digest())
        state.update(data)
        return state.finalize()


SM4_SUITE = BlockSuite(SM4, SM3)
AES_SUITE = BlockSuite(AES128, SHA256)
