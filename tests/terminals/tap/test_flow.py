"""The tables of the session: closed, reachable, and money never moves before its intent."""

import dataclasses

import pytest

from cardcore.apdu import ResponseApdu
from terminals.roles import ROLES
from terminals.roles.bus import BUS
from terminals.tap.actions import Finish, TapContext, ToCard
from terminals.tap.decisions import asked_purses
from terminals.tap.flow import PATHS, TRANSITIONS, Flow, Signal, State
from terminals.tap.role import DeviceRole
from terminals.tap.session import Session
from terminals.taps import TapOutcome
from tests.terminals.equipment import NOON, a_device, a_request

CARD_STATES = {
    State.SELECTING,
    State.READING_LOG,
    State.READING_PROPERTIES,
    State.READING_TRANSIT,
    State.INITIALISING,
    State.WRITING_TRANSIT,
    State.WRITING_TRIP,
    State.COMMITTING,
}
BUDGET = {Flow.RIDE: 6, Flow.GATE: 8, Flow.PURCHASE: 5, Flow.LOAD: 5}


@pytest.mark.parametrize("flow", Flow)
def test_flow_says_no_command_more_than_its_budget(flow: Flow) -> None:
    before = (State.SELECTING, State.FINDING, State.READING_LOG)
    assert sum(state in CARD_STATES for state in before + PATHS[flow]) == BUDGET[flow]


@pytest.mark.parametrize("flow", Flow)
def test_every_state_leads_on_and_only_done_ends(flow: Flow) -> None:
    table = TRANSITIONS[flow]
    reached, waiting = {State.SELECTING}, [State.SELECTING]
    while waiting:
        state = waiting.pop()
        assert (state is State.DONE) == (state not in table or not table[state])
        for following in table.get(state, {}).values():
            if following not in reached:
                reached.add(following)
                waiting.append(following)
    assert set(PATHS[flow]) <= reached
    assert State.DONE in reached


@pytest.mark.parametrize("flow", Flow)
def test_money_never_moves_before_its_intent_is_durable(flow: Flow) -> None:
    into_commit = [
        (state, signal)
        for state, row in TRANSITIONS[flow].items()
        for signal, following in row.items()
        if following is State.COMMITTING
    ]
    assert into_commit == [(State.STORING_INTENT, Signal.GOOD)]


@pytest.mark.parametrize("role", ROLES.values(), ids=ROLES)
def test_role_that_writes_a_trip_says_what_kind(role: DeviceRole) -> None:
    writes = State.WRITING_TRIP in PATHS[role.flow]
    assert writes == (role.trip_type is not None) == (role.industry is not None)
    with pytest.raises(dataclasses.FrozenInstanceError):
        role.name = "other"  # type: ignore[misc]


def _session() -> Session:
    device, request = a_device("bus"), a_request("one", "bus")
    purses = asked_purses(BUS, device, request)
    return Session(TapContext(BUS, purses, device, request, NOON))


def test_asking_twice_changes_nothing() -> None:
    session = _session()
    assert session.action() == session.action()
    assert session.state is State.SELECTING


def test_reply_of_another_kind_is_a_bug_and_leaves_the_session_where_it_was() -> None:
    session = _session()
    with pytest.raises(AssertionError):
        session.answer(None)
    assert session.state is State.SELECTING
    assert isinstance(session.action(), ToCard)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("6A82", TapOutcome.CARD_UNREADABLE),
        ("6A81", TapOutcome.CARD_BLOCKED),
        ("9303", TapOutcome.CARD_BLOCKED),
        ("6283", TapOutcome.CARD_BLOCKED),
        ("9000", TapOutcome.CARD_UNREADABLE),
        ("6F049F0C01009000", TapOutcome.CARD_UNREADABLE),
        ("6FFF9000", TapOutcome.CARD_UNREADABLE),
    ],
)
def test_selection_that_gives_no_card_ends_the_tap(answer: str, outcome: TapOutcome) -> None:
    session = _session()
    asked = 0
    while not isinstance(action := session.action(), Finish):
        session.answer(ResponseApdu.decode(bytes.fromhex(answer)))
        asked += 1
    # Only a card without the purse is asked for it under its other name.
    assert asked == (2 if answer == "6A82" else 1)
    assert action.result.outcome is outcome
    assert action.result.record is None
