"""Published dumps parse to what their sources expect; damaged ones as far as they go."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.dumps.dumps import ParsedCard, parse_card_dump, parse_dump
from cardcore.dumps.public import CardFamily, Public
from cardcore.layouts.bus import BusRecord
from cardcore.layouts.city_union import CityPublicInformation, CompositeRecord
from cardcore.layouts.fixed import signed_balance
from tests.support.shared import SHARED, VECTORS, needs_shared

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
        assert card.balance_fen == expected["coreextendednfc_balance_fen"]
        assert card.public.printed_number == expected["serial"]
        assert card.public.card_number == source["info15"]["card_number20"]
        assert card.public.valid_from == date.fromisoformat(expected["valid_from"])
        assert card.public.valid_to == date.fromisoformat(expected["valid_to"])


@needs_shared
def test_what_may_be_spent_is_what_the_other_reader_shows() -> None:
    for source, card in zip(
        load("tunion_cards.json")["records"], parse_dump(load("tunion_cards.json")), strict=True
    ):
        if "expect" in source:
            assert card.available_fen == source["expect"]["metrodroid_balance_fen"]


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
    assert [each.en for each in card.remarks] == ["fci: 9F0C is not a copy of file15"]


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
    assert "valid to" in card.problems[0].reason.en
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
    assert card.remarks[0].en.startswith("records18[1]")


@pytest.mark.parametrize(
    ("available", "limit", "own_fen", "available_fen"),
    [
        ("00000320", "00000320", 0, 800),
        ("000002E4", "00000000", 740, 740),
        ("00000000", "00000320", -800, 0),
        ("000000C8", "00000320", -600, 200),
        ("8000164E", "80000000", 5710, 5710),
        ("FFFFFF38", "00000000", -200, -200),
    ],
)
def test_the_balance_is_the_holders_own_money_and_not_what_may_be_spent(
    available: str, limit: str, own_fen: int, available_fen: int
) -> None:
    card = parse_card_dump({"balance_p1_00": available, "balance_p1_01": limit})
    assert (card.balance_fen, card.available_fen) == (own_fen, available_fen)


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


TU_FCI = (
    "6F318408A000000632010105A5259F0801029F0C1E"
    "02002900FFFFFFFF02010310477004006744280220200115204012310114"
)
CU_FCI = (
    "6F2E8409A00000000386980701A5219F0C1E"
    "847531000000000000003100310000015107302820191225206912250000"
)
CU_FILE15 = "847531000000000000003100310000019856102320191225206912250000"
SZT_FILE15 = "0000000000000000FD44000051800000D63C1D29201712012027120110100000"


def case(name: str) -> tuple[ParsedCard, ...]:
    return parse_dump(json.loads((SHARED / "cases" / name).read_text("utf-8")))


@needs_shared
def test_cases_of_other_readers_are_read_right() -> None:
    (shanghai,) = case("card_shanghai_balance.json")
    assert (shanghai.balance_fen, shanghai.available_fen) == (0, 800)
    (noise,) = case("card_log_amount_bit31.json")
    assert [each.amount_fen for each in noise.log] == [160]
    (empty,) = case("card_empty_log_slots.json")
    assert [each.amount_fen for each in empty.log] == [160]
    (trip,) = case("card_trip_overdrawn.json")
    assert [each.balance_fen for each in trip.trips] == [-200]
    (unnamed,) = case("card_szt_unnamed.json")
    assert (unnamed.public.family, unnamed.public.city) == (CardFamily.UNKNOWN, None)
    (nothing,) = case("card_no_part_known.json")
    assert nothing.unread == ("iso7816.applications[0][1].generic.appFci",)
    assert [card.public.printed_number for card in case("card_dual.json")] == [
        "3104770040067442802",
        "3100000151073028",
    ]


@pytest.mark.parametrize(
    "document",
    [
        {"cu_fci": CU_FCI, "tu_fci": TU_FCI},
        {"tu_fci": TU_FCI, "cu_fci": CU_FCI},
        {"fci": [CU_FCI, TU_FCI]},
        {"fci": TU_FCI, "file15": CU_FCI[-60:]},
        {"fci": CU_FCI, "file15": TU_FCI[-60:]},
        {"fci_1": CU_FCI, "fci_2": TU_FCI, "balance_p1_00": "00000064"},
        {"cu_fci": CU_FCI, "cu_balance": "00000001", "tu_fci": TU_FCI, "balance": "00000064"},
    ],
)
def test_no_number_of_one_purse_stands_under_the_name_of_another(document: dict[str, Any]) -> None:
    cards = parse_dump(document)
    assert [(card.public.family, card.public.printed_number) for card in cards] == [
        (CardFamily.T_UNION, "3104770040067442802"),
        (CardFamily.CITY_UNION, "3100000151073028"),
    ]
    assert cards[1].balance_fen in {None, 1}
    assert parse_card_dump(document) == cards[0]


def test_the_name_a_card_answers_with_is_stronger_than_the_one_it_was_asked_for() -> None:
    (card,) = parse_dump({"aid": "A00000000386980701", "fci": TU_FCI})
    assert card.public.family is CardFamily.T_UNION
    assert card.public.printed_number == "3104770040067442802"


@pytest.mark.parametrize(
    "file15",
    [SZT_FILE15, "00" * 16 + "EFCDAB002009010120190101FFFF", "0000" * 6 + CU_FILE15[24:]],
)
def test_fields_that_nobody_filled_make_no_city_union(file15: str) -> None:
    public = parse_card_dump({"file15": file15}).public
    assert (public.family, public.card_number, public.city) == (CardFamily.UNKNOWN, None, None)


def test_the_serial_of_shanghai_is_a_binary_number() -> None:
    file15 = "0000200000000000000020000000000001AB9F0E2015010120250101" + "0000"
    for document in ({"file15": file15}, {"aid": "A00000000386980701", "file15": file15}):
        card = parse_card_dump(document)
        assert card.public.family is CardFamily.CITY_UNION
        assert card.public.printed_number == str(0x01AB9F0E)
        assert card.problems == ()


@pytest.mark.parametrize("filling", ["00", "FF"])
@pytest.mark.parametrize(
    ("key", "size"), [("records18", 23), ("records1E", 48), ("records1A", 128)]
)
def test_a_slot_that_was_never_written_is_no_record(key: str, size: int, filling: str) -> None:
    for text in (filling * size, filling * size + "9000"):
        card = parse_card_dump({key: [text, text]})
        assert (card.log, card.trips, card.rides, card.problems) == ((), (), (), ())
        assert [each.en for each in card.remarks] == [f"{key}: 2 unwritten"]


def test_bit_31_is_noise_in_every_amount_and_balances_have_a_sign() -> None:
    log = LOG[:10] + "800000A0" + LOG[18:]
    trip = TRIP[:34] + "800001F4" + "FFFFFF38" + TRIP[50:]
    card = parse_card_dump({"rec18": log, "rec1E": trip})
    assert card.log[0].amount_fen == 160
    assert (card.trips[0].amount_fen, card.trips[0].balance_fen) == (500, -200)


@pytest.mark.parametrize(
    ("document", "unread"),
    [
        ({"aid": "A000000632010105"}, ()),
        ({"iso": [{"fci": TU_FCI}], "note": TU_FCI, "id": "01020304"}, ("iso[0].fci",)),
    ],
)
def test_what_is_no_part_of_a_card_is_named_and_makes_none(
    document: dict[str, Any], unread: tuple[str, ...]
) -> None:
    assert parse_dump(document) == (ParsedCard("", Public(), unread=unread),)
