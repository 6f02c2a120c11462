"""The life of a card: the table whole, and the rules it must never break."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.issuing.lifecycle import (
    ACCEPTED,
    TABLE,
    CardState,
    ChipAction,
    LifeEvent,
    LifeRefusal,
    Requester,
    Transition,
    decide_event,
)

#: state event -> next state, roles, what the chip is told
EXPECTED = """
stock        personalise -> personalised desk,personaliser,supervisor      personalise
stock        destroy     -> destroyed    personaliser,supervisor           card-block
personalised void        -> stock        personaliser,supervisor           void
personalised issue       -> active       desk,supervisor                   none
personalised destroy     -> destroyed    personaliser,supervisor           card-block
active       suspend     -> suspended    desk,holder,risk,supervisor       none
active       block       -> blocked      risk,supervisor                   application-block
active       replace     -> replaced     desk,supervisor                   card-block
suspended    resume      -> active       desk,supervisor                   none
suspended    block       -> blocked      risk,supervisor                   application-block
suspended    replace     -> replaced     desk,supervisor                   none
blocked      unblock     -> active       supervisor                        application-unblock
blocked      replace     -> replaced     supervisor                        none
blocked      destroy     -> destroyed    supervisor                        card-block
replaced     destroy     -> destroyed    desk,supervisor                   card-block
"""
EVERYTHING = list(itertools.product(CardState, LifeEvent, Requester))


def test_the_table_is_this_one() -> None:
    rows = [line.replace("->", "").split() for line in EXPECTED.split("\n") if line]
    assert len(rows) == len(TABLE)
    for state, event, following, roles, chip in rows:
        found = TABLE[CardState(state), LifeEvent(event)]
        assert (found.to, found.chip) == (following, chip)
        assert ",".join(sorted(found.roles)) == roles


@pytest.mark.parametrize(("state", "event", "role"), EVERYTHING)
def test_what_is_not_in_the_table_is_refused_and_says_why(
    state: CardState, event: LifeEvent, role: Requester
) -> None:
    decision = decide_event(state, event, role)
    row = TABLE.get((state, event))
    if state is CardState.DESTROYED:
        assert decision is LifeRefusal.FINAL
    elif row is None:
        assert decision is LifeRefusal.NOT_FROM_HERE
    else:
        assert decision == (row if role in row.roles else LifeRefusal.NOT_BY_THIS_ROLE)


def test_a_holder_can_stop_a_card_and_never_start_one() -> None:
    reached = {
        decision.to
        for state, event, role in EVERYTHING
        if role is Requester.HOLDER
        and isinstance(decision := decide_event(state, event, role), Transition)
    }
    assert reached == {CardState.SUSPENDED}


def test_every_state_can_be_reached_and_ends_in_destroyed() -> None:
    following = {
        state: {row.to for (at, _), row in TABLE.items() if at is state} for state in CardState
    }
    reached, front = {CardState.STOCK}, [CardState.STOCK]
    while front:
        new = following[front.pop()] - reached
        reached |= new
        front += new
    assert reached == set(CardState)
    ends = {CardState.DESTROYED}
    while more := {state for state in CardState if following[state] & ends} - ends:
        ends |= more
    assert ends == set(CardState)


@given(st.lists(st.tuples(st.sampled_from(LifeEvent), st.sampled_from(Requester)), max_size=40))
def test_a_replaced_card_is_never_taken_again(steps: list[tuple[LifeEvent, Requester]]) -> None:
    state, replaced = CardState.STOCK, False
    for event, role in steps:
        decision = decide_event(state, event, role)
        if isinstance(decision, Transition):
            state = decision.to
        replaced |= state is CardState.REPLACED
        assert not (replaced and state in ACCEPTED)


def test_a_block_on_the_chip_is_lifted_by_the_only_way_back() -> None:
    assert TABLE[CardState.ACTIVE, LifeEvent.BLOCK].chip is ChipAction.BLOCK
    back = [
        row
        for (state, _), row in TABLE.items()
        if state is CardState.BLOCKED and row.to is CardState.ACTIVE
    ]
    assert [row.chip for row in back] == [ChipAction.UNBLOCK]
