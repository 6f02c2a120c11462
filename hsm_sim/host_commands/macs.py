"""MACs of host commands: three algorithms, over a message whole or in parts.

Decides the arithmetic: ISO/IEC 9797-1 algorithm 1 under triple DES (ISO 16609), algorithm 3 (the
retail MAC, ANSI X9.19) and CMAC under AES (NIST SP 800-38B). Leaves which key may make which MAC
to `host_commands`.

A message in parts hands the chaining value out between them, as the dialect has it. Whoever may
ask for one can make MACs, so keys that may only verify are never used in parts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import BlockCipherAlgorithm, Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from hsm_sim.device.blocks.tr31 import triple_des

_Padding = Callable[[bytes, int], bytes]
_DOUBLING = 0x87  # of GF(2^128), NIST SP 800-38B §5.3


class MacLengthError(ValueError):
    """The data are not whole blocks where only whole blocks can be taken."""


def _no_padding(data: bytes, _: int) -> bytes:
    return data


def _zeros(data: bytes, block_bytes: int) -> bytes:
    return data + bytes(-len(data) % block_bytes)


def _one_and_zeros(data: bytes, block_bytes: int) -> bytes:
    return data + b"\x80" + bytes(-(len(data) + 1) % block_bytes)


#: ISO/IEC 9797-1 §6.3: none, method 1 (zeros), method 2 (a one and zeros).
_PADDINGS: Mapping[str, _Padding] = {"0": _no_padding, "1": _zeros, "2": _one_and_zeros}
#: CMAC pads by itself, by either name.
_CMAC_PADDINGS: Mapping[str, _Padding] = {"0": _no_padding, "4": _no_padding}


@dataclass(frozen=True, slots=True)
class MacMethod:
    """One algorithm, and the ways to fill its last block by the digit that names them."""

    block_bytes: int
    key_bytes: tuple[int, ...]
    paddings: Mapping[str, _Padding]
    chaining: Callable[[bytes], BlockCipherAlgorithm]
    ending: Callable[[bytes, bytes, bytes], bytes]

    def chained(self, key: bytes, vector: bytes, data: bytes) -> bytes:
        """The chaining value behind whole blocks. Raises `MacLengthError` for none or others."""
        if not data or len(data) % self.block_bytes:
            raise MacLengthError
        cipher = Cipher(self.chaining(key), modes.CBC(vector))
        return cipher.encryptor().update(data)[-self.block_bytes :]

    def finished(self, key: bytes, vector: bytes, data: bytes, padding: str) -> bytes:
        """The MAC, a whole block, of data that follow the chaining value `vector`."""
        return self.ending(key, vector, self.paddings[padding](data, self.block_bytes))


def _ending_1(key: bytes, vector: bytes, data: bytes) -> bytes:
    return MAC_METHODS["1"].chained(key, vector, data)


def _ending_3(key: bytes, vector: bytes, data: bytes) -> bytes:
    last = MAC_METHODS["3"].chained(key, vector, data)
    # Deciphered under the right half, enciphered under the left: triple DES without its first step.
    once = Cipher(triple_des(key[:8]), modes.ECB()).decryptor().update(last)  # noqa: S305 - X9.19
    return Cipher(triple_des(key), modes.ECB()).encryptor().update(once)  # noqa: S305 - X9.19


def _ending_6(key: bytes, vector: bytes, data: bytes) -> bytes:
    encryptor = Cipher(AES(key), modes.ECB()).encryptor()  # noqa: S305 - one block, SP 800-38B
    subkey = _doubled(encryptor.update(bytes(16)))
    if not data or len(data) % 16:
        data, subkey = _one_and_zeros(data, 16), _doubled(subkey)
    last = bytes(left ^ right for left, right in zip(data[-16:], subkey, strict=True))
    return MAC_METHODS["6"].chained(key, vector, data[:-16] + last)


def _doubled(block: bytes) -> bytes:
    doubled = int.from_bytes(block, "big") << 1
    carry = doubled >> 128
    return ((doubled & (1 << 128) - 1) ^ carry * _DOUBLING).to_bytes(16, "big")


def _single_des(key: bytes) -> BlockCipherAlgorithm:
    return triple_des(key[:8])


#: By the digit that names them in M6 and M8.
MAC_METHODS: Mapping[str, MacMethod] = {
    "1": MacMethod(8, (16, 24), _PADDINGS, triple_des, _ending_1),
    "3": MacMethod(8, (16,), _PADDINGS, _single_des, _ending_3),
    "6": MacMethod(16, (16, 24, 32), _CMAC_PADDINGS, AES, _ending_6),
}
