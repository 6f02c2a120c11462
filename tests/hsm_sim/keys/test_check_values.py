"""Check values as other programs show them: psec, and the `openssl` command line."""

import shutil
import subprocess
import warnings

import psec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.keys import Algorithm, Key, KeyUsage
from hsm_sim.keys.vault import check_value

KEYS = (
    "404142434445464748494A4B4C4D4E4F",
    "00" * 16,
    "FF" * 16,
    "0123456789ABCDEFFEDCBA9876543210",
)
#: Two-key triple DES, AES-128 and SM4, a block at a time.
CIPHERS = {
    Algorithm.PBOC_3DES: "-des-ede",
    Algorithm.AES: "-aes-128-ecb",
    Algorithm.SM4: "-sm4-ecb",
}
BLOCK_BYTES = {Algorithm.PBOC_3DES: 8, Algorithm.AES: 16, Algorithm.SM4: 16}


def by_openssl(cipher: str, key: bytes, block: bytes) -> str:
    """The first three bytes of one block enciphered."""
    command = ["openssl", "enc", cipher, "-e", "-nopad", "-K", key.hex()]
    done = subprocess.run(command, input=block, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout[:3].hex().upper()


@given(st.binary(min_size=16, max_size=16))
@settings(max_examples=50)
def test_psec_shows_the_same_for_every_triple_des_key(key: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it uses 16-byte keys in a way the library warns of
        theirs = psec.des.generate_kcv(key, 3).hex().upper()
    assert check_value(Key(KeyUsage.TAC, key), Algorithm.PBOC_3DES) == theirs


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("text", KEYS)
@pytest.mark.parametrize("algorithm", CIPHERS)
def test_openssl_shows_the_same_for_every_suite(algorithm: Algorithm, text: str) -> None:
    key = bytes.fromhex(text)
    theirs = by_openssl(CIPHERS[algorithm], key, bytes(BLOCK_BYTES[algorithm]))
    assert check_value(Key(KeyUsage.TAC, key), algorithm) == theirs


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
@pytest.mark.parametrize("text", KEYS)
def test_openssl_shows_the_same_for_keys_of_the_channel(text: str) -> None:
    key = bytes.fromhex(text)
    theirs = by_openssl("-aes-128-ecb", key, b"\x01" * 16)
    assert check_value(Key(KeyUsage.CHANNEL_ENC, key)) == theirs
