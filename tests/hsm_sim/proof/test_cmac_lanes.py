"""AES and SM4 over columns, and CMAC by them, equal the library one row at a time."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm
from hsm_sim.proof.circuits.aes import AesLanes
from hsm_sim.proof.circuits.bitslice import Plane, Words, planes_of, words_of
from hsm_sim.proof.circuits.sm4 import Sm4Lanes
from hsm_sim.proof.cmac import BlockLanes, State, cmac_words
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.lanes import LANES, single_tacs

Lanes = type[AesLanes] | type[Sm4Lanes]
CIPHERS: list[tuple[Lanes, type[AES] | type[SM4]]] = [(AesLanes, AES), (Sm4Lanes, SM4)]
both = pytest.mark.parametrize(("lanes", "cipher"), CIPHERS, ids=["aes", "sm4"])
EDGES = [bytes(16), b"\xff" * 16, b"\x80" + bytes(15), bytes(15) + b"\x01", b"\x01" * 16]
blocks = st.one_of(st.binary(min_size=16, max_size=16), st.sampled_from(EDGES))


def words(rows: list[bytes]) -> Words:
    return np.frombuffer(b"".join(rows), ">u8").astype(np.uint64).reshape(len(rows), -1)


def enciphered(lanes: Lanes, keys: list[bytes], messages: list[bytes]) -> list[bytes]:
    """One block a row under the row's own key."""
    width = -(-len(keys) // 64)
    if lanes is AesLanes:
        planes = _planes_of_blocks(AesLanes(width), keys, messages, width)
    else:
        planes = _planes_of_blocks(Sm4Lanes(width), keys, messages, width)
    answer = words_of(np.stack(planes), len(keys))
    return [row.astype(">u8").tobytes() for row in answer]


def _planes_of_blocks(
    lanes: BlockLanes[State], keys: list[bytes], messages: list[bytes], width: int
) -> list[Plane]:
    lanes.expand(lanes.load(planes_of(words(keys), width)))
    return lanes.planes(lanes.encipher(lanes.load(planes_of(words(messages), width))))


def by_library(cipher: type[AES] | type[SM4], key: bytes, block: bytes) -> bytes:
    return Cipher(cipher(key), modes.ECB()).encryptor().update(block)


@both
def test_edge_keys_meet_edge_blocks(lanes: Lanes, cipher: type[AES] | type[SM4]) -> None:
    # One bit of the key and one bit of the block at every place, too.
    single_bits = [(1 << bit).to_bytes(16, "big") for bit in range(128)]
    rows = [(key, block) for key in EDGES for block in EDGES + single_bits]
    rows += [(key, block) for key in single_bits for block in EDGES]
    answers = enciphered(lanes, [key for key, _ in rows], [block for _, block in rows])
    assert answers == [by_library(cipher, key, block) for key, block in rows]


@both
@given(rows=st.lists(st.tuples(blocks, blocks), min_size=1, max_size=70))
def test_random_columns_equal_the_library(
    lanes: Lanes, cipher: type[AES] | type[SM4], rows: list[tuple[bytes, bytes]]
) -> None:
    answers = enciphered(lanes, [key for key, _ in rows], [block for _, block in rows])
    assert answers == [by_library(cipher, key, block) for key, block in rows]


SUITE_OF: dict[Algorithm, tuple[Lanes, type[AES] | type[SM4]]] = {
    Algorithm.AES: CIPHERS[0],
    Algorithm.SM4: CIPHERS[1],
}
suites = pytest.mark.parametrize("algorithm", SUITE_OF, ids=lambda each: each.name)


def random_rows(rows: int, message_bytes: int) -> tuple[Words, np.ndarray]:
    random = np.random.default_rng(1_000 * message_bytes + rows)
    keys = random.integers(0, 2**64, (rows, 2), np.uint64)
    return keys, random.integers(0, 256, (rows, message_bytes), np.uint8)


# Around every border of a block, and the messages of a debit (22) and of a load (24).
@suites
@pytest.mark.parametrize("message_bytes", [0, 1, 15, 16, 17, 22, 24, 31, 32, 33, 48])
def test_cmacs_of_messages_of_every_length_equal_the_library(
    algorithm: Algorithm, message_bytes: int
) -> None:
    keys, messages = random_rows(70, message_bytes)
    tacs = LANES[algorithm](keys, messages)
    assert tacs.tolist() == single_tacs(algorithm, keys, messages).tolist()
    for key, message, tac in zip(keys, messages, tacs, strict=True):
        cmac = CMAC(SUITE_OF[algorithm][1](key.astype(">u8").tobytes()))
        cmac.update(message.tobytes())
        assert int(tac).to_bytes(4, "big") == cmac.finalize()[:4]


# Both subkeys come from doubling E(K, 0): keys under which the first and the second overflow.
@suites
def test_keys_whose_subkeys_overflow_and_those_whose_do_not(algorithm: Algorithm) -> None:
    _, cipher = SUITE_OF[algorithm]
    keys = [number.to_bytes(16, "big") for number in range(64)]
    overflows = {by_library(cipher, key, bytes(16))[0] >> 6 for key in keys}
    assert overflows == {0, 1, 2, 3}
    for message_bytes in (5, 16):
        messages = np.zeros((len(keys), message_bytes), np.uint8)
        tacs = LANES[algorithm](words(keys), messages)
        assert tacs.tolist() == single_tacs(algorithm, words(keys), messages).tolist()


@suites
@pytest.mark.parametrize("rows", [1, 63, 64, 65, 127, 128, 129, 300])
def test_a_column_longer_than_one_run_continues_in_the_next(
    algorithm: Algorithm, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, messages = random_rows(rows, 22)
    monkeypatch.setattr(SUITE_OF[algorithm][0], "words_max", 2)
    tacs = LANES[algorithm](keys, messages)
    assert tacs.tolist() == single_tacs(algorithm, keys, messages).tolist()


# RFC 4493, section 4, examples 1 to 4.
@pytest.mark.parametrize(
    ("message_bytes", "first_bytes"),
    [(0, "BB1D6929E9593728"), (16, "070A16B46B4D4144"), (40, "DFA66747DE9AE630"),
     (64, "51F0BEBF7E3B9D92")],
)  # fmt: skip
def test_aes_cmac_of_rfc_4493(message_bytes: int, first_bytes: str) -> None:
    key = words([bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")])
    text = bytes.fromhex(
        "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E51"
        "30C81C46A35CE411E5FBC1191A0A52EFF69F2445DF4F9B17AD2B417BE66C3710"
    )[:message_bytes]
    is_whole = message_bytes > 0 and message_bytes % 16 == 0
    if not is_whole:
        text = (text + b"\x80").ljust(-(-(len(text) + 1) // 16) * 16, b"\x00")
    [answer] = cmac_words(AesLanes, key, words([text]), last_is_whole=is_whole)
    assert f"{answer:016X}" == first_bytes


@suites
@pytest.mark.parametrize("cards", [0, 1, 70])
def test_card_keys_of_a_column_are_those_of_the_suite(algorithm: Algorithm, cards: int) -> None:
    master = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
    factors = np.random.default_rng(cards).integers(0, 2**64, cards, np.uint64)
    made = [
        SUITES[algorithm].diversify(master, int(factor).to_bytes(8, "big")) for factor in factors
    ]
    assert card_key_column(algorithm, master, factors).astype(">u8").tobytes() == b"".join(made)


@suites
def test_the_columns_given_are_not_changed(algorithm: Algorithm) -> None:
    keys, messages = random_rows(5, 22)
    before = keys.copy(), messages.copy()
    LANES[algorithm](keys, messages)
    assert np.array_equal(keys, before[0])
    assert np.array_equal(messages, before[1])
