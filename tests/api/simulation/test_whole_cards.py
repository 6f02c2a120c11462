"""The cards of a virtual city are whole products, and a public reader sees all it looks at."""

from collections import Counter
from datetime import date, datetime
from pathlib import Path

import pytest

from api.composition import open_city_keys
from api.settings import Settings
from api.simulation.demonstration import plan_demonstration
from api.simulation.issuing import make_cards, order_card
from api.simulation.plan import Plan, PlannedCard
from api.simulation.virtual_city import VirtualCity
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.package import listed
from cardcore.concession import Concession
from cardcore.dumps.dumps import parse_card_dump
from cardcore.issuing.initialisation import complete
from cardcore.issuing.products import SHIPPED, shipped
from cardcore.layouts.transit import CardKind, CardProperties, TransitRecord, TransitStatus
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import create_city
from terminals.link.connection import InProcessConnection
from terminals.reading.card import read_card
from tests.cardcore.issuing.test_personalisation import NAMES
from tests.cardcore.transit_cards import counting_random
from tests.settlement.device_files import ACTION

DAY, UNTIL = date(2026, 9, 1), date(2036, 9, 1)


@pytest.mark.parametrize("scheme_name", sorted(SCHEMES))
@pytest.mark.parametrize("name", SHIPPED)
def test_a_public_reader_finds_every_field_it_looks_at(name: str, scheme_name: str) -> None:
    scheme = SCHEMES[scheme_name]
    keys = open_city_keys(Settings(), scheme).service
    number = f"0310{scheme.city_code}000000000042"
    order = order_card(scheme, shipped(name), number, DAY, UNTIL)
    image = complete(shipped(name), keys, scheme.name, counting_random())
    (card,), _ = make_cards([(order, counting_random())], shipped(name), scheme, keys, image)
    card.reset()
    reading = read_card(InProcessConnection(card))
    shown = parse_card_dump(reading.document)
    assert shown.problems == ()
    assert (shown.public.printed_number, shown.public.card_number) == (number[1:], number)
    assert shown.public.issuer == scheme.issuer.hex()
    assert (shown.public.valid_from, shown.public.valid_to) == (DAY, UNTIL)
    assert (shown.balance_fen, shown.available_fen, shown.overdraft_limit_fen) == (0, 0, 0)
    # The fields of EF17 as published cards have them: 5800 and 5840, 1000 and 1000.
    assert shown.properties == CardProperties(
        country="00000156",
        province={"5840": "5800", "3310": "3300"}[scheme.city_code],
        city=scheme.city_code,
        interoperable=True,
        card_kind=CardKind.STUDENT if name == "student" else CardKind.NORMAL,
    )
    records = reading.document["records1a"]
    assert isinstance(records, list)
    assert {record[:4] for record in records} >= {"2701", "2702"}
    assert {each.aid for each in reading.applications} >= {
        NAMES[each] for each in shipped(name).applications
    }


def issued(folder: Path, plan: Plan, *numbers: str) -> list[FileSystem]:
    """The cards of a plan, each with its files."""
    with (
        create_city(folder, plan.scheme.name, ACTION, bucket_count=1) as city,
        VirtualCity(city, open_city_keys(Settings(), plan.scheme), plan) as world,
    ):
        heard: list[int] = []
        world.prepare(heard.append)
        assert sum(heard) == len(plan.cards)
        heard.clear()
        world.prepare(heard.append)
        assert heard == [len(plan.cards)], "a card is issued once"
        return [FileSystem(world._drawer.memory(f"card/{number}")) for number in numbers]


def test_every_citizen_carries_the_whole_card_of_the_product_planned(tmp_path: Path) -> None:
    plan = plan_demonstration(1, 40, 1, DAY)
    products = {each.number: each.product for each in plan.cards}
    assert set(Counter(products.values())) == set(SHIPPED)
    halves = {tap.card for tap in plan.taps if tap.concession is Concession.HALF}
    assert halves <= {number for number, product in products.items() if product == "student"}
    cards = issued(tmp_path / "city", plan, *products)
    for files, product in zip(cards, products.values(), strict=True):
        aids = {entry.aid for entry in listed(files)}
        assert aids == {NAMES[each] for each in shipped(product).applications}


def test_a_card_can_begin_inside(tmp_path: Path) -> None:
    plan = plan_demonstration(1, 1, 1, DAY)
    since = datetime(2026, 9, 1)  # noqa: DTZ001 - wall clock of the city
    (card,) = plan.cards
    cards = (
        PlannedCard(card.number, "citizen", card.valid_from, since),
        PlannedCard(card.number[:-1] + "7", "citizen", card.valid_from),
    )
    plan = Plan(plan.scheme, "inside", cards, (), {}, ())
    for files, status, entered in zip(
        issued(tmp_path / "city", plan, *(each.number for each in cards)),
        (TransitStatus.INSIDE, TransitStatus.NONE),
        (since, None),
        strict=True,
    ):
        transit = files.named(NAMES["transit"])[0]
        file = files.by_sfi(transit, 0x1A)
        assert file is not None
        metro = TransitRecord.decode(files.records(file)[0])
        assert (metro.status, metro.entry_time) == (status, entered)
