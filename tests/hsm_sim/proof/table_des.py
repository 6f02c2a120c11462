"""DES from the tables of FIPS 46-3, by look-up over NumPy columns with a key schedule a row.

An implementation apart from the one in `hsm_sim.proof.circuits.des`: the two share no line and no
table, so each holds the other to the standard. It is also one of the ways `measure_proof` times.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

#: Four rows of sixteen for each S-box, as the standard prints them.
SBOXES = (
    "e4d12fb83a6c5907 0f74e2d1a6cb9538 41e8d62bfc973a50 fc8249175b3ea06d",
    "f18e6b34972dc05a 3d47f28ec01a69b5 0e7ba4d158c6932f d8a13f42b67c05e9",
    "a09e63f51dc7b428 d709346a285ecbf1 d6498f30b12c5ae7 1ad069874fe3b52c",
    "7de3069a1285bc4f d8b56f03472c1ae9 a690cb7df13e5284 3f06a1d8945bc72e",
    "2c417ab6853fd0e9 eb2c47d150fa3986 421bad78f9c5630e b8c71e2d6f09a453",
    "c1af92680d34e75b af427c9561de0b38 9ef528c3704a1db6 432c95fabe17608d",
    "4b2ef08d3c975a61 d0b7491ae35c2f86 14bdc37eaf680592 6bd814a7950fe23c",
    "d2846fb1a93e50c7 1fd8a374c56b0e92 7b419ce206adf358 21e74a8dfc90356b",
)
_IP = [58 - 8 * (i % 8) + 2 * (i // 8) - (0 if i < 32 else 9) for i in range(64)]
_FP = [_IP.index(place) + 1 for place in range(1, 65)]
_E = [(4 * box + wire - 1) % 32 + 1 for box in range(8) for wire in range(6)]
_P = (
    16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9,
    19, 13, 30, 6, 22, 11, 4, 25
)  # fmt: skip
_PC1_C = [57 - 8 * (i % 8) + i // 8 for i in range(28)]
_PC1_D = [63 - 8 * (i % 8) - i // 8 for i in range(24)] + [28, 20, 12, 4]
_PC2 = (
    14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
    41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36,
    29, 32
)  # fmt: skip
_ROTATED = (1, 2, 4, 6, 8, 10, 12, 14, 15, 17, 19, 21, 23, 25, 27, 28)


def sbox(box: int, value: int) -> int:
    """S-box 0 to 7 of six bits: the outer two choose the row, the inner four the column."""
    row = (value >> 5) << 1 | value & 1
    return int(SBOXES[box].split()[row][value >> 1 & 0xF], 16)


def _permute(value: int, table: Sequence[int], width: int) -> int:
    return int("".join(str(value >> width - place & 1) for place in table), 2)


def _byte_tables(table: Sequence[int], width: int) -> Words:
    """(bytes, 256): what each byte of a value becomes under a permutation; results are XORed."""
    shifts = range(width - 8, -8, -8)
    rows = [[_permute(byte << at, table, width) for byte in range(256)] for at in shifts]
    return np.array(rows, dtype=np.uint64)


def _schedule_table(turned: int) -> list[int]:
    left = _PC1_C[turned:] + _PC1_C[:turned]
    right = _PC1_D[turned:] + _PC1_D[:turned]
    return [(left + right)[place - 1] for place in _PC2]


@cache
def _tables() -> tuple[Words, Words, Words, list[Words], Words]:
    spread = [
        [
            _permute(
                (sbox(2 * pair, value >> 6) << 4 | sbox(2 * pair + 1, value & 63)) << 24 - 8 * pair,
                _P,
                32,
            )
            for value in range(4096)
        ]
        for pair in range(4)
    ]
    return (
        _byte_tables(_IP, 64),
        _byte_tables(_FP, 64),
        _byte_tables(_E, 32),
        [_byte_tables(_schedule_table(turned), 64) for turned in _ROTATED],
        np.array(spread, dtype=np.uint64),
    )


def _look_up(tables: Words, values: Words) -> Words:
    """XOR of the tables' entries for each byte of the values."""
    last = len(tables) - 1
    result: Words = tables[last][(values & np.uint64(0xFF)).astype(np.intp)]
    for place in range(last):
        byte = values >> np.uint64(8 * (last - place)) & np.uint64(0xFF)
        result ^= tables[place][byte.astype(np.intp)]
    return result


def cbc_last_blocks(keys: Words, messages: Words) -> Words:
    """The same answer as `hsm_sim.proof.circuits.des.cbc_last_blocks`."""
    initial, final, expansion, schedule, spread = _tables()
    round_keys = [_look_up(tables, keys) for tables in schedule]
    state = np.zeros(len(keys), dtype=np.uint64)
    for block in messages.T:
        halves = _look_up(initial, state ^ block)
        left, right = halves >> np.uint64(32), halves & np.uint64(0xFFFF_FFFF)
        for round_key in round_keys:
            mixed = _look_up(expansion, right) ^ round_key
            for pair in range(4):
                twelve = mixed >> np.uint64(36 - 12 * pair) & np.uint64(0xFFF)
                left = left ^ spread[pair][twelve.astype(np.intp)]
            left, right = right, left
        state = _look_up(final, right << np.uint64(32) | left)
    return state
