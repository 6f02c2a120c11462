"""Columns of records say exactly what the record codec says, for any bytes."""

from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.errors import RecordFormatError
from cardcore.keys import ProofReason, TacColumn
from cardcore.layouts.fixed import Field
from cardcore.records import record as layout
from cardcore.records.kinds import RecordKind
from cardcore.records.record import FIELD, RECORD_BYTES, decode_record, encode_record
from cardcore.records.tac import tac_message
from settlement.facts.columns import bucket_of, record_columns, write_facts
from settlement.facts.faults import FORMAT_FAULTS
from settlement.facts.signed import cryptograms
from tests.settlement.reconciliation.run_inputs import debit, load

SOUND = encode_record(debit())


def first_fault(data: bytes) -> str:
    try:
        decode_record(data)
    except RecordFormatError as error:
        return error.field
    return ""


def fault_of(data: bytes) -> str:
    fault = FORMAT_FAULTS[int(record_columns(data).format_fault[0])]
    # What no codec can know.
    return "" if fault.startswith("unknown") else fault.removesuffix(" has no application")


@given(st.binary(min_size=RECORD_BYTES, max_size=RECORD_BYTES))
def test_any_bytes_have_the_fault_that_the_record_codec_names(data: bytes) -> None:
    assert fault_of(data) == first_fault(data)


@settings(max_examples=300)
@given(
    st.sampled_from([*layout.FIELDS, None]),
    st.binary(min_size=8, max_size=RECORD_BYTES),
    st.sampled_from([SOUND, encode_record(load())]),
)
def test_a_sound_record_with_one_field_overwritten_has_the_fault_of_the_codec(
    field: Field | None, noise: bytes, sound: bytes
) -> None:
    start = FIELD["application"].offset + 1 if field is None else field.offset
    length = len(noise) if field is None else field.length
    data = sound[:start] + noise[:length] + sound[start + len(noise[:length]) :]
    data = data[:RECORD_BYTES].ljust(RECORD_BYTES, b"\x00")
    assert fault_of(data) == first_fault(data)


@pytest.mark.parametrize(
    "digits",
    ["20180229010203", "20200229235959", "20180931000000", "00000101000000", "20181301000000",
     "20180901240000", "20180901006000", "20180901000060", "20180901000061", "00010101000000",
     "99991231235959"],
)  # fmt: skip
def test_moments_at_the_edge_of_the_calendar_are_told_apart_as_the_codec_does(digits: str) -> None:
    field = FIELD["time"]
    data = SOUND[: field.offset] + bytes.fromhex(digits) + SOUND[field.offset + 7 :]
    assert fault_of(data) == first_fault(data)


records_drawn = st.builds(
    debit,
    amount_fen=st.integers(0, 2**32 - 1),
    balance_before_fen=st.integers(0, 2**32 - 1),
    offline_counter=st.integers(0, 65_535),
    terminal=st.binary(min_size=6, max_size=6).map(bytes.hex),
    card_number=st.integers(0, 10**19 - 1).map("{:020}".format),
    time=st.datetimes(
        datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31")
    ).map(lambda moment: moment.replace(microsecond=0)),
    business_day=st.dates(),
    kind=st.sampled_from([each for each in RecordKind if each.moves_purse]),
    terminal_serial=st.integers(0, 2**32 - 1),
)


#: How a column shows a field.
VALUES: dict[str, Callable[[layout.TransactionRecord], object]] = {
    "amount_fen": lambda row: row.amount_fen,
    "balance_before_fen": lambda row: row.balance_before_fen,
    "offline_counter": lambda row: row.offline_counter,
    "terminal": lambda row: int(row.terminal, 16),
    "issuer": lambda row: int.from_bytes(row.issuer, "big"),
    "card_number": lambda row: int(row.card_number),
    "kind": lambda row: int(row.kind),
    "time": lambda row: row.time,
    "terminal_serial": lambda row: row.terminal_serial,
}


