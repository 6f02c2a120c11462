"""MACs of host commands, held against psec, `cryptography` and the published vectors."""

import warnings

import psec
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given
from hypothesis import strategies as st

from hsm_sim.host_commands.macs import MAC_METHODS, MacLengthError

DOUBLE = bytes.fromhex("0123456789ABCDEFFEDCBA9876543210")
#: RFC 4493 §4: key, messages of 0, 16, 40 and 64 bytes, and their CMACs.
RFC_KEY = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
RFC_MESSAGE = bytes.fromhex(
    "6BC1BEE22E409F96E93D7E117393172AAE2D8A571E03AC9C9EB76FAC45AF8E51"
    "30C81C46A35CE411E5FBC1191A0A52EFF69F2445DF4F9B17AD2B417BE66C3710"
)
RFC_MACS = {
    0: "bb1d6929e95937287fa37d129b756746",
    16: "070a16b46b4d4144f79bdd9dd04a287c",
    40: "dfa66747de9ae63030ca32611497c827",
    64: "51f0bebf7e3b9d92fc49741779363cfe",
}


@pytest.mark.parametrize(("size", "mac"), RFC_MACS.items())
def test_cmac_has_the_published_values(size: int, mac: str) -> None:
    assert MAC_METHODS["6"].finished(RFC_KEY, bytes(16), RFC_MESSAGE[:size], "4").hex() == mac


@given(st.sampled_from([16, 24, 32]).flatmap(lambda n: st.binary(min_size=n, max_size=n)),
       st.binary(max_size=80))  # fmt: skip
def test_cmac_is_that_of_the_library(key: bytes, data: bytes) -> None:
    mac = CMAC(AES(key))
    mac.update(data)
    assert MAC_METHODS["6"].finished(key, bytes(16), data, "0") == mac.finalize()


keys = st.binary(min_size=16, max_size=16)


@given(keys, st.binary(min_size=1, max_size=80), st.sampled_from(["1", "2"]))
def test_algorithms_1_and_3_are_those_of_psec(key: bytes, data: bytes, padding: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain = psec.mac.generate_cbc_mac(key, data, int(padding), 8, psec.mac.Algorithm.DES)
        retail = psec.mac.generate_retail_mac(key[:8], key[8:], data, int(padding), 8)
    assert MAC_METHODS["1"].finished(key, bytes(8), data, padding) == plain
    assert MAC_METHODS["3"].finished(key, bytes(8), data, padding) == retail


@pytest.mark.parametrize("name", MAC_METHODS)
def test_only_whole_blocks_are_chained_or_taken_without_padding(name: str) -> None:
    method = MAC_METHODS[name]
    for data in (b"", b"short", bytes(method.block_bytes + 1)):
        with pytest.raises(MacLengthError):
            method.chained(DOUBLE, bytes(method.block_bytes), data)
    if name != "6":
        with pytest.raises(MacLengthError):
            method.finished(DOUBLE, bytes(8), b"short", "0")
