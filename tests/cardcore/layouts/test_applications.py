"""Codecs of single applications: there and back, and where damaged bytes stop them."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import DecodeError
from cardcore.layouts.bus import BusRecord, is_bus_layout
from cardcore.layouts.city_transit import (
    RECORD_PARKING,
    ConcessionRecord,
    HireRecord,
    HireStatus,
    held_fen,
)
from cardcore.layouts.city_union import CityPublicInformation, CompositeRecord
from cardcore.layouts.fixed import FixedLayout, read_prefix
from cardcore.layouts.library import LoanRecord, ReaderInformation
from tests.cardcore.applets.citizen_chips import LIBRARY

DAYS = st.dates(min_value=date(2000, 1, 1), max_value=date(2099, 12, 31))
TIMES = st.none() | st.datetimes().map(lambda moment: moment.replace(microsecond=0))
AMOUNTS = st.integers(0, 0x7FFFFFFF)
CITY = CityPublicInformation(
    "8475", "3100", "3100000198561023", date(2019, 12, 25), date(2069, 12, 25)
)
EXAMPLES: list[FixedLayout] = [
    BusRecord(entry_vehicle="00032845", actual_amount_fen=100),
    HireRecord(RECORD_PARKING, status=HireStatus.OPEN),
    ConcessionRecord(concession_to=date(2030, 8, 31)),
    LIBRARY.reader,
    LIBRARY.loans[0],
    CITY,
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_codec_keeps_every_field_and_its_size(example: FixedLayout) -> None:
    data = example.encode()
    assert len(data) == example.SIZE
    assert type(example).decode(data) == example
    assert read_prefix(type(example), data)[1] == ()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_a_codec_refuses_other_lengths_and_says_where(example: FixedLayout) -> None:
    data = example.encode()
    for wrong in (data[: example.SIZE_MIN - 1], data + b"\x00", b""):
        with pytest.raises(DecodeError) as caught:
            type(example).decode(wrong)
        assert caught.value.offset == len(wrong)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_what_is_read_of_a_cut_record_is_what_stands_in_the_whole_one(
    example: FixedLayout,
) -> None:
    data = example.encode()
    whole, _ = read_prefix(type(example), data)
    for length in range(len(data)):
        values, errors = read_prefix(type(example), data[:length])
        assert values.items() <= whole.items()
        assert len(errors) == 1


@given(TIMES, TIMES, AMOUNTS, AMOUNTS)
def test_a_bus_record_round_trips(entry: object, leave: object, fare: int, paid: int) -> None:
    ride = replace(
        BusRecord(fare_max_fen=fare, actual_amount_fen=paid),
        entry_time=entry,  # type: ignore[arg-type]
        exit_time=leave,  # type: ignore[arg-type]
    )
    assert BusRecord.decode(ride.encode()) == ride
    assert is_bus_layout(ride.encode()) == (entry is not None or leave is not None)


def test_a_hire_is_opened_once_and_closed_once_and_holds_the_deposit_between() -> None:
    place, terminal, vehicle = "00" * 8, "112233445566", "0000000000001234"
    time = datetime.fromisoformat("2024-03-01T08:00:00")
    fresh = HireRecord(RECORD_PARKING)
    assert fresh.closed(place, terminal, time, amount_fen=0) is None
    hire = fresh.opened(place, terminal, time, vehicle=vehicle, deposit_fen=20_000)
    assert hire is not None
    assert HireRecord.decode(hire.encode()) == hire
    assert held_fen([hire, fresh]) == 20_000
    assert hire.opened(place, terminal, time, vehicle=vehicle, deposit_fen=1) is None
    done = hire.closed(place, terminal, time, amount_fen=150)
    assert done is not None
    assert (held_fen([done]), done.amount_fen, done.entry_time) == (0, 150, time)
    again = done.opened(place, terminal, time, vehicle=vehicle, deposit_fen=1)
    assert again is not None
    assert (again.amount_fen, again.exit_time) == (0, None)


@given(DAYS, AMOUNTS)
def test_a_discount_never_grows_on_the_rides_of_another_month(day: date, amount: int) -> None:
    before = ConcessionRecord(month=199912, metro_rides=40, spent_fen=9_999, year=1999)
    after = before.with_ride(day, amount, metro=True)
    assert (after.metro_rides, after.spent_fen) == (1, amount)
    again = after.with_ride(day, 0, metro=False, transfer=True)
    assert (again.metro_rides, again.bus_rides, again.transfers) == (1, 1, 1)
    assert again.free_rides == 1 + (amount == 0)


def test_free_rides_are_counted_over_the_year_and_rides_over_the_month() -> None:
    record = ConcessionRecord()
    for month in (1, 1, 2):
        record = record.with_ride(date(2024, month, 5), 0, metro=False)
    assert (record.bus_rides, record.free_rides, record.month) == (1, 3, 202402)
    record = record.with_ride(date(2025, 2, 1), 0, metro=False)
    assert (record.free_rides, record.year) == (1, 2025)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_composite_record_or_a_named_error(data: bytes) -> None:
    try:
        record = CompositeRecord.decode(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)  # noqa: PT017 - either way is right
    else:
        assert data.startswith(record.encode())


@given(DAYS, DAYS, st.integers(0, 255))
def test_a_loan_round_trips(lent: date, due: date, renewals: int) -> None:
    loan = LoanRecord("0440012345678", "HZLIB02", lent, due, renewals=renewals)
    assert LoanRecord.decode(loan.encode()) == loan


def test_a_reader_number_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="reader_number"):
        replace(LIBRARY.reader, reader_number="X" * 17).encode()
    assert ReaderInformation.SIZE == 48
