"""The transaction record: the same bytes back, every damage seen or harmless, TAC messages."""

from dataclasses import fields, replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore import digits
from cardcore.crypto import cryptograms
from cardcore.errors import RecordFormatError
from cardcore.records.record import (
    FIELDS,
    RECORD_BYTES,
    Concession,
    RecordFlag,
    RecordKind,
    Sector,
    TransactionRecord,
    TransactionType,
    decode_record,
    encode_record,
    tac_message,
)
from tests.cardcore.transit_cards import a_record

SECONDS = st.datetimes().map(lambda moment: moment.replace(microsecond=0))
U2, U4 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
BYTE = st.integers(0, 255)
TERMINAL = st.binary(min_size=6, max_size=6).map(bytes.hex)
SPECIAL = {
    "kind": st.sampled_from(RecordKind),
    "sector": st.sampled_from(Sector),
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
    "tac": st.binary(min_size=4, max_size=4),
    "payload": st.binary(max_size=40),
}
RANGES: dict[int, st.SearchStrategy[int]] = {1: BYTE, 2: U2, 4: U4}
RECORDS = st.builds(
    TransactionRecord,
    **{
        field.name: SPECIAL[field.name] if field.name in SPECIAL else RANGES[field.length]
        for field in FIELDS
    },
    payload=SPECIAL["payload"],
)


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
    for candidate in (data, b"\x01" + data[1:]):
        try:
            record = decode_record(candidate)
        except RecordFormatError as error:
            assert error.field  # noqa: PT017 - both ways are right
        else:
            assert encode_record(record) == candidate


@pytest.mark.parametrize("length", [0, 191, 193])
def test_another_length_is_refused(length: int) -> None:
    with pytest.raises(RecordFormatError, match="not 192"):
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
        ("payload", bytes(41)),
    ],
)
def test_a_value_that_does_not_fit_is_named(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"record field {name}"):
        encode_record(a_record(**{name: value}))


@pytest.mark.parametrize(
    ("at", "byte", "field"),
    [
        (0, 2, "version"),
        (1, 9, "kind"),
        (2, 9, "sector"),
        (3, 0x10, "flags"),
        (12, 0x20, "card_number"),
        (191, 1, "reserved"),
    ],
)
def test_damage_names_the_field(at: int, byte: int, field: str) -> None:
    data = bytearray(encode_record(a_record()))
    data[at] = byte
    with pytest.raises(RecordFormatError) as caught:
        decode_record(bytes(data))
    assert caught.value.field == field


def test_a_payload_that_says_it_is_too_long_is_refused() -> None:
    data = bytearray(encode_record(a_record(payload=b"")))
    data[FIELDS[-1].offset + FIELDS[-1].length] = 41
    with pytest.raises(RecordFormatError, match="at most 40"):
        decode_record(bytes(data))


@given(RECORDS)
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
    assert [field.offset for field in FIELDS[1:]] == [
        field.offset + field.length for field in FIELDS[:-1]
    ]
    assert FIELDS[0].offset == 1
    assert {field.name for field in FIELDS} == {f.name for f in fields(TransactionRecord)} - {
        "payload"
    }


def test_a_record_keeps_its_dates_apart() -> None:
    record = a_record(
        time=datetime.fromisoformat("2018-09-01T00:30:00"), business_day=date(2018, 8, 31)
    )
    read = decode_record(encode_record(record))
    assert (read.time.date(), read.business_day) == (date(2018, 9, 1), date(2018, 8, 31))
