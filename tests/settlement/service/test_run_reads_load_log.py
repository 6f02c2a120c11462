"""A run reads the load host's log up to an end that it names, and never otherwise again."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from settlement.city import City
from settlement.days.aside import AsideReason
from settlement.days.load_log import LogEnd
from settlement.service.clear import RunResult
from settlement.service.receive import receive_file
from tests.settlement.device_files import DAY, MORNING, NOW, Street, make_office
from tests.settlement.load_logs import ISSUER, Host, register_host
from tests.settlement.service.test_service import KEYS, clear, close, receive

EVENING = datetime(2018, 9, 1, 23)  # noqa: DTZ001 - the host's wall clock
NEXT_DAY = DAY + timedelta(days=1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        register_host(city)
        yield city


def entries_read(city: City, result: RunResult) -> list[int]:
    """The numbers of the entries that a run read, of all its buckets."""
    run = result.run
    folder = city.run_folder(run.settlement_day, run.run_id)
    paths = [str(folder / name) for name, _ in run.outputs if name.startswith("load_log/")]
    if not paths:
        return []
    found = duckdb.read_parquet(paths).project("number").fetchall()
    return sorted(number for (number,) in found)


def a_day(street: Street) -> bytes:
    """A file of a day on which somebody was loaded."""
    return street.file([street.card(99).load(1000)])


def test_a_run_names_the_end_of_the_log_and_a_longer_log_is_another_run(office: City) -> None:
    street, host = Street(), Host()
    receive(office, a_day(street))
    without = clear(office)
    assert (without.run.load_logs, entries_read(office, without)) == ((), [])
    for number in range(5):
        host.allow(card_number=f"{number:020}")
    receive(office, host.file_of(0, 3))
    shorter = clear(office)
    assert entries_read(office, shorter) == [1, 2, 3]
    receive(office, host.file_of(3, 5))
    longer = clear(office)
    assert entries_read(office, longer) == [1, 2, 3, 4, 5]
    assert longer.run.load_logs == (LogEnd(ISSUER, 5, host.digest.hex()),)
    assert len({each.run.run_id for each in (without, shorter, longer)}) == 3
    assert clear(office).run == longer.run


def test_the_next_day_reads_on_where_the_last_one_stopped(office: City) -> None:
    street, host = Street(), Host()
    host.allow()
    receive(office, a_day(street), host.file(EVENING))
    close(office)
    host.allow(card_number=f"{2:020}")
    street.now += timedelta(days=1)
    receive(office, a_day(street), host.file(EVENING + timedelta(days=1)))
    assert entries_read(office, clear(office)) == [2]
    close(office)
    for day in (DAY, NEXT_DAY):
        assert clear(office, day).is_closed  # computed again, and the same


def test_what_the_host_listed_later_belongs_to_a_later_day_however_late_a_day_closes(
    office: City,
) -> None:
    street, host = Street(), Host()
    host.allow()
    today = host.file(EVENING)
    host.allow(card_number=f"{2:020}")
    tomorrow = host.file(EVENING + timedelta(days=1))
    later = NOW + timedelta(days=5)
    for data in (tomorrow, today, a_day(street)):
        assert receive_file(office, data, KEYS, later).answer.is_kept
    assert entries_read(office, clear(office, DAY)) == [1]


@pytest.mark.parametrize("year", [1999, 2099])
def test_no_clock_of_a_host_keeps_an_entry_back_for_ever(office: City, year: int) -> None:
    street, host = Street(), Host()
    host.allow()
    street.now += timedelta(days=1)  # the office had the log on that day
    receive(office, host.file(datetime(year, 1, 1)), a_day(street))  # noqa: DTZ001
    assert entries_read(office, clear(office, NEXT_DAY)) == [1]


def test_nothing_behind_a_hole_or_a_damaged_file_is_read_until_it_is_mended(office: City) -> None:
    street, host = Street(), Host()
    for number in range(4):
        host.allow(card_number=f"{number:020}")
    first, second, last = host.file_of(0, 1), host.file_of(1, 2), host.file_of(2, 4)
    receive(office, first, last, a_day(street))
    assert entries_read(office, clear(office)) == [1]
    answer = receive_file(office, second, KEYS, NOW)
    path = office.load_log_path(answer.content_hash)
    path.write_bytes(second[:-1] + b"\0")
    result = clear(office)
    assert entries_read(office, result) == [1]
    assert [(each.sequence, each.why) for each in result.set_aside] == [
        (2, AsideReason.LOG_DAMAGED)
    ]
    again = receive_file(office, second, KEYS, NOW)
    assert (path.read_bytes(), "whole again" in str(again.detail)) == (second, True)
    result = clear(office)
    assert (entries_read(office, result), result.set_aside) == ([1, 2, 3, 4], ())


def test_any_order_of_arrival_and_any_number_of_workers_reads_the_same_bytes(
    tmp_path: Path,
) -> None:
    street, host = Street(), Host()
    for number in range(40):
        host.allow(card_number=f"{number:020}", time=MORNING + timedelta(minutes=number))
    files = [host.file_of(0, 7), host.file_of(7, 30), host.file_of(30, 40), a_day(street)]
    found = set()
    for number, order in enumerate((files, files[::-1], files[2:] + files[:2])):
        with make_office(tmp_path / str(number), bucket_count=4) as city:
            register_host(city)
            receive(city, *order)
            result = clear(city, workers=1 + number % 2)
            assert entries_read(city, result) == list(range(1, 41))
            found.add((result.run.run_id, result.run.output_hash))
    assert len(found) == 1
