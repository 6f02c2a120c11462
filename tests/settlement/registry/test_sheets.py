"""Rows as a CSV file: whole or not at all, every fault with its line and column."""

import time
from datetime import date, timedelta

import pytest

from settlement.registry.book import AnyDated, Book, Dated, NewChange
from settlement.registry.decide import Decided
from settlement.registry.rows import KINDS, NameRow, ParticipantRow, TerminalRow
from settlement.registry.sheets import SheetFault, decide_sheet, read_sheet, write_sheet

TERMINAL = KINDS["terminal"]
HEAD = "terminal,participant,role,collector,sector,valid_from,valid_to\n"
JULY = date(2026, 7, 1)
HELD: list[AnyDated] = [
    Dated(ParticipantRow(101, "巴士", 1, 1)),
    Dated(ParticipantRow(201, "地铁", 1, 1)),
    Dated(TerminalRow("0000000000b1", 101, "bus")),
    Dated(TerminalRow("0000000000b2", 101, "bus", 201, 5), JULY),
]


def book() -> Book:
    return Book(NewChange.of(each) for each in HELD)


def take(text: str, kind: str = "terminal") -> Decided | list[SheetFault]:
    lines, faults = read_sheet(KINDS[kind], text.encode())
    return faults or decide_sheet(book(), KINDS[kind], lines, None)


def after(text: str) -> list[AnyDated]:
    decided, held = take(text), book()
    assert isinstance(decided, Decided), decided
    for each in decided.changes:
        held.enter(each)
    return list(held.all("terminal"))


def test_what_is_written_is_read_again_and_changes_nothing() -> None:
    text = write_sheet(TERMINAL, HELD[2:])
    assert (
        text == HEAD + "0000000000b1,101,bus,,,,\n0000000000b2,101,bus,201,merchant,2026-07-01,\n"
    )
    assert take(text) == Decided(())
    assert take("\ufeff" + text.replace("\n", "\r\n")) == Decided(())


def test_a_file_moves_a_terminal_and_leaves_the_others() -> None:
    moved = HEAD + "0000000000b1,101,bus,,,,2026-06-30\n0000000000b1,201,bus,,,2026-07-01,\n"
    assert after(moved) == [
        Dated(TerminalRow("0000000000b1", 101, "bus"), valid_to=date(2026, 6, 30)),
        Dated(TerminalRow("0000000000b1", 201, "bus"), JULY),
        HELD[3],
    ]


def test_a_subject_ends_where_its_last_line_ends() -> None:
    rows = after(HEAD + "0000000000b1,101,bus,,,,2026-06-30\n")
    assert rows[0].valid_to == date(2026, 6, 30)
    assert rows[1:] == HELD[3:]


FAULTS = [
    # line and column of each fault | the lines under the header
    ("2 terminal", "b1,101,bus,,,,"),
    ("2 participant", "0000000000b3,x,bus,,,,"),
    ("2 participant", "0000000000b3,999,bus,,,,"),
    ("2 role", "0000000000b3,101,Bus,,,,"),
    ("2 sector", "0000000000b3,101,bus,,tram,,"),
    ("2 valid_from", "0000000000b3,101,bus,,,2026-02-30,"),
    ("2 valid_from", "0000000000b3,101,bus,,,20260201,"),
    ("2 valid_to", "0000000000b3,101,bus,,,2026-02-02,2026-02-01"),
    ("2 ", "0000000000b3,101,bus"),
    ("2 ", '0000000000b3,101,"bus'),
    ("3 valid_from", "0000000000b3,101,bus,,,,\n0000000000b3,201,bus,,,2026-02-01,"),
    ("2 valid_from", "0000000000b1,201,bus,,,2026-07-01,"),
    ("2 role;4 terminal", "0000000000b3,101,,,,,\n0000000000b4,101,bus,,,,\nb5,101,bus,,,,"),
]


@pytest.mark.parametrize(("places", "lines"), FAULTS)
def test_a_fault_is_named_with_its_line_and_column(places: str, lines: str) -> None:
    faults = take(HEAD + lines + "\n")
    assert isinstance(faults, list)
    assert ";".join(f"{each.line} {each.column}" for each in faults) == places
    assert all(each.fault.zh and each.fault.en for each in faults)


@pytest.mark.parametrize(
    ("head", "column"),
    [
        ("", "0000000000b3"),
        ("participant,role\n", "terminal"),
        ("terminal,participant\n", "role"),
        ("terminal,participant,role,colour\n", "colour"),
        ("terminal,participant,role,role\n", "role"),
    ],
)
def test_a_header_that_is_none_is_refused(head: str, column: str) -> None:
    faults = take(head + "0000000000b3,101,bus,1\n")
    assert isinstance(faults, list)
    assert (faults[0].line, faults[0].column) == (1, column)


def test_participants_have_no_holes_in_a_file_either() -> None:
    text = "code,name,kind,sector,valid_from,valid_to\n301,甲,operator,transit,,2026-01-31\n"
    faults = take(text + "301,乙,operator,transit,2026-02-02,\n", "participant")
    assert isinstance(faults, list)
    assert [(each.line, each.column) for each in faults] == [(3, "valid_from")]
    assert isinstance(take(text + "301,乙,operator,transit,2026-02-01,\n", "participant"), Decided)


def test_a_participant_in_use_is_not_ended_by_a_file() -> None:
    text = "code,name,kind,sector,valid_to\n101,巴士,operator,transit,2026-12-31\n"
    faults = take(text, "participant")
    assert isinstance(faults, list)
    assert [(each.line, each.column) for each in faults] == [(2, "valid_to")]


def test_names_with_commas_and_quotes_travel() -> None:
    rows: list[AnyDated] = [Dated(NameRow("line", 7, '甲, "乙"'))]
    lines, faults = read_sheet(KINDS["name"], write_sheet(KINDS["name"], rows).encode())
    assert ([each.dated for each in lines], faults) == (rows, [])


def test_what_is_no_text_is_named() -> None:
    lines, faults = read_sheet(TERMINAL, HEAD.encode() + b"\xff\n")
    assert (lines, [each.line for each in faults]) == ([], [2])


def test_a_fault_in_a_row_of_several_lines_is_named_by_the_first_of_them() -> None:
    text = HEAD + '0000000000b3,101,"b\nus",,,,\n\n0000000000b4,x,bus,,,,\n'
    faults = take(text)
    assert isinstance(faults, list)
    assert [(each.line, each.column) for each in faults] == [(2, "role"), (5, "participant")]


def test_thousands_of_rows_of_one_subject_are_decided_in_linear_time() -> None:
    """Every row went through all the rows before it, under the write lock."""
    rows = "".join(
        f"line,1,T{number},{day},{day}\n"
        for number in range(6_000)
        for day in (JULY + timedelta(days=number),)
    )
    start = time.process_time()
    decided = take("kind,code,text,valid_from,valid_to\n" + rows, "name")
    assert isinstance(decided, Decided)
    assert len(decided.changes) == 6_000
    assert time.process_time() - start < 3
