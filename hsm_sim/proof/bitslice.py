"""Single DES over whole columns: one lane a record, every record with its own key.

Decides how a column of keys and blocks becomes bit planes and how DES runs over them. Leaves
which key proves which record to `proof`.

A plane is one bit of every record: plane 5 holds bit 5 of the block of 262,144 records as an array
of 64-bit words. One NumPy operation on planes is then one gate of the DES circuit for all of them,
a permutation costs nothing (planes are only renamed), and so does the key schedule (FIPS 46-3).

Where it may be used: to prove records inside the key service, where keys and records are at home
and the answer is per row. Where not: to make or compare a cryptogram that somebody waits for.
It makes no promise about timing, because nothing secret hangs on when a whole column is ready, and
the columns of derived keys lie in memory until the call returns.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from hsm_sim.proof.sboxes import CIRCUITS

Words = NDArray[np.uint64]

WORD_BITS = 64
#: Words a plane, at most. Longer planes spread NumPy's cost per call over more records, shorter
#: ones stay nearer in the cache; docs/keys.md has the measurement.
WORDS_MAX = 4096
LANES_MAX = WORD_BITS * WORDS_MAX

# FIPS 46-3, bits numbered from 1, the highest of the first byte.
_INITIAL = tuple(
    8 * row + column for column in (2, 4, 6, 8, 1, 3, 5, 7) for row in range(7, -1, -1)
)
_P = (16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19,
      13, 30, 6, 22, 11, 4, 25)  # fmt: skip
_PC1 = (57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3,
        60, 52, 44, 36, 63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45,
        37, 29, 21, 13, 5, 28, 20, 12, 4)  # fmt: skip
_PC2 = (14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
        41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36,
        29, 32)  # fmt: skip
_SHIFTS = (1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1)

# The machine the circuit runs on is a row of planes; a plane is named by its slot.
_LEFT, _RIGHT, _KEY, _ONES, _WORK = 0, 32, 64, 128, 129
_WORK_PLANES = 40
_SLOTS = _WORK + _WORK_PLANES
_OPERATIONS = {"&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor}

#: Operation, two slots to read, the slot to write.
Gate = tuple[np.ufunc, int, int, int]


def _round_keys() -> list[list[int]]:
    """Which bit of the key (0 to 63) stands at each of the 48 places of each round's key."""
    left, right = list(_PC1[:28]), list(_PC1[28:])
    rounds = []
    for shift in _SHIFTS:
        left, right = left[shift:] + left[:shift], right[shift:] + right[:shift]
        rounds.append([(left + right)[place - 1] - 1 for place in _PC2])
    return rounds


def _parse(circuit: str) -> tuple[list[tuple[np.ufunc, int, int]], list[int]]:
    """Gates and the four results of a circuit as `sboxes` writes it; -1 is the plane of ones."""
    body, results = circuit.split("=")
    gates: list[tuple[np.ufunc, int, int]] = []
    for token in body.split():
        if token.startswith("~"):
            gates.append((np.bitwise_xor, int(token[1:]), -1))
        else:
            symbol = next(each for each in token if each in _OPERATIONS)
            first, second = token.split(symbol)
            gates.append((_OPERATIONS[symbol], int(first), int(second)))
    return gates, [int(result) for result in results.split()]


def _sbox_gates(box: int, round_key: list[int], source: int, target: int) -> list[Gate]:
    """S-box `box` of one round: from the half at slot `source` into the half at slot `target`.

    A work plane is given back after the last gate that reads it, so that an S-box runs in few
    planes and those stay in the cache.
    """
    circuit, results = _parse(CIRCUITS[box])
    last_read = {operand: at for at, gate in enumerate(circuit) for operand in gate[1:]}
    last_read.update((result, len(circuit)) for result in results)
    free = list(range(_SLOTS - 1, _WORK - 1, -1))
    slots = {-1: _ONES}
    gates: list[Gate] = []
    for wire in range(6):
        slots[wire] = free.pop()
        # The expansion E gives each S-box its four bits of the half and one neighbour each side.
        expanded = source + (4 * box - 1 + wire) % 32
        gates.append((np.bitwise_xor, expanded, _KEY + round_key[6 * box + wire], slots[wire]))
    for at, (operation, first, second) in enumerate(circuit):
        reads = slots[first], slots[second]
        free.extend(slots[each] for each in {first, second} - {-1} if last_read[each] == at)
        slots[6 + at] = free.pop()
        gates.append((operation, *reads, slots[6 + at]))
    for place, result in enumerate(results):
        written = target + _P.index(4 * box + place + 1)
        gates.append((np.bitwise_xor, written, slots[result], written))
    return gates


