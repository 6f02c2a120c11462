"""Rows with days: what may be added, changed and ended, and what holds on a day."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.registry.book import BEGINNING, FOREVER, AnyDated, Book, Dated, NewChange
from settlement.registry.decide import (
    Decided,
    Refused,
    RegistryNote,
    RegistryRefusal,
    decide_add,
    decide_change,
    decide_end,
    decide_register,
)
from settlement.registry.rows import CentreRow, HotlistRow, NameRow, ParticipantRow, TerminalRow

BUS, METRO, LATE = 101, 201, 301
T = "0000000000b1"
ZERO = date(2026, 1, 1)


def day(number: int) -> date:
    """Day 1, day 2 and so on."""
    return ZERO + timedelta(days=number - 1)


def book(*rows: AnyDated) -> Book:
    """Two participants of always, one from day 10 on, and these rows."""
    held = [
        Dated(ParticipantRow(BUS, "巴士集团", 1, 1)),
        Dated(ParticipantRow(METRO, "地铁", 1, 1)),
        Dated(ParticipantRow(LATE, "新公司", 1, 1), day(10)),
        *rows,
    ]
    return Book(NewChange.of(each) for each in held)


def terminal(owner: int = BUS, first: date = BEGINNING, last: date = FOREVER) -> AnyDated:
    return Dated(TerminalRow(T, owner, "bus"), first, last)


def owners(held: Book, *numbers: int) -> list[int | None]:
    rows = [held.on("terminal", T, day(number)) for number in numbers]
    return [None if each is None else owner_of(each) for each in rows]


def owner_of(dated: AnyDated) -> int:
    assert isinstance(dated.row, TerminalRow)
    return dated.row.participant


# held (first-last, - is open) | added | answer
ADDITIONS = """
  none     1-5    | added
  none     5-1    | end_before_start
  1-5      6-9    | added
  1-5      5-9    | overlap
  1-5      3-3    | overlap
  1-5      7-9    | added
  1--      9-9    | overlap
  5-9      1-4    | added
