"""DES over columns equals DES one block at a time, whatever the keys."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given
from hypothesis import strategies as st

from cardcore.crypto import pboc_3des
from cardcore.keys import Algorithm
from hsm_sim.proof.circuits import des
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.derivation import PLANES_CARDS_MIN, card_key_column
from tests.hsm_sim.proof import table_des

# The weak and the semi-weak keys of DES, with their parity bits.
WEAK_KEYS = [
    0x0101010101010101, 0xFEFEFEFEFEFEFEFE, 0xE0E0E0E0F1F1F1F1, 0x1F1F1F1F0E0E0E0E,
    0x011F011F010E010E, 0x1F011F010E010E01, 0x01E001E001F101F1, 0xE001E001F101F101,
    0x01FE01FE01FE01FE, 0xFE01FE01FE01FE01, 0x1FE01FE00EF10EF1, 0xE01FE01FF10EF10E,
    0x1FFE1FFE0EFE0EFE, 0xFE1FFE1FFE0EFE0E, 0xE0FEE0FEF1FEF1FE, 0xFEE0FEE0FEF1FEF1,
]  # fmt: skip
EDGE_WORDS = [0, 2**64 - 1, 2**63, 1, 0x0101_0101_0101_0101, 0xFEFE_FEFE_FEFE_FEFE]
words = st.one_of(st.integers(0, 2**64 - 1), st.sampled_from(EDGE_WORDS))


def one_at_a_time(key: int, message: list[int]) -> int:
    """The library's own answer; single DES is triple DES with three equal keys."""
    algorithm = TripleDES(key.to_bytes(8, "big") * 3)
    encryptor = Cipher(algorithm, modes.CBC(bytes(8))).encryptor()
    data = b"".join(block.to_bytes(8, "big") for block in message)
    return int.from_bytes(encryptor.update(data)[-8:], "big")


def either_way(function: Callable[..., Words], *arguments: Words | bytes) -> Words:
    """The answer with planes as integers, which must be the one with planes as arrays."""
    answers = []
    for most in (10**9, 0):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(des, "INTEGER_ROWS_MAX", most)
            answers.append(function(*arguments))
    by_integers, by_arrays = answers
    assert np.array_equal(by_integers, by_arrays)
    return by_integers


def in_columns(keys: list[int], messages: list[list[int]]) -> list[int]:
    columns = np.array(keys, np.uint64), np.array(messages, np.uint64)
    answer = either_way(des.cbc_last_blocks, *columns)
    assert np.array_equal(answer, table_des.cbc_last_blocks(*columns))
    return [int(block) for block in answer]


def test_edge_keys_meet_edge_blocks() -> None:
    keys = EDGE_WORDS + WEAK_KEYS
    rows = [(key, [first, second]) for key in keys for first in EDGE_WORDS for second in EDGE_WORDS]
    answers = in_columns([key for key, _ in rows], [message for _, message in rows])
    assert answers == [one_at_a_time(key, message) for key, message in rows]


@pytest.mark.parametrize("key", WEAK_KEYS[:4], ids=hex)
def test_a_weak_key_undoes_itself(key: int) -> None:
    once = in_columns([key], [[0x0123456789ABCDEF]])
    assert in_columns([key], [once]) == [0x0123456789ABCDEF]


@given(words, words)
def test_parity_bits_of_the_key_change_nothing(key: int, block: int) -> None:
    flipped = [key ^ 1 << 8 * byte for byte in range(8)]
    assert set(in_columns(flipped, [[block]] * 8)) == {one_at_a_time(key, [block])}


@given(words, words)
def test_the_opposite_key_and_block_give_the_opposite_answer(key: int, block: int) -> None:
    """The complementation property of DES."""
    mask = 2**64 - 1
    plain, opposite = in_columns([key, key ^ mask], [[block], [block ^ mask]])
    assert plain ^ opposite == mask


