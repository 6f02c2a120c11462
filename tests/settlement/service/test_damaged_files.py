"""R8: what a run cannot judge is made again, or its file is set aside and the run goes on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from cardcore.keys import KeyService
from cardcore.records.batch import DeviceRegister
from cardcore.records.record import decode_record
from settlement.city import City
from settlement.days.aside import AsideReason
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.dispositions import Reason
from settlement.engine.local import LocalEngine
from settlement.intake.answers import FileAnswer
from settlement.reports.files import read_set_aside
from settlement.service import receive as intake
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.days import load_balances, load_closed_days
from settlement.store.files import load_files
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    BUS_TERMINAL,
    CLERK,
    DAY,
    NOW,
    OTHER_SENDER,
    SENDER,
    Street,
    key_service,
    make_office,
    prove,
)
from tests.settlement.intake.test_intake import disk
from tests.settlement.service.rotated_week import decisions
from tests.settlement.service.test_service import two_days_of_files

KEYS = key_service()
ENGINE = LocalEngine(1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def receive(city: City, *files: bytes, keys: KeyService = KEYS) -> list[str]:
    """Content hashes, as the office knows the files."""
    answers = [receive_file(city, data, keys, NOW) for data in files]
    assert all(each.answer.is_kept for each in answers)
    return [each.content_hash for each in answers]


def close(city: City, keys: KeyService = KEYS, day: date | None = None) -> ClosedDay:
    found = close_day(city, day, keys, ENGINE, NOW, CLERK)
    assert isinstance(found, ClosedDay), found
    return found


def damage(path: Path) -> None:
    """One bit, in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def named(city: ClosedDay | RunResult) -> list[tuple[int, int, AsideReason]]:
    return [(each.sender, each.sequence, each.why) for each in city.set_aside]


def test_one_bit_flipped_in_open_facts_is_made_again_from_raw(office: City) -> None:
    monday, _ = two_days_of_files()
    receive(office, *monday)
    before = disk(office)
    for path in sorted((office.folder / "facts").rglob("*.parquet"))[:2]:
        damage(path)
    max((office.folder / "facts").rglob("*.parquet")).unlink()
    found = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert isinstance(found, RunResult)
    assert (found.file_count, found.set_aside) == (3, ())
    assert disk(office).items() >= before.items()
    damage(min((office.folder / "facts").rglob("*.parquet")))
    day = close(office)
    assert (day.output_hash, day.set_aside) == (found.run.output_hash, ())
    assert verify(office, KEYS, ENGINE).is_sound


def test_facts_made_again_are_judged_by_the_keys_of_now(office: City) -> None:
    street = Street()
    card = street.card(1, key_version=2)
    receive(office, street.file([card.load(5000), card.bus()]))
    (row,) = load_files(office.database)
    assert sum(each.unjudged_count for each in row.facts) == 2
    both = key_service(1, 2)
    damage(next((office.folder / "facts").rglob("*.parquet")))
    day = close(office, both)
    assert set(decisions(office, day).values()) == {Reason.NONE}
    (row,) = load_files(office.database)
    assert sum(each.unjudged_count for each in row.facts) == 0
    assert verify(office, both, ENGINE).is_sound


