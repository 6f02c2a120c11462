"""A scheme's file is refused with the line of its fault, and lines are found in any TOML."""

import time
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from importlib import resources

import pytest

from cardcore.concession import Concession
from cardcore.records.kinds import RecordKind
from cardcore.schemes import FareClass
from cardcore.schemes.catalogue import SCHEMES
from cardcore.schemes.lines import Way, entry_lines
from cardcore.schemes.reading import SchemeError, read_scheme

DEMO = resources.files("cardcore.schemes").joinpath("demo.toml").read_text("utf-8")
SHENZHEN = resources.files("cardcore.schemes").joinpath("shenzhen.toml").read_text("utf-8")

# what is written | instead of what | the fault, at the line where the first words stand
FAULTS = [
    ('cutover_hour = "2"', "cutover_hour = 2", "a whole number is needed"),
    ("cutover_hour = true", "cutover_hour = 2", "a whole number is needed"),
    ("cutover_hour = 24", "cutover_hour = 2", "24 is not from 0 to 23"),
    ('name = "Demo"', 'name = "demo"', "is not of the form"),
    ('issuer = "0215"\ncity', 'issuer = "02153310FFFFFFFF"\ncity', "is not of the form"),
    ("colour = 1\ncity_code", "city_code", "colour: is unknown"),
    ("[tariff]\n", "[tariff]\nversion = 1\n", "version is missing"),
    ('marked = ["adult_transfer", "grown"', 'marked = ["adult_transfer", "adult"', "none of"),
    ('unmarked = ["adult", "adult"', 'unmarked = ["adult", "half"', "stands twice"),
    ('unmarked = ["adult", "free"', 'unmarked = ["adult", "half", "free"', "half is missing"),
    ('rides = ["bus", "tram"]', 'rides = ["bus"]', "tram is none of bus, metro"),
    ('rides = ["metro", "bus"]', 'rides = ["metro"]', "bus adult has another price"),
    ("bands = []", "bands = [{ percent = 90 }]", "at least one is needed"),
    ("bands = [{ percent = 101 }]", "bands = [{ percent = 90 }]", "101 is not from 0 to 100"),
    ("bands = [{ to_fen = 9, percent = 90 }]", "bands = [{ percent = 90 }]", "a hole is above"),
    ("bands = [{ percent = 1 }, { percent = 2 }]", "bands = [{ percent = 90 }]", "to_fen is miss"),
    ("code = 101 # again", "code = 201", "101 is taken by line"),
    ('name = "示例公交" # 2', 'name = "示例地铁"', "示例公交 is taken by line"),
    ("senders = [101, 101]", "senders = [101]", "taken"),
    ('kind = "bank"\nsector = "transit"\nsenders = [101]',
     'kind = "operator"\nsector = "transit"\nsenders = [101]', "bank is none of operator"),
    ('sector = "trade"', 'sector = "merchant"', "trade is none of transit"),
    ("sector = 256", 'sector = "merchant"', "256 is not from 0 to 255"),
    ("sector = true", 'sector = "merchant"', "a whole number is needed"),
    ('application = "tram"', 'application = "transit"', "tram is none of transit"),
    ('prefix = "031x"', 'prefix = "03103310"', "is not of the form"),
    ('shop = ["library"]', 'shop = ["purse"]', "library is none of transit"),
    ('[life]\nfirst_day = "2010-01-01"\nlast_day = 2099-12-31\n[tariff]', "[tariff]", "a day is"),
    ("[life]\nfirst_day = 2010-01-01\nlast_day = 2009-12-31\n[tariff]", "[tariff]",
     "lies before 2010-01-01"),
    ("[life]\nfirst_day = 2010-01-01\n[tariff]", "[tariff]", "last_day is missing"),
    ("participant = 102", "participant = 101", "102 is no operator of the scheme"),
    ("participant = 901", "participant = 101", "901 is no operator of the scheme"),
    ('participant = 101\nrides = ["bus"] # again', 'participant = 201\nrides = ["metro"]',
     "101 has another tariff already"),
    ("amount_fen = 0", "amount_fen = 200", "0 is not from 1 to"),
    ("amount_fen = 2.00", "amount_fen = 200", "a whole number is needed"),
    ('rides = ["tram"]\namount_fen', 'rides = ["bus"]\namount_fen', "tram is none of bus, metro"),
    ("[tariff]\n[tariff]", "[tariff]", "is no TOML"),
]  # fmt: skip


def fault_of(text: str) -> SchemeError:
    with pytest.raises(SchemeError) as raised:
        read_scheme(text.encode(), "city.toml")
    return raised.value


