"""R9, R10: whose clock is believed how far, and what a hotlist entry binds."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from settlement.registry.book import Dated
from settlement.registry.rows import HotlistRow
from settlement.service.registering import register_rows
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    HOTLISTED,
    Card,
    Fate,
    Town,
    at,
    build_town,
)
from tests.settlement.device_files import ACTION, DAY

FARE_FEN, LOAD_FEN = 160, 10_000
CLOCK_AHEAD = Fate("SUSPENDED", "CLOCK_AHEAD")
LIST_VERSION = 5


def loaded(town: Town, number: int = 1) -> tuple[Card, bytes]:
    card = town.card(number)
    return card, card.load(town.kiosk, LOAD_FEN, at("07:00"))


def publish(town: Town, card: Card, first: int, last: int | None = None) -> None:
    """The card is on the list from one day to another."""
    days = {"valid_from": DAY + timedelta(days=first)}
    if last is not None:
        days["valid_to"] = DAY + timedelta(days=last)
    register_rows(town.city, [Dated(HotlistRow(card.number, LIST_VERSION), **days)], ACTION)


@pytest.mark.parametrize("claimed", [0, LIST_VERSION, 2**32 - 1])
def test_stolen_card_ride_dated_before_the_hotlist_s_publication_psam_sequence_after_it(
    town: Town, claimed: int
) -> None:
    stolen, load = loaded(town)
    other, other_load = loaded(town, 2)
    publish(town, stolen, 1)
    honest = other.pay(town.bus, FARE_FEN, at("08:00", 2))
    # The clock is put back, the PSAM counts on.
    ride = stolen.pay(town.bus, FARE_FEN, at("09:00", 0), hotlist_version=claimed)
    town.now += timedelta(days=2)
    town.settle((AGENT_HOST, [load, other_load]), (BUS_COLLECTOR, [honest, ride]))
    assert town.fate(honest) == ACCEPTED
    assert town.fate(ride) == HOTLISTED
    assert town.told(ride) == {"card_float": FARE_FEN, f"suspense/{BUS}": -FARE_FEN}
    town.expect(paid={BUS: FARE_FEN}, held={BUS: FARE_FEN}, billed={AGENT: 2 * LOAD_FEN})


def test_the_lower_sequence_may_have_been_settled_on_an_earlier_day(town: Town) -> None:
    stolen, load = loaded(town)
    other, other_load = loaded(town, 2)
    publish(town, stolen, 1)
    honest = other.pay(town.bus, FARE_FEN, at("08:00", 2))
    ride = stolen.pay(town.bus, FARE_FEN, at("09:00", 0))
    town.now += timedelta(days=2)
    town.settle((AGENT_HOST, [load, other_load]), (BUS_COLLECTOR, [honest]))
    town.settle((BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == HOTLISTED
    town.expect(paid={BUS: FARE_FEN}, held={BUS: FARE_FEN}, billed={AGENT: 2 * LOAD_FEN})


def test_a_ride_truly_before_the_publication_is_paid_whatever_list_it_claims(town: Town) -> None:
    card, load = loaded(town)
    publish(town, card, 1)
    rides = [
        card.pay(town.bus, FARE_FEN, at(f"08:0{n}"), hotlist_version=claimed)
        for n, claimed in enumerate((0, LIST_VERSION, 2**32 - 1))
    ]
    town.now += timedelta(days=3)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, rides))
    assert {town.fate(ride) for ride in rides} == {ACCEPTED}
    town.expect(paid={BUS: 3 * FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("claimed", [0, LIST_VERSION, 2**32 - 1])
def test_a_hotlist_row_dated_back_binds_no_tap_that_no_terminal_could_refuse(
    town: Town, claimed: int
) -> None:
    """Published days after the ride, whatever day the row says it holds from, and whatever list
    the terminal says it had.
    """
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at("08:00", -3), hotlist_version=claimed)
    publish(town, card, -30)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_card_leaves_the_hotlist(town: Town) -> None:
    card, load = loaded(town)
    publish(town, card, 1, 4)
    before, during, after = (card.pay(town.bus, FARE_FEN, at("08:00", n)) for n in (0, 3, 6))
    town.now += timedelta(days=6)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [before, during, after]))
    assert (town.fate(before), town.fate(after)) == (ACCEPTED, ACCEPTED)
    assert town.fate(during) == HOTLISTED
    town.expect(paid={BUS: 2 * FARE_FEN}, held={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def close_everything(town: Town, days: int) -> None:
    """The evenings of so many days come, and whatever is ready is closed, oldest first."""
    for _ in range(days):
        town.close_next()
        town.now += timedelta(days=1)


#: In which order the files of five days come in, and on which day each.
ARRIVALS = {
    "each in the evening": ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4]),
    "all on the last evening": ([0, 1, 2, 3, 4], [4] * 5),
    "all on the last evening, newest first": ([4, 3, 2, 1, 0], [4] * 5),
    "the first one last": ([1, 2, 3, 4, 0], [1, 2, 3, 4, 6]),
}


@pytest.mark.parametrize("name", ARRIVALS)
def test_five_days_of_files_days_closed_oldest_first(town: Town, name: str) -> None:
    order, evenings = ARRIVALS[name]
    card, load = loaded(town)
    rides = [
        [card.pay(town.bus, FARE_FEN, at(f"0{8 + n}:00", day)) for n in range(2)]
        for day in range(5)
    ]
    start = town.now
    town.send(AGENT_HOST, [load])
    for day, evening in sorted(zip(order, evenings, strict=True), key=lambda each: each[1]):
        while town.now < start + timedelta(days=evening):
            town.now += timedelta(days=1)
        town.send(BUS_COLLECTOR, rides[day])
    close_everything(town, 7)
    assert {town.fate(ride) for day in rides for ride in day} == {ACCEPTED}
    town.expect(paid={BUS: 10 * FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("ahead", [2, 5, 9])
def test_a_clock_ahead_is_held_and_released_when_its_day_comes(town: Town, ahead: int) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at("09:00", ahead))
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == CLOCK_AHEAD
    town.expect(held={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})
    for number in range(1, ahead + 1):
        town.close(DAY + timedelta(days=number))
        town.now += timedelta(days=1)
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("moment", ["1999-12-31T23:59", "2099-12-31T23:59", "9999-12-31T23:59"])
def test_a_clock_years_wrong_pays_nobody_twice_and_stops_no_close(
    tmp_path: Path, moment: str
) -> None:
    with (town := build_town(tmp_path / "city")).city:
        card, load = loaded(town)
        wrong = card.pay(town.bus, FARE_FEN, datetime.fromisoformat(moment))
        right = card.pay(town.bus, FARE_FEN, at("09:00"))
        sent = [wrong, right]
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, sent))
        town.settle((BUS_COLLECTOR, sent))
        assert town.fate(right).disposition == "DUPLICATE"
        moved = -sum(town.money().get(f"{kind}/{BUS}", 0) for kind in ("operator", "suspense"))
        assert moved == 2 * FARE_FEN


def test_a_hotlist_row_dated_back_binds_from_its_publication_on(town: Town) -> None:
    card, load = loaded(town)
    publish(town, card, -30)
    told = (ACTION.at.date() - DAY).days
    rides = [
        card.pay(town.bus, FARE_FEN, at("20:00", told + n), hotlist_version=0) for n in range(-1, 3)
    ]
    having = card.pay(town.bus, FARE_FEN, at("21:00", told + 2), hotlist_version=LIST_VERSION)
    town.now += timedelta(days=told + 2)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [*rides, having]))
    grace = town.city.scheme.hotlist_grace_days
    assert [town.fate(ride) for ride in rides] == [
        ACCEPTED if n < grace else HOTLISTED for n in range(-1, 3)
    ]
    # A terminal that says it had the list is believed against itself.
    assert town.fate(having) == HOTLISTED
