"""What one person asks for and another answers: decided by the audit log alone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from settlement.people.roles import Role
from settlement.people.signing import signature_holds
from settlement.rulings.book import Proposal
from settlement.rulings.kinds import KINDS, RulingKind
from settlement.rulings.log import Act, NewEntry, broken_entry, statement_of
from settlement.rulings.proposals import (
    Answer,
    Refused,
    Request,
    Standing,
    check_approval,
    decide_answer,
    decide_founding,
    decide_proposal,
)
from tests.settlement.rulings.crew import (
    ADA,
    BO,
    CAI,
    DAN,
    EVE,
    MONDAY,
    ORIGIN,
    WEEK,
    Crew,
    enrolled,
    new_person,
)

SKIP = Request(RulingKind.FILES_SKIP, ("sequence/101/7",), "its sender lost it")
LOST = Standing("lost", 1)


@pytest.fixture
def crew() -> Crew:
    """Everybody is in: the first two founded the office and added the others."""
    made = Crew()
    made.found(ADA, BO)
    for name in (CAI, DAN, EVE):
        add(made, name)
    return made


def add(crew: Crew, name: str) -> None:
    request = Request(
        RulingKind.PEOPLE_ADD, (f"person/{name}",), "hired", new_person(name).content()
    )
    rule(crew, request, ADA, BO)


def propose(
    crew: Crew, request: Request, by: str, standing: Standing = LOST, at: datetime = MONDAY
) -> NewEntry | Proposal | Refused:
    return decide_proposal(crew.book, request, crew.book.people[by], standing, at, WEEK)


def proposed(crew: Crew, request: Request, by: str, standing: Standing = LOST) -> int:
    decided = propose(crew, request, by, standing)
    assert isinstance(decided, NewEntry), decided
    return crew.act(decided).number


def answer(
    crew: Crew, number: int, by: str, act: Act = Act.APPROVE, at: datetime = MONDAY
) -> NewEntry | Refused:
    book = crew.book
    return decide_answer(book, book.proposals[number], book.people[by], act, at)


def rule(crew: Crew, request: Request, first: str, second: str) -> int:
    decided = answer(crew, proposed(crew, request, first), second)
    assert isinstance(decided, NewEntry), decided
    return crew.act(decided).number


def refusal(decided: object) -> Answer:
    assert isinstance(decided, Refused), decided
    return decided.answer


def test_what_two_people_signed_is_a_ruling(crew: Crew) -> None:
    number = rule(crew, SKIP, CAI, DAN)
    (ruling,) = crew.book.about("sequence/101/7")
    assert (ruling.number, ruling.kind, ruling.why) == (number, SKIP.kind, SKIP.why)
    assert (ruling.proposed_by, ruling.approved_by) == (CAI, DAN)
    assert broken_entry(crew.entries) is None


def test_the_first_two_are_one_administrator_and_one_security_officer() -> None:
    crew = Crew()
    assert refusal(decide_founding(crew.book, new_person(DAN), ORIGIN, MONDAY)) is Answer.NO_FOUNDER
    crew.found(BO)
    again = replace(new_person(ADA), role=Role.SECURITY_OFFICER)
    assert refusal(decide_founding(crew.book, again, ORIGIN, MONDAY)) is Answer.NO_FOUNDER
    assert refusal(decide_founding(crew.book, new_person(BO), ORIGIN, MONDAY)) is Answer.NAME_TAKEN
    assert not crew.book.needs_two
    crew.found(ADA)
    assert crew.book.needs_two
    third = decide_founding(crew.book, new_person(ADA), ORIGIN, MONDAY)
    assert refusal(third) is Answer.FOUNDED_ALREADY


@pytest.mark.parametrize(
    ("by", "expected"),
    [(CAI, Answer.NO_RIGHT), (EVE, Answer.NO_RIGHT), (ADA, Answer.NO_RIGHT), (BO, Answer.NO_RIGHT)],
)
def test_an_approval_by_somebody_without_the_right(crew: Crew, by: str, expected: Answer) -> None:
    number = proposed(crew, SKIP, DAN)
    assert refusal(answer(crew, number, by)) is expected


def test_an_approval_by_the_same_person(crew: Crew) -> None:
    number = proposed(crew, SKIP, DAN)
    assert refusal(answer(crew, number, DAN)) is Answer.SAME_PERSON


def test_whoever_proposed_may_take_it_back(crew: Crew) -> None:
    number = proposed(crew, SKIP, CAI)
    taken_back = answer(crew, number, CAI, Act.DECLINE)
    assert isinstance(taken_back, NewEntry)
    crew.act(taken_back)
    assert crew.book.about("sequence/101/7") == []
    assert refusal(answer(crew, number, DAN)) is Answer.ANSWERED_ALREADY


def test_an_approval_out_of_date(crew: Crew) -> None:
    number = proposed(crew, SKIP, CAI)
    assert isinstance(answer(crew, number, DAN, at=MONDAY + WEEK - timedelta(seconds=1)), NewEntry)
    assert refusal(answer(crew, number, DAN, at=MONDAY + WEEK)) is Answer.EXPIRED


def test_an_approval_of_what_changed_since(crew: Crew) -> None:
    number = proposed(crew, SKIP, CAI)
    proposal = crew.book.proposals[number]
    assert check_approval(crew.book, proposal, LOST) is None
    found = check_approval(crew.book, proposal, Standing("it came", 1))
    assert refusal(found) is Answer.CHANGED_SINCE


def test_an_approval_after_the_proposer_ended(crew: Crew) -> None:
    number = proposed(crew, SKIP, CAI)
    proposal = crew.book.proposals[number]
    rule(crew, Request(RulingKind.PEOPLE_END, (f"person/{CAI}",), "left"), ADA, BO)
    assert not crew.book.people[CAI].is_valid
    assert refusal(check_approval(crew.book, proposal, LOST)) is Answer.PROPOSER_ENDED
    add(crew, CAI)  # somebody else by the same name is not whoever proposed
    assert crew.book.people[CAI].is_valid
    assert refusal(check_approval(crew.book, proposal, LOST)) is Answer.PROPOSER_ENDED


def test_the_same_proposal_again_is_the_same_proposal(crew: Crew) -> None:
    number = proposed(crew, SKIP, CAI)
    again = propose(crew, SKIP, CAI)
    assert isinstance(again, Proposal)
    assert again.number == number
    assert refusal(propose(crew, SKIP, DAN)) is Answer.PROPOSED_ALREADY
    changed = propose(crew, SKIP, CAI, Standing("otherwise", 1))
    assert isinstance(changed, NewEntry)
    assert isinstance(propose(crew, SKIP, CAI, at=MONDAY + WEEK), NewEntry)


@pytest.mark.parametrize("names", [(ADA,), (ADA, BO)])
def test_nobody_ends_the_last_two_who_can_add_people(crew: Crew, names: Sequence[str]) -> None:
    request = Request(RulingKind.PEOPLE_END, tuple(f"person/{each}" for each in names), "left")
    assert refusal(propose(crew, request, ADA)) is Answer.NOBODY_LEFT


def test_no_role_both_clears_and_says_who_clears() -> None:
    people = {KINDS[RulingKind.PEOPLE_ADD].propose, KINDS[RulingKind.PEOPLE_ADD].approve}
    money = {each.approve for each in KINDS.values() if each.moves_money}
    for role in Role:
        assert not (role.rights & people and role.rights & money), role


def test_a_signature_covers_every_part_of_an_act_and_its_place(crew: Crew) -> None:
    entry = crew.entries[rule(crew, SKIP, CAI, DAN) - 1]
    key = enrolled(DAN)[1].public_key
    statement = statement_of(entry.number, entry.what, entry.previous_hash)
    assert signature_holds(key, statement, entry.signature)
    what = entry.what
    for other in (
        replace(what, act=Act.DECLINE),
        replace(what, by=CAI),
        replace(what, at=MONDAY + WEEK),
        replace(what, proposal=1),
        replace(what, content={"x": 1}),
    ):
        changed = statement_of(entry.number, other, entry.previous_hash)
        assert not signature_holds(key, changed, entry.signature), other
    for number, previous in ((99, entry.previous_hash), (entry.number, "f" * 64)):
        elsewhere = statement_of(number, what, previous)
        assert not signature_holds(key, elsewhere, entry.signature)


def test_a_first_person_who_proposes_too_early_does_not_keep_the_second_out() -> None:
    crew = Crew()
    crew.found(ADA)
    proposed(
        crew,
        Request(RulingKind.PEOPLE_ADD, (f"person/{CAI}",), "x", new_person(CAI).content()),
        ADA,
    )
    assert isinstance(decide_founding(crew.book, new_person(BO), ORIGIN, MONDAY), NewEntry)