@pytest.mark.parametrize(("written", "instead", "fault"), FAULTS)
def test_a_fault_is_named_with_its_line(written: str, instead: str, fault: str) -> None:
    assert instead in DEMO
    text = DEMO.replace(instead, written, 1)
    error = fault_of(text)
    first = 1 + text[: text.index(written)].count("\n")
    within = range(first, first + written.count("\n") + 1)
    assert fault in error.fault.en
    assert error.line in within
    assert str(error).startswith(f"city.toml:{error.line}: ")


@pytest.mark.parametrize(
    "bomb",
    ["a = " + "[" * 50_000, "a = " + "{a=" * 50_000, "\n\n" + ".".join("a" * 40_000) + " = 1",
     "[" + ".".join(["'a'"] * 40_000) + "]", DEMO + "# " + "x" * 2_000_000],
    ids=["lists", "tables", "dots", "quoted dots", "size"],
)  # fmt: skip
def test_a_bomb_is_refused_and_not_read(bomb: str) -> None:
    error = fault_of(bomb)
    assert error.line == (3 if bomb.startswith("\n") else 1)
    assert "too deep" in error.fault.en or "at most" in error.fault.en


def test_a_number_of_thousands_of_digits_is_no_crash() -> None:
    text = DEMO.replace("cutover_hour = 2", "cutover_hour = " + "9" * 5_000)
    assert "is no TOML" in fault_of(text).fault.en


@pytest.mark.parametrize(
    "name", ["demo-purse", "demo-library", "demo-chip", "a-psam", "a-load-host", "demo-0a"]
)
def test_no_city_is_called_like_a_part_of_another(name: str) -> None:
    error = fault_of(DEMO.replace('name = "demo"', f'name = "{name}"'))
    assert "another city's keys" in error.fault.en


@pytest.mark.parametrize("name", ["x" * 129, " 示例公交", "示例公交 "])
def test_a_name_that_the_registry_would_refuse_is_refused_with_its_line(name: str) -> None:
    text = DEMO.replace('name = "示例公交"', f'name = "{name}"')
    error = fault_of(text)
    assert name in text.splitlines()[error.line - 1]


@pytest.mark.parametrize(
    "text",
    [
        "# " + "x" * 900_000,
        "# " + "x." * 15 + "\n" * 900_000,
        "# " + '"' * 900_001,
        "# " + "' ." * 9,
    ],
    ids=["one word", "lines", "quotes", "dots"],
)
def test_a_long_text_is_read_in_linear_time(text: str) -> None:
    start = time.process_time()
    assert read_scheme((DEMO + text).encode(), "x") == SCHEMES["demo"]
    assert time.process_time() - start < 5


def test_many_card_numbers_are_read_in_linear_time() -> None:
    more = "".join(
        f"[[card_numbers]]\napplication='transit'\nprefix='1{number:07}'\n"
        "issuer='02153310FFFFFFFF'\n"
        for number in range(8_000)
    )
    start = time.process_time()
    assert len(read_scheme((DEMO + more).encode(), "x").card_numbers) > 8_000
    assert time.process_time() - start < 5
    longer = (
        "[[card_numbers]]\napplication='transit'\nprefix='100000012'\nissuer='02153310FFFFFFFF'\n"
    )
    assert "overlaps 10000001" in fault_of(DEMO + more + longer).fault.en


def test_bands_that_overlap_are_named_by_their_own_line() -> None:
    text = SHENZHEN.replace("{ to_fen = 600,", "{ to_fen = 300,")
    error = fault_of(text)
    assert text.splitlines()[error.line - 1].strip() == "{ to_fen = 300, percent = 75 },"
    assert "overlaps the band to 300" in error.fault.en


def test_a_ride_without_a_price_is_a_hole() -> None:
    text = DEMO.replace('rides = ["bus", "metro"]\nconcessions = ["half"]',
                        'rides = ["bus"]\nconcessions = ["half"]')  # fmt: skip
    error = fault_of(text)
    assert "no price for metro half" in error.fault.en
    assert text.splitlines()[error.line - 1] == "[[price]]"


def test_prefixes_of_one_application_do_not_contain_each_other() -> None:
    more = '\n[[card_numbers]]\napplication = "{}"\nprefix = "0310"\nissuer = "02153310FFFFFFFF"\n'
    error = fault_of(DEMO + more.format("transit"))
    assert (error.line, error.fault.en) == (DEMO.count("\n") + 4, "prefix: overlaps 03103310")
    assert len(read_scheme((DEMO + more.format("benefit")).encode(), "x").card_numbers) == 3


def test_what_is_no_text_is_named_with_its_line() -> None:
    with pytest.raises(SchemeError) as raised:
        read_scheme(b"name = 'x'\nissuer = '\xff'", "x")
    assert raised.value.line == 2
    assert "UTF-8" in raised.value.fault.en


