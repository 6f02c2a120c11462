"""R5: what lies between two statements of a purse has an exact price, and nothing is netted."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from settlement.dispositions import SegmentKind
from tests.settlement.reconciliation.statements.purses_stated import (
    DAY,
    Asked,
    Life,
    Moved,
    Purses,
    Segment,
)

MISSING_DEBITS, MISSING_LOADS = SegmentKind.MISSING_DEBITS, SegmentKind.MISSING_LOADS
CONTRADICTION = SegmentKind.CONTRADICTION
NEXT, THIRD = DAY + timedelta(days=1), DAY + timedelta(days=2)


def test_what_left_between_two_loads_and_was_not_posted_is_missing_exactly(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, _lost, known, second = card.load(5000), card.debit(160), card.debit(200), card.load(1000)
    purses.run(first, known, second)
    assert purses.segments() == [Segment(160, 0, MISSING_DEBITS, DAY)]
    assert purses.statement() == (2, 5640, second.dated, 0)


def test_a_late_debit_closes_the_segment_it_is_dated_in(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, late, second = card.load(5000), card.debit(160), card.load(1000)
    purses.run(first, second)
    purses.run(late, day=NEXT)
    assert purses.segments() == []


def test_debits_after_the_last_statement_are_its_tail(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    load = card.load(5000)
    purses.run(load, card.debit(160))
    assert purses.statement() == (1, 5000, load.dated, 160)
    purses.run(card.debit(200), day=NEXT)
    assert purses.statement() == (1, 5000, load.dated, 360)
    third = card.load(500)
    purses.run(third, day=THIRD)
    assert purses.statement() == (2, 5140, third.dated, 0)
    assert purses.segments() == []


def test_a_debit_that_no_statement_leaves_room_for_is_a_contradiction(tmp_path: Path) -> None:
    """The card says that nothing is missing between its loads; another debit is dated there."""
    card, purses = Life(), Purses(tmp_path)
    first, known, second = card.load(5000), card.debit(160), card.load(1000)
    purses.run(first, known, second)
    purses.run(replace(known, number=1, amount_fen=70), day=NEXT)
    assert purses.segments() == [Segment(-70, 0, CONTRADICTION, NEXT)]
    purses.run(replace(known, number=2, amount_fen=30), day=THIRD)
    assert purses.segments() == [Segment(-100, 0, CONTRADICTION, NEXT)]


def test_missing_loads_and_missing_debits_are_never_netted(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, _lost, second = card.load(1000), card.debit(300), card.load(100)
    _load_lost, third = card.load(300), card.load(50)
    purses.run(first, second, third)
    assert purses.segments() == [
        Segment(-300, 1, MISSING_LOADS, DAY),
        Segment(300, 0, MISSING_DEBITS, DAY),
    ]


def test_a_lost_load_that_comes_late_cuts_its_segment_in_two(tmp_path: Path) -> None:
    """The debits of closed days on both sides of it are looked up, and no other day is opened."""
    card, purses = Life(), Purses(tmp_path)
    first, one, lost, two, third = (
        card.load(1000), card.debit(100), card.load(300), card.debit(20), card.load(50),
    )  # fmt: skip
    purses.run(first, one, two, third)
    assert purses.segments() == [Segment(-300, 1, MISSING_LOADS, DAY)]
    later = Life(8)
    later.now += timedelta(days=1)
    purses.run(later.load(100), day=NEXT)
    purses.run(lost, day=THIRD)
    assert purses.segments() == []
    assert purses.opened == [DAY]


def test_a_load_that_comes_after_debits_dated_later_leaves_them_in_the_tail(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, one, late, two = card.load(1000), card.debit(100), card.load(300), card.debit(20)
    purses.run(first, one, two)
    assert purses.statement() == (1, 1000, first.dated, 120)
    purses.run(late, day=NEXT)
    assert purses.statement() == (2, 1200, late.dated, 20)
    assert purses.segments() == []


def test_a_card_that_never_stated_anything_is_unopened(tmp_path: Path) -> None:
    card, purses = Life(balance_fen=500), Purses(tmp_path)
    purses.run(card.debit(160))
    assert purses.statement() == (0, 0, None, 160)
    purses.run(card.load(100), day=NEXT)
    # Money was on it before its first load, and nobody allowed any.
    assert purses.segments() == [Segment(-500, 0, CONTRADICTION, NEXT)]


def test_money_before_the_first_known_load_can_be_that_of_the_missing_ones(tmp_path: Path) -> None:
    card, purses = Life(counter=3, balance_fen=500), Purses(tmp_path)
    purses.run(card.load(100))
    assert purses.segments() == [Segment(-500, 3, MISSING_LOADS, DAY)]


def test_no_missing_load_brings_more_than_a_card_may_hold(tmp_path: Path) -> None:
    card, purses = Life(counter=1, balance_fen=500_100), Purses(tmp_path)
    purses.run(card.load(100))
    assert purses.segments() == [Segment(-500_100, 1, CONTRADICTION, DAY)]


def test_counters_go_on_after_65535(tmp_path: Path) -> None:
    card, purses = Life(counter=65_534, balance_fen=0), Purses(tmp_path)
    purses.run(*(card.load(100) for _ in range(4)))
    counter, balance_fen, *_ = purses.statement()
    assert (counter, balance_fen) == (65_538, 400)
    assert purses.segments() == [Segment(0, 65_534, MISSING_LOADS, DAY)]
    purses.run(card.load(100), day=NEXT)
    assert purses.statement()[0] == 65_539


@pytest.mark.parametrize("order", [(2, 0, 1, 3), (3, 2, 1, 0), (1, 3, 0, 2), (2, 3, 1, 0)])
@pytest.mark.parametrize("is_together", [True, False])
def test_loads_on_both_sides_of_the_last_counter_may_come_in_any_order(
    tmp_path: Path,
    order: tuple[int, ...],
    is_together: bool,  # noqa: FBT001 - a case
) -> None:
    card, purses = Life(counter=65_534, balance_fen=0), Purses(tmp_path)
    loads = [card.load(100) for _ in range(4)]
    # A wrong clock is no reason to take the first one after the end for the first of a new card.
    loads[2] = replace(loads[2], dated=loads[0].dated - timedelta(hours=1))
    sent = [loads[n] for n in order]
    for number, part in enumerate([sent] if is_together else [[each] for each in sent]):
        purses.run(*part, day=DAY + timedelta(days=number))
    assert purses.statement()[:2] == (65_538, 400)
    (opening,) = purses.segments()
    assert (opening.price_fen, opening.missing_loads) == (0, 65_534)


def test_two_purses_of_a_card_state_each_its_own_balance(tmp_path: Path) -> None:
    card, other, purses = Life(), Life(), Purses(tmp_path)
    load = card.load(5000)
    purse = replace(other.load(200), number=1, application=1)
    purses.run(load, purse, replace(other.debit(50), number=2, application=1))
    assert purses.statement() == (1, 5000, load.dated, 0)
    assert purses.statement(application=1) == (1, 200, purse.dated, 50)


def test_mac1_is_a_statement_though_the_load_never_went_on(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, lost, asked = card.load(5000), card.debit(160), card.ask()
    purses.run(first, asked=[asked])
    assert purses.statement() == (1, 4840, asked.dated, 0)
    assert purses.segments() == [Segment(160, 0, MISSING_DEBITS, DAY)]
    purses.run(lost, day=NEXT)
    assert purses.segments() == []


def test_mac1_of_the_load_that_is_there_says_nothing_new(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, debit = card.load(5000), card.debit(160)
    asked = card.ask()
    second = card.load(100)
    purses.run(first, debit, second, asked=[asked])
    assert (purses.segments(), purses.statement()[3]) == ([], 0)
    # The log comes again late: it is behind, and nothing is missing there.
    purses.run(asked=[asked, replace(asked, balance_fen=4000)], day=NEXT)
    assert purses.segments() == []


def test_mac1_tells_a_missing_load_from_missing_debits(tmp_path: Path) -> None:
    """Between two loads 300 are missing on the whole; MAC1 in between says where."""
    card, purses = Life(), Purses(tmp_path)
    first, _lost = card.load(1000), card.debit(400)
    asked = card.ask()
    _load_lost, third = card.load(100), card.load(50)
    purses.run(first, third)
    assert purses.segments() == [Segment(300, 1, MISSING_DEBITS, DAY)]
    purses.run(asked=[asked], day=NEXT)
    assert purses.segments() == [
        Segment(-100, 1, MISSING_LOADS, DAY),
        Segment(400, 0, MISSING_DEBITS, DAY),
    ]


def test_a_clock_of_a_kiosk_that_is_behind_dates_nothing_before_the_load_it_follows(
    tmp_path: Path,
) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, debit = card.load(5000), card.debit(160)
    second = replace(card.load(100), dated=first.dated - timedelta(days=900))
    purses.run(first, debit, second)
    counter, balance_fen, time, tail_fen = purses.statement()
    assert (counter, balance_fen, time, tail_fen) == (2, 4940, first.dated, 160)
    assert sum(each.price_fen for each in purses.segments()) == 160


def test_a_load_whose_counter_is_taken_stands_alone(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, second = card.load(5000), card.load(100)
    purses.run(first, second)
    purses.run(replace(first, number=1, after_fen=6000, amount_fen=700), day=NEXT)
    assert purses.segments() == [Segment(700, 0, CONTRADICTION, NEXT)]
    assert purses.statement()[:2] == (2, 5100)


def test_what_is_taken_back_is_missing_again(tmp_path: Path) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, early, second, late = card.load(5000), card.debit(160), card.load(100), card.debit(30)
    purses.run(first, early, second, late)
    purses.run(taken_back=[early, late], day=NEXT)
    assert purses.statement()[3] == 0
    assert sum(each.price_fen for each in purses.segments()) == 160


def test_a_load_that_is_taken_back_leaves_its_money_unexplained_and_its_statement_standing(
    tmp_path: Path,
) -> None:
    card, purses = Life(), Purses(tmp_path)
    first, load = card.load(5000), card.load(100)
    purses.run(first, load)
    purses.run(taken_back=[load], day=NEXT)
    assert purses.statement()[:2] == (2, 5100)
    assert purses.segments() == [Segment(-100, 0, CONTRADICTION, NEXT)]


CARDS, DAYS = 120, 4


def live(dice: Random, card: Life) -> tuple[list[Moved], list[Asked]]:
    """Some loads, debits and loads asked for."""
    moved, asked = [card.load(dice.randint(100, 900))], []
    for _ in range(dice.randint(0, 14)):
        step = dice.choice("LLDDDA")
        if step == "L" or card.balance_fen < 100:
            moved.append(card.load(dice.randint(100, 900)))
        elif step == "D":
            moved.append(card.debit(dice.randint(0, 100)))
        else:
            asked.append(card.ask())
    return moved, asked


@pytest.mark.parametrize("seed", range(3))
def test_in_whatever_order_lives_come_in_nothing_is_open_when_they_are_complete(
    tmp_path: Path, seed: int
) -> None:
    dice, purses = Random(seed), Purses(tmp_path)
    moved: list[list[Moved]] = [[] for _ in range(DAYS)]
    asked: list[list[Asked]] = [[] for _ in range(DAYS)]
    held_fen = {}
    for number in range(CARDS):
        card = Life(number, counter=dice.choice([0, 300, 65_530]))
        movements, statements = live(dice, card)
        for each in movements:
            moved[dice.randrange(DAYS)].append(each)
        for one in statements:
            asked[dice.randrange(DAYS)].append(one)
        held_fen[number] = card.balance_fen
    for day, (of_day, log) in enumerate(zip(moved, asked, strict=True)):
        purses.run(*of_day, asked=log, day=DAY + timedelta(days=day))
    assert [each for each in purses.segments() if each.price_fen] == []
    found = {card: purses.statement(card) for card in held_fen}
    assert {card: stated[1] - stated[3] for card, stated in found.items()} == held_fen


@pytest.mark.parametrize("seed", range(3))
def test_prices_are_those_that_a_walk_along_each_card_finds(tmp_path: Path, seed: int) -> None:
    """Some movements never come in: what is left is walked along once more, in plain Python."""
    dice, purses = Random(seed), Purses(tmp_path)
    moved: list[Moved] = []
    asked: list[Asked] = []
    expected: list[tuple[int, int, int]] = []
    for number in range(CARDS):
        movements, statements = live(dice, Life(number))
        here = [each for each in movements if dice.random() < 0.8]
        moved += here
        asked += statements
        expected += [(number, *found) for found in walk([*here, *statements])]
    purses.run(*moved, asked=asked)
    found = [(each.card, each.price_fen, each.missing_loads) for each in purses.segments()]
    assert sorted(found) == sorted(expected)


def walk(events: Sequence[Moved | Asked]) -> list[tuple[int, int]]:
    """(price, missing loads) of every open segment of a card, by walking along its life once."""
    found = []
    balance_fen = counter = paid_fen = 0
    for each in sorted(events, key=lambda event: event.dated):
        if isinstance(each, Moved) and not each.is_load:
            paid_fen += each.amount_fen
            continue
        before_fen = (
            each.balance_fen if isinstance(each, Asked) else each.after_fen - each.amount_fen
        )
        price_fen, missing = balance_fen - before_fen - paid_fen, each.counter - counter
        if price_fen or missing:
            found.append((price_fen, missing))
        balance_fen, paid_fen = before_fen, 0
        counter = each.counter
        if isinstance(each, Moved):
            balance_fen, counter = each.after_fen, each.counter + 1
    return found
