"""Published dumps parse to what their sources expect; damaged ones as far as they go."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.dumps.dumps import ParsedCard, parse_card_dump, parse_dump, signed_balance
from cardcore.dumps.public import CardFamily, Public
from cardcore.layouts.bus import BusRecord
from cardcore.layouts.city_union import CityPublicInformation, CompositeRecord
from tests.support.shared import VECTORS, needs_shared

FILES = ("tunion_cards.json", "city_cards.json", "tunion_trips.json")
FILE15 = "00083010FFFFFFFF02010310483001000641250720220301204912310000"
LOG = "00B0000000000000A00941310062938820240310195719"
TRIP = (
    "0400003000890003400108001900300000000001F400000E0120241229141740"
    "100001011000FFFFFFFF000000000000"
)


def load(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((VECTORS / name).read_text(encoding="utf-8"))
    return document


def named(name: str, start: str) -> ParsedCard:
    return next(card for card in parse_dump(load(name)) if card.name.startswith(start))


@needs_shared
def test_every_published_card_parses_to_what_its_source_expects() -> None:
    document = load("tunion_cards.json")
    for source, card in zip(document["records"], parse_dump(document), strict=True):
        assert card.problems == ()
        logs = source.get("records18") or [source["rec18"]]
        assert [(e.counter, e.amount_fen, e.transaction_type) for e in card.log] == [
            (each["seq"], each["amount_fen"], int(each["type"], 16)) for each in logs
        ]
        if "expect" not in source:
            continue
        expected = source["expect"]
        assert card.balance_fen == expected["metrodroid_balance_fen"]
        assert card.public.printed_number == expected["serial"]
        assert card.public.card_number == source["info15"]["card_number20"]
        assert card.public.valid_from == date.fromisoformat(expected["valid_from"])
        assert card.public.valid_to == date.fromisoformat(expected["valid_to"])


@needs_shared
def test_the_money_without_the_overdraft_is_what_the_other_reader_shows() -> None:
    for source, card in zip(
        load("tunion_cards.json")["records"], parse_dump(load("tunion_cards.json")), strict=True
    ):
        if "expect" in source:
            assert card.own_fen == source["expect"]["coreextendednfc_balance_fen"]


@needs_shared
def test_every_published_trip_is_read() -> None:
    document = load("tunion_trips.json")
    (card,) = parse_dump(document)
    assert card.problems == ()
    assert [(e.trip_type, e.amount_fen, e.balance_fen) for e in card.trips] == [
        (each["type"], each["amount_fen"], each["balance_fen"]) for each in document["records"]
    ]


@needs_shared
def test_a_city_union_card_is_not_read_as_t_union() -> None:
    card = named("city_cards.json", "City Union (CJ/T 166) Hangzhou")
    assert card.public.family is CardFamily.CITY_UNION
    assert (card.public.city, card.public.card_number) == ("3100", "3100000198561023")
    assert card.public.valid_to == date(2069, 12, 25)
    assert [record.record_id for record in card.composites] == [1, 6]
    assert card.remarks == ("fci: 9F0C is not a copy of file15",)


@needs_shared
def test_older_city_cards_keep_number_and_dates_elsewhere() -> None:
    beijing = named("city_cards.json", "Beijing BMAC").public
    assert (beijing.card_number, beijing.valid_to) == ("1000751136141285", date(2024, 3, 9))
    lingnan = named("city_cards.json", "Lingnan").public
    assert (lingnan.printed_number, lingnan.valid_from) == ("0712345678", date(2015, 9, 16))


@needs_shared
def test_the_directory_of_a_card_lists_its_applications() -> None:
    assert [tuple(each) for each in named("city_cards.json", "PPSE").applications] == [
        ("A000000632010106", "MOT_T_CASH"),
        ("A000000632010105", "MOT_T_EP"),
    ]


@needs_shared
def test_metro_and_bus_records_are_read_each_in_its_layout_and_written_back() -> None:
    source = next(c for c in load("city_cards.json")["cards"] if "r2" in c)
    metro, bus = parse_card_dump(source).rides
    assert (metro.record_id, metro.actual_amount_fen) == (0x2701, 285)
    assert isinstance(bus, BusRecord)
    assert (bus.entry_station, bus.exit_station, bus.actual_amount_fen) == (0x10, 0x0D, 100)
    assert bus.encode()[:113] == bytes.fromhex(source["r2"])


@needs_shared
@pytest.mark.parametrize("name", FILES)
def test_a_part_cut_short_anywhere_is_named_or_harmless_and_nothing_else_suffers(name: str) -> None:
    for source in load(name).get("cards", load(name).get("records", []))[:12]:
        whole = parse_card_dump(source)
        for key, value in source.items():
            if not isinstance(value, str) or key in {"name", "source", "note"}:
                continue
            for length in range(0, len(value), 7):
                cut = parse_card_dump({**source, key: value[:length]})
                if "18" not in key:
                    assert cut.log == whole.log
                if "balance" not in key:
                    assert cut.balance_fen == whole.balance_fen


def test_a_short_public_file_gives_what_it_holds_and_names_the_rest() -> None:
    card = parse_card_dump({"ep_file15": FILE15[:50], "rec18": LOG, "rec1E": TRIP})
    assert card.public.printed_number == "3104830010006412507"
    assert card.public.valid_from == date(2022, 3, 1)
    assert card.public.valid_to is None
    assert card.problems[0].part == "ep_file15"
    assert "valid_to" in card.problems[0].reason
    assert (len(card.log), len(card.trips)) == (1, 1)


def test_a_damaged_public_file_is_completed_from_its_copy_in_the_fci() -> None:
    fci = "6F318408A000000632010105A5259F0801029F0C1E" + FILE15
    card = parse_card_dump({"fci": fci, "file15": FILE15[:50]})
    assert card.public.valid_to == date(2049, 12, 31)
    assert [problem.part for problem in card.problems] == ["file15"]


def test_a_broken_template_still_gives_up_the_number_inside() -> None:
    fci = "6F318408A000000632010105A5259F0801029F0C1E" + FILE15[:46]
    card = parse_card_dump({"fci": fci})
    assert card.public.family is CardFamily.T_UNION
    assert card.public.card_number == "03104830010006412507"
    assert {problem.part for problem in card.problems} == {"fci"}


def test_zeros_behind_the_template_are_nothing() -> None:
    fci = "6F358408A000000632010105A5259F0801029F0C1E" + FILE15 + "00000000"
    card = parse_card_dump({"fci": fci})
    assert (card.public.card_number, card.problems) == ("03104830010006412507", ())


def test_shenzhen_tong_prints_four_bytes_of_its_serial_backwards() -> None:
    content = "00" * 16 + "EFCDAB00" + "2009010120190101"
    tag = content.ljust(64, "0")
    fci = "6F2E84075041592E535A54A5239F0C20" + tag
    card = parse_card_dump({"fci": fci})
    assert card.public.family is CardFamily.SHENZHEN
    assert card.public.printed_number == str(0xABCDEF)
    assert (card.public.valid_from, card.problems) == (date(2009, 1, 1), ())


@pytest.mark.parametrize(
    ("content", "family"),
    [
        (FILE15, CardFamily.T_UNION),
        ("847531000000000000003100310000019856102320191225206912250000", CardFamily.CITY_UNION),
        ("111122223333444402010000000000000000123420191225206912250000", CardFamily.PBOC),
        ("FFFFFFFFFFFFFFFF5100000712345678030002FFFFFFFF2015091620251231", CardFamily.LINGNAN),
    ],
)
def test_a_card_without_a_name_is_known_by_its_public_file(
    content: str, family: CardFamily
) -> None:
    card = parse_card_dump({"file15": content})
    assert (card.public.family, card.problems) == (family, ())


def test_one_damaged_record_is_named_by_its_place_and_the_others_are_read() -> None:
    card = parse_card_dump({"records18": [LOG, "zz", LOG[:20], LOG[:10], {"hex": LOG}]})
    assert len(card.log) == 3
    assert card.log[1].amount_fen == 160
    assert card.log[1].time is None
    assert [problem.part for problem in card.problems] == [
        "records18[1]",
        "records18[2]",
        "records18[3]",
    ]


def test_a_time_that_is_none_is_remarked_and_zero_is_silent() -> None:
    zero = LOG[:-14] + "0" * 14
    card = parse_card_dump({"records18": [zero, LOG[:-14] + "20241399000000"]})
    assert [entry.time for entry in card.log] == [None, None]
    assert card.problems == ()
    assert len(card.remarks) == 1
    assert card.remarks[0].startswith("records18[1]")


@pytest.mark.parametrize(
    ("available", "limit", "balance", "own"),
    [
        ("00000320", "00000320", 800, 0),
        ("000002E4", "00000000", 740, 740),
        ("00000000", "00000320", -800, -800),
        ("000000C8", "00000320", 200, -600),
        ("8000164E", "80000000", 5710, 5710),
        ("FFFFFF38", "00000000", -200, -200),
    ],
)
def test_the_balance_follows_its_rule(available: str, limit: str, balance: int, own: int) -> None:
    card = parse_card_dump({"balance_p1_00": available, "balance_p1_01": limit})
    assert (card.balance_fen, card.own_fen) == (balance, own)


def test_a_balance_of_another_length_is_named() -> None:
    card = parse_card_dump({"balance": "0AC3", "file15": FILE15})
    assert card.balance_fen is None
    assert card.problems[0].part == "balance"
    assert card.public.card_number is not None


def test_a_response_may_carry_its_status_word() -> None:
    card = parse_card_dump({"balance_resp": "00000AC39000", "rec18": LOG + "9000"})
    assert (card.balance_fen, len(card.log), card.problems) == (2755, 1, ())


def test_a_record_inside_a_logged_command_is_read() -> None:
    ride = "27017D" + "00" * 125
    assert parse_card_dump({"entry event": "80DC01D080" + ride}).rides[0].record_id == 0x2701


def test_an_empty_dump_is_an_empty_card() -> None:
    assert parse_card_dump({}) == ParsedCard("", Public())


@given(st.integers(0, 0xFFFFFFFF))
def test_a_balance_keeps_its_31_bits(value: int) -> None:
    read = signed_balance(value.to_bytes(4, "big"))
    assert (read - value) % (1 << 31) == 0
    assert -(1 << 30) <= read < 1 << 30


KEYS = st.sampled_from(
    [
        "name",
        "fci",
        "file15",
        "file04",
        "file17",
        "records17",
        "records18",
        "rec1E",
        "r1",
        "balance",
    ]
)
TEXTS = st.none() | st.integers() | st.text(max_size=8) | st.binary(max_size=140).map(bytes.hex)
OBJECTS = TEXTS | st.builds(lambda text: {"hex": text}, TEXTS)
VALUES = OBJECTS | st.lists(OBJECTS, max_size=3)


@settings(max_examples=100)
@given(st.dictionaries(KEYS | st.sampled_from(["cards", "records", "aid"]), VALUES, max_size=6))
def test_any_document_is_parsed_without_an_exception(document: dict[str, object]) -> None:
    assert parse_dump(document)


@given(st.binary(max_size=48))
def test_a_composite_record_round_trips(content: bytes) -> None:
    record = CompositeRecord(6, 1, content)
    assert CompositeRecord.decode(record.encode()) == record


@given(st.text("0123456789", min_size=16, max_size=16), st.booleans())
def test_city_union_public_information_round_trips(number: str, interoperable: bool) -> None:  # noqa: FBT001 - drawn
    info = CityPublicInformation(
        "8475",
        "3100",
        number,
        date(2019, 12, 25),
        date(2069, 12, 25),
        interoperable=interoperable,
    )
    assert CityPublicInformation.decode(info.encode()) == info
    assert info.factor == bytes.fromhex(number)
