"""A key service that dies at any call, or is slow: work stops whole, and goes on from there."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import (
    DaySeal,
    KeyDescription,
    KeyRef,
    KeyService,
    KeyUsage,
    SealStanding,
    TacColumn,
)
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.intake.answers import FileAnswer
from settlement.people.actions import Actor
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.files import load_files, load_refusals
from settlement.store.registry import load_registry
from settlement.verification.verify import verify
from tests.settlement.device_files import CLERK, NOW, OTHER_SENDER, Street, key_service, make_office
from tests.settlement.intake.test_intake import disk
from tests.settlement.service.test_service import everything_stored
from tests.support.patience import SLOW_S, SOON_S

OTHER_CLERK = Actor("other clerk")
FIRST, BOTH = key_service(1), key_service(1, 2)
ENGINE = LocalEngine(1)


@dataclass
class DyingService:
    """Answers so many calls, and no more. In the middle of a column nothing of it is answered."""

    service: KeyService
    calls_left: int

    def _live(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise KeyServiceUnavailableError("the key service does not answer")

    def describe_keys(self, usage: KeyUsage, label: str) -> tuple[KeyDescription, ...]:
        self._live()
        return self.service.describe_keys(usage, label)

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        self._live()
        return self.service.prove_tacs(label, column)

    def seal_day(self, ref: KeyRef, seal: DaySeal) -> bytes:
        self._live()
        return self.service.seal_day(ref, seal)

    def sealed_days(self, label: str) -> SealStanding:
        self._live()
        return self.service.sealed_days(label)


#: Describe, debits, loads, describe again: the calls of one file.
CALLS = 4


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def everything(city: City) -> object:
    registry = load_registry(city.database)
    return disk(city), everything_stored(city), load_refusals(city.database), registry


def mixed_file(street: Street) -> bytes:
    cards = [street.card(number, 1 + number % 2) for number in range(1, 4)]
    loads = [card.load(5000) for card in cards]
    return street.file(loads + [card.bus() for card in cards])


@pytest.mark.parametrize("calls", range(CALLS))
def test_a_key_service_that_dies_during_intake_leaves_nothing(office: City, calls: int) -> None:
    data = mixed_file(Street())
    before = everything(office)
    dying: KeyService = DyingService(BOTH, calls)  # type: ignore[assignment] # all that is asked
    with pytest.raises(KeyServiceUnavailableError):
        receive_file(office, data, dying, NOW)
    assert everything(office) == before
    assert receive_file(office, data, BOTH, NOW).answer is FileAnswer.ACCEPTED
    assert receive_file(office, data, dying, NOW).answer is FileAnswer.ALREADY_RECEIVED


@pytest.mark.parametrize("day", ["open", "closed"])
@pytest.mark.parametrize("calls", range(CALLS))
def test_a_key_service_that_dies_while_records_are_judged_again_decides_nothing(
    office: City, tmp_path: Path, day: str, calls: int
) -> None:
    data = mixed_file(Street())
    dying: KeyService = DyingService(BOTH, calls)  # type: ignore[assignment] # all that is asked
    with make_office(tmp_path / "undisturbed") as other:
        for city in (office, other):
            receive_file(city, data, FIRST, NOW)
            if day == "closed":
                assert isinstance(close_day(city, None, FIRST, ENGINE, NOW, CLERK), ClosedDay)
        before = everything(office)
        with pytest.raises(KeyServiceUnavailableError):
            run_clearing(office, None, dying, ENGINE, NOW, CLERK)
        with pytest.raises(KeyServiceUnavailableError):
            close_day(office, None, dying, ENGINE, NOW, CLERK)
        assert everything(office) == before
        for city in (office, other):
            assert isinstance(close_day(city, None, BOTH, ENGINE, NOW, CLERK), ClosedDay)
        assert everything(office) == everything(other)
    assert verify(office, BOTH, ENGINE).is_sound


def test_a_day_whose_records_were_all_judged_needs_the_key_service_for_its_seal_alone(
    office: City,
) -> None:
    receive_file(office, mixed_file(Street()), BOTH, NOW)
    dead: KeyService = DyingService(BOTH, 0)  # type: ignore[assignment] # nothing is asked
    found = run_clearing(office, None, dead, ENGINE, NOW, CLERK)
    assert isinstance(found, RunResult)
    assert found.run.totals["accepted"] == 6
    before = everything_stored(office)
    for calls in (0, 1):  # which key seals, the seal
        dying: KeyService = DyingService(BOTH, calls)  # type: ignore[assignment] # as above
        with pytest.raises(KeyServiceUnavailableError):
            close_day(office, None, dying, ENGINE, NOW, CLERK)
        assert everything_stored(office) == before
    closed = close_day(office, None, BOTH, ENGINE, NOW + timedelta(hours=1), OTHER_CLERK)
    assert isinstance(closed, ClosedDay)
    # It was begun, and perhaps signed: it is finished as it was begun.
    assert (closed.closed_at, closed.closed_by) == (NOW, CLERK)
    assert not office.closing_path.exists()


@dataclass
class SlowService(DyingService):
    """Takes its time over a column: until it is let go on."""

    asked: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    def prove_tacs(self, label: str, column: TacColumn) -> bytes:
        self.asked.set()
        assert self.go_on.wait(SOON_S)
        return super().prove_tacs(label, column)


def test_while_a_slow_key_service_is_asked_for_one_file_others_are_taken_in(office: City) -> None:
    street = Street()
    slow_file, other_file = mixed_file(street), street.file([], OTHER_SENDER)
    slow = SlowService(BOTH, 100)
    answers: list[FileAnswer] = []

    def work() -> None:
        answers.append(receive_file(office, slow_file, slow, NOW).answer)  # type: ignore[arg-type] # as above

    worker = threading.Thread(target=work)
    worker.start()
    assert slow.asked.wait(SOON_S)
    assert receive_file(office, other_file, BOTH, NOW).answer is FileAnswer.ACCEPTED
    # The same file by another door: the slow one finds it there and gives the first answer.
    assert receive_file(office, slow_file, BOTH, NOW).answer is FileAnswer.ACCEPTED
    slow.go_on.set()
    worker.join(SLOW_S)
    assert answers == [FileAnswer.ALREADY_RECEIVED]
    assert len(load_files(office.database)) == 2


def test_while_a_slow_key_service_holds_up_a_clearing_run_files_come_in(office: City) -> None:
    street = Street()
    receive_file(office, mixed_file(street), FIRST, NOW)
    slow = SlowService(BOTH, 100)
    results: list[object] = []

    def work() -> None:
        results.append(close_day(office, None, slow, ENGINE, NOW, CLERK))  # type: ignore[arg-type] # as above

    worker = threading.Thread(target=work)
    worker.start()
    assert slow.asked.wait(SOON_S)
    late = street.file([street.card(9).load(500)], OTHER_SENDER)
    assert receive_file(office, late, BOTH, NOW).answer is FileAnswer.ACCEPTED
    slow.go_on.set()
    worker.join(SLOW_S)
    (day,) = results
    assert isinstance(day, ClosedDay)
    assert {row.settlement_day for row in load_files(office.database)} == {day.settlement_day}
    assert verify(office, BOTH, ENGINE).is_sound
