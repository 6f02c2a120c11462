"""What two people rule of files: a lost one holds nothing open, one that is set aside waits."""

from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.records.batch import DeviceRegister
from settlement.days.opening import DayAnswer
from settlement.reports.files import FileStanding, read_files
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Answer
from settlement.service.clear import run_clearing
from settlement.service.receive import receive_file
from settlement.store.days import load_balances
from settlement.store.files import load_file_lines, load_refusals
from settlement.store.rulings import load_rulings_about
from tests.settlement.device_files import CLERK, NOW, OTHER_SENDER, Street
from tests.settlement.rulings.crew import CAI, DAN, FAY
from tests.settlement.rulings.desk import Desk, refusal
from tests.settlement.service.test_service import ENGINE, KEYS, close, receive
from tests.settlement.verification.test_verify import check

SKIP, ASIDE = RulingKind.FILES_SKIP, RulingKind.FILES_SET_ASIDE
BACK = RulingKind.FILES_TAKE_BACK


@pytest.fixture
def files() -> list[bytes]:
    """A load and a ride each in a file of its own, by one sender."""
    street = Street()
    card = street.card(1)
    return [street.file([card.load(5000)]), *(street.file([card.bus()]) for _ in range(4))]


def standings(desk: Desk) -> list[FileStanding]:
    return [each.standing for each in read_files(desk.city)]


def item_of(desk: Desk, sequence: int) -> str:
    lines = load_file_lines(desk.city.database)
    return next(
        f"file/{each.file.content_hash}" for each in lines if each.file.sequence == sequence
    )


def test_a_lost_file_holds_the_day_open_until_two_people_skip_it(
    desk: Desk, files: list[bytes]
) -> None:
    receive(desk.city, files[0], files[3], files[4])
    waiting = FileStanding.WAITING
    assert standings(desk) == [FileStanding.READY, waiting, waiting]
    desk.rule(SKIP, "sequence/7/2", by=CAI, second=DAN)
    assert standings(desk) == [FileStanding.READY, waiting, waiting]
    desk.rule(SKIP, "sequence/7/3", by=CAI, second=DAN)
    assert standings(desk) == [FileStanding.READY] * 3
    close(desk.city)
    assert load_balances(desk.city.database)["operator/101"] == -2 * 160


def test_several_lost_files_are_skipped_by_one_ruling(desk: Desk, files: list[bytes]) -> None:
    receive(desk.city, files[0], files[4])
    desk.rule(SKIP, *(f"sequence/7/{each}" for each in (2, 3, 4)), by=CAI, second=DAN)
    assert standings(desk) == [FileStanding.READY] * 2


def test_a_lost_file_that_comes_after_all_is_settled(
    desk: Desk, files: list[bytes], tmp_path: Path
) -> None:
    receive(desk.city, files[0], files[2])
    desk.rule(SKIP, "sequence/7/2", by=CAI, second=DAN)
    close(desk.city)
    receive(desk.city, files[1])
    assert standings(desk)[1] is FileStanding.READY
    close(desk.city)
    assert load_balances(desk.city.database)["operator/101"] == -2 * 160
    assert check(tmp_path / "city").is_sound


@pytest.mark.parametrize(
    "item", ["sequence/7/1", "sequence/7/3", "sequence/7/99", "sequence/7/0", "sequence/12345/1"]
)
def test_what_nothing_waits_for_is_not_skipped(desk: Desk, files: list[bytes], item: str) -> None:
    receive(desk.city, files[0], files[2])
    assert refusal(desk.propose(SKIP, item, by=CAI)) is Answer.NOT_TO_RULE_ON


def test_what_is_skipped_is_not_skipped_again(desk: Desk, files: list[bytes]) -> None:
    receive(desk.city, files[0], files[2])
    desk.rule(SKIP, "sequence/7/2", by=CAI, second=DAN)
    assert refusal(desk.propose(SKIP, "sequence/7/2", by=DAN)) is Answer.NOT_TO_RULE_ON


