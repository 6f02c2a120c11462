"""The registry is asked on the business day of a record's time, whenever the record comes."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from settlement.dispositions import Note, Reason
from settlement.registry.book import Dated
from settlement.registry.placing import ListedCard, PlacedNumbers, place_hotlist
from settlement.registry.rows import HotlistRow, TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    DAY,
    LOAD_AGENT,
    METRO_OPERATOR,
    TERMINALS,
    Desk,
    card_text,
    debit,
    load,
    proven,
)

MOVES = DAY + timedelta(days=1)
#: The bus goes to another operator on the second day, and comes back on the third.
MOVING = (
    *TERMINALS[1:],
    Dated(TerminalRow(BUS, BUS_OPERATOR, "bus"), valid_to=DAY),
    Dated(TerminalRow(BUS, METRO_OPERATOR, "bus"), MOVES, MOVES),
    Dated(TerminalRow(BUS, BUS_OPERATOR, "bus"), MOVES + timedelta(days=1)),
)


@pytest.mark.parametrize(
    ("moment", "owner"),
    [
        ("2018-09-01T23:59:59", BUS_OPERATOR),
        ("2018-09-02T00:00:00", METRO_OPERATOR),
        ("2018-09-03T00:00:00", BUS_OPERATOR),
    ],
)
@pytest.mark.parametrize("claimed", [BUS_OPERATOR, METRO_OPERATOR, 77])
@pytest.mark.parametrize("settled", [MOVES + timedelta(days=1), MOVES + timedelta(days=9)])
def test_a_terminal_that_moves_is_paid_to_the_owner_of_the_transaction_s_day(
    tmp_path: Path, moment: str, owner: int, claimed: int, settled: date
) -> None:
    """R2: the registry says who is paid, never the record."""
    desk = Desk(tmp_path, terminals=MOVING)
    ride = debit(time=datetime.fromisoformat(moment), operator=claimed)
    outcome = desk.run(proven(load(), ride), day=settled)
    assert desk.reasons(proven(load(), ride)) == [Reason.NONE, Reason.NONE]
    assert outcome.clearing.totals.notes["claims_differ"] == (claimed != owner)
    moved = {code for code, sums in outcome.clearing.participants.items() if sums}
    assert moved == {LOAD_AGENT, owner}


def test_the_business_day_and_not_the_calendar_day_is_asked(tmp_path: Path) -> None:
    """The demonstration city's day begins at two: one o'clock belongs to the day before."""
    for moment, operator in (
        ("2018-09-02T01:59", BUS_OPERATOR),
        ("2018-09-02T02:00", METRO_OPERATOR),
    ):
        desk = Desk(tmp_path / moment[-2:], terminals=MOVING, scheme="demo")
        ride = proven(load(), debit(time=datetime.fromisoformat(moment), operator=operator))
        desk.run(ride, day=MOVES + timedelta(days=1))
        assert desk.reasons(ride)[1] == Reason.NONE


def test_each_record_is_judged_once_however_often_its_terminal_moved(tmp_path: Path) -> None:
    desk = Desk(tmp_path, terminals=MOVING)
    rides = proven(load(), debit())
    outcome = desk.run(rides, day=MOVES + timedelta(days=1))
    assert (len(desk.verdicts()), outcome.clearing.totals.records) == (2, 2)


@pytest.mark.parametrize(
    ("moment", "reason", "notes"),
    [
        ("2018-09-01T09:00", Reason.NONE, Note(0)),
        ("2018-09-02T09:00", Reason.HOTLISTED, Note(0)),
        ("2018-09-03T09:00", Reason.NONE, Note(0)),
        ("2018-09-04T09:00", Reason.NONE, Note.HOTLISTED_LATE),
    ],
)
def test_a_card_leaves_the_hotlist(
    tmp_path: Path, moment: str, reason: Reason, notes: Note
) -> None:
    listed = (
        Dated(HotlistRow(card_text(1), 4), MOVES, MOVES),
        Dated(HotlistRow(card_text(1), 9), MOVES + timedelta(days=2)),
    )
    desk = Desk(tmp_path, hotlist=listed)
    rides = proven(load(), debit(time=datetime.fromisoformat(moment)))
    desk.run(rides, day=MOVES + timedelta(days=5))
    verdicts = [verdict for (_, row), verdict in desk.verdicts().items() if row == 1]
    assert [(each.reason, each.notes) for each in verdicts] == [(reason, notes)]


def test_a_listed_card_is_listed_under_every_number_that_ends_in_its_digits(tmp_path: Path) -> None:
    """R1, R10: a card signs with the last sixteen digits; what stands before them is a claim."""
    other = "0777" + card_text(1)[4:]
    listed = [Dated(HotlistRow(card_text(1), 4), MOVES), Dated(HotlistRow(other, 3))]
    for number, told in enumerate((card_text(1), other, "0888" + card_text(1)[4:])):
        desk = Desk(tmp_path / str(number), hotlist=listed)
        rides = proven(load(), debit(card_number=told))
        outcome = desk.run(rides)
        assert desk.reasons(rides)[1] == Reason.HOTLISTED
        # However many entries name it, the record is one.
        assert (len(desk.verdicts()), outcome.clearing.totals.records) == (2, 2)


def test_an_entry_lists_the_card_of_whichever_centre_has_its_number() -> None:
    def numbers(centre: int, prefix: str) -> PlacedNumbers:
        ends = int(prefix.ljust(20, "0")), int(prefix.ljust(20, "9"))
        return PlacedNumbers(1, "0" * 16, *ends, date.min, date.max, "city", centre)

    placed = numbers(0, "0310"), numbers(7, "0888"), numbers(9, "08881")
    digits = "0" * 15 + "1"
    for number, centres in (
        ("0310" + digits, [0]),
        ("0888" + digits, [7]),
        ("08881" + digits[1:], [7, 9]),
        ("0777" + digits, [0]),
        ("0100" + digits, [0]),
    ):
        listed = place_hotlist([Dated(HotlistRow(number, 1))], placed)
        assert [(each.centre, each.factor) for each in listed] == [
            (centre, int(number[-16:])) for centre in centres
        ]


def test_entries_of_one_card_are_laid_out_without_an_overlap() -> None:
    one, other = "0310" + "0" * 15 + "1", "0777" + "0" * 15 + "1"
    first, later, last = (MOVES + timedelta(days=n) for n in (0, 3, 9))
    rows = [
        Dated(HotlistRow(other, 2), later),
        Dated(HotlistRow(one, 7), first, last),
        Dated(HotlistRow("0" * 19 + "2", 1)),
    ]
    assert list(place_hotlist(rows, ())) == [
        ListedCard(0, 1, 7, first, first, later - timedelta(days=1)),
        ListedCard(0, 1, 2, first, later, last),
        ListedCard(0, 1, 2, later, last + timedelta(days=1), date.max),
        ListedCard(0, 2, 1, date.min, date.min, date.max),
    ]
