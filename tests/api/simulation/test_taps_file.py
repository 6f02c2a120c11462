"""Published tap files: what is refused, with line and column, and what must not matter."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from api.simulation.published import plan_published
from api.simulation.taps import COLUMNS, TapsFile, TapsFileError, read_taps_file
from cardcore.schemes.catalogue import SCHEMES
from terminals.roles.load_kiosk import KIOSK
from tests.support.shared import SHARED, needs_shared

SCHEME = SCHEMES["shenzhen"]

GOOD = {
    "card_no": "FHEFIHBJC",
    "deal_date": "2018-09-01 09:33:50",
    "deal_type": "巴士",
    "deal_money": "160",
    "deal_value": "200",
    "equ_no": "231017343",
    "company_name": "巴士集团",
    "station": "M506",
    "car_no": "01620D",
    "conn_mark": "0",
    "close_date": "2018-09-01 00:00:00",
}


def write(
    folder: Path,
    *rows: dict[str, str],
    columns: tuple[str, ...] = COLUMNS,
    encoding: str = "utf-8",
) -> Path:
    path = folder / "taps.csv"
    lines = [",".join(columns)]
    lines += [",".join((GOOD | row)[column] for column in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def read(path: Path) -> TapsFile:
    return read_taps_file(path, SCHEME)


@pytest.mark.parametrize(
    ("row", "column", "word"),
    [
        ({"deal_money": "1x0"}, "deal_money", "1x0"),
        ({"deal_money": "-5"}, "deal_money", "-5"),
        ({"deal_money": "1.5"}, "deal_money", "1.5"),
        ({"deal_money": "٣"}, "deal_money", "٣"),
        ({"deal_value": ""}, "deal_value", "an empty cell"),
        ({"deal_value": "99999999"}, "deal_value", "99999999"),
        ({"company_name": ""}, "company_name", "an empty cell"),
        ({"company_name": "公" * 41}, "company_name", "公公"),
        ({"company_name": "\u202e交公"}, "company_name", "202e"),
        ({"deal_type": "轮渡"}, "deal_type", "轮渡"),
        ({"deal_date": "2018-13-01 00:00:00"}, "deal_date", "2018-13-01"),
        ({"close_date": "soon"}, "close_date", "soon"),
        ({"equ_no": "12A"}, "equ_no", "12A"),
        ({"conn_mark": "2"}, "conn_mark", "2"),
        ({"card_no": ""}, "card_no", "an empty cell"),
    ],
)
def test_a_wrong_cell_is_named_by_line_and_column(
    tmp_path: Path, row: dict[str, str], column: str, word: str
) -> None:
    path = write(tmp_path, {}, row)
    with pytest.raises(TapsFileError, match=f"line 3, column {column}") as caught:
        read(path)
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ({"deal_date": "2049-09-01 09:00:00", "close_date": "2049-09-01"}, "deal_date"),
        ({"deal_date": "1899-09-01 09:00:00", "close_date": "1899-09-01"}, "deal_date"),
        ({"close_date": "2018-08-01"}, "close_date"),
        ({"close_date": "2049-08-01"}, "close_date"),
    ],
)
def test_a_date_that_no_card_of_the_file_lives_to_see_is_named(
    tmp_path: Path, row: dict[str, str], column: str
) -> None:
    other = {"deal_date": "2018-09-01 10:00:00"}
    with pytest.raises(TapsFileError, match=f"line 4, column {column}"):
        read(write(tmp_path, {}, other, row))


@pytest.mark.parametrize("missing", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, missing: str) -> None:
    columns = tuple(column for column in COLUMNS if column != missing)
    with pytest.raises(TapsFileError, match=f"line 1, column {missing}: the column is missing"):
        read(write(tmp_path, {}, columns=columns))


def test_a_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    with pytest.raises(TapsFileError, match="line 1, column station: the column stands twice"):
        read(write(tmp_path, {}, columns=(*COLUMNS, "station")))


def test_a_short_row_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_text(path.read_text(encoding="utf-8") + "A,B\n", encoding="utf-8")
    with pytest.raises(TapsFileError, match="line 3: 2 cells, the header has 11"):
        read(path)


def test_an_empty_file_and_a_lone_header_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty.csv"
    empty.write_bytes(b"")
    with pytest.raises(TapsFileError, match="missing"):
        read(empty)
    with pytest.raises(TapsFileError, match="no rows"):
        read(write(tmp_path))


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "taps.csv"
    path.write_bytes(b"card_no\n\x00\xff\xfe\xff")
    with pytest.raises(TapsFileError):
        read(path)


@pytest.mark.parametrize(
    "arrange",
    [
        pytest.param(lambda columns: tuple(reversed(columns)), id="reversed"),
        pytest.param(lambda columns: columns[5:] + columns[:5], id="turned"),
    ],
)
def test_the_order_of_columns_does_not_matter(
    tmp_path: Path, arrange: Callable[[tuple[str, ...]], tuple[str, ...]]
) -> None:
    usual = read(write(tmp_path, {}, {"deal_type": "地铁出站", "company_name": "地铁一号线"}))
    other = read(
        write(
            tmp_path,
            {},
            {"deal_type": "地铁出站", "company_name": "地铁一号线"},
            columns=arrange(COLUMNS),
        )
    )
    assert usual.taps == other.taps


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_exports_in_any_of_the_platforms_encodings_are_read(tmp_path: Path, encoding: str) -> None:
    assert read(write(tmp_path, {}, encoding=encoding)).taps[0].operator.name == "巴士集团"


OTHER_FORM = (
    "deal_date", "close_date", "card_no", "deal_value", "deal_type", "company_name", "car_no",
    "station", "conn_mark", "deal_money", "equ_no",
)  # fmt: skip


def case(name: str) -> Path:
    return SHARED / "cases" / name


@needs_shared
def test_the_other_published_form_is_read_and_its_operator_taken_up() -> None:
    file = read(case("csv_operator.csv"))
    (tap,) = file.taps
    assert (tap.tariff_fen, tap.charged_fen, tap.place) == (800, 595, "332(观澜)")
    assert tap.operator.name == "金华南巴士"
    plan = plan_published(file, SCHEME)
    assert plan.scheme.participants[:-1] == SCHEME.participants
    assert plan.scheme.participants[-1] == tap.operator
    assert plan.taps[-1].participant == tap.operator.code
    assert {plan.taps[-1].participant, 900} == {each.participant for each in plan.terminals}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("quote", ['"', ""])
def test_both_forms_give_the_same_taps(
    tmp_path: Path, encoding: str, line_end: str, quote: str
) -> None:
    rows = [{}, {"company_name": "金华南巴士"}, {"deal_type": "地铁入站", "station": ""}]
    usual = read(write(tmp_path, *rows))
    lines = [",".join(OTHER_FORM)] + [
        ",".join(f"{quote}{(GOOD | row)[column]}{quote}" for column in OTHER_FORM) for row in rows
    ]
    path = tmp_path / "other.csv"
    path.write_bytes((line_end.join(lines) + line_end).encode(encoding))
    assert read(path).taps == usual.taps


def test_an_operator_taken_up_has_one_code_in_every_file_and_none_of_the_scheme(
    tmp_path: Path,
) -> None:
    new = {"company_name": "金华南巴士"}
    codes = {
        tap.operator.code
        for rows in ([new], [{}, new], [new | {"card_no": "AAAAAAAAA"}, new])
        for tap in read(write(tmp_path, *rows)).taps
        if tap.operator.name == "金华南巴士"
    }
    assert len(codes) == 1
    assert codes.isdisjoint(each.code for each in SCHEME.participants)


@needs_shared
def test_a_time_with_an_offset_is_the_time_of_the_city() -> None:
    (tap,) = read(case("csv_offset.csv")).taps
    assert tap.time == datetime(2018, 9, 1, 0, 10)  # noqa: DTZ001 - wall clock of the city


@needs_shared
def test_a_line_is_counted_in_the_text_not_in_rows() -> None:
    with pytest.raises(TapsFileError, match="line 4, column deal_money") as caught:
        read(case("csv_line_number.csv"))
    assert caught.value.line == 4


@needs_shared
def test_control_characters_are_refused_and_never_thrown_back_raw() -> None:
    with pytest.raises(TapsFileError, match="line 2, column station") as caught:
        read(case("csv_control_bytes.csv"))
    assert str(caught.value).isprintable()


@needs_shared
def test_another_kind_of_file_is_refused_in_one_short_sentence() -> None:
    with pytest.raises(TapsFileError, match="JSON") as caught:
        read(case("csv_jsonlines.jsons"))
    assert len(str(caught.value)) < 100


def test_a_long_line_is_not_thrown_back(tmp_path: Path) -> None:
    path = tmp_path / "taps.csv"
    path.write_text("x" * 100_000 + "\n", encoding="utf-8")
    with pytest.raises(TapsFileError) as caught:
        read(path)
    assert len(str(caught.value)) < 200
    with pytest.raises(TapsFileError, match="line 2") as caught:
        read(write(tmp_path, {"deal_date": "9" * 90_000}))
    assert len(str(caught.value)) < 200


def test_an_exact_copy_is_one_tap_uploaded_twice(tmp_path: Path) -> None:
    file = read(write(tmp_path, {}, {}, {"deal_money": "120", "conn_mark": "1"}))
    assert file.rows == 3
    assert [tap.copies for tap in file.taps] == [1, 0]


def test_taps_are_driven_in_order_of_time(tmp_path: Path) -> None:
    later = {"deal_date": "2018-09-01 10:00:00"}
    file = read(write(tmp_path, later, {}))
    assert [tap.row for tap in file.taps] == [3, 2]


def test_a_card_whose_first_metro_tap_is_an_exit_begins_inside(tmp_path: Path) -> None:
    metro = {"company_name": "地铁一号线", "station": "罗湖"}
    plan = plan_published(
        read(
            write(
                tmp_path,
                metro | {"card_no": "AAAAAAAAA", "deal_type": "地铁出站"},
                metro | {"card_no": "BBBBBBBBB", "deal_type": "地铁入站", "deal_money": "0"},
            )
        ),
        SCHEME,
    )
    assert [order.inside_since is not None for order in plan.cards] == [True, False]


def test_every_card_is_loaded_on_the_eve_with_enough_for_its_rows(tmp_path: Path) -> None:
    fare = {"deal_money": "2600", "deal_value": "4000"}
    later = fare | {"deal_date": "2018-09-01 10:00:00"}
    plan = plan_published(read(write(tmp_path, fare, later)), SCHEME)
    load, *rides = plan.taps
    assert load.role == KIOSK.name
    assert load.amount_fen == 10_000 >= sum(tap.amount_fen for tap in rides)
    assert load.settlement_day < min(tap.settlement_day for tap in rides)


def test_a_card_that_could_not_hold_what_it_is_charged_is_refused(tmp_path: Path) -> None:
    rows = [
        {"deal_money": "60000", "deal_value": "60000", "deal_date": f"2018-09-01 09:0{n}:00"}
        for n in (0, 1)
    ]
    with pytest.raises(TapsFileError, match="line 3, column deal_money"):
        plan_published(read(write(tmp_path, *rows)), SCHEME)


def test_a_device_number_that_two_operators_use_is_two_terminals(tmp_path: Path) -> None:
    other = {"company_name": "西部公共汽车", "card_no": "AAAAAAAAA"}
    plan = plan_published(read(write(tmp_path, {}, other)), SCHEME)
    _, first, _, second = sorted(plan.taps, key=lambda tap: (tap.card, tap.time))
    assert {tap.participant for tap in (first, second)} == {101, 103}
    assert first.terminal != second.terminal
