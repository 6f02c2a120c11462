"""Two people act on a city: what each attack on their approvals comes to."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from settlement.people.signing import make_credential
from settlement.people.tries import FREE_TRIES, TRIES_MAX, WAIT_FIRST
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import Act, LogEntry
from settlement.rulings.proposals import Answer
from settlement.service.ruling.acting import Approved, Declined, Proposed, approve
from settlement.service.ruling.people import renew_secret
from settlement.service.ruling.showing import Shown, show_secret
from settlement.store.files import load_file_lines
from settlement.store.rulings import load_log, load_rulings, rulings_end
from tests.settlement.device_files import Street
from tests.settlement.rulings.crew import (
    ADA,
    BO,
    CAI,
    CHEAP,
    DAN,
    EVE,
    enrolled,
    secret_of,
)
from tests.settlement.rulings.desk import Desk, refusal
from tests.settlement.service.test_service import receive

SKIP, HOLE = RulingKind.FILES_SKIP, "sequence/7/2"


@pytest.fixture
def files(desk: Desk) -> list[bytes]:
    """Three files of one sender; the second was not sent."""
    street = Street()
    card = street.card(1)
    made = [street.file([card.load(5000)]), street.file([card.bus()]), street.file([card.bus()])]
    receive(desk.city, made[0], made[2])
    return made


@pytest.fixture
def number(desk: Desk, files: list[bytes]) -> int:
    """A proposal that stands open."""
    assert len(files) == 3
    return desk.proposed(SKIP, HOLE, by=CAI)


def test_what_two_people_say_is_ruled(desk: Desk, number: int) -> None:
    before = rulings_end(desk.city.database).count
    approved = desk.approve(number, DAN)
    assert isinstance(approved, Approved)
    assert approved.is_new
    assert load_rulings(desk.city.database, before, before + 1) == (approved.ruling,)
    assert (approved.ruling.proposed_by, approved.ruling.approved_by) == (CAI, DAN)


def test_the_same_proposal_again_is_the_same(desk: Desk, number: int) -> None:
    before = load_log(desk.city.database)
    again = desk.propose(SKIP, HOLE, by=CAI)
    assert isinstance(again, Proposed)
    assert (again.proposal.number, again.is_new) == (number, False)
    assert load_log(desk.city.database) == before


def test_an_approval_that_is_replayed_says_so_and_changes_nothing(desk: Desk, number: int) -> None:
    first = desk.approve(number, DAN)
    before = load_log(desk.city.database)
    desk.wait(timedelta(days=99))
    again = desk.approve(number, DAN)
    assert isinstance(first, Approved)
    assert again == Approved(first.ruling, is_new=False)
    assert refusal(desk.decline(number, DAN)) is Answer.ANSWERED_ALREADY
    assert load_log(desk.city.database) == before


def test_what_was_declined_is_not_approved_after_all(desk: Desk, number: int) -> None:
    assert isinstance(desk.decline(number, DAN), Declined)
    before = load_log(desk.city.database)
    assert refusal(desk.approve(number, DAN)) is Answer.ANSWERED_ALREADY
    assert isinstance(desk.decline(number, DAN), Declined)
    assert load_log(desk.city.database) == before


def test_an_approval_for_something_that_changed_since(
    desk: Desk, files: list[bytes], number: int
) -> None:
    receive(desk.city, files[1])
    before = load_log(desk.city.database)
    assert refusal(desk.approve(number, DAN)) is Answer.NOT_TO_RULE_ON
    assert load_log(desk.city.database) == before


def test_an_approval_after_the_file_it_is_about_was_set_aside_by_others(desk: Desk) -> None:
    street = Street()
    data = street.file([street.card(1).load(5000)])
    receive(desk.city, data)
    (line,) = load_file_lines(desk.city.database)
    item = f"file/{line.file.content_hash}"
    first = desk.proposed(RulingKind.FILES_SET_ASIDE, item, by=CAI)
    desk.wait(timedelta(days=8))  # it has expired, and is proposed anew
    desk.rule(RulingKind.FILES_SET_ASIDE, item, by=CAI, second=DAN)
    assert refusal(desk.approve(first, DAN)) is Answer.EXPIRED


@pytest.mark.parametrize(("by", "secret"), [(DAN, secret_of(CAI)), (DAN, "wrong by a lot")])
def test_an_approval_with_the_secret_of_another_person(
    desk: Desk, number: int, by: str, secret: str
) -> None:
    assert number
    before = load_log(desk.city.database)
    assert refusal(desk.show(by, secret)) is Answer.SECRET_WRONG
    assert load_log(desk.city.database) == before


def test_a_key_that_was_made_of_another_s_secret_signs_nothing(desk: Desk, number: int) -> None:
    forged = Shown(DAN, enrolled(CAI)[0])
    before = load_log(desk.city.database)
    assert refusal(approve(desk.city, number, forged, desk.now)) is Answer.SECRET_WRONG
    assert load_log(desk.city.database) == before


def test_an_approval_by_a_person_who_was_ended_meanwhile(desk: Desk, number: int) -> None:
    shown = desk.shown(DAN)
    desk.rule(RulingKind.PEOPLE_END, f"person/{DAN}", by=ADA, second=BO)
    before = load_log(desk.city.database)
    assert refusal(approve(desk.city, number, shown, desk.now)) is Answer.PERSON_ENDED
    assert refusal(desk.show(DAN)) is Answer.PERSON_ENDED
    assert load_log(desk.city.database) == before


def test_an_approval_of_a_proposal_that_nobody_made(desk: Desk) -> None:
    assert refusal(desk.approve(99, DAN)) is Answer.UNKNOWN_PROPOSAL
    assert refusal(desk.decline(99, DAN)) is Answer.UNKNOWN_PROPOSAL
    assert refusal(show_secret(desk.city, "nobody", "x" * 12, desk.now)) is Answer.UNKNOWN_PERSON


@pytest.mark.parametrize("by", [ADA, BO, EVE, CAI])
def test_an_approval_by_somebody_without_the_right(desk: Desk, number: int, by: str) -> None:
    before = load_log(desk.city.database)
    assert refusal(desk.approve(number, by)) is Answer.NO_RIGHT
    assert load_log(desk.city.database) == before


def test_two_approvals_at_once(desk: Desk, number: int) -> None:
    shown = [desk.shown(DAN) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda each: approve(desk.city, number, each, desk.now), shown))
    assert all(isinstance(each, Approved) for each in answers), answers
    assert sorted(each.is_new for each in answers if isinstance(each, Approved)) == [
        False, False, False, True,
    ]  # fmt: skip
    assert [each.what.act for each in load_log(desk.city.database)].count(Act.APPROVE) == 4 + 1


def test_an_approval_and_a_decline_at_once(desk: Desk, number: int) -> None:
    with ThreadPoolExecutor(2) as threads:
        one = threads.submit(desk.approve, number, DAN)
        other = threads.submit(desk.decline, number, CAI)
        answers = {type(one.result()), type(other.result())}
    assert len(answers & {Approved, Declined}) == 1


def test_wrong_secrets_slow_a_person_down_then_lock_them_until_two_others_unlock(
    desk: Desk,
) -> None:
    for count in range(1, TRIES_MAX + 1):
        assert refusal(desk.show(DAN, f"a wrong guess {count}")) is Answer.SECRET_WRONG
        if FREE_TRIES <= count < TRIES_MAX:
            # Not even the right one is tried meanwhile.
            assert refusal(desk.show(DAN)) is Answer.WAIT_TO_TRY
            desk.wait(WAIT_FIRST * 2 ** (count - FREE_TRIES))
    desk.wait(timedelta(days=1))
    assert refusal(desk.show(DAN)) is Answer.PERSON_LOCKED
    assert isinstance(desk.show(CAI), Shown)
    desk.rule(RulingKind.PEOPLE_UNLOCK, f"person/{DAN}", by=BO, second=ADA)
    assert isinstance(desk.show(DAN), Shown)


def test_a_secret_of_one_s_own_is_changed_by_whoever_knows_it(desk: Desk) -> None:
    key, credential = make_credential("another secret of dan", b"s" * 16, CHEAP)
    kept = renew_secret(desk.city, desk.shown(DAN), credential, desk.now)
    assert isinstance(kept, LogEntry)
    assert refusal(desk.show(DAN)) is Answer.SECRET_WRONG
    shown = desk.show(DAN, "another secret of dan")
    assert shown == Shown(DAN, key)
