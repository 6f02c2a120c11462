"""Lists of what stands open: every state is there, and a page never loses or doubles a row."""

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from cardcore.text import Text
from settlement.city import City, open_city
from settlement.reports.float_proof import read_float_proof
from settlement.reports.open_items.asking import DAYS_SHOWN, ask, show
from settlement.reports.open_items.nouns import NOUNS
from settlement.reports.open_items.records import TAPS_A_DAY_MAX
from settlement.reports.open_items.values import Page, Question
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Request
from settlement.rulings.subjects import Subject
from settlement.service.ruling.standings import read_standing
from settlement.store.days import load_balances, load_closed_days, load_positions
from settlement.store.rulings import load_book
from tests.settlement.device_files import BUS, BUS_TERMINAL, NOW, Street, make_office
from tests.settlement.rulings.crew import CAI, DAN
from tests.settlement.rulings.desk import Desk
from tests.settlement.rulings.open_city import STRANGE_TERMINAL, make_open_city
from tests.settlement.service.test_service import close, receive


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
    everything = asked(city, name, page_size=1_000)
    for field in NOUNS[name].fields:
        for descending in (False, True):
            by = {"sort": field.name, "descending": descending}
            pages = -(-everything.count // 2)
            found = [
                each
                for number in range(1, pages + 1)
                for each in asked(city, name, page=number, page_size=2, **by).lines
            ]
            assert sorted(each.item for each in found) == sorted(items(everything)), by
            behind = asked(city, name, page=pages + 1, page_size=2, **by)
            assert (behind.lines, behind.count) == ((), everything.count)
            cells = [each.cells[field.name] for each in found]
            if not any(isinstance(each, Text) for each in cells):
                said: list[Any] = [each for each in cells if each is not None]
                assert said == sorted(said, reverse=descending), by


@pytest.mark.parametrize("name", NOUNS)
def test_every_reason_is_a_filter_and_their_figures_are_what_it_leaves(
    city: City, name: str
) -> None:
    every = asked(city, name, page_size=1_000)
    figures = {each.reason.name: (each.count, each.sum_fen) for each in every.figures}
    for reason in NOUNS[name].reasons:
        page = asked(city, name, reason=reason.name, page_size=1_000)
        assert all(reason in line.reasons for line in page.lines)
        assert (page.count, page.sum_fen) == figures.get(reason.name, (0, 0))
        assert page.count == sum(reason in line.reasons for line in every.lines)


def test_sums_are_of_everything_that_is_asked_for(city: City) -> None:
    for name in ("records", "claims", "gaps", "alarms", "cases"):
        page, every = asked(city, name, page_size=1), asked(city, name)
        amounts = [int(str(each.cells["amount_fen"])) for each in every.lines]
        assert page.sum_fen == every.sum_fen == sum(amounts)
        assert (page.count, page.pages) == (len(amounts), len(amounts))


def test_gaps_claims_and_contradictions_are_those_of_the_proof_of_the_float(city: City) -> None:
    proof = read_float_proof(city)
    assert proof is not None
    figures = proof.figures
    sums = {
        each.reason.name: each.sum_fen
        for name in ("gaps", "cases")
        for each in asked(city, name).figures
    }
    assert sums.get("MISSING_DEBITS", 0) == figures.missing_debits_fen > 0
    assert sums.get("MISSING_LOADS", 0) == figures.missing_loads_fen
    assert sums.get("CLAIMED_DEBITS", 0) == figures.claimed_debits_fen > 0
    assert sums.get("CLAIMED_LOADS", 0) == figures.claimed_loads_fen
    assert sums.get("CONTRADICTION_OUT", 0) == figures.contradictions_out_fen
    assert sums.get("CONTRADICTION_IN", 0) == figures.contradictions_in_fen > 0
    claims = asked(city, "claims")
    assert (claims.count, claims.sum_fen) == (figures.claims, figures.claims_fen)


def test_open_positions_are_the_balances_and_a_days_are_its_own(city: City) -> None:
    balances = {name: fen for name, fen in load_balances(city.database).items() if fen}
    page = asked(city, "positions", page_size=100)
    assert {each.item: each.cells["amount_fen"] for each in page.lines} == balances
    assert page.sum_fen == 0
    day = load_closed_days(city.database)[0].settlement_day
    of_day = asked(city, "positions", first=day, last=day)
    found = {(each.item, each.cells["amount_fen"]) for each in of_day.lines}
    positions = load_positions(city.database, day)
    assert found == {(f"{day}/{each.account}", each.net_fen) for each in positions}
    of_bus = asked(city, "positions", participant=BUS)
    assert {each.cells["participant"] for each in of_bus.lines} == {BUS}


def test_each_filter_leaves_what_it_says(city: City) -> None:
    every = asked(city, "records", page_size=100)

    def count(**values: object) -> int:
        return asked(city, "records", **values).count

    def expect(name: str, value: object) -> int:
        return sum(each.cells[name] == value for each in every.lines)

    assert count(terminal=STRANGE_TERMINAL) == expect("terminal", STRANGE_TERMINAL) == 1
    assert count(terminal=BUS_TERMINAL) == expect("terminal", BUS_TERMINAL) > 0
    assert 0 < count(participant=BUS) == expect("participant", BUS) < every.count
    assert 0 < count(card_number=f"{1:020}") == expect("card_number", f"{1:020}") < every.count
    assert count(card_number=f"{9:020}") == 0
    (day,) = {each.cells["day"] for each in every.lines}
    assert isinstance(day, date)
    assert count(first=day, last=day) == every.count
    assert count(first=day + timedelta(days=1)) == count(last=day - timedelta(days=1)) == 0
    (age,) = {int(str(each.cells["age_days"])) for each in every.lines}
    assert age > 0
    assert (count(age_min_days=age - 1), count(age_min_days=age)) == (every.count, 0)


def test_alarms_of_long_ago_are_looked_at_when_somebody_asks(city: City) -> None:
    recent = asked(city, "alarms")
    assert recent.since is not None
    (first, last) = [each.settlement_day for each in load_closed_days(city.database)]
    assert asked(city, "alarms", last=last).since == last - timedelta(days=DAYS_SHOWN - 1)
    assert asked(city, "alarms", first=first).since is None
    assert asked(city, "alarms", last=first - timedelta(days=1)).count == 0
    assert asked(city, "records").since is None


@pytest.mark.parametrize("name", NOUNS)
def test_each_item_is_shown_with_what_may_be_ruled_of_it_and_that_alone(
    city: City, name: str
) -> None:
    noun = NOUNS[name]
    book = load_book(city.database)
    for line in asked(city, name, page_size=1_000).lines:
        shown = show(city, noun, line.item, NOW)
        assert shown is not None
        assert shown.line == line
        for kind in noun.rules:
            hinders = read_standing(city, book, Request(kind, (line.item,), "")).hinders
            assert (kind in shown.may_propose) is (hinders is None)
        if not line.rulings and noun.rules:
            assert noun.rules[0] in shown.may_propose
    assert show(city, noun, "record/0000000000000000/9", NOW) is None
    assert show(city, noun, "nonsense", NOW) is None


def test_what_waits_for_a_second_person_is_not_proposed_again(made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / "city")
    with open_city(tmp_path / "city") as city:
        desk = Desk(city)
        (item, *_) = items(asked(city, "claims"))
        number = desk.proposed(RulingKind.CLAIMS_WRITE_OFF, item, by=CAI)
        shown = show(city, NOUNS["claims"], item, desk.now)
        assert shown is not None
        assert [each.number for each in shown.waiting] == [number]
        assert shown.may_propose == ()
        desk.approve(number, DAN)
        shown = show(city, NOUNS["claims"], item, desk.now)
        assert shown is not None
        assert (shown.may_propose, shown.waiting) == ((), ())
        assert [each.number for each in shown.line.rulings] == [number + 1]


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


def test_an_elder_s_card_tapped_all_day_in_a_drawer_is_alarmed_though_it_costs_nothing(
    tmp_path: Path,
) -> None:
    with make_office(tmp_path / "city") as city:
        street = Street()
        drawer, honest = street.card(1), street.card(2)
        receive(
            city,
            street.file([drawer.bus(0) for _ in range(TAPS_A_DAY_MAX + 1)]),
            street.file([honest.bus(0) for _ in range(TAPS_A_DAY_MAX)]),
        )
        close(city)
        (line,) = asked(city, "alarms", reason="VELOCITY").lines
        assert line.cells["card_number"] == drawer.number
        assert line.cells["record"] == f"{BUS_TERMINAL}-{TAPS_A_DAY_MAX + 1:08}"
        shown = show(city, NOUNS["alarms"], line.item, NOW)
        assert shown is not None
        assert "VELOCITY" in {each.name for each in shown.line.reasons}