@cache
def _program() -> tuple[Gate, ...]:
    """Sixteen rounds as one list of gates. The halves stay in place and change roles."""
    gates: list[Gate] = []
    for number, round_key in enumerate(_round_keys()):
        source, target = (_LEFT, _RIGHT) if number % 2 else (_RIGHT, _LEFT)
        for box in range(8):
            gates += _sbox_gates(box, round_key, source, target)
    return tuple(gates)


def _transpose(matrix: Words) -> None:
    """Turn 64 words a column into 64 bits a column, in place: words to planes and back.

    `matrix` is (64, width); bit c of word r (c from the highest) changes places with bit r of
    word c. Six stages exchange ever smaller squares.
    """
    for span in (32, 16, 8, 4, 2, 1):
        low = np.uint64((2**64 - 1) // (2**span + 1))
        pairs = matrix.reshape(WORD_BITS // (2 * span), 2, span, -1)
        upper, lower = pairs[:, 0], pairs[:, 1]
        exchanged = lower >> np.uint64(span)
        exchanged ^= upper
        exchanged &= low
        upper ^= exchanged
        exchanged <<= np.uint64(span)
        lower ^= exchanged


def _planes(column: Words, width: int) -> Words:
    """64 planes of `width` words from at most 64 * width blocks."""
    lanes = np.zeros(WORD_BITS * width, dtype=np.uint64)
    lanes[: len(column)] = column
    matrix = lanes.reshape(WORD_BITS, width)
    _transpose(matrix)
    return matrix


def _cbc_chunk(keys: Words, messages: Words) -> Words:
    rows = len(keys)
    width = -(-rows // WORD_BITS)
    machine = np.zeros((_SLOTS, width), dtype=np.uint64)
    machine[_KEY:_ONES] = _planes(keys, width)
    machine[_ONES] = ~np.uint64(0)
    planes = list(machine)
    left, right = planes[_LEFT:_RIGHT], planes[_RIGHT:_KEY]
    for block in messages.T:
        message = _planes(block, width)
        for place, bit in enumerate(_INITIAL):
            half = left if place < 32 else right
            half[place % 32] ^= message[bit - 1]
        slots = left + right + planes[_KEY:]
        for operation, first, second, written in _program():
            operation(slots[first], slots[second], slots[written])
        # FIPS 46-3: the halves are exchanged before the final permutation.
        left, right = right, left
    result = np.empty((WORD_BITS, width), dtype=np.uint64)
    for bit, plane in zip(_INITIAL, left + right, strict=True):
        result[bit - 1] = plane
    _transpose(result)
    return result.reshape(-1)[:rows]


def cbc_last_blocks(keys: Words, messages: Words) -> Words:
    """The last block of DES-CBC from a zero IV, for every row under its own key.

    `keys` is (n,), one 8-byte key a word, highest byte first, parity bits ignored; `messages` is
    (n, blocks), padded already. The answer is (n,). One block is plain encryption:

    >>> key, block = np.array([0x0123456789ABCDEF], np.uint64), 0x4E6F772069732074
    >>> f"{cbc_last_blocks(key, np.array([[block]], np.uint64))[0]:016X}"
    '3FA40E8A984D4815'
    """
    result = np.empty(len(keys), dtype=np.uint64)
    for start in range(0, len(keys), LANES_MAX):
        chunk = slice(start, start + LANES_MAX)
        result[chunk] = _cbc_chunk(keys[chunk], messages[chunk])
    return result
