"""Every S-box circuit is its standard's S-box, for every input; planes and words are the same."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm_sim.proof.circuits import bitslice
from hsm_sim.proof.circuits.sboxes import AES_CIRCUIT, DES_CIRCUITS, SM4_CIRCUIT
from tests.hsm_sim.proof import table_des


def multiply(first: int, second: int, polynomial: int) -> int:
    """In GF(2^8), one bit at a time."""
    product = 0
    while second:
        product ^= first * (second & 1)
        first <<= 1
        first ^= polynomial * (first >> 8)
        second >>= 1
    return product


def inverse(value: int, polynomial: int) -> int:
    """x^254 is 1/x, and 0 for 0."""
    result = 1
    for _ in range(254):
        result = multiply(result, value, polynomial)
    return result


def rows_times(rows: Sequence[int], value: int) -> int:
    """A matrix of bits, the highest output bit in the first row, times a byte."""
    return int("".join(str((row & value).bit_count() & 1) for row in rows), 2)


def turned_right(value: int, places: int) -> int:
    return (value >> places | value << 8 - places) & 0xFF


def aes_sbox(value: int) -> int:
    """FIPS 197 §5.1.1: the inverse, then b'_i = b_i ^ b_i+4 ^ b_i+5 ^ b_i+6 ^ b_i+7 ^ c_i."""
    rows = [turned_right(0b11111000, row) for row in range(8)]
    return rows_times(rows, inverse(value, 0x11B)) ^ 0x63


def sm4_sbox(value: int) -> int:
    """A(1/(A(x) + D3)) + D3 over x^8+x^7+x^6+x^5+x^4+x^2+1, A the circulant matrix of D3."""
    rows = [turned_right(0xD3, row) for row in range(8)]
    return rows_times(rows, inverse(rows_times(rows, value) ^ 0xD3, 0x1F5)) ^ 0xD3


def run(circuit: bitslice.Circuit) -> list[int]:
    """The outputs for every input, the first input and the first result being highest."""
    values = range(2**circuit.inputs)
    bits = [
        np.array([value >> circuit.inputs - 1 - bit & 1 for value in values], np.uint64)
        for bit in range(circuit.inputs)
    ]
    given_bits = [bit.copy() for bit in bits]
    scratch = list(np.zeros((circuit.scratch, len(values)), np.uint64))
    results = [plane & np.uint64(1) for plane in circuit.run(bits, scratch)]
    assert all(np.array_equal(bit, was) for bit, was in zip(bits, given_bits, strict=True))
    outputs = [int("".join(str(plane[value]) for plane in results), 2) for value in values]
    # The same over integers, one bit a value.
    whole = [sum(int(bit[value]) << value for value in values) for bit in bits]
    shown = circuit.run_integers(whole, (1 << len(values)) - 1)
    for value in values:
        assert int("".join(str(plane >> value & 1) for plane in shown), 2) == outputs[value]
    return outputs


@pytest.mark.parametrize("box", range(8))
def test_each_des_circuit_is_the_s_box_of_fips_46_3(box: int) -> None:
    circuit = bitslice.make_circuit(DES_CIRCUITS[box], 6)
    assert run(circuit) == [table_des.sbox(box, value) for value in range(64)]


def test_the_aes_circuit_is_the_s_box_of_fips_197() -> None:
    outputs = run(bitslice.make_circuit(AES_CIRCUIT, 8))
    assert outputs == [aes_sbox(value) for value in range(256)]
    assert outputs[:4] == [0x63, 0x7C, 0x77, 0x7B]  # FIPS 197, figure 7


def test_the_sm4_circuit_is_the_s_box_of_gb_t_32907() -> None:
    outputs = run(bitslice.make_circuit(SM4_CIRCUIT, 8))
    assert outputs == [sm4_sbox(value) for value in range(256)]
    assert outputs[:4] == [0xD6, 0x90, 0xE9, 0xFE]  # GB/T 32907, table A.1


@given(st.integers(1, 200), st.integers(1, 3), st.integers(0, 2**32))
def test_words_become_planes_and_come_back(rows: int, words: int, seed: int) -> None:
    columns = np.random.default_rng(seed).integers(0, 2**64, (rows, words), np.uint64)
    integers, arrays = bitslice.IntegerMachine(rows), bitslice.ArrayMachine(rows, 0, 0)
    first = columns[:, 0]
    assert integers.words(integers.planes(first)).tolist() == first.tolist()
    assert arrays.words(arrays.planes(first)).tolist() == first.tolist()
    width = -(-rows // 64)
    planes = bitslice.planes_of(columns, width)
    assert planes.shape == (64 * words, width)
    row, bit = seed % rows, seed % (64 * words)
    expected = int(columns[row, bit // 64]) >> (63 - bit % 64) & 1
    # Lane `row` is bit 63 - row // width of word row % width.
    assert int(planes[bit, row % width]) >> (63 - row // width) & 1 == expected
    assert np.array_equal(bitslice.words_of(planes, rows), columns)
