"""AES-128 over whole columns, one lane a record, every record with its own key.

Decides how AES runs on bit planes. See `bitslice` for what that is and where it may be used, and
`cmac` for who runs it. All sixteen bytes go through one S-box, so a gate is taken for the sixteen
at once.
"""

from itertools import pairwise

import numpy as np

from hsm_sim.proof.circuits.bitslice import Plane, make_circuit
from hsm_sim.proof.circuits.sboxes import AES_CIRCUIT

_ROUNDS = 10
_SBOX = make_circuit(AES_CIRCUIT, 8)
#: FIPS 197 §5.1.2: row r of the state moves r columns to the left. A row lies together here:
#: place 4 * row + column.
_SHIFTED = np.array([4 * row + (column + row) % 4 for row in range(4) for column in range(4)])
#: FIPS 197 §5.1.3: what overflows in a doubling comes back at the bits of 1B, highest bit first.
_REDUCED = (3, 4, 6, 7)

#: (8 bits, 16 places, words): the planes of a block, the highest bit first.
State = Plane


class AesLanes:
    """See `hsm_sim.proof.cmac.BlockLanes`.

    The example of FIPS 197, appendix C.1:

    >>> from hsm_sim.proof.circuits.bitslice import planes_of, words_of
    >>> key = np.array([[0x0001020304050607, 0x08090A0B0C0D0E0F]], np.uint64)
    >>> block = np.array([[0x0011223344556677, 0x8899AABBCCDDEEFF]], np.uint64)
    >>> lanes = AesLanes(1)
    >>> lanes.expand(lanes.load(planes_of(key, 1)))
    >>> planes = lanes.planes(lanes.encipher(lanes.load(planes_of(block, 1))))
    >>> " ".join(f"{word:016X}" for word in words_of(np.stack(planes), 1)[0])
    '69C4E0D86A7B0430 D8CDB78070B4C55A'
    """

    #: Words a plane, at most; a gate works on sixteen planes (docs/keys.md has the measurement).
    words_max = 512

    def __init__(self, width: int) -> None:
        self.width = width
        self._round_keys = np.empty((_ROUNDS + 1, 8, 16, width), dtype=np.uint64)
        self._scratch = np.empty((_SBOX.scratch, 16, width), dtype=np.uint64)
        self._key_scratch = np.empty((_SBOX.scratch, 4, width), dtype=np.uint64)
        self._shifted = np.empty((8, 16, width), dtype=np.uint64)
        self._sums = np.empty((8, 16, width), dtype=np.uint64)

    def load(self, planes: Plane) -> State:
        """See the protocol."""
        by_byte = planes.reshape(4, 4, 8, self.width)  # column, row, bit
        return np.ascontiguousarray(by_byte.transpose(2, 1, 0, 3)).reshape(8, 16, self.width)

    def planes(self, state: State) -> list[Plane]:
        """See the protocol."""
        return [
            state[bit, 4 * row + column]
            for column in range(4)
            for row in range(4)
            for bit in range(8)
        ]

    def expand(self, key: State) -> None:
        """Key expansion of FIPS 197 §5.2, all four bytes of a word at once."""
        self._round_keys[0] = key
        constant = 1
        for before, made in pairwise(self._round_keys):
            # RotWord: the last column, its bytes turned by one.
            turned = list(before[:, [7, 11, 15, 3]])
            for bit, substituted in enumerate(_SBOX.run(turned, list(self._key_scratch))):
                np.bitwise_xor(before[bit, 0::4], substituted, made[bit, 0::4])
                if constant >> (7 - bit) & 1:
                    np.invert(made[bit, 0], made[bit, 0])
            for column in range(1, 4):
                last, this = made[:, column - 1 :: 4], made[:, column::4]
                np.bitwise_xor(before[:, column::4], last, this)
            constant = constant << 1 ^ (0x11B if constant & 0x80 else 0)

    def encipher(self, state: State) -> State:
        """FIPS 197 §5.1, in place."""
        np.bitwise_xor(state, self._round_keys[0], state)
        for round_key in self._round_keys[1:-1]:
            self._substitute_and_shift(state)
            self._mix_columns(state)
            np.bitwise_xor(state, round_key, state)
        self._substitute_and_shift(state)
        np.bitwise_xor(self._shifted, self._round_keys[-1], state)
        return state

    def _substitute_and_shift(self, state: State) -> None:
        """SubBytes and ShiftRows, from `state` into `_shifted`."""
        for bit, substituted in enumerate(_SBOX.run(list(state), list(self._scratch))):
            np.take(substituted, _SHIFTED, axis=0, out=self._shifted[bit], mode="clip")

    def _mix_columns(self, state: State) -> None:
        """MixColumns, from `_shifted` into `state`.

        With s = a ^ (a one row on), a row becomes 2s ^ (a one row on) ^ (s two rows on).
        """
        for rows, sums, mixed in zip(self._shifted, self._sums, state, strict=True):
            np.bitwise_xor(rows[:12], rows[4:], sums[:12])
            np.bitwise_xor(rows[12:], rows[:4], sums[12:])
            np.bitwise_xor(rows[4:12], sums[8:], mixed[:8])
            np.bitwise_xor(rows[12:], sums[:4], mixed[8:12])
            np.bitwise_xor(rows[:4], sums[4:8], mixed[12:])
        np.bitwise_xor(state[:7], self._sums[1:], state[:7])
        for bit in _REDUCED:
            np.bitwise_xor(state[bit], self._sums[0], state[bit])
