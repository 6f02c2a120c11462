"""SM4 over whole columns, one lane a record, every record with its own key.

Decides how SM4 (GB/T 32907-2016) runs on bit planes. See `bitslice` for what that is and where it
may be used, and `cmac` for who runs it. The four bytes of a word go through one S-box, so a gate
is taken for the four at once; a rotation of a word is two slices.
"""

import numpy as np

from hsm_sim.proof.circuits.bitslice import Plane, make_circuit
from hsm_sim.proof.circuits.sboxes import SM4_CIRCUIT

_ROUNDS = 32
_SBOX = make_circuit(SM4_CIRCUIT, 8)
#: GB/T 32907 §7.3: the system parameter FK, and CK, whose bytes count on by sevens.
_FK = (0xA3B1BAC6, 0x56AA3350, 0x677D9197, 0xB27022DC)
_CK = tuple(
    int.from_bytes((7 * (4 * number + byte) % 256 for byte in range(4)), "big")
    for number in range(_ROUNDS)
)

#: (32 bits, words): the planes of one word, the highest bit first.
Word = Plane
#: The four words of a block.
State = list[Word]


def _add_constant(word: Word, constant: int) -> None:
    for bit in range(32):
        if constant >> (31 - bit) & 1:
            np.invert(word[bit], word[bit])


def _add_rotated(word: Word, turned: Word, bits: int) -> None:
    """word ^= turned <<< bits."""
    np.bitwise_xor(word[: 32 - bits], turned[bits:], word[: 32 - bits])
    np.bitwise_xor(word[32 - bits :], turned[:bits], word[32 - bits :])


class Sm4Lanes:
    """See `hsm_sim.proof.cmac.BlockLanes`.

    The example of GB/T 32907, appendix A.1:

    >>> from hsm_sim.proof.circuits.bitslice import planes_of, words_of
    >>> key = np.array([[0x0123456789ABCDEF, 0xFEDCBA9876543210]], np.uint64)
    >>> lanes = Sm4Lanes(1)
    >>> lanes.expand(lanes.load(planes_of(key, 1)))
    >>> planes = lanes.planes(lanes.encipher(lanes.load(planes_of(key, 1))))
    >>> " ".join(f"{word:016X}" for word in words_of(np.stack(planes), 1)[0])
    '681EDF34D206965E 86B3E94F536E4246'
    """

    #: Words a plane, at most; a gate works on four planes (docs/keys.md has the measurement).
    words_max = 2048

    def __init__(self, width: int) -> None:
        self.width = width
        self._round_keys = np.empty((_ROUNDS, 32, width), dtype=np.uint64)
        self._scratch = np.empty((_SBOX.scratch, 4, width), dtype=np.uint64)
        self._sum = np.empty((32, width), dtype=np.uint64)
        self._by_bit = np.empty((8, 4, width), dtype=np.uint64)
        self._substituted = np.empty((32, width), dtype=np.uint64)

    def load(self, planes: Plane) -> State:
        """See the protocol."""
        return list(planes.reshape(4, 32, self.width))

    def planes(self, state: State) -> list[Plane]:
        """See the protocol."""
        return [plane for word in state for plane in word]

    def expand(self, key: State) -> None:
        """The round keys of GB/T 32907 §7.3."""
        words = list(key)
        for word, constant in zip(words, _FK, strict=True):
            _add_constant(word, constant)
        for constant, round_key in zip(_CK, self._round_keys, strict=True):
            np.bitwise_xor(words[1], words[2], self._sum)
            _add_constant(self._sum, constant)
            turned = self._substitute(words[3])
            np.bitwise_xor(words[0], turned, round_key)
            _add_rotated(round_key, turned, 13)
            _add_rotated(round_key, turned, 23)
            words = [*words[1:], round_key]

    def encipher(self, state: State) -> State:
        """GB/T 32907 §7.1, in place; the words come back in the order of the output."""
        words = list(state)
        for round_key in self._round_keys:
            np.bitwise_xor(words[1], words[2], self._sum)
            np.bitwise_xor(self._sum, round_key, self._sum)
            # L(B) = B ^ B<<<2 ^ B<<<10 ^ B<<<18 ^ B<<<24, by t = B ^ B<<<8.
            turned = self._substitute(words[3])
            np.bitwise_xor(turned[:24], turned[8:], self._sum[:24])
            np.bitwise_xor(turned[24:], turned[:8], self._sum[24:])
            _add_rotated(words[0], self._sum, 24)
            _add_rotated(self._sum, turned, 16)
            _add_rotated(words[0], self._sum, 2)
            words = [*words[1:], words[0]]
        return words[::-1]

    def _substitute(self, word: Word) -> Word:
        """The S-box over `word` ^ `_sum`."""
        shape = (4, 8, self.width)
        by_byte, by_bit = (each.reshape(shape) for each in (word, self._sum))
        np.bitwise_xor(by_byte.swapaxes(0, 1), by_bit.swapaxes(0, 1), self._by_bit)
        result = self._substituted.reshape(shape)
        for bit, plane in enumerate(_SBOX.run(list(self._by_bit), list(self._scratch))):
            result[:, bit] = plane
        return self._substituted
