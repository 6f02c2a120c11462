"""R9: days are closed oldest first, clocks are held against the receipt, and a mistyped day closes
nothing.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cardcore.records.record import decode_record
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.dispositions import Reason
from settlement.engine.local import LocalEngine
from settlement.people.actions import Actor, ActorKind
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import load_balances, load_closed_days
from settlement.store.files import load_files
from settlement.verification.verify import verify
from tests.settlement.device_files import (
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
from tests.settlement.service.rotated_week import decisions

KEYS = key_service()
ENGINE = LocalEngine(1)
SECOND = Actor("韩梅梅")


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def close(
    city: City, day: date | None = None, now: datetime = NOW, second: Actor | None = None
) -> ClosedDay:
    found = close_day(city, day, KEYS, ENGINE, now, CLERK, second=second)
    assert isinstance(found, ClosedDay), found
    return found


def five_days_of_files() -> list[tuple[datetime, bytes]]:
    """A card's load, and two rides a day; each file comes in at the end of its day."""
    street = Street()
    card = street.card(1)
    files = [(NOW, street.file([card.load(5000)], OTHER_SENDER))]
    for number in range(5):
        street.now = datetime.combine(DAY, datetime.min.time()) + timedelta(days=number, hours=8)
        file = street.file([card.bus(), card.bus()])
        files.append((street.now.replace(tzinfo=UTC, hour=23), file))
    return files


@pytest.mark.parametrize("is_stated", [False, True])
def test_five_days_of_files_days_closed_oldest_first(office: City, is_stated: bool) -> None:  # noqa: FBT001 - a case
    for received_at, data in reversed(five_days_of_files()):
        assert receive_file(office, data, KEYS, received_at).answer.is_kept
    found: Counter[int] = Counter()
    for number in range(5):
        day = DAY + timedelta(days=number)
        closed = close(office, day if is_stated else None)
        assert closed.settlement_day == day
        rides = list(decisions(office, closed).values())
        assert len(rides) == (3 if number == 0 else 2)
        found.update(rides)
    assert found == {Reason.NONE: 11}
    assert {row.file.business_day == row.settlement_day for row in load_files(office.database)} == {
        True
    }
    assert load_balances(office.database)["operator/101"] == -10 * 160
    assert close_day(office, None, KEYS, ENGINE, NOW, CLERK) is DayAnswer.NOTHING_READY
    assert verify(office, KEYS, ENGINE).is_sound


def test_a_record_ahead_of_an_old_day_that_is_closed_late_is_released_by_itself(
    office: City,
) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    ahead = datetime.combine(DAY, datetime.min.time()) + timedelta(days=3, hours=9)
    ride = prove(replace(decode_record(card.bus()), time=ahead))
    evening = datetime.combine(DAY, datetime.max.time(), UTC)
    assert receive_file(office, street.file([load, ride]), KEYS, evening).answer.is_kept
    first = close(office)
    assert sorted(reason for reason in decisions(office, first).values()) == [
        Reason.CLOCK_AHEAD,
        Reason.NONE,
    ]
    # Nothing comes in any more; its day does.
    for number in (1, 2):
        now = evening + timedelta(days=number)
        assert close_day(office, None, KEYS, ENGINE, now, CLERK) is DayAnswer.NOTHING_READY
        close(office, DAY + timedelta(days=number), now)
    last = close(office, None, evening + timedelta(days=3))
    assert last.settlement_day == DAY + timedelta(days=3)
    assert list(decisions(office, last).values()) == [Reason.NONE]
    balances = load_balances(office.database)
    assert balances["operator/101"] == -160
    assert balances.get("suspense/101", 0) == 0
    assert verify(office, KEYS, ENGINE).is_sound


def test_an_old_day_closed_late_knows_that_the_day_of_its_records_has_come(office: City) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    ahead = datetime.combine(DAY, datetime.min.time()) + timedelta(days=3, hours=9)
    ride = prove(replace(decode_record(card.bus()), time=ahead))
    evening = datetime.combine(DAY, datetime.max.time(), UTC)
    assert receive_file(office, street.file([load, ride]), KEYS, evening).answer.is_kept
    closed = close(office, ahead.date(), evening + timedelta(days=9))
    assert set(decisions(office, closed).values()) == {Reason.NONE}


MISTYPED = {
    "2099-01-01": DayAnswer.DAY_BEYOND_TOMORROW,
    "9999-12-31": DayAnswer.DAY_OUTSIDE_LIFE,
    "2008-09-01": DayAnswer.DAY_FAR_FROM_FILES,
}


@pytest.mark.parametrize("text", MISTYPED)
def test_close_of_2099_01_01_of_9999_12_31_of_2008_for_2018(office: City, text: str) -> None:
    (received_at, loads), (_, rides), *_ = five_days_of_files()
    for data in (loads, rides):
        assert receive_file(office, data, KEYS, received_at).answer.is_kept
    before = disk(office), load_files(office.database)
    day = date.fromisoformat(text)
    answers = {
        close_day(office, day, KEYS, ENGINE, NOW, CLERK),
        close_day(office, day, KEYS, ENGINE, NOW, CLERK, second=CLERK),
        close_day(office, day, KEYS, ENGINE, NOW, CLERK, second=Actor("nightly", ActorKind.SYSTEM)),
        run_clearing(office, day, KEYS, ENGINE, NOW, CLERK),
    }
    assert answers == {MISTYPED[text]}
    assert (disk(office), load_files(office.database)) == before
    assert load_closed_days(office.database) == ()
    assert close(office).settlement_day == DAY  # nothing is locked out
    assert load_balances(office.database)["operator/101"] == -2 * 160


def test_two_people_close_a_day_out_of_bounds_and_both_stand_under_the_seal(office: City) -> None:
    (received_at, loads), *_ = five_days_of_files()
    assert receive_file(office, loads, KEYS, received_at).answer.is_kept
    day = close(office, date(2018, 9, 9), second=SECOND)
    assert (day.closed_by, day.confirmed_by) == (CLERK, SECOND)
    assert load_closed_days(office.database) == (day,)
    assert '"confirmed_by":"person:韩梅梅"' in office.seal_path(day.settlement_day).read_text()
    assert verify(office, KEYS, ENGINE).is_sound


def test_who_closes_alone_stands_alone(office: City) -> None:
    day = close(office, DAY)
    assert (day.closed_by, day.confirmed_by) == (CLERK, None)
    assert "confirmed_by" not in office.seal_path(DAY).read_text()


def test_a_run_is_over_the_files_of_its_day(office: City) -> None:
    for received_at, data in five_days_of_files():
        assert receive_file(office, data, KEYS, received_at).answer.is_kept
    counts = {}
    for number in (0, 2, 4):
        found = run_clearing(office, DAY + timedelta(days=number), KEYS, ENGINE, NOW, CLERK)
        assert isinstance(found, RunResult)
        counts[number] = found.file_count
    assert counts == {0: 2, 2: 4, 4: 6}
    plain = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert isinstance(plain, RunResult)
    assert (plain.run.settlement_day, plain.file_count) == (DAY, 2)