@given(st.lists(records_drawn, max_size=5))
def test_columns_hold_the_values_of_the_records(rows: list[layout.TransactionRecord]) -> None:
    table = record_columns(b"".join(encode_record(row) for row in rows))
    columns = table.columns
    assert not table.format_fault.any()
    for name, value_of in VALUES.items():
        assert columns[name].tolist() == [value_of(row) for row in rows], name
    days = columns["business_day"].astype("M8[D]").tolist()
    assert days == [row.business_day for row in rows]


def test_two_card_numbers_that_the_codec_admits_never_become_one() -> None:
    numbers = ["18446744073709551617", "00000000000000000001"]
    rows = b"".join(encode_record(debit(card_number=number)) for number in numbers)
    table = record_columns(rows)
    sound = table.columns["card_number"][table.format_fault == 0].tolist()
    assert len(set(sound)) == len(sound)


@given(st.lists(st.sampled_from([debit(1), debit(2), load(1), load(3)]), max_size=6))
def test_the_column_for_the_key_service_has_every_row_once_with_its_tac_message(
    rows: list[layout.TransactionRecord],
) -> None:
    data = [encode_record(row) for row in rows]
    seen = {}
    for part in cryptograms(b"".join(data), (), "demo"):
        column = part.column
        assert isinstance(column, TacColumn)
        for place, number in enumerate(part.rows.tolist()):
            size = column.message_bytes
            seen[number] = column.messages[place * size : place * size + size]
            assert column.factors[8 * place : 8 * place + 8] == bytes.fromhex(
                rows[number].card_number[4:]
            )
            assert column.tacs[4 * place : 4 * place + 4] == rows[number].tac
    assert seen == {number: tac_message(each) for number, each in enumerate(data)}


def test_facts_written_again_are_the_same_bytes(tmp_path: Path) -> None:
    data = b"".join(encode_record(debit(card, terminal_serial=card)) for card in range(200))
    proof = bytes([ProofReason.PROVEN] * 200)
    once = write_facts(data, proof, "aa", 4, tmp_path / "once")
    again = write_facts(data, proof, "aa", 4, tmp_path / "again")
    assert [(each.bucket, each.rows, each.sha256) for each in once] == [
        (each.bucket, each.rows, each.sha256) for each in again
    ]
    assert sum(each.rows for each in once) == 200
    assert len(once) == 4
    assert not list(tmp_path.rglob("*.partial"))


def test_a_card_is_in_one_bucket_and_the_row_number_is_that_of_the_file(tmp_path: Path) -> None:
    data = b"".join(encode_record(debit(card % 7)) for card in range(50))
    bucket_of_card: dict[int, int] = {}
    rows = []
    for fact in write_facts(data, bytes(50), "aa", 8, tmp_path):
        for row, card in duckdb.read_parquet(str(fact.path)).project("row, card_number").fetchall():
            assert bucket_of_card.setdefault(card, fact.bucket) == fact.bucket
            rows.append(row)
    assert sorted(rows) == list(range(50))


def test_a_file_without_records_has_no_facts(tmp_path: Path) -> None:
    assert write_facts(b"", b"", "aa", 4, tmp_path / "none") == ()


@given(st.lists(st.integers(0, 2 * 10**19 - 1), min_size=1), st.integers(0, 6))
def test_fewer_buckets_are_unions_of_more(cards: list[int], bits: int) -> None:
    numbers = np.array([card % 2**64 for card in cards], np.uint64)
    fine, coarse = bucket_of(numbers, 2 ** (bits + 1)), bucket_of(numbers, 2**bits)
    assert (fine // 2).tolist() == coarse.tolist()


def test_dates_beside_records_come_out_of_parquet_as_days(tmp_path: Path) -> None:
    (fact,) = write_facts(SOUND, b"\0", "aa", 1, tmp_path)
    (row,) = duckdb.read_parquet(str(fact.path)).project("business_day, time, proof").fetchall()
    assert row == (date(2018, 9, 1), datetime.fromisoformat("2018-09-01T08:00"), 0)
