"""The suites sm4 and aes against published vectors, the OpenSSL command line and a reference of our
own; and what holds for every suite there is.
"""

import shutil
import subprocess
import warnings
from collections.abc import Callable

import psec
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES, SM4
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.crypto import SUITES, Suite, block_suites, pboc_3des, suite_algorithm
from cardcore.keys import Algorithm
from tests.cardcore.crypto import reference_suites as reference
from tests.support.patience import SOON_S

CIPHERS: dict[Algorithm, reference.BlockCipher] = {Algorithm.SM4: SM4, Algorithm.AES: AES}
OPENSSL_CIPHERS = {Algorithm.SM4: "SM4-CBC", Algorithm.AES: "AES-128-CBC"}
KEY = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
RFC_4493_KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
RFC_4493_MESSAGE = bytes.fromhex(
    "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E51"
    "30C81C46A35CE411E5FBC1191A0A52EFF69F2445DF4F9B17AD2B417BE66C3710"
)
# GB/T 32907-2016, appendix A: key and plain text are the same block.
SM4_STANDARD_KEY = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
SM4_STANDARD_CIPHER = bytes.fromhex("681EDF34D206965E86B3E94F536E4246")

FACTOR, DATA = bytes.fromhex("0487123456789012"), b"the same bytes"
FORMULAS: list[Callable[[Suite], bytes]] = [
    lambda suite: suite.diversify(KEY, FACTOR),
    lambda suite: suite.check_value(KEY),
    lambda suite: suite.authenticate(KEY, FACTOR),
    lambda suite: suite.tac(KEY, DATA),
    lambda suite: suite.message_mac(KEY, FACTOR, DATA),
    lambda suite: suite.record_mac(KEY, bytes(16)),
]

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command")
every_suite = pytest.mark.parametrize("algorithm", SUITES, ids=lambda each: each.name)
keys = st.binary(min_size=16, max_size=16)
factors = st.binary(min_size=8, max_size=8)


def openssl(*arguments: str, data: bytes) -> bytes:
    """What the command line prints or writes for these bytes."""
    ended = subprocess.run(
        ["openssl", *arguments], input=data, capture_output=True, check=True, timeout=SOON_S
    )
    return ended.stdout


@pytest.mark.parametrize(
    ("length", "mac"),
    [
        (0, "BB1D6929E95937287FA37D129B756746"),
        (16, "070A16B46B4D4144F79BDD9DD04A287C"),
        (40, "DFA66747DE9AE63030CA32611497C827"),
        (64, "51F0BEBF7E3B9D92FC49741779363CFE"),
    ],
)
def test_aes_cmac_is_that_of_rfc_4493(length: int, mac: str) -> None:
    message = RFC_4493_MESSAGE[:length]
    assert block_suites.AES_SUITE.cmac(RFC_4493_KEY, message) == bytes.fromhex(mac)
    assert reference.cmac(AES, RFC_4493_KEY, message) == bytes.fromhex(mac)


def test_sm4_is_that_of_the_standard() -> None:
    suite = SUITES[Algorithm.SM4]
    assert suite.encipher(SM4_STANDARD_KEY, SM4_STANDARD_KEY) == SM4_STANDARD_CIPHER
    assert suite.decipher(SM4_STANDARD_KEY, SM4_STANDARD_CIPHER) == SM4_STANDARD_KEY


def test_sm3_is_that_of_the_standard() -> None:
    """GB/T 32905-2016, appendix A: "abc", and 64 bytes of "abcd"."""
    digest = SUITES[Algorithm.SM4].digest
    assert digest(b"abc").hex().upper() == (
        "66C7F0F462EEEDD9D1F2D46BDC10E4E24167C4875CF2F7A2297DA02B8F4BA8E0"
    )
    assert digest(b"abcd" * 16).hex().upper() == (
        "DEBE9FF92275B8A138604889C18E5A4D6FDB70E5387E5765293DCBA39C0C5732"
    )


