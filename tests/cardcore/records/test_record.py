"""The transaction record: the same bytes back, every damage seen or harmless, TAC messages."""

from dataclasses import fields, replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore import digits
from cardcore.concession import Concession
from cardcore.crypto import cryptograms
from cardcore.errors import DecodeError, RecordFormatError
from cardcore.layouts.fixed import FixedLayout
from cardcore.records.kinds import (
    Evidence,
    ExternalScheme,
    Funding,
    Mac2Check,
    MacProfile,
    RecordFlag,
    RecordKind,
    TransactionType,
)
from cardcore.records.payloads import PAYLOADS, decode_payload, payload_sizes
from cardcore.records.record import (
    DIGEST_END,
    FIELD,
    FIELDS,
    PAYLOAD_AT,
    RECORD_BYTES,
    V1_RECORD_BYTES,
    V1_VERSION,
    TransactionRecord,
    decode_record,
    encode_record,
)
from cardcore.records.tac import authentication_challenge, record_digest, tac_message
from tests.cardcore.transit_cards import a_record
from tests.support.old_records import as_version_1

SECONDS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))
U2, U4 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
BYTE = st.integers(0, 255)
TERMINAL = st.binary(min_size=6, max_size=6).map(bytes.hex)
SPECIAL = {
    "flags": st.integers(0, 15).map(RecordFlag),
    "issuer": st.binary(min_size=8, max_size=8),
    "card_number": st.text("0123456789", min_size=19, max_size=19).map("0".__add__),
    "concession": st.sampled_from(Concession),
    "transaction_type": st.sampled_from(TransactionType),
    "terminal": TERMINAL,
    "entry_terminal": TERMINAL,
    "previous_terminal": TERMINAL,
    "time": SECONDS,
    "entry_time": st.none() | SECONDS,
    "previous_time": st.none() | SECONDS,
    "psam": st.text("0123456789", min_size=20, max_size=20),
    "business_day": st.dates(),
    "mac2_check": st.sampled_from(Mac2Check),
    "mac_profile": st.sampled_from(MacProfile),
    "mac": st.binary(min_size=16, max_size=16),
}
RANGES: dict[int, st.SearchStrategy[int]] = {1: BYTE, 2: U2, 4: U4}
TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
#: A value of every coding that stands in a payload.
PAYLOAD_VALUES: dict[str, st.SearchStrategy[object]] = {
    "Funding": st.sampled_from(Funding),
    "ExternalScheme": st.sampled_from(ExternalScheme),
    "date": st.dates(),
    "time": SECONDS,
    "": TEXT,
}


def payload_value(coding: str, length: int) -> st.SearchStrategy[object]:
    if coding == "hex":
        return st.binary(min_size=length, max_size=length).map(bytes.hex)
    if coding == "uint":
        return st.integers(0, 256**length - 1)
    return PAYLOAD_VALUES[coding]


def payloads(kind: RecordKind) -> st.SearchStrategy[bytes]:
    """Payloads by the table of a kind."""
    layout = PAYLOADS.get(kind)
    if layout is None:
        return st.just(b"")
    values = {field.name: payload_value(field.coding.name, field.length) for field in layout.FIELDS}
    filled = st.builds(layout, **values).map(FixedLayout.encode)
    return st.just(b"") | filled if kind.moves_purse else filled


@st.composite
def records(draw: st.DrawFn, kinds: st.SearchStrategy[RecordKind]) -> TransactionRecord:
    kind = draw(kinds)
    size = kind.evidence.cryptogram_bytes
    values = {
        field.name: draw(SPECIAL[field.name] if field.name in SPECIAL else RANGES[field.length])
        for field in FIELDS
        if field.name not in {"kind", "tac"}
    }
    tac = draw(st.binary(min_size=size, max_size=size))
    return TransactionRecord(kind=kind, tac=tac, payload=draw(payloads(kind)), **values)


RECORDS = records(st.sampled_from(RecordKind))
PURSE_RECORDS = records(st.sampled_from([each for each in RecordKind if each.moves_purse]))


