"""Files of the old version are taken in, until their terminal has sent the new one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.records.record import V1_RECORD_BYTES
from settlement.city import City
from settlement.engine.local import LocalEngine
from settlement.intake.answers import Acknowledgement, FileAnswer
from settlement.reports.history import explain
from settlement.service.clear import RunResult, run_clearing
from settlement.service.receive import receive_file
from settlement.store.files import load_files
from tests.settlement.device_files import (
    CLERK,
    NOW,
    OTHER_SENDER,
    SENDER,
    Street,
    StreetCard,
    key_service,
    make_office,
)
from tests.support.old_records import as_version_1

KEYS = key_service()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def receive(city: City, data: bytes) -> Acknowledgement:
    return receive_file(city, data, KEYS, NOW)


def old(*taps: bytes) -> list[bytes]:
    return [as_version_1(each) for each in taps]


def test_a_file_of_version_1_is_settled_like_one_of_version_2(office: City) -> None:
    street = Street()
    card = street.card(1)
    data = street.file(old(card.load(5000), card.bus(), card.bus()))
    assert (len(data), data[4]) == (64 + 3 * V1_RECORD_BYTES + 128, 1)
    assert receive(office, data).answer is FileAnswer.ACCEPTED
    assert receive(office, street.file([card.bus(), card.load(700)])).answer is FileAnswer.ACCEPTED
    run = run_clearing(office, None, KEYS, LocalEngine(1), NOW, CLERK)
    assert isinstance(run, RunResult)
    totals = run.run.totals
    assert (totals["accepted"], totals["gaps_open"]) == (5, 0)
    assert totals["float_fen"] == totals["card_balance_fen"] == 5700 - 480
    assert len(explain(office, "0000000000b1-00000002").copies) == 1


def test_the_same_record_in_both_versions_is_one_ride_paid_once(office: City) -> None:
    """A terminal keeps the version a record was made in: these are two stories of one counter."""
    street = Street()
    card = street.card(1)
    load, ride = card.load(5000), card.bus()
    assert receive(office, street.file([load, ride])).answer is FileAnswer.ACCEPTED
    again = street.file(old(ride), OTHER_SENDER)
    assert receive(office, again).answer is FileAnswer.ACCEPTED
    run = run_clearing(office, None, KEYS, LocalEngine(1), NOW, CLERK)
    assert isinstance(run, RunResult)
    assert run.run.totals["charged_fen"] in {0, 160}


class Terminals:
    """One bus terminal whose program was renewed after its first two records."""

    def __init__(self) -> None:
        self.street = Street()
        self.card: StreetCard = self.street.card(1)
        self.taps = [self.card.load(5000), *(self.card.bus() for _ in range(4))]


def test_a_terminal_that_has_sent_the_new_version_does_not_go_back(office: City) -> None:
    made = Terminals()
    new = made.street.file(made.taps[2:3])
    assert receive(office, new).answer is FileAnswer.ACCEPTED
    before = load_files(office.database)
    answer = receive(office, made.street.file(old(*made.taps[3:])))
    assert answer.answer is FileAnswer.VERSION_WENT_BACK
    assert "0000000000b1" in str(answer.detail)
    assert "serial 2" in str(answer.detail)
    assert load_files(office.database) == before
    assert not answer.answer.is_kept


def test_old_records_that_were_held_back_still_come(office: City) -> None:
    made = Terminals()
    assert receive(office, made.street.file(made.taps[3:])).answer is FileAnswer.ACCEPTED
    late = made.street.file(old(*made.taps[:3]))
    assert receive(office, late).answer is FileAnswer.ACCEPTED


def test_nobody_but_its_own_collector_can_lock_a_terminal_out(office: City) -> None:
    made = Terminals()
    foreign = made.street.file(made.taps[1:2], OTHER_SENDER)
    assert receive(office, foreign).answer is FileAnswer.ACCEPTED
    assert receive(office, made.street.file(old(*made.taps[2:]), SENDER)).answer is (
        FileAnswer.ACCEPTED
    )
