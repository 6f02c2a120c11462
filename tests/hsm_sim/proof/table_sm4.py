"""SM4 by look-up over NumPy columns, with a key schedule a row (GB/T 32907-2016).

One of the ways `measure_proof` times. S-box and linear map together are one table of 256 words for
each byte of a word.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tests.hsm_sim.proof.test_circuits import sm4_sbox

Words = NDArray[np.uint64]
Halves = NDArray[np.uint32]

_FK = (0xA3B1BAC6, 0x56AA3350, 0x677D9197, 0xB27022DC)
_CK = [sum((28 * i + 7 * j) % 256 << 24 - 8 * j for j in range(4)) for i in range(32)]


def _turned(word: int, bits: int) -> int:
    return (word << bits | word >> 32 - bits) & 0xFFFF_FFFF


@cache
def _tables(*turns: int) -> Halves:
    """(4, 256): what each byte of a word becomes by the S-box and B ^ B<<<turn ^ ..."""
    made = np.zeros((4, 256), dtype=np.uint32)
    for byte in range(4):
        for value in range(256):
            word = sm4_sbox(value) << 24 - 8 * byte
            for turn in (0, *turns):
                made[byte, value] ^= _turned(word, turn)
    return made


def _mapped(tables: Halves, words: Halves) -> Halves:
    octets = words.astype(">u4").view(np.uint8).reshape(-1, 4)
    result: Halves = tables[0].take(octets[:, 0])
    for byte in range(1, 4):
        result ^= tables[byte].take(octets[:, byte])
    return result


def _split(blocks: Words) -> list[Halves]:
    return list(blocks.astype(">u8").view(">u4").astype(np.uint32).reshape(len(blocks), 4).T)


def _round_keys(keys: Words) -> list[Halves]:
    words = [word ^ np.uint32(fk) for word, fk in zip(_split(keys), _FK, strict=True)]
    made = []
    for constant in _CK:
        mixed = words[1] ^ words[2] ^ words[3] ^ np.uint32(constant)
        made.append(words[0] ^ _mapped(_tables(13, 23), mixed))
        words = [*words[1:], made[-1]]
    return made


def cmac_words(keys: Words, blocks: Words) -> Words:
    """First 8 bytes of CMAC whose last block is padded: (n, 2) keys, (n, 2 * blocks) words."""
    schedule = _round_keys(keys)

    def enciphered(block: Words) -> Words:
        words = _split(block)
        for round_key in schedule:
            mixed = words[1] ^ words[2] ^ words[3] ^ round_key
            words = [*words[1:], words[0] ^ _mapped(_tables(2, 10, 18, 24), mixed)]
        high, low = (words[at].astype(np.uint64) << np.uint64(32) | words[at - 1] for at in (3, 1))
        return np.stack((high, low), axis=1)

    def doubled(block: Words) -> Words:
        high, low = block.T
        one, highest = np.uint64(1), np.uint64(63)
        return np.stack(
            (high << one | low >> highest, low << one ^ (high >> highest) * np.uint64(0x87)),
            axis=1,
        )

    subkey = doubled(doubled(enciphered(np.zeros((len(keys), 2), np.uint64))))
    state = np.zeros((len(keys), 2), np.uint64)
    for start in range(0, blocks.shape[1], 2):
        state = state ^ blocks[:, start : start + 2]
        if start + 2 == blocks.shape[1]:
            state ^= subkey
        state = enciphered(state)
    return state[:, 0]