@given(RECORDS)
def test_every_record_comes_back(record: TransactionRecord) -> None:
    data = encode_record(record)
    assert len(data) == RECORD_BYTES
    assert decode_record(data) == record


def test_every_flipped_bit_is_seen_or_is_another_value() -> None:
    """No flip is silently lost: it is refused by name, or the record read differs."""
    data = encode_record(a_record())
    refused = 0
    for at in range(RECORD_BYTES):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[at] ^= 1 << bit
            try:
                read = decode_record(bytes(damaged))
            except RecordFormatError as error:
                refused += 1
                assert error.offset <= RECORD_BYTES  # noqa: PT017 - both ways are right
            else:
                assert read != a_record()
                assert encode_record(read) == bytes(damaged)
    assert refused > 300


@given(st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES))
def test_any_bytes_are_a_record_or_refused_by_field(data: bytes) -> None:
    for candidate in (data, b"\x01" + data[1:], b"\x02" + data[1:]):
        try:
            record = decode_record(candidate)
        except RecordFormatError as error:
            assert error.field  # noqa: PT017 - both ways are right
        else:
            assert encode_record(record) == candidate


@pytest.mark.parametrize("length", [0, 191, 193, 255, 257])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(RecordFormatError, match="not 256"):
        decode_record(bytes(length))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("amount_fen", -1),
        ("amount_fen", 2**32),
        ("issuer", bytes(7)),
        ("terminal", "2310"),
        ("psam", "x"),
        ("tac", bytes(5)),
        ("tac", bytes(8)),
        ("payload", bytes(31)),
        ("mac", bytes(8)),
        ("version", 3),
        ("application", 256),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"record field {name}"):
        encode_record(a_record(**{name: value}))


@pytest.mark.parametrize(
    ("at", "byte", "field"),
    [
        (0, 3, "version"),
        (1, 13, "kind"),
        (3, 0x10, "flags"),
        (12, 0x20, "card_number"),
        (PAYLOAD_AT, 31, "payload"),
        (227, 1, "reserved"),
        (235, 1, "cryptogram"),
        (236, 3, "mac2_check"),
        (237, 3, "mac_profile"),
    ],
)
def test_damage_names_the_field(at: int, byte: int, field: str) -> None:
    data = bytearray(encode_record(a_record()))
    data[at] = byte
    with pytest.raises(RecordFormatError) as caught:
        decode_record(bytes(data))
    assert caught.value.field == field


@pytest.mark.parametrize("kind", RecordKind)
def test_a_payload_that_does_not_fit_the_table_of_its_kind_is_refused(kind: RecordKind) -> None:
    for size in set(range(85)) - payload_sizes(kind):
        with pytest.raises(DecodeError, match=kind.name):
            decode_payload(kind, bytes(size))


@given(st.data(), st.sampled_from(sorted(PAYLOADS)))
def test_a_payload_comes_back_in_whole_units(data: st.DataObject, kind: RecordKind) -> None:
    payload = data.draw(payloads(kind))
    read = decode_payload(kind, payload)
    assert (b"" if read is None else read.encode()) == payload


def test_damage_inside_a_payload_names_field_and_byte() -> None:
    good = a_record(kind=RecordKind.LOAN, tac=bytes(8), payload=LOAN)
    assert decode_record(encode_record(good)) == good
    data = bytearray(encode_record(good))
    data[PAYLOAD_AT + 1 + 20 + 2] = 0x13
    with pytest.raises(RecordFormatError, match="due") as caught:
        decode_record(bytes(data))
    assert caught.value.offset == PAYLOAD_AT + 1 + 20
    with pytest.raises(ValueError, match="payload"):
        encode_record(a_record(kind=RecordKind.LOAN, tac=bytes(8), payload=LOAN[:-1]))


LOAN = b"0123456789ABCDEFGHIJ" + bytes.fromhex("20260930")


def v1_bytes(record: TransactionRecord) -> bytes:
    """The 192 bytes that a terminal of version 1 wrote."""
    return as_version_1(encode_record(replace(record, version=V1_VERSION)))


