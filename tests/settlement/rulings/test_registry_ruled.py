"""Where two people are enrolled nobody changes the registry, or closes a far day, alone."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.people.actions import Action, Actor, ActorKind
from settlement.registry.book import FOREVER, Dated
from settlement.registry.decide import Decided, RegistryConflictError, RegistryRefusal
from settlement.registry.decide import Refused as RegistryRefused
from settlement.registry.rows import NameRow, ParticipantRow, TerminalRow
from settlement.rulings.kinds import RulingKind
from settlement.rulings.log import Act, NewEntry
from settlement.rulings.proposals import Answer
from settlement.service.close import close_day
from settlement.service.registering import (
    Wish,
    add_row,
    adding,
    change_row,
    changing,
    end_row,
    ending,
    register_rows,
)
from settlement.service.ruling.acting import Approved, Proposed
from settlement.service.ruling.registry import propose_change
from settlement.store.registry import load_changes
from settlement.store.rulings import keep_act, load_log
from tests.settlement.device_files import BUS_TERMINAL, CLERK, DAY, METRO, NOW
from tests.settlement.rulings.crew import BO, CAI, DAN, enrolled
from tests.settlement.rulings.desk import Desk, refusal
from tests.settlement.service.test_service import ENGINE, KEYS, receive, two_days_of_files
from tests.settlement.verification.test_verify import check

LATER = DAY + timedelta(days=30)
TERMINAL = ("terminal", BUS_TERMINAL)
LINE = Dated(NameRow("line", 9, "九号线"), DAY)


def wish(desk: Desk, wished: Wish[RegistryRefused], by: str = CAI) -> int:
    asked = propose_change(desk.city, wished, "for a test", desk.shown(by), desk.now)
    assert isinstance(asked, Proposed), asked
    return asked.proposal.number


def test_a_change_is_made_when_a_second_person_approves_it(desk: Desk, tmp_path: Path) -> None:
    before = load_changes(desk.city.database)
    number = wish(desk, changing(TERMINAL, {"participant": METRO}, LATER, None))
    assert load_changes(desk.city.database) == before
    desk.wait(timedelta(hours=1))
    assert isinstance(desk.approve(number, DAN), Approved)
    (change,) = load_changes(desk.city.database)[len(before) :]
    assert change.what.row == TerminalRow(BUS_TERMINAL, METRO, "bus")
    assert (change.what.valid_from, change.what.valid_to) == (LATER, FOREVER)
    assert (change.action.by, change.action.at) == (Actor(CAI), desk.now)
    assert check(tmp_path / "city").is_sound
    assert isinstance(desk.approve(number, DAN), Approved)  # again: nothing
    assert len(load_changes(desk.city.database)) == len(before) + 1


def test_the_security_officer_may_approve_a_change_and_may_not_ask_for_one(desk: Desk) -> None:
    assert isinstance(desk.approve(wish(desk, adding(LINE)), BO), Approved)
    asked = propose_change(
        desk.city, ending(("name", "line/9"), LATER), "x", desk.shown(BO), desk.now
    )
    assert refusal(asked) is Answer.NO_RIGHT


def test_what_the_registry_refuses_is_not_even_proposed(desk: Desk) -> None:
    before = load_log(desk.city.database)
    refused = propose_change(
        desk.city, ending(("name", "line/77"), LATER), "x", desk.shown(CAI), desk.now
    )
    assert isinstance(refused, RegistryRefused)
    assert load_log(desk.city.database) == before


def test_a_change_of_a_row_that_was_changed_since_is_not_made(desk: Desk) -> None:
    number = wish(desk, changing(TERMINAL, {"participant": METRO}, LATER, None))
    other = wish(desk, ending(TERMINAL, LATER), DAN)
    assert isinstance(desk.approve(other, BO), Approved)
    before = load_changes(desk.city.database)
    assert refusal(desk.approve(number, DAN)) is Answer.CHANGED_SINCE
    assert load_changes(desk.city.database) == before


def test_a_change_whose_participant_is_gone_since_is_not_made(desk: Desk) -> None:
    code = 601
    shop = Dated(ParticipantRow(code, "shop", 1, 1))
    desk.approve(wish(desk, adding(shop)), DAN)
    number = wish(desk, changing(TERMINAL, {"participant": code}, LATER, None))
    desk.approve(wish(desk, ending(("participant", str(code)), DAY)), DAN)
    before = load_changes(desk.city.database)
    assert refusal(desk.approve(number, DAN)) is Answer.NOT_TO_RULE_ON
    assert load_changes(desk.city.database) == before


def test_no_person_changes_the_registry_alone(desk: Desk) -> None:
    before = load_changes(desk.city.database)
    alone = Action(Actor(CAI), NOW, "alone")
    for made in (
        add_row(desk.city, LINE, alone),
        change_row(desk.city, TERMINAL, {"participant": METRO}, LATER, None, alone),
        end_row(desk.city, TERMINAL, LATER, alone),
    ):
        assert isinstance(made, RegistryRefused)
        assert made.refusal is RegistryRefusal.TAKES_TWO
    with pytest.raises(RegistryConflictError):
        register_rows(desk.city, [LINE], alone)
    assert load_changes(desk.city.database) == before
    system = replace(alone, by=Actor("intake", ActorKind.SYSTEM))
    assert isinstance(add_row(desk.city, LINE, system), Decided)


def test_a_change_that_fails_leaves_no_approval_behind(desk: Desk) -> None:
    number = wish(desk, adding(LINE))
    log, changes = load_log(desk.city.database), load_changes(desk.city.database)

    def fail(*_: object) -> None:
        raise RuntimeError

    approval = NewEntry(Act.APPROVE, DAN, NOW, {}, number)
    with pytest.raises(RuntimeError):
        keep_act(desk.city.database, enrolled(DAN)[0], lambda _: approval, fail)
    assert (load_log(desk.city.database), load_changes(desk.city.database)) == (log, changes)


def close(desk: Desk, second: Actor | None = None) -> ClosedDay | DayAnswer:
    return close_day(desk.city, LATER, KEYS, ENGINE, NOW, CLERK, second=second)


def test_a_day_out_of_bounds_is_closed_by_a_ruling_and_by_no_name(
    desk: Desk, tmp_path: Path
) -> None:
    receive(desk.city, *two_days_of_files()[0])
    item, kind = f"day/{LATER}", RulingKind.DAYS_CLOSE
    assert close(desk, Actor("anybody")) is DayAnswer.DAY_BEYOND_TOMORROW
    number = desk.proposed(kind, item, by=CAI)
    assert close(desk) is DayAnswer.DAY_BEYOND_TOMORROW
    desk.approve(number, DAN)
    closed = close(desk)
    assert isinstance(closed, ClosedDay)
    assert (closed.closed_by, closed.confirmed_by) == (Actor(CAI), Actor(DAN))
    assert check(tmp_path / "city").is_sound
    for day in (LATER, DAY, "2999-01-01"):
        assert refusal(desk.propose(kind, f"day/{day}", by=CAI)) is Answer.NOT_TO_RULE_ON


def test_a_proposal_to_close_a_far_day_is_out_of_date_when_another_was_closed(desk: Desk) -> None:
    receive(desk.city, *two_days_of_files()[0])
    number = desk.proposed(RulingKind.DAYS_CLOSE, f"day/{LATER}", by=CAI)
    assert isinstance(close_day(desk.city, None, KEYS, ENGINE, NOW, CLERK), ClosedDay)
    assert refusal(desk.approve(number, DAN)) is Answer.CHANGED_SINCE
