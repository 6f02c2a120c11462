"""What two people rule of suspended money is the last word on it: paid, or held for the holder."""

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from cardcore.records.kinds import RecordKind
from settlement.clearing.totals import Clearing
from settlement.dispositions import Disposition, Reason, Verdict
from settlement.registry.placing import PlacedNumbers
from settlement.registry.rows import HotlistRow, TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS_OPERATOR,
    DAY,
    LOAD_AGENT,
    METRO_OPERATOR,
    STRANGER,
    Desk,
    Proven,
    card_text,
    chain,
    debit,
    load,
    proven,
)

CARD = card_text(1)
ISSUER = bytes.fromhex("0000000000007777")
NEXT = DAY + timedelta(days=1)
LATER = DAY + timedelta(days=2)
FIRST = proven(load())
RIDE = proven(debit())
RIDE_AT = debit().time


def listed(folder: Path, known_tariffs: Mapping[tuple[int, RecordKind], int] | None = None) -> Desk:
    """A desk that knows the card as stolen."""
    return Desk(folder, hotlist=[HotlistRow(CARD, 1)], known_tariffs=known_tariffs)


def key_of(rows: list[Proven], row: int = 0) -> tuple[int, int]:
    return int(Desk.hash_of(rows)[:16], 16), row


def accounts(clearing: Clearing) -> dict[str, int]:
    """What a run moves on each account, in fen, debits positive."""
    sums: dict[str, int] = {}
    for side in (clearing.buckets, clearing.participants):
        for accounts in side.values():
            for account, gross in accounts.items():
                sums[account.text] = sums.get(account.text, 0) + gross.net_fen
    return {account: fen for account, fen in sums.items() if fen}


def held(desk: Desk, *rows: Proven) -> dict[str, int]:
    """A day on which the rows are suspended."""
    outcome = desk.run([*rows])
    assert desk.reasons([*rows]) == [Reason.HOTLISTED] * len(rows)
    return accounts(outcome.clearing)


@pytest.mark.parametrize(
    ("verdict", "reason", "account"),
    [
        (Verdict.RELEASE, Reason.RELEASED, f"operator/{BUS_OPERATOR}"),
        (Verdict.RETURN, Reason.RETURNED, "holder_due"),
    ],
)
def test_a_suspended_debit_goes_where_two_people_ruled(
    tmp_path: Path, verdict: Verdict, reason: Reason, account: str
) -> None:
    desk = listed(tmp_path)
    assert held(desk, *RIDE) == {"card_float": 160, f"suspense/{BUS_OPERATOR}": -160}
    outcome = desk.run(day=NEXT, rulings={key_of(RIDE): verdict})
    (found,) = desk.verdicts().values()
    assert (found.reason, found.disposition) == (reason, Disposition.ACCEPTED)
    assert accounts(outcome.clearing) == {f"suspense/{BUS_OPERATOR}": 160, account: -160}
    assert outcome.clearing.totals.net_sum_fen == 0
    assert (outcome.clearing.totals.accepted, outcome.clearing.totals.suspended) == (1, -1)
    # It waits for nothing more, and its movement is settled for ever.
    again = desk.run(RIDE, day=LATER)
    assert desk.reasons(RIDE) == [Reason.DUPLICATE]
    assert accounts(again.clearing) == {}


def test_what_a_released_debit_charges_above_a_known_tariff_is_held_for_the_holder(
    tmp_path: Path,
) -> None:
    desk = listed(tmp_path, {(BUS_OPERATOR, RecordKind.PURCHASE): 100})
    held(desk, *RIDE)
    outcome = desk.run(day=NEXT, rulings={key_of(RIDE): Verdict.RELEASE})
    assert accounts(outcome.clearing) == {
        f"suspense/{BUS_OPERATOR}": 160,
        f"operator/{BUS_OPERATOR}": -100,
        "holder_due": -60,
    }


