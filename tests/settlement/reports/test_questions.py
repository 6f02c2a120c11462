"""Explaining one record asks for what is the record's own, however large the city around it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from cardcore.records.record import decode_record
from settlement.city import City
from settlement.reports import chain
from settlement.reports.history import explain
from tests.settlement.device_files import DAY, OTHER_SENDER, Street, make_office
from tests.settlement.service.test_service import close, receive
from tests.support.opened import opened_files

#: The day on which the record that is asked for was made, counted from 0.
ASKED = 3


def make_city(folder: Path, days: int, files: int) -> tuple[City, list[str]]:
    """Closed days of so many files each. One card rides every day, one on a single day in the
    middle, strangers in every file. Returns the city and the two cards' records of that day.
    """
    city, street, asked = make_office(folder), Street(), []
    daily, rare = street.card(1), street.card(2)
    receive(city, street.file([card.load(20_000) for card in (daily, rare)], OTHER_SENDER))
    for day in range(days):
        street.now = datetime.combine(DAY + timedelta(days=day), time(6))
        rides = [card.bus() for card in ((daily, rare) if day == ASKED else (daily,))]
        if day == ASKED:
            asked = [decode_record(ride).id for ride in rides]
        receive(city, street.file(rides))
        for number in range(1, files):
            stranger = street.card(1000 + day * files + number)
            receive(city, street.file([stranger.load(1000), stranger.bus()]))
        close(city, street.now.date())
    return city, asked


@contextmanager
def questions(city: City) -> Iterator[list[str]]:
    """The statements that the control database is asked inside the block."""
    asked: list[str] = []

    def hear(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    event.listen(city.database._engine, "before_cursor_execute", hear)
    try:
        yield asked
    finally:
        event.remove(city.database._engine, "before_cursor_execute", hear)


def cost(city: City, record_id: str) -> tuple[int, int]:
    """How many questions are asked and files opened to explain a record."""
    with questions(city) as asked, opened_files(city.folder) as opened:
        (told,) = explain(city, record_id).copies
    assert [step.name for step in told.steps] == [
        "tap", "file", "tac", "card", "decision", "ledger", "position", "seal",
    ]  # fmt: skip
    assert opened, "the history rests on stored files"
    return len(asked), len([name for name in opened if not name.startswith("control.sqlite")])


def test_explaining_costs_the_same_in_a_city_of_more_files_and_days(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The rule is the same for a month of days and for two.
    monkeypatch.setattr(chain, "DAYS_SEARCHED", 2)
    small, of_small = make_city(tmp_path / "small", days=6, files=2)
    large, of_large = make_city(tmp_path / "large", days=9, files=5)
    with small, large:
        for before, after in zip(of_small, of_large, strict=True):
            assert cost(small, before) == cost(large, after)


def test_the_neighbours_of_a_ride_stand_on_the_days_around_it(tmp_path: Path) -> None:
    city, (record_id, of_rare) = make_city(tmp_path / "city", days=5, files=1)
    with city:
        (told,) = explain(city, record_id).copies
        (of_the_rare_card,) = explain(city, of_rare).copies
    bus, number = record_id.split("-")
    card = next(step for step in told.steps if step.name == "card")
    assert card.data == {
        "before": f"{bus}-{int(number) - 1:08}",
        "after": f"{bus}-{int(number) + 2:08}",
        "joins": True,
    }
    card = next(step for step in of_the_rare_card.steps if step.name == "card")
    assert card.data["joins"]
    assert card.data["after"] is None


def test_a_neighbour_beyond_the_days_searched_is_not_said_to_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "DAYS_SEARCHED", 2)
    city, (_, record_id) = make_city(tmp_path / "city", days=6, files=1)
    with city:
        (told,) = explain(city, record_id).copies
    card = next(step for step in told.steps if step.name == "card")
    assert card.data == {"before": None, "after": None, "joins": True}
    assert "no record of the card in the 2 settled days before it" in card.text.en
