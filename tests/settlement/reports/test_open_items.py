"""Lists of what stands open: every state is there, and a page never loses or doubles a row."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.city import City, open_city
from settlement.ledger.accounts import AccountKind
from settlement.reports.open_items.asking import ask
from settlement.reports.open_items.nouns import NOUNS
from settlement.reports.open_items.values import Page, Question
from settlement.rulings.kinds import RulingKind
from settlement.rulings.subjects import Subject
from tests.settlement.device_files import BUS, BUS_TERMINAL, make_office
from tests.settlement.rulings.crew import CAI, DAN
from tests.settlement.rulings.desk import Desk
from tests.settlement.rulings.open_city import STRANGE_TERMINAL, make_open_city
from tests.settlement.service.test_service import close


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open") / "city"
    make_open_city(folder)
    return folder


@pytest.fixture
def city(made: Path) -> Iterator[City]:
    with open_city(made, to_read=True) as city:
        yield city


def asked(city: City, name: str, **values: object) -> Page:
    return ask(city, NOUNS[name], Question(**values))  # type: ignore[arg-type]


def items(page: Page) -> list[str]:
    return [each.item for each in page.lines]


@pytest.mark.parametrize("name", NOUNS)
def test_every_state_is_listed_counted_and_named_as_rulings_name_it(city: City, name: str) -> None:
    page = asked(city, name)
    assert page.count == len(page.lines) > 0
    if name != "positions":
        assert [str(Subject.parse(each)) for each in items(page)] == items(page)


@pytest.mark.parametrize("name", NOUNS)
def test_pages_lose_and_double_nothing_in_any_order(city: City, name: str) -> None:
    noun = NOUNS[name]
    everything = asked(city, name, page_size=1_000)
    for field in noun.fields:
        for descending in (False, True):
            found = [
                item
                for number in range(1, everything.count + 2)
                for item in items(
                    asked(
                        city, name, sort=field.name, descending=descending, page=number, page_size=1
                    )
                )
            ]
            assert sorted(found) == sorted(items(everything)), (field.name, descending)


def test_sums_are_of_everything_that_is_asked_for(city: City) -> None:
    page = asked(city, "records", page_size=1)
    every = asked(city, "records")
    amounts = [int(str(each.cells["amount_fen"])) for each in every.lines]
    assert page.sum_fen == every.sum_fen == sum(amounts)
    assert (page.count, page.pages) == (len(amounts), len(amounts))


def test_each_filter_leaves_what_it_says(city: City) -> None:
    reasons = {
        reason: asked(city, "records", reason=reason).count for reason in NOUNS["records"].reasons
    }
    assert reasons == {
        "TERMINAL_UNKNOWN": 1, "CLOCK_AHEAD": 0, "HOTLISTED": 3, "CENTRE_PENDING": 0,
    }  # fmt: skip
    assert asked(city, "records", terminal=STRANGE_TERMINAL).count == 1
    assert asked(city, "records", terminal=BUS_TERMINAL).count == 2
    assert asked(city, "records", participant=BUS).count == 3
    assert asked(city, "records", card_number=f"{1:020}").count == 3
    assert asked(city, "records", card_number=f"{9:020}").count == 0
    (day,) = {each.cells["day"] for each in asked(city, "records").lines}
    assert asked(city, "records", first=day, last=day).count == 4
    assert asked(city, "records", age_min_days=1).count == 4
    assert asked(city, "records", age_min_days=2).count == 0
    assert {each.cells["reason"] for each in asked(city, "claims").lines} != set()
    assert asked(city, "alarms", reason="BALANCE_BROKEN").count == 1
    assert asked(city, "gaps", reason="MISSING_DEBITS").count == 1
    assert asked(city, "cases", reason="RETURNED").count == 1
    assert asked(city, "positions", reason=AccountKind.SUSPENSE.name).count >= 1


def test_what_two_people_closed_is_listed_no_more(made: Path, tmp_path: Path) -> None:
    """Every state that a ruling closes ends in an empty list; what moves money, at a close."""
    shutil.copytree(made, tmp_path / "city")
    with open_city(tmp_path / "city") as city:
        desk = Desk(city)
        for _ in range(3):  # what is returned becomes a case, and a day more is closed
            for noun in NOUNS.values():
                for line in asked(city, noun.name, page_size=1_000).lines:
                    for kind in noun.rules[:1]:
                        if not line.rulings:
                            desk.rule(kind, line.item, by=CAI, second=DAN)
            if asked(city, "records").count:
                close(city)
        left = {name: asked(city, name).count for name in NOUNS if name != "positions"}
        assert left == dict.fromkeys(left, 0)
        assert asked(city, "claims", with_ruled=True).count > 0


def test_a_city_without_a_day_has_nothing_open(tmp_path: Path) -> None:
    with make_office(tmp_path / "city") as city:
        for name in NOUNS:
            assert asked(city, name).count == 0


def test_kinds_of_rulings_each_have_a_list() -> None:
    listed = {kind for noun in NOUNS.values() for kind in noun.rules}
    elsewhere = {"files", "loads", "people", "registry", "days"}
    assert {each for each in RulingKind if each.value.partition(".")[0] not in elsewhere} == listed
