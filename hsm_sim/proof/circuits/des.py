"""DES over whole columns: CBC with a key a row, and triple DES of many blocks under one key.

Decides how DES runs on bit planes. See `bitslice` for what that is and where it may be used. The
key schedule costs nothing (FIPS 46-3): a round key's bit is a plane of the key by another name.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from hsm_sim.proof.circuits.bitslice import (
    WORD_BITS,
    ArrayMachine,
    IntegerMachine,
    Machine,
    P,
    Words,
    make_circuit,
    runs_of,
)
from hsm_sim.proof.circuits.sboxes import DES_CIRCUITS

#: Rows of a run, at most. Longer planes spread NumPy's cost per call over more records, shorter
#: ones stay nearer in the cache; docs/keys.md has the measurements.
LANES_MAX = WORD_BITS * 4096
#: Up to so many rows, planes are integers.
INTEGER_ROWS_MAX = 65_536

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
_SBOXES = tuple(make_circuit(text, 6) for text in DES_CIRCUITS)
_SCRATCH = max(circuit.scratch for circuit in _SBOXES)
#: Where each of the four results of each S-box goes in the other half.
_TARGETS = tuple(tuple(_P.index(4 * box + place) for place in range(1, 5)) for box in range(8))


def _key_places() -> list[list[int]]:
    """Which bit of the key (0 to 63) stands at each of the 48 places of each round's key."""
    left, right = list(_PC1[:28]), list(_PC1[28:])
    rounds = []
    for shift in _SHIFTS:
        left, right = left[shift:] + left[:shift], right[shift:] + right[:shift]
        rounds.append([(left + right)[place - 1] - 1 for place in _PC2])
    return rounds


_KEY_PLACES = _key_places()

Halves = tuple[list[P], list[P]]


def _rounds(
    machine: Machine[P],
    halves: Halves[P],
    key: Sequence[P | None],
    places: Iterable[list[int]],
) -> Halves[P]:
    """Sixteen rounds in place. `key` is 64 planes; None stands for a plane of zeros."""
    target, source = halves
    for round_places in places:
        for box, (circuit, targets) in enumerate(zip(_SBOXES, _TARGETS, strict=True)):
            inputs = []
            for wire in range(6):
                # The expansion E gives each S-box four bits of the half and a neighbour each side.
                plane, bit = source[(4 * box - 1 + wire) % 32], key[round_places[6 * box + wire]]
                inputs.append(plane if bit is None else machine.mixed(plane, bit, wire))
            for place, result in zip(targets, machine.run(circuit, inputs), strict=True):
                target[place] = machine.added(target[place], result)
        target, source = source, target
    # FIPS 46-3: the halves are exchanged before the final permutation.
    return source, target


def _halves(block: Sequence[P]) -> Halves[P]:
    """A block's planes after the initial permutation."""
    ordered = [block[bit - 1] for bit in _INITIAL]
    return ordered[:32], ordered[32:]


def _block(halves: Halves[P]) -> list[P]:
    """The planes of a block, by the final permutation."""
    ordered = dict(zip(_INITIAL, halves[0] + halves[1], strict=True))
    return [ordered[bit] for bit in range(1, 65)]


def _cbc_run(machine: Machine[P], keys: Words, messages: Words) -> Words:
    key = machine.planes(keys)
    state: list[P] | None = None
    for message in messages.T:
        block = machine.planes(message)
        if state is not None:
            block = [machine.added(*pair) for pair in zip(block, state, strict=True)]
        state = _block(_rounds(machine, _halves(block), key, _KEY_PLACES))
    assert state is not None
    return machine.words(state)


def _triple_run(machine: Machine[P], key: bytes, blocks: Words) -> Words:
    bits = [
        machine.ones if byte >> place & 1 else None for byte in key for place in range(7, -1, -1)
    ]
    left, right = bits[:64], bits[64:]
    # The final permutation of one DES and the initial one of the next undo each other.
    halves = _rounds(machine, _halves(machine.planes(blocks)), left, _KEY_PLACES)
    halves = _rounds(machine, halves, right, _KEY_PLACES[::-1])
    halves = _rounds(machine, halves, left, _KEY_PLACES)
    return machine.words(_block(halves))


def _arrays(rows: int) -> ArrayMachine:
    return ArrayMachine(rows, 6, _SCRATCH)


def cbc_last_blocks(keys: Words, messages: Words) -> Words:
    """The last block of DES-CBC from a zero IV, for every row under its own key.

    `keys` is (n,), one 8-byte key a word, highest byte first, parity bits ignored; `messages` is
    (n, blocks), padded already. The answer is (n,). One block is plain encryption:

    >>> key, block = np.array([0x0123456789ABCDEF], np.uint64), 0x4E6F772069732074
    >>> f"{cbc_last_blocks(key, np.array([[block]], np.uint64))[0]:016X}"
    '3FA40E8A984D4815'
    """
    result = np.empty(len(keys), dtype=np.uint64)
    for run, rows in runs_of(len(keys), LANES_MAX):
        if rows <= INTEGER_ROWS_MAX:
            result[run] = _cbc_run(IntegerMachine(rows), keys[run], messages[run])
        else:
            result[run] = _cbc_run(_arrays(rows), keys[run], messages[run])
    return result


def encrypt_blocks(key: bytes, blocks: Words) -> Words:
    """Two-key triple DES of every block under one key of 16 bytes: (n,) words in and out.

    The key's bits are known before the circuit runs, so that half of them need no gate at all.

    >>> key = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
    >>> f"{encrypt_blocks(key, np.array([0x0487123456789012], np.uint64))[0]:016X}"
    '4FEE1118CD14A8CC'
    """
    result = np.empty(len(blocks), dtype=np.uint64)
    for run, rows in runs_of(len(blocks), LANES_MAX):
        if rows <= INTEGER_ROWS_MAX:
            result[run] = _triple_run(IntegerMachine(rows), key, blocks[run])
        else:
            result[run] = _triple_run(_arrays(rows), key, blocks[run])
    return result