def test_what_an_editor_puts_in_front_and_at_line_ends_is_no_fault() -> None:
    written = b"\xef\xbb\xbf" + DEMO.replace("\n", "\r\n").encode()
    assert read_scheme(written, "x") == SCHEMES["demo"]


def test_a_purse_is_taken_by_the_roles_that_name_it() -> None:
    text = DEMO.replace('shop = ["purse"]', 'shop = ["purse", "transit"]')
    assert read_scheme(text.encode(), "x").purses["shop"] == ("purse", "transit")


@pytest.mark.parametrize(
    ("kind", "tariff_fen", "concession", "transfer", "fare_fen"),
    [
        (RecordKind.PURCHASE, 200, Concession.ADULT, 0, 180),
        (RecordKind.EXIT, 500, Concession.HALF, 0, 250),
        (RecordKind.EXIT, 500, Concession.ADULT, 0, 475),
        (RecordKind.PURCHASE, 201, Concession.ADULT, 1, 80),
        (RecordKind.PURCHASE, 100, Concession.ADULT, 1, 0),
        (RecordKind.PURCHASE, 333, Concession.FREE, 0, 0),
        (RecordKind.ENTRY, 333, Concession.FULL, 0, 0),
    ],
)
def test_the_demonstration_tariff(
    kind: RecordKind, tariff_fen: int, concession: Concession, transfer: int, fare_fen: int
) -> None:
    fare_class = FareClass(concession, transfer=bool(transfer))
    assert SCHEMES["demo"].fare_fen(kind, tariff_fen, fare_class) == fare_fen


def ways(value: object, way: Way = ()) -> Iterator[Way]:
    yield way
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from ways(inner, (*way, key))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield from ways(inner, (*way, number))


def test_no_ride_costs_more_than_the_highest_tariff_that_is_known_of_its_operator() -> None:
    text = DEMO.replace('rides = ["bus"]\namount_fen = 200', 'rides = ["bus"]\namount_fen = 300')
    scheme = read_scheme(text.encode(), "x")
    both = replace(scheme, known_tariffs={(1, RecordKind.PURCHASE): 2, (1, RecordKind.EXIT): 6})
    known = [
        scheme.known_tariff_fen(101, RecordKind.PURCHASE),
        scheme.known_tariff_fen(201, RecordKind.EXIT),
        # Which ride it was is nobody's signed word.
        scheme.known_tariff_fen(101, RecordKind.EXIT),
        scheme.known_tariff_fen(201, RecordKind.ENTRY),
        both.known_tariff_fen(1, RecordKind.PURCHASE),
        both.known_tariff_fen(1, RecordKind.ENTRY),
    ]
    assert known == [300, 600, 300, 600, 2, 6]
    assert scheme.known_tariff_fen(501, RecordKind.PURCHASE) is None
    assert scheme.known_tariff_fen(101, RecordKind.LOAD) is None
    assert SCHEMES["shenzhen"].known_tariffs == {}


ODD = '''
"a b".c = 1 # "x
[t . 'u']
s = """
[not.a.header]
k = 2\\""""
l = \'\'\'it's
\'\'\'
d = 1979-05-27T07:32:00Z
n = [[1, 2], ["]", '#',], # ]
  { x = { y = [ { z = 1 } ] } },
]
[[t.u.v]]
[[t.u.v.w]]
q = {}
[[t.u.v.w]]
[t.u.v.r]
e = 0x1F
'''


@pytest.mark.parametrize("text", [DEMO, SHENZHEN, ODD], ids=["demo", "shenzhen", "odd"])
def test_every_entry_of_a_text_has_its_line(text: str) -> None:
    found, lines = entry_lines(text), text.splitlines()
    assert set(found) >= set(ways(tomllib.loads(text)))
    for way, number in found.items():
        if way and isinstance(way[-1], str):
            assert way[-1] in lines[number - 1]


def test_a_scheme_says_on_which_days_it_lives_or_lives_this_century() -> None:
    shenzhen, demo = SCHEMES["shenzhen"].life, SCHEMES["demo"].life
    assert (shenzhen.first_day, shenzhen.last_day) == (date(2004, 12, 28), date(2099, 12, 31))
    assert date(2004, 12, 28) in shenzhen
    assert date(2004, 12, 27) not in shenzhen
    assert (demo.first_day, demo.last_day) == (date(2000, 1, 1), date(2099, 12, 31))


def test_any_moment_has_a_business_day() -> None:
    demo = SCHEMES["demo"]
    assert demo.cutover_hour == 2
    assert demo.business_day(datetime.fromisoformat("0001-01-01T00:30")) == date(1, 1, 1)
    assert demo.business_day(datetime.fromisoformat("0001-01-02T01:59")) == date(1, 1, 1)
