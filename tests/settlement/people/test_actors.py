"""Who acts stands under the seal, and days of before anybody was asked stay sound."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.people.actions import Actor, ActorError, ActorKind
from settlement.service.close import close_day
from settlement.verification.findings import Invariant
from settlement.verification.verify import verify
from tests.settlement.device_files import CLERK, DAY, NOW, key_service, make_office
from tests.settlement.service.test_service import close, receive, two_days_of_files

KEYS, ENGINE = key_service(), LocalEngine(1)


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city", bucket_count=1) as city:
        yield city


@pytest.mark.parametrize("name", ["", " ", "李雷 ", "two\nlines", "x" * 65, "\u202eliel"])
def test_nobody_is_called_so(name: str) -> None:
    with pytest.raises(ActorError):
        Actor(name)


@pytest.mark.parametrize("code", ["李雷", "robot:李雷", "person:", ":x"])
def test_a_row_that_names_nobody_is_refused(code: str) -> None:
    with pytest.raises(ActorError):
        Actor.from_code(code)


@pytest.mark.parametrize("actor", [CLERK, Actor("a:b", ActorKind.SYSTEM)])
def test_a_name_is_read_as_it_was_written(actor: Actor) -> None:
    assert Actor.from_code(actor.code) == actor


def test_who_closed_stands_under_the_seal_and_cannot_be_changed(office: City) -> None:
    receive(office, *two_days_of_files()[0])
    assert close(office).closed_by == CLERK
    document = json.loads(office.seal_path(DAY).read_bytes())["document"]
    assert (document["format"], document["closed_by"]) == (4, "person:李雷")
    assert verify(office, KEYS, ENGINE).is_sound
    for changed in ("'person:韩梅梅'", "NULL"):
        tamper(office, changed)
        assert not verify(office, KEYS, ENGINE).invariants[Invariant.I8]


def test_a_day_that_was_closed_before_anybody_was_asked_is_still_verified(office: City) -> None:
    monday, tuesday = two_days_of_files()
    receive(office, *monday)
    nobody: Actor = None  # type: ignore[assignment] # as days were closed then
    old = close_day(office, None, KEYS, ENGINE, NOW, nobody)
    assert isinstance(old, ClosedDay)
    document = json.loads(office.seal_path(DAY).read_bytes())["document"]
    assert document["format"] == 1
    assert "closed_by" not in document
    receive(office, *tuesday)
    close(office)
    assert verify(office, KEYS, ENGINE).is_sound
    tamper(office, "'person:李雷'")
    assert not verify(office, KEYS, ENGINE).is_sound


def tamper(city: City, closed_by: str) -> None:
    with closing(sqlite3.connect(city.folder / "control.sqlite")) as connection, connection:
        connection.execute("DROP TRIGGER IF EXISTS days_refuse_update")
        connection.execute(
            f"UPDATE days SET closed_by = {closed_by} WHERE settlement_day = '{DAY}'"
        )
