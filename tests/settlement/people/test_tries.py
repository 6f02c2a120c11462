"""Wrong secrets: three are free, each further one costs a wait, the eighth locks."""

from datetime import timedelta

from settlement.people.person import Person
from settlement.people.tries import (
    FREE_TRIES,
    LOCK_TIME,
    TRIES_MAX,
    WAIT_FIRST,
    TryStanding,
    WrongTry,
    judge_tries,
)
from tests.settlement.rulings.crew import ADA, BO, MONDAY, ROLES, enrolled

PERSON = Person(ADA, ROLES[ADA], enrolled(ADA)[1], since=1, last_act=4)


def wrong(count: int, log_count: int = 4) -> list[WrongTry]:
    return [WrongTry(ADA, MONDAY + timedelta(seconds=at), log_count) for at in range(count)]


def test_a_few_wrong_secrets_are_a_slip_of_the_hand() -> None:
    standing = judge_tries(PERSON, wrong(FREE_TRIES - 1), MONDAY)
    assert (standing.is_locked, standing.waits_until) == (False, None)


def test_each_further_wrong_secret_costs_a_wait_that_doubles() -> None:
    for more in range(TRIES_MAX - FREE_TRIES):
        tries = wrong(FREE_TRIES + more)
        until = tries[-1].at + WAIT_FIRST * 2**more
        assert judge_tries(PERSON, tries, until - timedelta(seconds=1)).waits_until == until
        assert judge_tries(PERSON, tries, until).waits_until is None


def test_too_many_wrong_secrets_lock_a_person_for_long_and_not_for_good() -> None:
    """Else whoever types in the names of all locks the office out."""
    tries = wrong(TRIES_MAX)
    until = tries[-1].at + LOCK_TIME
    assert judge_tries(PERSON, tries, until - timedelta(seconds=1)).is_locked
    assert judge_tries(PERSON, tries, until) == TryStanding()
    again = [*tries, WrongTry(ADA, until, 4)]
    assert judge_tries(PERSON, again, until) == TryStanding(1)


def test_an_act_with_the_right_secret_or_an_unlocking_begins_anew() -> None:
    assert judge_tries(PERSON, wrong(TRIES_MAX, log_count=3), MONDAY).wrong == 0


def test_wrong_secrets_of_somebody_else_do_not_count() -> None:
    others = [WrongTry(BO, MONDAY, 9)] * TRIES_MAX
    assert judge_tries(PERSON, others, MONDAY).wrong == 0
