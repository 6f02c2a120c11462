"""SM2 under files: the published example, and the `openssl` command line as judge both ways."""

import base64
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.crypto import signatures, sm2
from cardcore.errors import CryptogramError, DecodeError
from cardcore.keys import Algorithm
from cardcore.records.batch import BatchFaultError, decode_batch, encode_batch
from tests.cardcore.records.test_batch import RECORDS, REGISTERS, header
from tests.cardcore.records.test_batch import SENDER as ED25519_SENDER

# GB/T 32918.5-2017, annex A: key, identity, message and signature of the example.
PRIVATE = bytes.fromhex("3945208F7B2144B13F36E38AC6D39F95889393692860B51A42FB81EF4DF7C5B8")
PUBLIC = bytes.fromhex(
    "04"
    "09F9DF311E5421A150DD7D161E4BC5C672179FAD1833FC076BB08FF356F35020"
    "CCEA490CE26775A52DC6EA718CC1AA600AED05FBF35E084A6632F6072DA9AD13"
)
PUBLISHED = bytes.fromhex(
    "F5A03B0648D2C4630EEAC513E1BB81A15944DA3827D5B74143AC7EACEEE720B3"
    "B1B6AA29DF212FD8763182BC0D421CA1BB9038FD1F7F42D4840B69C485BBC1AA"
)
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here")
keys = st.integers(1, 2**255).map(lambda number: number.to_bytes(32, "big"))


def sm2_file(private: bytes = PRIVATE) -> bytes:
    front = replace(header(), signature_algorithm=Algorithm.SM2)
    return encode_batch(front, RECORDS, REGISTERS, lambda data: sm2.sign(private, data))


def pem(label: str, der: bytes) -> bytes:
    body = base64.encodebytes(der)
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), body, label.encode())


def private_pem(private: bytes) -> bytes:
    """RFC 5915 ECPrivateKey with the curve's identifier 1.2.156.10197.1.301."""
    curve = bytes.fromhex("A00A06082A811CCF5501822D")
    point = b"\xa1\x44\x03\x42\x00" + sm2.public_key(private)
    body = b"\x02\x01\x01\x04\x20" + private + curve + point
    return pem("EC PRIVATE KEY", b"\x30" + bytes((len(body),)) + body)


def openssl(*arguments: str, data: bytes | None = None) -> bytes:
    done = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()
    return done.stdout


def test_the_published_key_and_signature_hold() -> None:
    assert sm2.public_key(PRIVATE) == PUBLIC
    sm2.verify(PUBLIC, PUBLISHED, b"message digest")
    with pytest.raises(CryptogramError):
        sm2.verify(PUBLIC, PUBLISHED, b"message digesT")


@needs_openssl
@pytest.mark.parametrize("message", [b"", b"message digest", bytes(range(256)) * 40])
def test_openssl_and_we_prove_each_others_signatures(tmp_path: Path, message: bytes) -> None:
    key, public, text = (tmp_path / name for name in ("key.pem", "public.pem", "message"))
    key.write_bytes(private_pem(PRIVATE))
    text.write_bytes(message)
    openssl("pkey", "-in", str(key), "-pubout", "-out", str(public))
    common = ("-rawin", "-digest", "sm3", "-pkeyopt", "distid:1234567812345678")
    theirs = openssl("pkeyutl", "-sign", "-in", str(text), "-inkey", str(key), *common)
    r, s = decode_dss_signature(theirs)
    sm2.verify(PUBLIC, r.to_bytes(32, "big") + s.to_bytes(32, "big"), message)
    ours = sm2.sign(PRIVATE, message)
    parts = int.from_bytes(ours[:32], "big"), int.from_bytes(ours[32:], "big")
    (tmp_path / "ours").write_bytes(encode_dss_signature(*parts))
    said = openssl(
        *("pkeyutl", "-verify", "-in", str(text), "-sigfile", str(tmp_path / "ours")),
        *("-pubin", "-inkey", str(public), *common),
    )
    assert b"Verified Successfully" in said


@needs_openssl
@pytest.mark.parametrize("message", [b"", b"abc", bytes(1_000)])
def test_openssl_and_we_agree_on_sm3(message: bytes) -> None:
    said = openssl("dgst", "-sm3", "-r", data=message)
    assert said.split()[0].decode() == sm2.sm3(message).hex()


@settings(max_examples=25)
@given(private=keys, message=st.binary(max_size=80), bit=st.integers(0, 511))
def test_a_signature_holds_for_its_message_and_with_no_bit_changed(
    private: bytes, message: bytes, bit: int
) -> None:
    public, signature = sm2.public_key(private), sm2.sign(private, message)
    assert sm2.sign(private, message) == signature
    sm2.verify(public, signature, message)
    altered = bytearray(signature)
    altered[bit // 8] ^= 1 << bit % 8
    for forged, text in ((bytes(altered), message), (signature, message + b"\x00")):
        with pytest.raises(CryptogramError):
            sm2.verify(public, forged, text)


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        bytes(64),
        bytes(63),
        b"\xff" * 64,
        PUBLISHED[:32] + bytes(32),
        bytes(32) + PUBLISHED[:32],
    ],
)
def test_what_is_no_signature_is_refused(signature: bytes) -> None:
    with pytest.raises(CryptogramError):
        sm2.verify(PUBLIC, signature, b"message digest")


@pytest.mark.parametrize(
    "public",
    [b"", PUBLIC[1:], b"\x02" + PUBLIC[1:], PUBLIC[:-1] + b"\x00", b"\x04" + b"\xff" * 64],
)
def test_a_public_key_off_the_curve_is_refused(public: bytes) -> None:
    with pytest.raises(DecodeError):
        sm2.verify(public, PUBLISHED, b"message digest")


@pytest.mark.parametrize("number", [0, sm2._N - 1, sm2._N, 2**256 - 1])
def test_a_number_out_of_range_is_no_private_key(number: int) -> None:
    assert not sm2.is_private_key(number.to_bytes(32, "big"))
    assert sm2.is_private_key((sm2._N - 2).to_bytes(32, "big"))


def test_a_file_signed_with_sm2_is_proven_and_says_so() -> None:
    batch = decode_batch(sm2_file(), PUBLIC)
    assert batch.header.signature_algorithm is Algorithm.SM2


@pytest.mark.parametrize("place", [64, 200, -100, -64, -1])
def test_one_altered_bit_in_an_sm2_file_is_found(place: int) -> None:
    data = bytearray(sm2_file())
    data[place] ^= 1
    with pytest.raises(BatchFaultError):
        decode_batch(bytes(data), PUBLIC)


def test_a_file_cannot_choose_the_mathematics_its_sender_is_proven_with() -> None:
    """The register holds one key; a header that names the other algorithm proves nothing."""
    ed25519 = ED25519_SENDER.public_key().public_bytes_raw()
    honest = encode_batch(header(), RECORDS, REGISTERS, ED25519_SENDER.sign)
    for data, public in ((sm2_file(), ed25519), (honest, PUBLIC)):
        with pytest.raises(BatchFaultError) as caught:
            decode_batch(data, public)
        assert caught.value.kind == "signature_wrong"


def test_signatures_of_both_kinds_have_one_form() -> None:
    for kind in (Algorithm.ED25519, Algorithm.SM2):
        public = signatures.public_key(kind, PRIVATE)
        made = signatures.sign(kind, PRIVATE, b"file")
        assert (len(public), len(made)) == (signatures.PUBLIC_KEY_BYTES[kind], 64)
