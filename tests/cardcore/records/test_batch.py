"""The batch file: every altered bit, every cut, every stranger's signature has a name."""

import struct
from dataclasses import replace
from datetime import date, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.batch import (
    HEADER,
    RECORDS_MAX,
    REGISTER,
    TRAILER_BYTES,
    Batch,
    BatchFaultError,
    BatchHeader,
    DeviceRegister,
    decode_batch,
    decode_header,
    encode_batch,
    total_records,
)
from cardcore.records.kinds import RecordKind
from cardcore.records.record import RECORD_BYTES, encode_record
from tests.cardcore.transit_cards import a_record

SENDER = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
STRANGER = Ed25519PrivateKey.from_private_bytes(bytes(32))
PUBLIC = SENDER.public_key().public_bytes_raw()
RECORDS = [
    encode_record(a_record()),
    encode_record(a_record(kind=RecordKind.LOAD, amount_fen=5_000)),
]
REGISTERS = [DeviceRegister("231017343000", 12, 13, 13, 380, 5_000, 1, 200)]
KINDS = {
    "not_a_batch", "version_unknown", "too_large", "truncated", "too_long", "altered",
    "signature_wrong", "totals_wrong",
}  # fmt: skip


def header(records: int = 2, registers: int = 1) -> BatchHeader:
    created = datetime.fromisoformat("2018-09-01T23:59:59")
    return BatchHeader(7, 1, date(2018, 9, 1), 1, created, records, registers)


def a_file(signer: Ed25519PrivateKey = SENDER) -> bytes:
    return encode_batch(header(), RECORDS, REGISTERS, signer.sign)


def fault(data: bytes) -> str:
    with pytest.raises(BatchFaultError) as caught:
        decode_batch(data, PUBLIC)
    return caught.value.kind


def test_a_file_comes_back_whole() -> None:
    batch = decode_batch(a_file(), PUBLIC)
    assert isinstance(batch, Batch)
    assert batch.header == header()
    assert batch.records == b"".join(RECORDS)
    assert batch.registers == tuple(REGISTERS)
    totals = batch.totals
    assert (totals.record_count, totals.debit_fen, totals.load_fen) == (2, 380, 5_000)
    assert len(batch.content_hash) == 64


def test_an_empty_file_is_a_file() -> None:
    data = encode_batch(header(0, 0), [], [], SENDER.sign)
    batch = decode_batch(data, PUBLIC)
    assert (batch.records, batch.registers, len(data)) == (b"", (), HEADER.size + TRAILER_BYTES)


def test_every_flipped_bit_has_a_name() -> None:
    data = a_file()
    kinds = set()
    for at in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            kinds.add(fault(bytes(damaged)))
    assert kinds <= KINDS
    assert {"not_a_batch", "version_unknown", "altered", "signature_wrong"} <= kinds


def test_every_cut_has_a_name() -> None:
    data = a_file()
    assert fault(data[:3]) == "not_a_batch"
    assert {fault(data[:length]) for length in range(4, len(data))} == {"truncated"}
    assert fault(data + b"\x00") == "too_long"


def test_a_stranger_cannot_sign() -> None:
    assert fault(a_file(STRANGER)) == "signature_wrong"


def test_a_lost_record_shows_even_when_the_sender_signs_the_rest() -> None:
    """A trailer that does not fit its records, correctly hashed and signed."""
    whole, part = a_file(), encode_batch(header(1), RECORDS[:1], REGISTERS, SENDER.sign)
    front = HEADER.size + RECORD_BYTES + REGISTER.size
    wrong_totals = whole[-TRAILER_BYTES:][4:32]
    forged = part[:front] + b"OCBT" + wrong_totals + part[front + 32 : front + 64]
    assert fault(forged + SENDER.sign(forged)) == "totals_wrong"


def test_a_swapped_card_changes_the_hash_total() -> None:
    one = total_records(encode_record(a_record()))
    other = total_records(encode_record(a_record(card_number="03105840000000000018")))
    assert replace(one, hash_total=0) == replace(other, hash_total=0)
    assert one.hash_total != other.hash_total


def test_a_header_that_announces_too_much_is_refused_unread() -> None:
    data = bytearray(a_file())
    struct.pack_into(">I", data, 20, RECORDS_MAX + 1)
    assert fault(bytes(data)) == "too_large"


@pytest.mark.parametrize("day", [bytes.fromhex("20180231"), bytes(4), b"\xff" * 4])
def test_a_header_without_a_day_is_no_batch(day: bytes) -> None:
    data = a_file()
    assert fault(data[:16] + day + data[20:]) == "not_a_batch"


@given(st.binary(max_size=400))
def test_any_bytes_get_a_name(data: bytes) -> None:
    for candidate in (data, b"OCB1" + data, a_file()[: HEADER.size] + data):
        assert fault(candidate) in KINDS


@given(st.binary(max_size=80))
def test_any_header_gets_a_name(data: bytes) -> None:
    try:
        decode_header(b"OCB1\x01\x01\x00\xc0" + data)
    except BatchFaultError as error:
        assert error.kind in KINDS  # noqa: PT017 - both ways are right
