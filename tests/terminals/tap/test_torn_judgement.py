"""What a torn tap is known by: every field of it, the whole log of the card, a time that ran."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.layouts.transit import LOG_RECORDS, LogRecord
from cardcore.records.kinds import RecordKind, TransactionType
from cardcore.records.record import decode_record
from terminals.link.connection import InProcessConnection
from terminals.roles.bus import BUS
from terminals.roles.shop import SHOP
from terminals.tap.decisions import (
    SECOND_TRY_SECONDS_MAX,
    Verdict,
    is_second_try,
    judge_torn_tap,
)
from terminals.taps import Fare, TapOutcome, TapState
from tests.support.records import a_bus_ride
from tests.terminals.equipment import (
    NOON,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    balance,
    load,
    records_of,
)
from tests.terminals.faults import TornConnection, check_money

DRAFT = a_bus_ride(time=NOON, offline_counter=7, amount_fen=160, tariff_fen=200)
OURS = LogRecord(
    counter=7,
    overdraft_fen=0,
    amount_fen=160,
    transaction_type=TransactionType.PURCHASE,
    terminal=DRAFT.terminal,
    time=NOON,
)


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, Verdict.MOVED),
        ({"time": NOON + timedelta(seconds=1)}, Verdict.NOT_MOVED),
        ({"time": NOON - timedelta(days=1)}, Verdict.NOT_MOVED),
        ({"amount_fen": 161}, Verdict.NOT_MOVED),
        ({"terminal": "0000000000ff"}, Verdict.NOT_MOVED),
        ({"counter": 6}, Verdict.NOT_MOVED),
        ({"counter": 8}, Verdict.OLDER),
        ({"transaction_type": TransactionType.LOAD}, Verdict.OLDER),
        ({"transaction_type": TransactionType.NONE}, Verdict.NOT_MOVED),
    ],
)
def test_a_log_record_is_ours_only_when_every_field_of_it_is(
    change: dict[str, object], verdict: Verdict
) -> None:
    assert judge_torn_tap(DRAFT, replace(OURS, **change)) is verdict  # type: ignore[arg-type]


def test_no_further_log_record_means_that_the_purse_did_not_move() -> None:
    assert judge_torn_tap(DRAFT, None) is Verdict.NOT_MOVED


@pytest.mark.parametrize(
    ("seconds", "is_same"),
    [
        (-86_400, False),
        (-1, False),
        (0, True),
        (SECOND_TRY_SECONDS_MAX, True),
        (SECOND_TRY_SECONDS_MAX + 1, False),
    ],
)
def test_a_second_try_comes_soon_after_the_tear_and_never_before_it(
    seconds: int,
    is_same: bool,  # noqa: FBT001 - what is expected
) -> None:
    """A clock that was set back between tear and retry says nothing about how long ago it was."""
    request, now = a_request("other", "bus"), NOON + timedelta(seconds=seconds)
    assert is_second_try(DRAFT, BUS, DRAFT.terminal, request, now) is is_same


def test_a_second_try_wishes_the_same_in_every_respect() -> None:
    def is_same(*, role: object = BUS, terminal: str = DRAFT.terminal, fare: Fare) -> bool:
        request = a_request("other", "bus", fare)
        return is_second_try(DRAFT, role, terminal, request, NOON)  # type: ignore[arg-type]

    assert BUS.kind is SHOP.kind is RecordKind.PURCHASE
    assert is_same(fare=Fare(200, 160))
    assert not is_same(fare=Fare(200, 161))
    assert not is_same(fare=Fare(201, 160))
    assert not is_same(fare=Fare(200, 160), terminal="0000000000ff")
    assert not is_same(fare=Fare(200, 160), role=replace(BUS, kind=RecordKind.EXIT))


@pytest.mark.parametrize("loads_since", [0, 1, LOG_RECORDS - 1])
def test_a_torn_ride_is_found_in_every_record_of_the_cards_log(
    tmp_path: Path, loads_since: int
) -> None:
    """Loads made elsewhere push it down; in the oldest record the log still tells of it."""
    card = a_card()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with an_open_journal(tmp_path) as journal, an_open_journal(elsewhere) as other:
        load(card, journal)
        torn = TornConnection(card, 5, after=True)
        terminal = a_terminal("bus", journal)
        assert terminal.tap(torn, a_request("torn", "bus"), NOON).outcome is TapOutcome.CARD_REMOVED
        for number in range(loads_since):
            assert load(card, other, 100, f"load {number}").outcome is TapOutcome.APPROVED
        again = terminal.tap(
            InProcessConnection(card), a_request("torn", "bus"), NOON + timedelta(seconds=60)
        )
        assert again.outcome is TapOutcome.RECOVERED
        assert balance(card) == 10_000 - 160 + 100 * loads_since
        assert len(records_of(journal)) == 2


def test_a_torn_ride_that_the_log_has_lost_is_given_up_and_not_guessed(tmp_path: Path) -> None:
    card = a_card()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with an_open_journal(tmp_path) as journal, an_open_journal(elsewhere) as other:
        load(card, journal)
        terminal = a_terminal("bus", journal)
        terminal.tap(TornConnection(card, 5, after=True), a_request("torn", "bus"), NOON)
        for number in range(LOG_RECORDS):
            load(card, other, 100, f"load {number}")
        again = terminal.tap(InProcessConnection(card), a_request("torn", "bus"), NOON)
        assert again.outcome is TapOutcome.UNRESOLVED
        assert journal.query("SELECT state FROM taps ORDER BY id DESC LIMIT 1") == [
            (TapState.LAPSED,)
        ]


class ShortAnswer:
    """A card that answers one command, by its instruction, with 9000 and too few or too many bytes
    of what it should say.
    """

    def __init__(self, inner: InProcessConnection, instruction: int, change: int) -> None:
        self._inner, self._instruction, self._change = inner, instruction, change

    def transmit(self, command: bytes) -> bytes:
        answer = self._inner.transmit(command)
        if command[1] != self._instruction or answer[-2:] != b"\x90\x00":
            return answer
        data = answer[:-2]
        data = data[: self._change] if self._change < 0 else data + bytes(self._change)
        return data + b"\x90\x00"


@pytest.mark.parametrize(
    ("role", "instruction", "change"),
    [
        *((role, 0x54, change) for role in ("bus", "shop") for change in (-8, -4, -1, 1)),
        *(("kiosk", 0x52, change) for change in (-4, -1, 1)),
    ],
)
def test_an_answer_without_the_whole_tac_leaves_the_tap_open_and_makes_no_record(
    tmp_path: Path, role: str, instruction: int, change: int
) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal, request = a_terminal(role, journal), a_request("short", role)
        connection = ShortAnswer(InProcessConnection(card), instruction, change)
        assert terminal.tap(connection, request, NOON).outcome is TapOutcome.CARD_REFUSED
        assert len(records_of(journal)) == 1
        # The money has moved. The card proves it when it comes again, and is charged once.
        again = terminal.tap(InProcessConnection(card), request, NOON + timedelta(seconds=5))
        assert again.outcome is TapOutcome.RECOVERED
        assert again.record is not None
        assert decode_record(records_of(journal)[-1]) == again.record
        check_money(journal, card)