@pytest.mark.parametrize("is_gone", [False, True])
def test_open_raw_file_damaged(office: City, is_gone: bool) -> None:  # noqa: FBT001 - a case
    """Close names it, asks for the file again and goes on without it."""
    monday, tuesday = two_days_of_files()
    first = monday[1]
    hashes = receive(office, *monday)
    raw = office.raw_path(hashes[1])
    if is_gone:
        raw.unlink()
    else:
        damage(raw)
    expected = [
        (SENDER, 1, AsideReason.RAW_DAMAGED),
        (SENDER, 2, AsideReason.EARLIER_SET_ASIDE),
    ]
    cleared = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert isinstance(cleared, RunResult)
    assert (cleared.file_count, named(cleared)) == (1, expected)
    day = close(office)
    assert (day.settlement_day, named(day)) == (DAY, expected)
    assert load_closed_days(office.database) == (day,)
    assert hashes[1] in office.seal_path(DAY).read_text()
    assert load_balances(office.database) == {
        "card_float": -20_000, "clearing/2018-09-01": 0, "load_agent/900": 20_000,
    }  # fmt: skip
    # It stays unsettled; while nothing else is ready there is no day to close.
    assert {row.settlement_day for row in load_files(office.database)} == {DAY, None}
    assert close_day(office, None, KEYS, ENGINE, NOW, CLERK) is DayAnswer.FILES_SET_ASIDE
    assert [(each.sequence, each.why) for each in read_set_aside(office)] == [
        (sequence, why) for _, sequence, why in expected
    ]
    # The same file heals it, and then everything is settled.
    again = receive_file(office, first, KEYS, NOW + timedelta(hours=1))
    assert again.answer is FileAnswer.ALREADY_RECEIVED
    assert "whole again" in str(again.detail)
    assert raw.read_bytes() == first
    assert receive_file(office, first, KEYS, NOW).detail is None
    receive(office, *tuesday)
    assert read_set_aside(office) == ()
    later = close(office)
    assert (later.settlement_day, later.set_aside) == (DAY + timedelta(days=1), ())
    assert load_balances(office.database)["operator/101"] == -12 * 160 - 4 * 390
    assert verify(office, KEYS, ENGINE).is_sound


def test_raw_and_facts_damaged_together_are_set_aside_and_heal_together(office: City) -> None:
    monday, _ = two_days_of_files()
    _, content_hash, _ = receive(office, *monday)
    damage(office.raw_path(content_hash))
    for path in office.facts_folder(content_hash).iterdir():
        path.unlink()
    assert close(office).set_aside[0].content_hash == content_hash
    receive(office, monday[1])
    now = NOW + timedelta(days=1)
    day = close_day(office, None, KEYS, ENGINE, now, CLERK)
    assert isinstance(day, ClosedDay)
    assert load_balances(office.database)["operator/101"] == -11 * 160
    assert verify(office, KEYS, ENGINE).is_sound


def test_a_file_taken_in_before_there_were_bounds_is_set_aside(
    office: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    street = Street()
    card = street.card(1)
    register = DeviceRegister(BUS_TERMINAL, 1, 1, 1, 2**63, 0, 0, 0)
    loads = street.file([card.load(5000)], OTHER_SENDER)
    with monkeypatch.context() as patch:
        patch.setattr(intake, "judge_bounds", lambda *_: None)
        receive(office, loads, street.file([card.bus()], registers=[register]))
    day = close(office)
    assert named(day) == [(SENDER, 1, AsideReason.BEYOND_BOUNDS)]
    assert load_balances(office.database)["load_agent/900"] == 5000


@pytest.mark.parametrize("damaged", ["raw", "facts"])
def test_records_that_wait_in_a_damaged_file_of_a_closed_day_go_on_waiting(
    office: City, damaged: str
) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    moment = datetime.combine(DAY, datetime.min.time()) + timedelta(days=3)
    ride = prove(replace(decode_record(card.bus()), time=moment))
    data = street.file([load, ride])
    evening = datetime.combine(DAY, datetime.max.time(), UTC)
    assert receive_file(office, data, KEYS, evening).answer.is_kept
    (row,) = load_files(office.database)
    first = close(office)
    content_hash = row.file.content_hash
    if damaged == "raw":
        damage(office.raw_path(content_hash))
    else:
        damage(next(office.facts_folder(content_hash).iterdir()))
    now = evening + timedelta(days=3)
    day = close_day(office, moment.date(), KEYS, ENGINE, now, CLERK)
    assert isinstance(day, ClosedDay)
    if damaged == "raw":
        assert named(day) == [(SENDER, 1, AsideReason.RAW_DAMAGED)]
        assert decisions(office, day) == {}
        assert "whole again" in str(receive_file(office, data, KEYS, now).detail)
        found = close_day(office, None, KEYS, ENGINE, now, CLERK)
        assert isinstance(found, ClosedDay)
        day = found
    assert day.set_aside == ()
    assert list(decisions(office, day).values()) == [Reason.NONE]
    assert first.settlement_day == DAY
    assert verify(office, KEYS, ENGINE).is_sound