def test_what_was_returned_is_no_discount(tmp_path: Path) -> None:
    desk = listed(tmp_path, {(BUS_OPERATOR, RecordKind.PURCHASE): 200})
    held(desk, *RIDE)
    outcome = desk.run(day=NEXT, rulings={key_of(RIDE): Verdict.RETURN})
    assert outcome.clearing.classes == ()


def test_a_released_load_is_owed_by_its_agent(tmp_path: Path) -> None:
    desk = listed(tmp_path)
    assert held(desk, *FIRST) == {"card_float": -1000, f"suspense/{LOAD_AGENT}": 1000}
    outcome = desk.run(day=NEXT, rulings={key_of(FIRST): Verdict.RELEASE})
    assert accounts(outcome.clearing) == {
        f"suspense/{LOAD_AGENT}": -1000,
        f"load_agent/{LOAD_AGENT}": 1000,
    }


def test_a_ruling_is_on_what_still_waits(tmp_path: Path) -> None:
    """The terminal was registered after two people returned the money: its owner is paid."""
    desk = Desk(tmp_path)
    ride = proven(debit(terminal=STRANGER))
    desk.run(ride)
    assert desk.reasons(ride) == [Reason.TERMINAL_UNKNOWN]
    desk.terminals = (*desk.terminals, TerminalRow(STRANGER, METRO_OPERATOR, "gate"))
    desk.run(day=NEXT, rulings={key_of(ride): Verdict.RETURN})
    (found,) = desk.verdicts().values()
    assert (found.reason, found.operator) == (Reason.NONE, METRO_OPERATOR)


def test_money_of_an_unknown_terminal_is_released_to_whoever_sent_it(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    ride = proven(debit(terminal=STRANGER))
    desk.run(ride, sender=BUS_OPERATOR)
    outcome = desk.run(day=NEXT, rulings={key_of(ride): Verdict.RELEASE})
    assert accounts(outcome.clearing)[f"operator/{BUS_OPERATOR}"] == -160


def test_the_card_s_chain_is_what_it_was(tmp_path: Path) -> None:
    """A ruling moves money between others than the cards: float, balances and proof stay."""
    life = proven(*chain(1, 1000, -160, -170))
    desk = listed(tmp_path)
    before = desk.run(life).clearing.totals
    file = key_of(life)[0]
    verdicts = {(file, 1): Verdict.RELEASE, (file, 2): Verdict.RETURN}
    after = desk.run(day=NEXT, rulings=verdicts).clearing.totals
    for name in ("float_fen", "card_balance_fen", "open_gap_fen", "gaps_open"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.float_proof.explained_fen == before.float_proof.explained_fen == 670


def test_a_copy_on_the_day_of_the_ruling_is_a_copy(tmp_path: Path) -> None:
    desk = listed(tmp_path)
    held(desk, *RIDE)
    again = [*RIDE, *proven(debit(time=RIDE_AT + timedelta(hours=1)))]
    desk.run(again, day=NEXT, rulings={key_of(RIDE): Verdict.RELEASE})
    assert desk.reasons(again) == [Reason.DUPLICATE, Reason.HOTLISTED]


@pytest.mark.parametrize("verdict", list(Verdict))
def test_its_centre_pays_for_a_guest_or_keeps_what_the_card_paid(
    tmp_path: Path, verdict: Verdict
) -> None:
    ends = (0, 10**19, date.min, date.max)
    guest = PlacedNumbers(debit().application, ISSUER.hex(), *ends, "partner", 777)
    desk = Desk(tmp_path, numbers=[guest])
    ride = proven(debit(issuer=ISSUER))
    desk.run(ride)
    assert desk.reasons(ride) == [Reason.CENTRE_PENDING]
    outcome = desk.run(day=NEXT, rulings={key_of(ride): verdict})
    moved = {f"suspense/{BUS_OPERATOR}": 160}
    if verdict is Verdict.RELEASE:
        moved[f"operator/{BUS_OPERATOR}"] = -160
    else:
        moved["centre/777"] = -160
    assert accounts(outcome.clearing) == moved
