"""A sender signs what no run can hold: refused when it comes, and the city clears on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.batch import DeviceRegister
from cardcore.records.record import decode_record
from cardcore.schemes import Life
from settlement.city import City
from settlement.engine.local import LocalEngine
from settlement.intake.answers import FileAnswer
from settlement.intake.bounds import AMOUNT_FEN_MAX, LIFETIME_FEN_MAX, beyond_bounds
from settlement.service.clear import RunResult, run_clearing
from settlement.service.receive import receive_file
from settlement.store.files import load_files, load_refusals
from tests.settlement.device_files import (
    BUS_TERMINAL,
    CLERK,
    DAY,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
    prove,
)
from tests.settlement.intake.test_intake import disk

KEYS = key_service()
SOUND = DeviceRegister(BUS_TERMINAL, 1, 2, 2, 320, 0, 1, 160)
LIFE = Life(date(2010, 1, 1), date(2099, 12, 31))
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)

#: What a register says, and what is wrong with it.
REGISTERS = {
    "a lifetime sum of 2^63": replace(SOUND, lifetime_debit_fen=2**63),
    "loads of 2^64 less one": replace(SOUND, lifetime_load_fen=2**64 - 1),
    "two sums that are too much together": replace(
        SOUND,
        lifetime_records=2**32 - 1,
        lifetime_debit_fen=LIFETIME_FEN_MAX,
        lifetime_load_fen=1,
    ),
    "more money than its records can carry": replace(
        SOUND, lifetime_debit_fen=2 * AMOUNT_FEN_MAX + 1
    ),
    "serials that run backwards": replace(SOUND, first_serial=3),
    "unresolved money without taps": replace(SOUND, unresolved_records=0),
    "unresolved money of 2^63": replace(SOUND, unresolved_fen=2**63),
}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def clears(city: City) -> int:
    """How many files the next run is over."""
    found = run_clearing(city, DAY, KEYS, LocalEngine(1), NOW, CLERK)
    assert isinstance(found, RunResult)
    return found.file_count


@pytest.mark.parametrize("name", REGISTERS)
def test_one_signed_file_with_a_device_register_of_2_to_the_63(office: City, name: str) -> None:
    street = Street()
    card = street.card(1)
    loads = street.file([card.load(5000)], OTHER_SENDER)
    rides = [card.bus(), card.bus()]
    bad = street.file(rides, registers=[REGISTERS[name]], sequence=1)
    good = street.file(rides, registers=[SOUND], sequence=1)
    assert receive_file(office, loads, KEYS, NOW).answer is FileAnswer.ACCEPTED
    before = disk(office), load_files(office.database)
    refused = receive_file(office, bad, KEYS, NOW)
    assert refused.answer is FileAnswer.BEYOND_BOUNDS
    assert BUS_TERMINAL in str(refused.detail)
    assert (disk(office), load_files(office.database)) == before
    (remembered,) = load_refusals(office.database)
    assert remembered.acknowledgement.answer is FileAnswer.BEYOND_BOUNDS
    assert clears(office) == 1
    # Its place in the sequence is free: mended, it is taken in.
    assert receive_file(office, good, KEYS, NOW).answer is FileAnswer.ACCEPTED
    assert clears(office) == 2


@pytest.mark.parametrize("day", [date(1970, 1, 1), date(2004, 12, 27), date(9999, 12, 31)])
def test_a_business_day_outside_the_life_of_the_scheme_is_refused(office: City, day: date) -> None:
    street = Street()
    card = street.card(1)
    data = street.file([card.load(5000)], business_day=day)
    answer = receive_file(office, data, KEYS, NOW)
    assert answer.answer is FileAnswer.BEYOND_BOUNDS
    assert str(day) in str(answer.detail)
    assert load_files(office.database) == ()


@pytest.mark.parametrize("moment", ["0001-01-01T00:00", "1970-01-01T08:00", "9999-12-31T23:59"])
def test_the_time_of_a_record_refuses_no_file(office: City, moment: str) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    ride = prove(replace(decode_record(card.bus()), time=datetime.fromisoformat(moment)))
    assert receive_file(office, street.file([load, ride]), KEYS, NOW).answer is FileAnswer.ACCEPTED
    assert clears(office) == 1


def test_a_file_made_by_a_clock_far_ahead_is_taken_in_with_a_note(office: City) -> None:
    street = Street(datetime.fromisoformat("2031-02-03T04:05"))
    data = street.file([], business_day=DAY)
    answer = receive_file(office, data, KEYS, NOW)
    assert answer.answer is FileAnswer.ACCEPTED
    assert "2031-02-03 04:05:00" in str(answer.detail)
    assert receive_file(office, data, KEYS, NOW).detail == answer.detail
    timely = Street(datetime.fromisoformat("2018-09-03T01:30"))
    assert receive_file(office, timely.file([], OTHER_SENDER), KEYS, NOW).detail is None


@given(st.tuples(U32, U32, U32, U64, U64, U32, U64))
def test_what_is_let_in_fits_the_sums_of_a_run(numbers: tuple[int, ...]) -> None:
    register = DeviceRegister(BUS_TERMINAL, *numbers)
    if beyond_bounds(DAY, [SOUND, register], LIFE) is None:
        assert register.first_serial <= register.last_serial
        assert register.lifetime_debit_fen + register.lifetime_load_fen < 2**62
        assert register.unresolved_fen < 2**63


@given(records=st.integers(0, 2**32 - 1), rest=st.integers(0, 2**32 - 1))
def test_a_register_that_its_records_can_come_to_is_let_in(records: int, rest: int) -> None:
    most_fen = min(LIFETIME_FEN_MAX, records * AMOUNT_FEN_MAX)
    debit_fen = min(most_fen, rest * rest)
    register = DeviceRegister(BUS_TERMINAL, 1, 1, records, debit_fen, most_fen - debit_fen, 0, 0)
    assert beyond_bounds(DAY, [register], LIFE) is None