@given(PURSE_RECORDS, st.binary(max_size=40))
def test_a_record_of_version_1_is_read_as_it_always_was(
    record: TransactionRecord, payload: bytes
) -> None:
    old = replace(
        record,
        payload=payload,
        application=0,
        mac2_check=Mac2Check.NOT_ASKED,
        mac_profile=MacProfile.NONE,
        mac_algorithm=0,
        mac_key_version=0,
        mac=bytes(16),
    )
    data = v1_bytes(old)
    assert len(data) == V1_RECORD_BYTES
    read = decode_record(data)
    assert read == replace(old, version=V1_VERSION)
    assert decode_record(encode_record(read)) == read


def test_a_record_of_version_1_has_neither_application_nor_record_mac() -> None:
    for name, value in (("application", 1), ("mac_profile", 1), ("mac", bytes(15) + b"x")):
        data = bytearray(encode_record(a_record(payload=b"", **{name: value})))
        data[0] = V1_VERSION
        with pytest.raises(RecordFormatError, match="version 1"):
            decode_record(bytes(data))


@given(RECORDS)
def test_the_digest_is_over_every_byte_but_the_mac(record: TransactionRecord) -> None:
    data = bytearray(encode_record(record))
    digest = record_digest(bytes(data))
    for at in range(len(data)):
        data[at] ^= 1
        assert (record_digest(bytes(data)) == digest) is (at >= DIGEST_END), at
        data[at] ^= 1


@given(RECORDS)
def test_the_challenge_is_over_every_byte_before_the_cryptogram(record: TransactionRecord) -> None:
    data = bytearray(encode_record(record))
    challenge = authentication_challenge(bytes(data))
    assert challenge != record_digest(bytes(data))[:8]
    for at in range(len(data)):
        data[at] ^= 1
        assert (authentication_challenge(bytes(data)) == challenge) is (
            at >= FIELD["tac"].offset
        ), at
        data[at] ^= 1


def test_every_kind_says_what_speaks_for_it() -> None:
    sizes = {kind: kind.evidence.cryptogram_bytes for kind in RecordKind}
    assert {kind for kind, size in sizes.items() if size == 4} == {
        RecordKind.LOAD, RecordKind.PURCHASE, RecordKind.ENTRY, RecordKind.EXIT,
    }  # fmt: skip
    assert all(kind.moves_purse is (kind.evidence is Evidence.TAC) for kind in RecordKind)


@given(PURSE_RECORDS)
def test_the_tac_message_is_the_one_the_card_signs(record: TransactionRecord) -> None:
    terminal, time = bytes.fromhex(record.terminal), digits.encode_time(record.time)
    if record.is_load:
        expected = cryptograms.load_tac_message(
            record.balance_after_fen,
            record.online_counter,
            record.amount_fen,
            record.transaction_type,
            terminal,
            time,
        )
    else:
        expected = cryptograms.purchase_tac_message(
            record.amount_fen, record.transaction_type, terminal, record.psam_sequence, time
        )
    assert tac_message(encode_record(record)) == expected


def test_the_two_keys_of_a_record() -> None:
    record = a_record()
    assert (record.id, record.counter) == ("231017343000-00000012", 3)
    load = replace(record, kind=RecordKind.LOAD, online_counter=5)
    assert (load.is_load, load.counter) == (True, 5)


def test_the_table_covers_every_field_without_a_gap() -> None:
    ends = [field.offset + field.length for field in FIELDS]
    jumps = [
        (before, field.offset, field.name)
        for before, field in zip(ends, FIELDS[1:], strict=False)
        if before != field.offset
    ]
    assert jumps == [(PAYLOAD_AT, 228, "tac")]
    assert (FIELDS[0].offset, ends[-1]) == (1, RECORD_BYTES)
    assert {field.name for field in FIELDS} == {f.name for f in fields(TransactionRecord)} - {
        "payload",
        "version",
    }


def test_a_record_keeps_its_dates_apart() -> None:
    record = a_record(
        time=datetime.fromisoformat("2018-09-01T00:30:00"), business_day=date(2018, 8, 31)
    )
    read = decode_record(encode_record(record))
    assert (read.time.date(), read.business_day) == (date(2018, 9, 1), date(2018, 8, 31))
