"""What only a whole run shows of a card's chain: wrap of the counter, days between, held money."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from cardcore.keys import ProofReason
from cardcore.records.record import encode_record
from settlement.dispositions import GapState, Reason
from settlement.ledger.accounts import Account, AccountKind
from settlement.ledger.movements import Gross
from settlement.reconciliation.chain import CounterKind
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    COLLECTOR,
    DAY,
    STRANGER,
    Desk,
    Proven,
    chain,
    debit,
    load,
    proven,
)

NEXT_DAY = DAY + timedelta(days=1)


def test_a_card_whose_counter_wraps_goes_on_without_a_gap(tmp_path: Path) -> None:
    def ride(counter: int, number: int) -> list[Proven]:
        before_fen = 1000 - 160 * number
        return proven(
            debit(
                offline_counter=counter,
                balance_before_fen=before_fen,
                balance_after_fen=before_fen - 160,
                terminal_serial=number + 1,
                time=datetime.fromisoformat("2018-09-01T08:00") + timedelta(minutes=number),
            )
        )

    desk = Desk(tmp_path)
    desk.run([*proven(load()), *ride(65_534, 0), *ride(65_535, 1)])
    assert [gap[:5] for gap in desk.gaps()] == [(3104870000000000001, 0, 0, 65_533, 0)]
    outcome = desk.run([*ride(1, 2), *ride(2, 3)], day=NEXT_DAY)
    totals = outcome.clearing.totals
    assert (totals.accepted, totals.gaps_open, totals.card_balance_fen) == (2, 1, 360)


def test_a_lost_ride_opens_a_gap_at_its_price_and_the_late_ride_fills_it(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -400, -160)
    desk = Desk(tmp_path)
    first = desk.run(proven(life[0], life[1], life[3])).clearing.totals
    card = int(life[0].card_number)
    assert desk.gaps() == [(card, CounterKind.DEBIT, 1, 1, 400, DAY, GapState.OPEN)]
    assert (first.float_fen, first.card_balance_fen, first.open_gap_fen) == (680, 280, 400)
    second = desk.run(proven(life[2]), day=NEXT_DAY).clearing.totals
    assert desk.gaps() == [(card, CounterKind.DEBIT, 1, 1, 0, DAY, GapState.FILLED)]
    assert (second.float_fen, second.card_balance_fen, second.open_gap_fen) == (280, 280, 0)
    desk.run(day=NEXT_DAY + timedelta(days=1))
    assert desk.gaps() == []


def test_loads_that_come_a_day_late_close_the_gaps_they_left(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, 500, -160, -160)
    desk = Desk(tmp_path)
    first = desk.run(proven(*(each for each in life if not each.is_load))).clearing.totals
    assert first.gaps_open == 2
    assert first.float_fen == -480
    second = desk.run(proven(life[0], life[2]), day=NEXT_DAY).clearing.totals
    assert (second.gaps_open, second.float_fen, second.card_balance_fen) == (0, 1020, 1020)


def test_a_held_debit_is_out_of_the_float_and_on_nobody_s_account_yet(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160)
    held = replace(life[1], terminal=STRANGER)
    desk = Desk(tmp_path)
    outcome = desk.run(proven(life[0], held, life[2]))
    totals = outcome.clearing.totals
    assert (totals.float_fen, totals.card_balance_fen) == (680, 680)
    assert (totals.gaps_open, totals.suspended) == (0, 1)
    account = Account(AccountKind.SUSPENSE, COLLECTOR)
    assert outcome.clearing.participants[COLLECTOR] == {account: Gross(credit_fen=160)}


def test_a_debit_that_nothing_proves_is_a_claim_and_the_chain_shows_what_is_missing(
    tmp_path: Path,
) -> None:
    life = chain(1, 1000, -160, -160)
    claim = (encode_record(life[1]), ProofReason.UNKNOWN_VERSION)
    outcome = Desk(tmp_path).run([*proven(life[0]), claim, *proven(life[2])])
    totals = outcome.clearing.totals
    assert (totals.float_fen, totals.card_balance_fen) == (840, 680)
    assert (totals.gaps_open, totals.open_gap_fen) == (1, 160)
    assert (totals.claims, totals.claims_fen, totals.suspended) == (1, 160, 0)
    assert AccountKind.SUSPENSE not in {
        account.kind for sums in outcome.clearing.participants.values() for account in sums
    }


def test_a_load_that_nothing_proves_moves_no_money(tmp_path: Path) -> None:
    forged = (encode_record(load(amount_fen=9000, balance_after_fen=9000)), ProofReason.WRONG)
    unproven = (encode_record(load()), ProofReason.UNKNOWN_VERSION)
    desk = Desk(tmp_path)
    totals = desk.run([forged, unproven]).clearing.totals
    assert (totals.claims, totals.claims_fen, totals.rejected, totals.suspended) == (
        2,
        10_000,
        0,
        0,
    )
    assert (totals.float_fen, totals.open_gap_fen) == (0, 0)


def test_a_proven_load_of_an_unknown_kiosk_is_held_but_on_the_card(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcome = desk.run(proven(load(terminal=STRANGER), debit()))
    totals = outcome.clearing.totals
    assert (totals.accepted, totals.suspended, totals.gaps_open) == (1, 1, 0)
    assert totals.float_fen == totals.card_balance_fen == 840
    held = Account(AccountKind.SUSPENSE, COLLECTOR)
    assert outcome.clearing.participants[COLLECTOR] == {held: Gross(debit_fen=1000)}


def test_cards_of_one_run_do_not_touch_each_other(tmp_path: Path) -> None:
    broken = chain(1, 1000, -160, -160, -160)
    whole = chain(2, 1000, -160, -80, serials={BUS: 4, "0000000000c1": 2, "0000000000e1": 1})
    desk = Desk(tmp_path)
    desk.run(proven(*broken[:2], broken[3], *whole))
    assert {gap[0] for gap in desk.gaps()} == {int(broken[0].card_number)}


def test_a_load_and_a_ride_in_the_same_second_are_taken_in_the_order_money_allows(
    tmp_path: Path,
) -> None:
    life = [
        replace(each, time=datetime.fromisoformat("2018-09-01T08:00"))
        for each in chain(1, 500, -160, 300, -160)
    ]
    desk = Desk(tmp_path)
    totals = desk.run(proven(*reversed(life))).clearing.totals
    assert (totals.gaps_open, totals.card_balance_fen) == (0, 480)


def test_a_terminal_clock_wrong_by_years_breaks_no_chain(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160)
    life[2] = replace(life[2], time=datetime.fromisoformat("1990-01-06"))
    desk = Desk(tmp_path)
    rows = proven(*life)
    totals = desk.run(rows).clearing.totals
    assert set(desk.reasons(rows)) == {Reason.NONE}
    assert (totals.gaps_open, totals.card_balance_fen) == (0, 520)
