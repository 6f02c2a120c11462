"""Clearing and closing: what is posted, when, and what survives a kill or a second operator."""

import json
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import permutations
from pathlib import Path

import pytest

from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.engine.local import LocalEngine
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import (
    load_balances,
    load_closed_days,
    load_discounts,
    load_entries,
    load_gaps,
    load_positions,
)
from settlement.store.files import load_files
from tests.settlement.device_files import (
    CLERK,
    DAY,
    NOW,
    OTHER_SENDER,
    Street,
    key_service,
    make_office,
)
from tests.settlement.intake.test_intake import disk
from tests.settlement.job_process import finish, start_clerk

KEYS = key_service()
ENGINE = LocalEngine(1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def receive(city: City, *files: bytes) -> None:
    for data in files:
        assert receive_file(city, data, KEYS, NOW).answer.is_kept


def clear(city: City, day: date | None = None, workers: int = 1) -> RunResult:
    found = run_clearing(city, day, KEYS, LocalEngine(workers), NOW, CLERK)
    assert isinstance(found, RunResult)
    return found


def close(city: City, day: date | None = None) -> ClosedDay:
    # No day is closed before it has come.
    now = NOW if day is None else max(NOW, datetime.combine(day, time(23), UTC))
    found = close_day(city, day, KEYS, ENGINE, now, CLERK)
    assert isinstance(found, ClosedDay)
    return found


def two_days_of_files() -> tuple[list[bytes], list[bytes]]:
    """Monday: loads and rides of four cards in three files. Tuesday: more, one of them late."""
    street = Street()
    cards = [street.card(number) for number in range(1, 5)]
    loads = street.file([card.load(5000) for card in cards], OTHER_SENDER)
    rides = [card.bus() for card in cards for _ in range(3)]
    first, second = street.file(rides[:4]), street.file(rides[5:])
    street.now += timedelta(days=1)
    next_day = [card.bus(500) for card in cards]
    return [loads, first, second], [street.file([rides[4], *next_day])]


def everything_stored(city: City) -> object:
    days = load_closed_days(city.database)
    return (
        load_files(city.database),
        days,
        load_entries(city.database),
        load_balances(city.database),
        [load_positions(city.database, day.settlement_day) for day in days],
        [load_gaps(city.database, day.settlement_day) for day in days],
        [load_discounts(city.database, day.settlement_day) for day in days],
    )


def test_a_closed_day_posts_what_its_records_say(office: City) -> None:
    monday, _ = two_days_of_files()
    receive(office, *monday)
    result = clear(office)
    assert load_entries(office.database) == ()  # nothing is posted before the close
    totals = result.run.totals
    assert (totals["records"], totals["accepted"], totals["gaps_open"]) == (15, 15, 1)
    assert (totals["charged_fen"], totals["open_gap_fen"]) == (11 * 160, 160)
    day = close(office)
    assert (day.settlement_day, day.output_hash) == (DAY, result.run.output_hash)
    assert load_balances(office.database) == {
        "card_float": 11 * 160 - 20_000,
        "clearing/2018-09-01": 0,
        "load_agent/900": 20_000,
        "operator/101": -11 * 160,
    }
    (gap,) = load_gaps(office.database, DAY)
    assert (gap.card_number, gap.price_fen) == (f"{2:020}", 160)
    (discount,) = load_discounts(office.database, DAY)
    assert (discount.operator, discount.fare_class) == (101, "adult")
    assert discount.discount_fen == 11 * 40


def test_a_late_record_is_posted_in_the_open_day_and_the_closed_one_stays(office: City) -> None:
    monday, tuesday = two_days_of_files()
    receive(office, *monday)
    first = close(office)
    before = office.seal_path(first.settlement_day).read_bytes()
    receive(office, *tuesday)
    totals = clear(office).run.totals
    assert (totals["late"], totals["gaps_open"], totals["open_gap_fen"]) == (1, 0, 0)
    second = close(office)
    assert second.settlement_day == DAY + timedelta(days=1)
    assert second.previous_seal == first.seal
    assert office.seal_path(first.settlement_day).read_bytes() == before
    assert load_balances(office.database)["operator/101"] == -12 * 160 - 4 * 390
    for day in (first, second):
        again = clear(office, day.settlement_day)
        assert (again.is_closed, again.run.output_hash) == (True, day.output_hash)


def test_any_order_of_arrival_gives_the_same_day(tmp_path: Path) -> None:
    monday, tuesday = two_days_of_files()
    found = set()
    for number, files in enumerate([*permutations([*monday, *tuesday])][::4]):
        with make_office(tmp_path / str(number)) as city:
            receive(city, *files)
            receive(city, files[0])
            found.add(clear(city, DAY).run.output_hash)
        shutil.rmtree(tmp_path / str(number))
    assert len(found) == 1


def test_two_workers_give_the_same_bytes_as_one(office: City, tmp_path: Path) -> None:
    monday, _ = two_days_of_files()
    with make_office(tmp_path / "other") as other:
        receive(office, *monday)
        receive(other, *monday)
        assert clear(office, workers=2) == clear(other)
        assert disk(office) == disk(other)


def test_clearing_again_gives_the_stored_result_and_mends_damaged_bytes(office: City) -> None:
    monday, _ = two_days_of_files()
    receive(office, *monday)
    first = clear(office)
    folder = office.run_folder(DAY, first.run.run_id)
    written = (folder / "results.json").stat().st_mtime_ns
    assert clear(office) == first
    assert (folder / "results.json").stat().st_mtime_ns == written
    before = disk(office)
    (folder / "results.json").write_bytes(b"{}")
    (folder / "buckets" / "0000" / "cards.parquet").unlink()
    assert clear(office) == first
    assert disk(office) == before


def test_a_file_behind_a_hole_waits_for_it_and_is_not_lost(office: City) -> None:
    monday, _ = two_days_of_files()
    loads, first, second = monday
    receive(office, loads, second)
    assert clear(office).file_count == 1
    receive(office, first)
    assert clear(office).file_count == 3


def test_a_day_can_be_closed_only_forward(office: City) -> None:
    assert close_day(office, None, KEYS, ENGINE, NOW, CLERK) is DayAnswer.NOTHING_READY
    assert run_clearing(office, None, KEYS, ENGINE, NOW, CLERK) is DayAnswer.NOTHING_READY
    empty = close(office, DAY)  # a stated day may be empty
    assert load_positions(office.database, DAY) == ()
    before = DAY - timedelta(days=1)
    assert close_day(office, before, KEYS, ENGINE, NOW, CLERK) is DayAnswer.DAY_BEFORE_LAST_CLOSED
    assert (
        run_clearing(office, before, KEYS, ENGINE, NOW, CLERK) is DayAnswer.DAY_BEFORE_LAST_CLOSED
    )
    assert close(office, DAY) == empty


def test_a_file_that_comes_in_during_the_close_is_in_the_day(office: City) -> None:
    monday, _ = two_days_of_files()
    loads, first, second = monday
    receive(office, loads, first)
    waiting = [second]

    def on_step(name: str) -> None:
        if name == "outputs_kept" and waiting:
            receive(office, waiting.pop())

    day = close_day(office, None, KEYS, ENGINE, NOW, CLERK, on_step)
    assert isinstance(day, ClosedDay)
    assert {row.settlement_day for row in load_files(office.database)} == {DAY}
    runs = [path.name for path in office.runs_folder(DAY).iterdir()]
    assert runs == [day.run_id]  # what the provisional run wrote is swept away


def test_two_operators_who_close_at_once_close_one_day(office: City) -> None:
    monday, tuesday = two_days_of_files()
    receive(office, *monday, *tuesday)
    clerks = [start_clerk(office.folder, "close", "--day", str(DAY)) for _ in range(2)]
    found = [finish(clerk) for clerk in clerks]
    (day,) = load_closed_days(office.database)
    assert found == [(0, day.seal), (0, day.seal)]


STEPS = (
    "inputs_kept", "outputs_kept", "run_kept", "close_begun", "day_signed", "seal_kept", "day_kept",
)  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_commit_point_of_a_close_a_repeat_gives_the_same(
    office: City, tmp_path: Path, step: str
) -> None:
    monday, tuesday = two_days_of_files()
    receive(office, *monday)
    clerk = start_clerk(office.folder, "close", "--kill-at", step)
    assert finish(clerk) == (-signal.SIGKILL, "")
    assert len(load_closed_days(office.database)) == (step == "day_kept")
    assert close(office, DAY).settlement_day == DAY
    receive(office, *tuesday)
    close(office)
    with make_office(tmp_path / "undisturbed") as other:
        receive(other, *monday)
        close(other)
        receive(other, *tuesday)
        close(other)
        assert everything_stored(office) == everything_stored(other)
        assert disk(office) == disk(other)


@pytest.mark.parametrize("step", STEPS[:3])
def test_killed_at_a_commit_point_of_a_clearing_run_a_repeat_gives_the_same(
    office: City, tmp_path: Path, step: str
) -> None:
    monday, _ = two_days_of_files()
    receive(office, *monday)
    clerk = start_clerk(office.folder, "clear", "--kill-at", step)
    assert finish(clerk) == (-signal.SIGKILL, "")
    with make_office(tmp_path / "undisturbed") as other:
        receive(other, *monday)
        assert clear(office) == clear(other)
        assert disk(office) == disk(other)


def test_the_sealed_document_says_what_was_closed(office: City) -> None:
    monday, _ = two_days_of_files()
    receive(office, *monday)
    day = close(office)
    sealed = json.loads(office.seal_path(DAY).read_bytes())
    assert sealed["seal"] == day.seal
    document = sealed["document"]
    assert document["output_hash"] == day.output_hash
    assert document["totals"]["charged_fen"] == 11 * 160
    assert len(document["file_rows"]) == 3
