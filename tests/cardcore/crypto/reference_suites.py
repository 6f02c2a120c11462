"""SM4 and AES for a purse, written from the rules in `docs/keys.md` alone: every function takes the
cipher as an argument, CMAC is built block by block from RFC 4493, and nothing of cardcore is used.
"""

from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4

BlockCipher = type[AES | SM4]


def ecb(cipher: BlockCipher, key: bytes, block: bytes) -> bytes:
    assert len(block) == 16
    return Cipher(cipher(key), modes.ECB()).encryptor().update(block)


def _doubled(block: bytes) -> bytes:
    value = int.from_bytes(block, "big") << 1
    return ((value ^ 0x87 if value >> 128 else value) & (1 << 128) - 1).to_bytes(16, "big")


def _xor(left: bytes, right: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(left, right, strict=True))


def cmac(cipher: BlockCipher, key: bytes, message: bytes) -> bytes:
    """RFC 4493 figure 2.3."""
    whole = _doubled(ecb(cipher, key, bytes(16)))
    if message and len(message) % 16 == 0:
        last = _xor(message[-16:], whole)
        head = message[:-16]
    else:
        rest = len(message) % 16
        tail = message[len(message) - rest :] + b"\x80"
        last = _xor(tail.ljust(16, b"\x00"), _doubled(whole))
        head = message[: len(message) - rest]
    state = bytes(16)
    for at in range(0, len(head), 16):
        state = ecb(cipher, key, _xor(state, head[at : at + 16]))
    return ecb(cipher, key, _xor(state, last))


def card_key(cipher: BlockCipher, master: bytes, factor: bytes) -> bytes:
    return ecb(cipher, master, factor + bytes(byte ^ 0xFF for byte in factor))


def answer(cipher: BlockCipher, key: bytes, challenge: bytes) -> bytes:
    return cmac(cipher, key, challenge)[:8]


def mac(cipher: BlockCipher, key: bytes, message: bytes) -> bytes:
    return cmac(cipher, key, message)[:4]


def secured(cipher: BlockCipher, header: str, data: bytes, key: bytes, challenge: bytes) -> bytes:
    """A command with its MAC."""
    start = bytes.fromhex(header) + bytes((len(data) + 4,)) + data
    return start + cmac(cipher, key, challenge + bytes(16 - len(challenge)) + start)[:4]


def enciphered(cipher: BlockCipher, key: bytes, data: bytes, *, pad_always: bool = True) -> bytes:
    """Length and data, padded to blocks of 16, block by block."""
    plain = bytes((len(data),)) + data
    if pad_always or len(plain) % 16:
        plain += b"\x80"
    plain += b"\x00" * (-len(plain) % 16)
    return b"".join(ecb(cipher, key, plain[at : at + 16]) for at in range(0, len(plain), 16))