def test_a_file_that_is_set_aside_waits_while_those_behind_it_are_settled(
    desk: Desk, files: list[bytes], tmp_path: Path
) -> None:
    receive(desk.city, *files[:3])
    item = item_of(desk, 2)
    assert refusal(desk.propose(BACK, item, by=CAI)) is Answer.NOT_TO_RULE_ON
    desk.rule(ASIDE, item, by=CAI, second=DAN)
    ready = FileStanding.READY
    assert standings(desk) == [ready, FileStanding.SET_ASIDE, ready]
    assert refusal(desk.propose(ASIDE, item, by=CAI)) is Answer.NOT_TO_RULE_ON
    close(desk.city)
    assert load_balances(desk.city.database)["operator/101"] == -160
    nothing = run_clearing(desk.city, None, KEYS, ENGINE, NOW, CLERK)
    assert nothing is DayAnswer.NOTHING_READY
    desk.rule(BACK, item, by=DAN, second=FAY)
    assert standings(desk)[1] is ready
    close(desk.city)
    assert load_balances(desk.city.database)["operator/101"] == -2 * 160
    assert refusal(desk.propose(ASIDE, item, by=CAI)) is Answer.NOT_TO_RULE_ON
    assert check(tmp_path / "city").is_sound


def test_two_who_set_aside_and_take_back_at_the_same_time_cannot_both_be_right(
    desk: Desk, files: list[bytes]
) -> None:
    receive(desk.city, *files[:3])
    item = item_of(desk, 2)
    first = desk.proposed(ASIDE, item, by=CAI)
    second = desk.proposed(ASIDE, item, item_of(desk, 3), by=CAI)
    desk.approve(first, DAN)
    assert refusal(desk.approve(second, DAN)) is Answer.NOT_TO_RULE_ON


def test_a_refused_file_is_acknowledged_once(desk: Desk, files: list[bytes]) -> None:
    assert not receive_file(desk.city, files[0][:-1], KEYS, NOW).answer.is_kept
    (held,) = load_refusals(desk.city.database)
    item, kind = f"refusal/{held.number}", RulingKind.REFUSALS_ACKNOWLEDGE
    ruling = desk.rule(kind, item, by=CAI, second=DAN).ruling
    assert load_rulings_about(desk.city.database, [item, "refusal/99"]) == {item: (ruling,)}
    assert refusal(desk.propose(kind, item, by=DAN)) is Answer.NOT_TO_RULE_ON
    assert refusal(desk.propose(kind, "refusal/99", by=DAN)) is Answer.NOT_TO_RULE_ON


def test_an_alarm_of_a_record_is_acknowledged_as_it_was_decided(desk: Desk) -> None:
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    receive(desk.city, street.file([load]), street.file([load, card.bus()], OTHER_SENDER))
    prefix = load_file_lines(desk.city.database)[1].file.content_hash[:16]
    item, kind = f"record/{prefix}/0", RulingKind.ALARMS_ACKNOWLEDGE
    early = desk.propose(kind, item, by=CAI)
    assert refusal(early) is Answer.NOT_TO_RULE_ON  # no day decided it yet
    close(desk.city)
    number = desk.proposed(kind, item, f"record/{prefix}/1", by=CAI)
    proposal = desk.book.proposals[number]
    assert (proposal.count, proposal.sum_fen) == (2, 5160)
    desk.approve(number, DAN)
    assert desk.book.about(item)[0].kind is kind
    for other in (f"record/{prefix}/2", f"record/{'0' * 16}/0"):
        assert refusal(desk.propose(kind, other, by=CAI)) is Answer.NOT_TO_RULE_ON


def test_a_register_that_differs_is_acknowledged_on_its_day(desk: Desk) -> None:
    street = Street()
    card = street.card(1)
    bus, day = "0000000000b1", street.now.date()
    wrong = [DeviceRegister(bus, 1, 1, 9, 160, 0, 0, 0)]
    receive(desk.city, street.file([card.load(5000), card.bus()], registers=wrong))
    kind, item = RulingKind.REGISTERS_ACKNOWLEDGE, f"register/{day}/{bus}"
    assert refusal(desk.propose(kind, item, by=CAI)) is Answer.NOT_TO_RULE_ON
    close(desk.city)
    desk.rule(kind, item, by=CAI, second=DAN)
    desk.wait(timedelta(days=1))
    assert refusal(desk.propose(kind, item, by=DAN)) is Answer.NOT_TO_RULE_ON
    other = f"register/{day}/0000000000c1"
    assert refusal(desk.propose(kind, other, by=CAI)) is Answer.NOT_TO_RULE_ON