@given(key=keys, digest=keys)
@settings(max_examples=50)
def test_another_program_makes_the_same_record_macs(key: bytes, digest: bytes) -> None:
    """psec for ISO 9797-1 algorithm 3 with padding method 2, our own reference for CMAC."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses 16-byte keys in a way the library warns of
        theirs = psec.mac.generate_retail_mac(key[:8], key[8:], digest, 2)
    assert SUITES[Algorithm.PBOC_3DES].record_mac(key, digest) == theirs
    for algorithm, cipher in CIPHERS.items():
        assert SUITES[algorithm].record_mac(key, digest) == reference.cmac(cipher, key, digest)


@needs_openssl
@pytest.mark.parametrize("algorithm", CIPHERS, ids=lambda each: each.name)
@settings(max_examples=10)
@given(key=keys, message=st.binary(max_size=70))
def test_openssl_computes_the_same_cmac(algorithm: Algorithm, key: bytes, message: bytes) -> None:
    name, option = OPENSSL_CIPHERS[algorithm], f"hexkey:{key.hex()}"
    printed = openssl("mac", "-cipher", name, "-macopt", option, "CMAC", data=message)
    mac = bytes.fromhex(printed.decode())
    suite = SUITES[algorithm]
    assert suite.tac(key, message) == mac[:4]
    assert suite.session_mac(key, message) == mac[:4]
    assert suite.session_key(key, message) == mac
    assert reference.cmac(CIPHERS[algorithm], key, message) == mac


@needs_openssl
@settings(max_examples=10)
@given(st.binary(max_size=200))
def test_openssl_computes_the_same_digests(data: bytes) -> None:
    names = {Algorithm.SM4: "-sm3", Algorithm.AES: "-sha256", Algorithm.PBOC_3DES: "-sha256"}
    for algorithm, name in names.items():
        assert SUITES[algorithm].digest(data) == openssl("dgst", name, "-binary", data=data)


@needs_openssl
@pytest.mark.parametrize("algorithm", CIPHERS, ids=lambda each: each.name)
def test_openssl_enciphers_and_derives_the_same(algorithm: Algorithm) -> None:
    name = OPENSSL_CIPHERS[algorithm].replace("CBC", "ECB").lower()
    block = FACTOR + bytes.fromhex("FB78EDCBA9876FED")
    derived = openssl("enc", f"-{name}", "-nopad", "-K", KEY.hex(), data=block)
    zeros = openssl("enc", f"-{name}", "-nopad", "-K", KEY.hex(), data=bytes(16))
    suite = SUITES[algorithm]
    assert suite.diversify(KEY, FACTOR) == derived
    assert suite.check_value(KEY) == zeros[:3]


@pytest.mark.parametrize("algorithm", CIPHERS, ids=lambda each: each.name)
@given(
    key=keys,
    factor=factors,
    challenge=st.binary(min_size=4, max_size=4) | factors,
    data=st.binary(max_size=60),
)
def test_every_formula_is_the_one_that_the_reference_was_written_from(
    algorithm: Algorithm, key: bytes, factor: bytes, challenge: bytes, data: bytes
) -> None:
    suite, cipher = SUITES[algorithm], CIPHERS[algorithm]
    assert suite.diversify(key, factor) == reference.card_key(cipher, key, factor)
    assert suite.authenticate(key, factor) == reference.answer(cipher, key, factor)
    assert suite.tac(key, data) == reference.mac(cipher, key, data)
    header = "04D68400"
    command = bytes.fromhex(header) + bytes((len(data) + 4,)) + data
    assert reference.secured(cipher, header, data, key, challenge) == (
        command + suite.message_mac(key, challenge, command)
    )


@every_suite
@given(key=keys, count=st.integers(0, 6), fill=st.binary(min_size=96, max_size=96))
def test_deciphering_undoes_enciphering(
    algorithm: Algorithm, key: bytes, count: int, fill: bytes
) -> None:
    suite = SUITES[algorithm]
    blocks = fill[: count * suite.block_bytes]
    assert suite.decipher(key, suite.encipher(key, blocks)) == blocks


@every_suite
@given(key=keys, factor=factors, data=st.binary(max_size=60))
def test_every_result_has_the_length_of_its_field(
    algorithm: Algorithm, key: bytes, factor: bytes, data: bytes
) -> None:
    suite = SUITES[algorithm]
    session_key = suite.session_key(key, factor)
    lengths = {
        "check value": (3, suite.check_value(key)),
        "answer": (8, suite.authenticate(key, factor)),
        "card key": (16, suite.diversify(key, factor)),
        "session MAC": (4, suite.session_mac(session_key, data)),
        "TAC": (4, suite.tac(key, data)),
        "message MAC": (4, suite.message_mac(key, factor, data)),
        "message MAC, short challenge": (4, suite.message_mac(key, factor[:4], data)),
        "digest": (32, suite.digest(data)),
    }
    assert {name: len(value) for name, (_, value) in lengths.items()} == {
        name: length for name, (length, _) in lengths.items()
    }


def _flipped(key: bytes, bit: int) -> bytes:
    return (int.from_bytes(key, "big") ^ 1 << bit).to_bytes(len(key), "big")


@every_suite
@given(key=keys, bit=st.integers(0, 127), factor=factors)
def test_another_key_or_factor_gives_another_card_key(
    algorithm: Algorithm, key: bytes, bit: int, factor: bytes
) -> None:
    suite = SUITES[algorithm]
    derived = suite.diversify(key, factor)
    assert derived != suite.diversify(key, _flipped(factor, bit % 64))
    # The lowest bit of every byte of a DES key is a parity bit that no cipher looks at.
    other = _flipped(key, bit)
    if algorithm is not Algorithm.PBOC_3DES or bit % 8:
        assert derived != suite.diversify(other, factor)


def test_the_suites_never_agree_on_one_key() -> None:
    for formula in FORMULAS:
        assert len({formula(suite) for suite in SUITES.values()}) == len(SUITES)


@pytest.mark.parametrize("algorithm", CIPHERS, ids=lambda each: each.name)
@pytest.mark.parametrize("length", [0, 8, 15, 17, 24, 32])
def test_a_key_of_another_length_is_refused(algorithm: Algorithm, length: int) -> None:
    suite = SUITES[algorithm]
    for operation in (suite.check_value, lambda key: suite.tac(key, b"")):
        with pytest.raises(ValueError, match="key size") as refused:
            operation(b"\xa5" * length)
        assert "a5" not in str(refused.value)


@pytest.mark.parametrize("length", [0, 7, 9, 15, 17, 24])
def test_a_des_key_is_expanded_from_8_or_16_bytes_only(length: int) -> None:
    with pytest.raises(ValueError, match="8 or 16 bytes"):
        pboc_3des.expand(bytes(length))


def test_an_algorithm_id_names_one_suite_or_none() -> None:
    named = {shown: suite_algorithm(shown) for shown in range(256)}
    assert {shown: each for shown, each in named.items() if each is not None} == {
        0: Algorithm.PBOC_3DES,
        1: Algorithm.PBOC_3DES,
        4: Algorithm.SM4,
        5: Algorithm.AES,
    }