"""


@pytest.mark.parametrize("line", ADDITIONS.strip().splitlines())
def test_a_terminal_may_pause_but_has_one_row_a_day(line: str) -> None:
    asked, expected = (part.strip() for part in line.split("|"))
    held, added = asked.split()
    before = book() if held == "none" else book(terminal(BUS, *period(held)))
    answer = decide_add(before, terminal(METRO, *period(added)), None)
    name = "added" if isinstance(answer, Decided) else answer.refusal.name.lower()
    assert name == expected


def period(text: str) -> tuple[date, date]:
    first, _, last = text.partition("-")
    return day(int(first)), FOREVER if last == "-" else day(int(last))


def refusal(answer: Decided | Refused) -> RegistryRefusal:
    assert isinstance(answer, Refused), answer
    assert answer.text.zh
    assert answer.text.en
    return answer.refusal


def test_days_of_a_participant_have_no_hole() -> None:
    held = book(Dated(ParticipantRow(401, "一", 1, 1), day(1), day(5)))
    later = Dated(ParticipantRow(401, "二", 1, 1), day(7))
    assert refusal(decide_add(held, later, None)) is RegistryRefusal.HOLE
    joined = Dated(ParticipantRow(401, "二", 1, 1), day(6))
    assert isinstance(decide_add(held, joined, None), Decided)
    change = decide_change(held, ("participant", "401"), {"name": "三"}, day(9), None, None)
    assert refusal(change) is RegistryRefusal.HOLE


def test_a_participant_that_a_later_row_keeps_does_not_end_before_it() -> None:
    held = book()
    change = decide_change(held, ("participant", str(BUS)), {"name": "新"}, day(9), None, None)
    assert isinstance(change, Decided)
    held.enter(change.changes[0])
    for last in (day(7), day(8)):
        answer = decide_end(held, ("participant", str(BUS)), last, None)
        assert refusal(answer) is RegistryRefusal.HOLE
    assert isinstance(decide_end(held, ("participant", str(BUS)), day(9), None), Decided)


def test_nobody_is_named_who_is_not_registered_on_every_day() -> None:
    for owner, first in ((999, day(1)), (LATE, day(9)), (LATE, BEGINNING)):
        answer = decide_add(book(), terminal(owner, first), None)
        assert refusal(answer) is RegistryRefusal.UNKNOWN_PARTICIPANT
    assert isinstance(decide_add(book(), terminal(LATE, day(10)), None), Decided)
    collected: AnyDated = Dated(TerminalRow(T, BUS, "bus", collector=999))
    assert refusal(decide_add(book(), collected, None)) is RegistryRefusal.UNKNOWN_PARTICIPANT


def test_a_participant_that_others_name_does_not_end() -> None:
    held = book(terminal(BUS, day(1), day(20)))
    subject = ("participant", str(BUS))
    answer = decide_end(held, subject, day(19), None)
    assert refusal(answer) is RegistryRefusal.PARTICIPANT_IN_USE
    assert isinstance(decide_end(held, subject, day(20), None), Decided)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        (TerminalRow("B1", BUS, "bus"), "terminal is B1"),
        (TerminalRow(T, BUS, "公交"), "role is 公交"),
        (TerminalRow(T, BUS, "bus", sector=256), "sector is 256"),
        (NameRow("tram", 1, "x"), "kind is tram"),
        (NameRow("line", 1, " x"), "text is x"),
        (HotlistRow("1" * 19, 1), "card_number"),
        (HotlistRow("1" * 20, -1), "version is -1"),
        # Under the label of one application a centre would be taken in and say nothing.
        (CentreRow("shenzhen-purse", BUS), "label is shenzhen-purse"),
        (CentreRow("hangzhou-benefit", BUS), "label is hangzhou-benefit"),
    ],
)
def test_a_value_that_cannot_stand_there_is_named(
    row: TerminalRow | NameRow | HotlistRow | CentreRow, word: str
) -> None:
    answer = decide_add(book(), Dated(row), None)
    assert refusal(answer) is RegistryRefusal.VALUE_WRONG
    assert isinstance(answer, Refused)
    assert word in str(answer.detail)


def test_a_change_holds_from_its_day_on_and_leaves_the_days_before() -> None:
    held = book(terminal(BUS))
    decided = decide_change(held, ("terminal", T), {"participant": METRO}, day(8), None, None)
    assert isinstance(decided, Decided)
    for each in decided.changes:
        held.enter(each)
    assert owners(held, 1, 7, 8, 99) == [BUS, BUS, METRO, METRO]
    lent = decide_change(held, ("terminal", T), {"participant": LATE}, day(20), day(30), None)
    assert isinstance(lent, Decided)
    held.enter(lent.changes[0])
    assert owners(held, 19, 20, 30, 31) == [METRO, LATE, LATE, METRO]


def test_what_cannot_be_changed_is_refused() -> None:
    held = book(terminal(BUS, day(1), day(5)), terminal(METRO, day(9), day(12)))
    subject = ("terminal", T)
    for values, first, last, expected in [
        ({"role": "gate"}, day(7), None, RegistryRefusal.NOT_REGISTERED),
        ({"role": "gate"}, day(3), day(2), RegistryRefusal.END_BEFORE_START),
        ({"role": "gate"}, day(3), day(9), RegistryRefusal.OVERLAP),
        ({"role": "bus"}, day(3), None, RegistryRefusal.NOTHING_CHANGES),
        ({"terminal": "0" * 12}, day(3), None, RegistryRefusal.VALUE_WRONG),
        ({"colour": "red"}, day(3), None, RegistryRefusal.VALUE_WRONG),
    ]:
        assert refusal(decide_change(held, subject, values, first, last, None)) is expected
    assert refusal(decide_end(held, subject, day(7), None)) is RegistryRefusal.NOT_REGISTERED
    assert refusal(decide_end(held, subject, day(5), None)) is RegistryRefusal.NOTHING_CHANGES
    assert refusal(decide_end(held, subject, day(-9), None)) is RegistryRefusal.END_BEFORE_START


def test_a_card_leaves_the_hotlist_and_comes_back() -> None:
    card = "1" * 20
    held = book(Dated(HotlistRow(card, 3), day(1)))
    ended = decide_end(held, ("hotlist", card), day(4), None)
    assert isinstance(ended, Decided)
    held.enter(ended.changes[0])
    again = decide_add(held, Dated(HotlistRow(card, 9), day(8)), None)
    assert isinstance(again, Decided)
    held.enter(again.changes[0])
    listed = [held.on("hotlist", card, day(n)) is not None for n in (0, 1, 4, 5, 7, 8, 99)]
    assert listed == [False, True, True, False, False, True, True]


def test_a_change_in_closed_days_is_made_and_said() -> None:
    held = book(terminal(BUS))
    for last_closed, notes in ((day(8), (RegistryNote.CLOSED_DAYS_BEHIND,)), (day(7), ())):
        answer = decide_change(held, ("terminal", T), {"role": "gate"}, day(8), None, last_closed)
        assert isinstance(answer, Decided)
        assert answer.notes == notes


def test_a_machine_that_offers_the_same_again_changes_nothing() -> None:
    held = book(terminal(BUS, day(1), day(5)), terminal(BUS, day(6)))
    assert decide_register(held, [terminal(BUS, day(2), day(9))]) == Decided(())
    answer = decide_register(held, [terminal(METRO, day(2), day(9))])
    assert refusal(answer) is RegistryRefusal.OVERLAP
    newcomer: AnyDated = Dated(ParticipantRow(777, "新", 1, 1))
    made = decide_register(book(), [Dated(TerminalRow(T, 777, "bus")), newcomer])
    assert isinstance(made, Decided)
    assert [each.kind for each in made.changes] == ["participant", "terminal"]


DAYS = st.integers(1, 12)


@given(st.lists(st.tuples(st.sampled_from([BUS, METRO, None]), DAYS, DAYS), max_size=8))
def test_on_every_day_holds_what_the_latest_change_about_it_says(
    changes: list[tuple[int | None, int, int]],
) -> None:
    held, model = Book(), dict.fromkeys(range(14))
    for owner, one, other in changes:
        first, last = sorted((one, other))
        row = None if owner is None else TerminalRow(T, owner, "bus")
        held.enter(NewChange("terminal", T, row, day(first), day(last)))
        model |= dict.fromkeys(range(first, last + 1), owner)
    assert owners(held, *model) == list(model.values())
    rows = list(held.rows("terminal", T))
    assert rows == sorted(rows, key=lambda each: each.valid_from)
    for left, right in pairwise(rows):
        assert left.valid_to < right.valid_from
        assert left.row != right.row or left.valid_to + timedelta(days=1) < right.valid_from
    for first in range(1, 13):
        covered = held.is_covered("terminal", T, day(first), day(12))
        assert covered == all(model[n] is not None for n in range(first, 13))