@given(st.data(), st.integers(1, 4))
def test_random_columns_equal_the_library(data: st.DataObject, blocks: int) -> None:
    row = st.tuples(words, st.lists(words, min_size=blocks, max_size=blocks))
    rows = data.draw(st.lists(row, min_size=1, max_size=70))
    answers = in_columns([key for key, _ in rows], [message for _, message in rows])
    assert answers == [one_at_a_time(key, message) for key, message in rows]


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 128, 4_097])
def test_every_row_of_a_column_of_any_length_keeps_its_place(rows: int) -> None:
    random = np.random.default_rng(rows)
    keys = random.integers(0, 2**64, rows, np.uint64)
    messages = random.integers(0, 2**64, (rows, 3), np.uint64)
    assert in_columns(keys.tolist(), messages.tolist()) == [
        one_at_a_time(int(key), message.tolist())
        for key, message in zip(keys, messages, strict=True)
    ]


def test_a_column_longer_than_one_chunk_continues_in_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = np.random.default_rng(7)
    keys = random.integers(0, 2**64, 300, np.uint64)
    messages = random.integers(0, 2**64, (300, 2), np.uint64)
    whole = either_way(des.cbc_last_blocks, keys, messages)
    monkeypatch.setattr(des, "LANES_MAX", 128)
    assert np.array_equal(either_way(des.cbc_last_blocks, keys, messages), whole)


def test_an_empty_column_has_an_empty_answer() -> None:
    assert len(des.cbc_last_blocks(np.empty(0, np.uint64), np.empty((0, 3), np.uint64))) == 0


def test_the_columns_given_are_not_changed() -> None:
    keys, messages = np.array([5, 6], np.uint64), np.array([[1], [2]], np.uint64)
    either_way(des.cbc_last_blocks, keys, messages)
    assert (keys.tolist(), messages.tolist()) == ([5, 6], [[1], [2]])


def ecb(key: bytes, blocks: list[int]) -> list[int]:
    """Triple DES by the library."""
    data = pboc_3des.encrypt_ecb(key, b"".join(block.to_bytes(8, "big") for block in blocks))
    return [int.from_bytes(data[at : at + 8], "big") for at in range(0, len(data), 8)]


EDGE_MASTERS = [
    bytes(16),
    b"\xff" * 16,
    bytes(8) + b"\xff" * 8,
    *(left.to_bytes(8, "big") + right.to_bytes(8, "big") for left, right in pairwise(WEAK_KEYS)),
]


@pytest.mark.parametrize("master", EDGE_MASTERS, ids=bytes.hex)
def test_triple_des_under_one_edge_key(master: bytes) -> None:
    blocks = np.array(EDGE_WORDS + WEAK_KEYS, np.uint64)
    assert either_way(des.encrypt_blocks, master, blocks).tolist() == ecb(master, blocks.tolist())


@given(st.binary(min_size=16, max_size=16), st.lists(words, min_size=1, max_size=70))
def test_triple_des_under_one_random_key(master: bytes, blocks: list[int]) -> None:
    answer = either_way(des.encrypt_blocks, master, np.array(blocks, np.uint64))
    assert answer.tolist() == ecb(master, blocks)


def test_triple_des_of_more_blocks_than_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = np.random.default_rng(8).integers(0, 2**64, 300, np.uint64)
    monkeypatch.setattr(des, "LANES_MAX", 128)
    assert either_way(des.encrypt_blocks, bytes(range(16)), blocks).tolist() == ecb(
        bytes(range(16)), blocks.tolist()
    )


@pytest.mark.parametrize("cards", [1, 70, PLANES_CARDS_MIN])
def test_card_keys_are_the_same_by_either_way_of_deriving_them(cards: int) -> None:
    master = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
    factors = np.random.default_rng(cards).integers(0, 2**64, cards, np.uint64)
    halves = card_key_column(Algorithm.PBOC_3DES, master, factors)
    assert halves.shape == (cards, 2)
    for row in {0, cards // 2, cards - 1}:
        factor = int(factors[row]).to_bytes(8, "big")
        made = pboc_3des.SUITE.diversify(master, factor)
        assert halves[row].astype(">u8").tobytes() == made
