"""Columns as bit planes: one lane a record, and circuits that run over all lanes at once.

Decides how words become planes and back, and how a circuit runs. Leaves the ciphers to `des`,
`aes` and `sm4`, and which key proves which record to `column`.

A plane is one bit of every record: plane 5 holds bit 5 of a block of 262,144 records as an array
of 64-bit words. One operation on planes is then one gate of a cipher's circuit for all of them,
and a permutation of bits costs nothing, because planes are only renamed.

Long planes are arrays, and NumPy writes a gate's result where it is told. Short ones are faster as
Python's own integers: a gate of 1,000 lanes costs a quarter of what NumPy needs to be called.

Where it may be used: to prove records inside the key service, where keys and records are at home
and the answer is per row. Where not: to make or compare a cryptogram that somebody waits for.
It makes no promise about timing, because nothing secret hangs on when a whole column is ready, and
the columns of derived keys lie in memory until the call returns.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import and_, or_, xor
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Plane = NDArray[np.uint64]  # any shape whose last axis is the words of a plane

WORD_BITS = 64
#: The plane of ones. NumPy stretches it to the shape of the other operand.
ONES = np.array(2**64 - 1, dtype=np.uint64)
_UFUNCS = {"&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor}
_OPERATORS = {"&": and_, "|": or_, "^": xor}

#: Operation, two slots to read, the slot to write.
Gate = tuple[np.ufunc, int, int, int]
IntegerGate = tuple[Callable[[int, int], int], int, int, int]


@dataclass(frozen=True, slots=True)
class Circuit:
    """Gates over slots: the inputs first, which are only read, then the ones, then scratch."""

    inputs: int
    scratch: int
    gates: tuple[Gate, ...]
    integer_gates: tuple[IntegerGate, ...]
    results: tuple[int, ...]

    def run(self, inputs: Sequence[Plane], scratch: Sequence[Plane]) -> list[Plane]:
        """The results, which lie in `scratch` (at least `self.scratch` planes) or are inputs."""
        slots = [*inputs, ONES, *scratch]
        for operation, first, second, written in self.gates:
            operation(slots[first], slots[second], slots[written])
        return [slots[result] for result in self.results]

    def run_integers(self, inputs: Sequence[int], ones: int) -> list[int]:
        """The same over integers."""
        slots = [*inputs, ones, *(0 for _ in range(self.scratch))]
        for operation, first, second, written in self.integer_gates:
            slots[written] = operation(slots[first], slots[second])
        return [slots[result] for result in self.results]


def make_circuit(text: str, inputs: int) -> Circuit:
    """A circuit as `sboxes` writes it. Every wire gets a slot, which is free again after the last
    reading.

    The latest slot freed is taken first: a gate then often writes over what it read, and the
    planes in use stay near.
    """
    body, _, results = text.partition("=")
    wires = [_parse_gate(token) for token in body.split()]
    outputs = [int(result) for result in results.split()]
    last_read = {operand: at for at, gate in enumerate(wires) for operand in gate[1:]}
    last_read.update((output, len(wires)) for output in outputs)
    slots = {-1: inputs, **{wire: wire for wire in range(inputs)}}
    free: list[int] = []
    taken = inputs + 1
    made: list[tuple[str, int, int, int]] = []
    for at, (symbol, first, second) in enumerate(wires):
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
        made.append((symbol, *reads, slots[inputs + at]))
    return Circuit(
        inputs,
        taken - inputs - 1,
        tuple((_UFUNCS[symbol], first, second, to) for symbol, first, second, to in made),
        tuple((_OPERATORS[symbol], first, second, to) for symbol, first, second, to in made),
        tuple(slots[output] for output in outputs),
    )


def _parse_gate(token: str) -> tuple[str, int, int]:
    """Operation and operands; -1 is the plane of ones, and NOT is the exclusive or with it."""
    if token.startswith("~"):
        return "^", int(token[1:]), -1
    symbol = next(each for each in token if each in _UFUNCS)
    first, _, second = token.partition(symbol)
    return symbol, int(first), int(second)


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
    """Cut a column into runs of at most `lanes_max` rows: which, and how many."""
    for start in range(0, rows, lanes_max):
        run = slice(start, min(start + lanes_max, rows))
        yield run, run.stop - run.start


P = TypeVar("P")


class Machine(Protocol[P]):
    """What a cipher does to planes that lie one by one, for a run of so many rows."""

    ones: P

    def planes(self, column: Words) -> list[P]:
        """64 planes of a column of words, the highest bit first."""
        ...

    def words(self, planes: list[P]) -> Words:
        """The other way. The planes are spent."""
        ...

    def mixed(self, plane: P, key: P, wire: int) -> P:
        """plane ^ key, to go into a circuit as that wire."""
        ...

    def added(self, plane: P, other: P) -> P:
        """plane ^ other; `plane` is spent."""
        ...

    def run(self, circuit: Circuit, inputs: list[P]) -> list[P]:
        """The results, good until the next run."""
        ...


class ArrayMachine:
    """Planes as arrays, and scratch for circuits of up to so many inputs and slots."""

    def __init__(self, rows: int, inputs: int, scratch: int) -> None:
        self.ones = ONES
        self._rows = rows
        self._width = -(-rows // WORD_BITS)
        self._inputs = list(np.empty((inputs, self._width), dtype=np.uint64))
        self._scratch = list(np.empty((scratch, self._width), dtype=np.uint64))

    def planes(self, column: Words) -> list[Plane]:
        """See `Machine`."""
        return list(planes_of(column, self._width))

    def words(self, planes: list[Plane]) -> Words:
        """See `Machine`."""
        return words_of(np.stack(planes), self._rows)[:, 0]

    def mixed(self, plane: Plane, key: Plane, wire: int) -> Plane:
        """See `Machine`."""
        result: Plane = np.bitwise_xor(plane, key, self._inputs[wire])
        return result

    def added(self, plane: Plane, other: Plane) -> Plane:
        """See `Machine`."""
        result: Plane = np.bitwise_xor(plane, other, plane)
        return result

    def run(self, circuit: Circuit, inputs: list[Plane]) -> list[Plane]:
        """See `Machine`."""
        return circuit.run(inputs, self._scratch)


class IntegerMachine:
    """Planes as integers."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._width = -(-rows // WORD_BITS)
        self.ones = (1 << WORD_BITS * self._width) - 1

    def planes(self, column: Words) -> list[int]:
        """See `Machine`."""
        arrays = planes_of(column, self._width)
        return [int.from_bytes(plane.tobytes(), sys.byteorder) for plane in arrays]

    def words(self, planes: list[int]) -> Words:
        """See `Machine`."""
        size = WORD_BITS * self._width // 8
        data = bytearray().join(plane.to_bytes(size, sys.byteorder) for plane in planes)
        return words_of(np.frombuffer(data, np.uint64).reshape(-1, self._width), self._rows)[:, 0]

    def mixed(self, plane: int, key: int, _wire: int) -> int:
        """See `Machine`."""
        return plane ^ key

    def added(self, plane: int, other: int) -> int:
        """See `Machine`."""
        return plane ^ other

    def run(self, circuit: Circuit, inputs: list[int]) -> list[int]:
        """See `Machine`."""
        return circuit.run_integers(inputs, self.ones)
