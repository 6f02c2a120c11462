"""Taking over a city's cards: the float is proven from the first day (money.md, R5, I3)."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from settlement.engine.local import LocalEngine
from settlement.registry.book import Dated
from settlement.registry.rows import CardNumbersRow
from settlement.reports.takeover.cards import read_takeover
from settlement.store.registry import register
from settlement.verification.verify import verify
from tests.settlement.device_files import ACTION, BUS, DAY, SCHEME, make_office
from tests.settlement.takeover.many_cards import take_over
from tests.settlement.takeover.old_centre import CENTRE, EVE
from tests.settlement.takeover.world import KEYS, TakenOver

FARE_FEN = 160


@pytest.fixture
def world(tmp_path: Path) -> Iterator[TakenOver]:
    with make_office(tmp_path / "city") as city:
        yield TakenOver(city)


def verified(world: TakenOver) -> None:
    found = verify(world.city, KEYS, LocalEngine(1))
    assert found.findings == (), found.findings


def test_the_float_is_proven_from_the_first_day(world: TakenOver) -> None:
    cards = [world.old_card(number, number * 1000) for number in range(1, 5)]
    world.hand_over(cards)
    world.close([cards[0].bus()])
    assert world.balances == {
        "card_float": -(10_000 - FARE_FEN),
        f"opening/{CENTRE}": 10_000,
        f"operator/{BUS}": -FARE_FEN,
    }
    figures = world.agrees()
    assert (figures.stated_purses, figures.stated_fen, figures.tail_fen) == (4, 10_000, FARE_FEN)
    assert (figures.handed_purses, figures.handed_fen) == (4, 10_000)
    assert (figures.opened_purses, figures.unopened_purses, figures.missing_loads) == (4, 0, 0)
    # The chain begins at that balance and counter.
    assert (figures.claimed_gaps, figures.contradictions, figures.openings) == (0, 0, 0)
    world.close([cards[0].load(5_000), cards[1].bus()])
    figures = world.agrees()
    assert (figures.handed_purses, figures.missing_debits_fen, figures.claimed_gaps) == (3, 0, 0)
    verified(world)


def test_a_card_in_no_file_is_paid_for_by_what_is_due_until_it_states_what_it_had(
    world: TakenOver,
) -> None:
    known, by_load, by_mac1, silent = (world.old_card(number, 3_000) for number in range(1, 5))
    world.hand_over([known])
    world.close([card.bus() for card in (known, by_load, by_mac1, silent)])
    assert world.balances["opening_due"] == 3 * FARE_FEN
    figures = world.agrees()
    assert (figures.unopened_purses, figures.due_purses, figures.due_fen) == (3, 3, 3 * FARE_FEN)
    world.ask(by_mac1)
    world.close([by_load.bus(), by_load.load(1_000), by_load.bus()])
    assert world.balances["opening_due"] == FARE_FEN
    # Balance stated, and the debits since the takeover: what it had on the first day.
    assert world.balances[f"opening/{CENTRE}"] == 3 * 3_000
    figures = world.agrees()
    assert (figures.opened_purses, figures.due_purses, figures.contradictions) == (3, 1, 0)
    assert (figures.openings, figures.missing_loads) == (0, 0)
    world.ask(silent)
    world.close([by_mac1.bus()])
    assert "opening_due" not in world.balances
    assert world.agrees().opened_fen == 4 * 3_000
    verified(world)


def test_a_late_ride_before_the_first_statement_is_part_of_what_the_card_had(
    world: TakenOver,
) -> None:
    known, card = world.old_card(1, 3_000), world.old_card(2, 3_000)
    world.hand_over([known])
    late = card.bus()
    world.close([card.bus(), card.load(1_000)])
    assert world.balances[f"opening/{CENTRE}"] == 6_000 - FARE_FEN
    world.agrees()
    world.close([late])
    assert world.balances[f"opening/{CENTRE}"] == 6_000
    assert world.agrees().contradictions == 0


def test_a_file_that_comes_after_the_first_rides_opens_the_cards_that_were_due(
    world: TakenOver,
) -> None:
    first, card, stated = (world.old_card(number, 3_000) for number in range(1, 4))
    rows = [world.row(each) for each in (card, stated)]
    world.hand_over([first])
    world.close([card.bus(), stated.bus(), stated.load(500)])
    assert world.balances["opening_due"] == FARE_FEN
    world.agrees()
    world.hand_over_rows(rows)
    world.close([first.bus()])
    assert "opening_due" not in world.balances
    figures = world.agrees()
    assert (figures.opened_purses, figures.opened_fen, figures.contradictions) == (3, 9_000, 0)
    assert (figures.missing_debits_fen, figures.missing_loads) == (0, 0)
    verified(world)


def test_what_contradicts_the_old_centre_is_named_and_it_owes_no_fen_more(world: TakenOver) -> None:
    richer, poorer, behind = (world.old_card(number, 3_000, online=9) for number in range(1, 4))
    uncounted, forged = world.old_card(4, 3_000, rides=40), world.old_card(5, 3_000, online=0)
    fresh = world.old_card(6, 0, online=0, rides=0)
    world.hand_over([richer, poorer, behind])
    world.hand_over([uncounted], debit_counter=0, debit_counter_known=0)
    richer.balance_fen += 700
    world.ask(richer)
    world.ask(behind, online_counter=7)
    lost = poorer.bus()
    world.close(
        [poorer.load(1_000), uncounted.bus(), forged.bus(), forged.load(500), fresh.load(900)]
    )
    figures = world.agrees()
    # A card that says less has paid what nobody has brought yet; debits that the old centre did not
    # count are a gap of no price; what no load can have brought opens nothing.
    assert (figures.missing_debits_fen, figures.claimed_gaps, figures.opened_purses) == (
        FARE_FEN, 0, 4
    )  # fmt: skip
    assert (figures.disputed_purses, figures.contradictions_in_fen) == (2, 700 + 3_000)
    assert world.balances[f"opening/{CENTRE}"] == 4 * 3_000
    named = {each.card_number: each for each in world.report.contradictions}
    assert named.keys() == {richer.number, forged.number}
    assert (named[richer.number].left_time, named[richer.number].left_balance_fen) == (EVE, 3_000)
    world.close([lost])
    figures = world.agrees()
    assert (figures.missing_debits_fen, figures.disputed_purses) == (0, 2)
    verified(world)


def test_cards_that_never_come_again_stay_in_the_float_and_a_file_alone_moves_nothing_twice(
    world: TakenOver,
) -> None:
    cards = [world.old_card(number, 1_000) for number in range(1, 9)]
    world.hand_over(cards[:4])
    # A card of numbers that were registered later is new: nobody hands it over.
    numbers = CardNumbersRow(SCHEME.name, "0" * 7 + "1", SCHEME.issuer.hex().upper())
    register(world.city.database, [Dated(numbers, DAY)], ACTION)
    world.close([cards[0].bus(), world.old_card(10**12, 1_000).bus()])
    assert world.agrees().due_purses == 0
    world.hand_over(cards[4:], as_of=EVE - timedelta(days=1))
    world.close([cards[0].bus()])
    assert world.balances[f"opening/{CENTRE}"] == 8_000
    world.agrees()


def test_the_same_files_in_any_order_and_any_number_of_buckets_open_the_same(
    tmp_path: Path,
) -> None:
    seen = set()
    for buckets in (1, 4):
        with make_office(tmp_path / str(buckets), bucket_count=buckets) as city:
            world = TakenOver(city)
            cards = [world.old_card(number, number * 200) for number in range(1, 20)]
            halves = [cards[:7], cards[7:12]]
            for half in halves if buckets == 1 else halves[::-1]:
                world.hand_over(half)
            world.close([card.bus() for card in cards[::3]])
            world.ask(cards[15])
            world.close([cards[18].bus(), cards[18].load(500)])
            world.agrees()
            seen.add((tuple(sorted(world.balances.items())), world.report.figures))
    assert len(seen) == 1


def test_five_thousand_cards_are_opened_by_and_by_and_what_is_left_has_names(
    world: TakenOver,
) -> None:
    taken = take_over(world, 5_000)
    absent, silent = 250, len(taken.silent)
    assert taken.due_fen == [
        absent * FARE_FEN,
        (absent + silent) // 2 * FARE_FEN,
        silent * FARE_FEN,
    ]
    assert [each.opened_purses for each in taken.figures][-1] == 5_000 - silent
    assert all(each.contradictions == each.missing_loads == 0 for each in taken.figures)
    left = read_takeover(world.city)
    assert left is not None
    assert [each.card_number for each in left.lines] == [card.number for card in taken.silent]
    assert (left.due_fen, world.report.holds) == (silent * FARE_FEN, True)
