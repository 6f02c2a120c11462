"""What a day leaves for the next one: the newest time of a purse, serials that are used up, and a
card's life beside links that point just to the edge of a gap.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import permutations
from pathlib import Path

import duckdb
import pytest

from cardcore.records.kinds import TransactionType
from settlement.dispositions import Note, Reason
from settlement.reconciliation.chain import Card, CardMove, CounterKind, Gap, Point
from settlement.reconciliation.placing import assign, slots_of
from settlement.reconciliation.threads import _read_records
from settlement.service.computation import bucket_path
from tests.settlement.reconciliation.run_inputs import BUS, DAY, Desk, chain, proven

NEXT_DAY, THIRD_DAY = DAY + timedelta(days=1), DAY + timedelta(days=2)
MORNING = datetime.fromisoformat("2018-09-03T06:00")


def times(desk: Desk) -> list[datetime]:
    path = bucket_path(desk.folder, 0) / "cards.parquet"
    return [each for (each,) in duckdb.read_parquet(str(path)).select("time").fetchall()]


@pytest.mark.parametrize("order", tuple(permutations(range(4))))
def test_a_purse_is_as_new_as_its_newest_movement(tmp_path: Path, order: tuple[int, ...]) -> None:
    life = chain(1, 1000, -160, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(*(life[number] for number in order)))
    assert times(desk) == [life[3].time]


def test_a_purse_with_a_gap_is_as_new_as_its_newest_movement(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(life[4], life[0], life[1]))
    assert times(desk) == [life[4].time]
    # What comes late makes it no older.
    desk.run(proven(life[2]), day=NEXT_DAY)
    assert times(desk) == [life[4].time]


def test_every_further_record_of_a_used_serial_is_noted_on_whatever_day_it_comes(
    tmp_path: Path,
) -> None:
    """Two records of one serial on one day; the third and fourth one on the days after."""
    life = chain(1, 1000, -160, -160, -160, -160)
    rivals = [replace(each, terminal_serial=1) for each in life[1:]]
    desk = Desk(tmp_path)
    desk.run(proven(life[0], *rivals[:2]))
    assert desk.table("conflicts") == [(int(BUS, 16), 1)]
    notes = [each.notes & Note.TERMINAL_SERIAL_REUSED for each in desk.verdicts().values()]
    assert sorted(notes) == [0, *[Note.TERMINAL_SERIAL_REUSED] * 2]
    for day, rival in ((NEXT_DAY, rivals[2]), (THIRD_DAY, rivals[3])):
        desk.run(proven(rival), day=day)
        assert desk.table("conflicts") == [(int(BUS, 16), 1)]
        (verdict,) = desk.verdicts().values()
        assert verdict.reason == Reason.NONE
        assert verdict.notes & Note.TERMINAL_SERIAL_REUSED


@pytest.mark.parametrize(("serial", "is_used"), [(1, True), (2, False), (3, False), (4, True)])
def test_a_serial_that_was_missing_is_not_used_up_up_to_the_ends_of_its_gap(
    tmp_path: Path,
    serial: int,
    is_used: bool,  # noqa: FBT001 - what is expected
) -> None:
    life = chain(1, 1000, -160, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(life[0], life[1], replace(life[2], terminal_serial=4)))
    assert desk.table("terminal_gaps") == [(int(BUS, 16), 2, 3, DAY, 1)]
    desk.run(proven(replace(life[3], terminal_serial=serial)), day=NEXT_DAY)
    assert desk.table("conflicts") == ([(int(BUS, 16), serial)] if is_used else [])


def a_card_with_two_gaps() -> Card:
    """Two gaps in each of which money is missing, and no debit counter between them. So the debits
    may stand in either, and only their links to loads say in which.
    """
    first = Gap(0, date(2018, 9, 3), Point(1000, 5, 3), Point(840, 5, 5), MORNING)
    second = Gap(1, date(2018, 9, 3), Point(1840, 5, 7), Point(1680, 6, 9), MORNING)
    return Card(Point(1680, 6, 9), MORNING, (first, second), 2)


@pytest.mark.parametrize(
    ("link", "place"),
    # By counter of the load before it. The places are, from the left: for each gap what is whole
    # before it, the gap, what is whole behind it; then what is whole before the end, and the end.
    [(1, 6), (2, 1), (3, 1), (4, 1), (5, 6), (6, 4), (7, 4), (8, 4), (9, 7)],
)
def test_a_link_points_to_a_gap_up_to_and_with_both_of_its_ends(link: int, place: int) -> None:
    slots = slots_of(a_card_with_two_gaps(), date(2018, 9, 4))
    movement = CardMove(
        9, CounterKind.DEBIT, 5, 77, 66, MORNING, CounterKind.LOAD, previous_counter=link
    )
    assert assign(slots, CounterKind.DEBIT, [movement]) == []
    assert [bool(slot.movements) for slot in slots].index(True) == place


@pytest.mark.parametrize("is_load", [False, True])
@pytest.mark.parametrize(
    ("link", "position"), [(TransactionType.PURCHASE, 65_537), (TransactionType.LOAD, 2)]
)
def test_a_link_is_unwrapped_near_the_counter_of_its_own_kind(
    link: TransactionType,
    position: int,
    is_load: bool,  # noqa: FBT001
) -> None:
    """A card that has been round in its debits and has made few loads: the same 16 bits stand for
    different places of its life.
    """
    row = (
        *(0, is_load, 1, True, 1000, 840, 160, MORNING),
        *(65_540, 3, int(link), 2, False),
    )
    (movement,), _, _ = _read_records([row], DAY)
    assert movement.previous_counter == position
