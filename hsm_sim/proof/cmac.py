"""CMAC over whole columns, for ciphers with blocks and keys of 16 bytes.

Decides how the blocks of a message are chained and where its subkey comes from (NIST SP 800-38B).
Leaves the cipher to `aes` and `sm4`.

Subkeys are made anew for every row: one block more a row costs about what it costs to expand the
keys of each card another time, and nothing has to leave the planes.
"""

from typing import Protocol, TypeVar

import numpy as np

from hsm_sim.proof.circuits.bitslice import WORD_BITS, Plane, Words, planes_of, runs_of, words_of

#: SP 800-38B §5.3: what overflows in doubling a block comes back as 87, in these of its 128 bits.
_OVERFLOWS = (120, 125, 126)

State = TypeVar("State")


class BlockLanes(Protocol[State]):
    """A block cipher on bit planes, and the planes it needs, for columns of one width.

    `State` is a block or a key as the cipher likes its planes to lie.
    """

    words_max: int
    width: int

    def __init__(self, width: int) -> None: ...

    def load(self, planes: Plane) -> State:
        """128 planes, the highest bit first. They are spent."""
        ...

    def planes(self, state: State) -> list[Plane]:
        """The same 128 planes by name: to change one of them changes the state."""
        ...

    def expand(self, key: State) -> None:
        """Take a key for every lane. It is spent."""
        ...

    def encipher(self, state: State) -> State:
        """A block of every lane under its key. What came in is spent."""
        ...


def _double(planes: list[Plane]) -> list[Plane]:
    """Twice a block in GF(2^128); the planes are renamed, three are changed."""
    for bit in _OVERFLOWS:
        np.bitwise_xor(planes[bit + 1], planes[0], planes[bit + 1])
    return planes[1:] + planes[:1]


def _add(state: list[Plane], other: list[Plane]) -> None:
    for plane, added in zip(state, other, strict=True):
        np.bitwise_xor(plane, added, plane)


def cmac_words(
    cipher: type[BlockLanes[State]], keys: Words, blocks: Words, *, last_is_whole: bool
) -> Words:
    """The first 8 bytes of the CMAC of every row under its own key, (n,) words.

    `keys` is (n, 2), two words a key, highest byte first; `blocks` is (n, 2 * blocks), padded
    already where the last block is not whole. RFC 4493, example 2:

    >>> from hsm_sim.proof.circuits.aes import AesLanes
    >>> key = np.array([[0x2B7E151628AED2A6, 0xABF7158809CF4F3C]], np.uint64)
    >>> block = np.array([[0x6BC1BEE22E409F96, 0xE93D7E117393172A]], np.uint64)
    >>> f"{cmac_words(AesLanes, key, block, last_is_whole=True)[0]:016X}"
    '070A16B46B4D4144'
    """
    result = np.empty(len(keys), dtype=np.uint64)
    lanes = None
    last = blocks.shape[1] - 2
    for run, rows in runs_of(len(keys), WORD_BITS * cipher.words_max):
        width = -(-rows // WORD_BITS)
        if lanes is None or lanes.width != width:
            lanes = cipher(width)
        lanes.expand(lanes.load(planes_of(keys[run], width)))
        zeros = np.zeros((128, width), dtype=np.uint64)
        subkey = _double(lanes.planes(lanes.encipher(lanes.load(zeros))))
        if not last_is_whole:
            subkey = _double(subkey)
        state = None
        for start in range(0, last + 2, 2):
            block = lanes.load(planes_of(blocks[run, start : start + 2], width))
            if state is not None:
                _add(lanes.planes(block), lanes.planes(state))
            if start == last:
                _add(lanes.planes(block), subkey)
            state = lanes.encipher(block)
        assert state is not None
        result[run] = words_of(np.stack(lanes.planes(state)[:64]), rows)[:, 0]
    return result
