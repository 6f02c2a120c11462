"""Columns as bit planes: one lane a record, and circuits that run over all lanes at once.

Decides how words become planes and back, and how a circuit finds its planes. Leaves the ciphers to
`des`, `aes` and `sm4`, and which key proves which record to `column`.

A plane is one bit of every record: plane 5 holds bit 5 of a block of 262,144 records as an array
of 64-bit words. One NumPy operation on planes is then one gate of a cipher's circuit for all of
them, and a permutation of bits costs nothing, because planes are only renamed.

Where it may be used: to prove records inside the key service, where keys and records are at home
and the answer is per row. Where not: to make or compare a cryptogram that somebody waits for.
It makes no promise about timing, because nothing secret hangs on when a whole column is ready, and
the columns of derived keys lie in memory until the call returns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Plane = NDArray[np.uint64]  # any shape whose last axis is the words of a plane

WORD_BITS = 64
#: The plane of ones. NumPy stretches it to the shape of the other operand.
ONES = np.array(2**64 - 1, dtype=np.uint64)
_OPERATIONS = {"&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor}

#: Operation, two slots to read, the slot to write.
Gate = tuple[np.ufunc, int, int, int]


@dataclass(frozen=True, slots=True)
class Circuit:
    """Gates over slots: the inputs first, which are only read, then the ones, then scratch."""

    inputs: int
    scratch: int
    gates: tuple[Gate, ...]
    results: tuple[int, ...]

    def run(self, inputs: Sequence[Plane], scratch: Sequence[Plane]) -> list[Plane]:
        """The results, which lie in `scratch` (at least `self.scratch` planes) or are inputs."""
        slots = [*inputs, ONES, *scratch]
        for operation, first, second, written in self.gates:
            operation(slots[first], slots[second], slots[written])
        return [slots[result] for result in self.results]


def parse_circuit(text: str, inputs: int) -> tuple[list[tuple[np.ufunc, int, int]], list[int]]:
    """Gates and results of a circuit as `sboxes` writes it; operand -1 is the plane of ones."""
    body, results = text.split("=")
    gates: list[tuple[np.ufunc, int, int]] = []
    for token in body.split():
        if token.startswith("~"):
            gates.append((np.bitwise_xor, int(token[1:]), -1))
        else:
            symbol = next(each for each in token if each in _OPERATIONS)
            first, second = token.split(symbol)
            gates.append((_OPERATIONS[symbol], int(first), int(second)))
    assert all(max(first, second) < inputs + at for at, (_, first, second) in enumerate(gates))
    return gates, [int(result) for result in results.split()]


def make_circuit(text: str, inputs: int) -> Circuit:
    """Give every wire of a circuit a slot; a slot is free again after its wire's last reading.

    The latest slot freed is taken first: a gate then often writes over what it read, and the
    planes in use stay near.
    """
    wires, results = parse_circuit(text, inputs)
    last_read = {operand: at for at, gate in enumerate(wires) for operand in gate[1:]}
    last_read.update((result, len(wires)) for result in results)
    slots = {-1: inputs, **{wire: wire for wire in range(inputs)}}
    free: list[int] = []
    taken = inputs + 1
    gates: list[Gate] = []
    for at, (operation, first, second) in enumerate(wires):
        reads = slots[first], slots[second]
        free.extend(
            slots[each]
            for each in sorted({first, second})
            if each >= inputs and last_read[each] == at
        )
        if not free:
            free.append(taken)
            taken += 1
        slots[inputs + at] = free.pop()
        gates.append((operation, *reads, slots[inputs + at]))
    return Circuit(
        inputs, taken - inputs - 1, tuple(gates), tuple(slots[result] for result in results)
    )


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


def planes_of(columns: Words, width: int) -> Plane:
    """(n, words) or (n,) blocks of bits as (64 * words, width) planes, the highest bit first."""
    columns = columns.reshape(len(columns), -1)
    lanes = np.zeros((columns.shape[1], WORD_BITS * width), dtype=np.uint64)
    lanes[:, : len(columns)] = columns.T
    planes = lanes.reshape(-1, WORD_BITS, width)
    for matrix in planes:
        _transpose(matrix)
    return planes.reshape(-1, width)


def words_of(planes: Plane, rows: int) -> Words:
    """(64 * words, width) planes as (rows, words) blocks. The planes are spent."""
    matrices = planes.reshape(-1, WORD_BITS, planes.shape[-1])
    for matrix in matrices:
        _transpose(matrix)
    return np.ascontiguousarray(matrices.reshape(len(matrices), -1)[:, :rows].T)


def runs_of(rows: int, lanes_max: int) -> Iterator[tuple[slice, int]]:
    """Cut a column into runs of at most `lanes_max` rows: which rows, and the words a plane."""
    for start in range(0, rows, lanes_max):
        run = slice(start, min(start + lanes_max, rows))
        yield run, -(-(run.stop - start) // WORD_BITS)
