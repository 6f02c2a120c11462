"""What a run bills by the load host's log alone, day after day: R6 as an aligned table."""

from collections.abc import Sequence
from dataclasses import replace
from time import process_time

import pytest

from settlement.loads.billing import OpenEntry, bill_purse
from tests.settlement.loads.test_decide import record, story_entry

# Days are divided by "/"; of each day: new entries of the log, counter:before+amount@kiosk |
# records of that day: !n proven, ?n not proven, of entry n. Then what is billed by the log on each
# day, by number, and what still waits at the end.
STORIES = """
  0:0+50                                 |    /                 |    => - - waits 1
  0:0+50                                 |    / 1:50+10         | !2 => - 1 waits -
  0:0+50                                 |    / 1:50+10         |    => - 1 waits 2
  0:0+50                                 | !1 / 1:50+10         | !2 => - - waits -
  0:0+50                                 | ?1 / 1:50+10         |    => - 1 waits 2
  0:0+50                                 |    /                 | !1 => - - waits -
  0:0+50                                 |    / 1:50+10 2:60+10 |    => - 1,2 waits 3
  0:0+50 1:50+10                         |    /                 |    => 1 - waits 2
  0:0+50 0:0+50                          |    / 1:50+10         | !3 => - 2 waits -
  0:0+50 0:0+50                          | !1 / 1:50+10         | !3 => - - waits -
  0:0+50 0:0+99@2                        |    / 1:60+10         | !3 => - 2 waits -
  0:0+50 0:0+99@2                        |    / 1:40+10         | !3 => - - waits 1,2,3
  0:0+50 0:0+99@2                        |    / 1:40+10         |    => - - waits 1,2,3
  0:0+50                                 |    / 1:70+10         | !2 => - - waits 1,2
  65535:0+50                             |    / 1:50+10         | !2 => - 1 waits -
"""


def play(line: str) -> tuple[list[str], str]:
    """What each day billed, and what waits."""
    entries: list[OpenEntry] = []
    waiting: Sequence[OpenEntry] = ()
    billed = []
    story, _, _ = line.partition("=>")
    for day in story.split(" / "):
        log, _, records = day.partition("|")
        new = [
            OpenEntry(story_entry(number, text))
            for number, text in enumerate(log.split(), start=len(entries) + 1)
        ]
        entries += new
        told = [
            record(entries[int(each[1:]) - 1].logged, proven=each[0] == "!")
            for each in records.split()
        ]
        bill = bill_purse([*waiting, *new], told)
        billed.append(numbers(bill.due))
        waiting = bill.waiting
    return billed, numbers(waiting)


def numbers(entries: Sequence[OpenEntry]) -> str:
    return ",".join(str(each.logged.load.number) for each in entries) or "-"


@pytest.mark.parametrize("line", STORIES.strip().splitlines())
def test_what_is_billed_day_after_day(line: str) -> None:
    expected, _, left = line.split("=>")[1].partition("waits")
    assert play(line) == (expected.split(), left.strip())


def test_a_load_that_is_billed_once_is_never_due_again() -> None:
    first, other, second = (
        OpenEntry(story_entry(number, text))
        for number, text in enumerate(("0:0+50", "0:0+99@2", "1:40+10"), start=1)
    )
    third = OpenEntry(story_entry(4, "2:40+10"))
    # The second load is billed while the two tries before it still claim one place.
    bill = bill_purse([first, other, second, third], [])
    assert numbers(bill.due) == "3"
    for _ in range(3):
        bill = bill_purse(bill.waiting, [record(third.logged)])
        assert numbers(bill.due) == "-"
    assert [each.is_settled for each in bill.waiting] == [False, False, True]


def test_a_tac_decides_between_two_claimants_and_nothing_is_billed_beside_it() -> None:
    tries = [OpenEntry(story_entry(1, "0:0+50")), OpenEntry(story_entry(2, "0:0+99@2"))]
    behind = OpenEntry(story_entry(3, "1:40+10"))
    waiting = bill_purse([*tries, behind], [record(behind.logged)]).waiting
    bill = bill_purse(waiting, [record(tries[0].logged)])
    assert (bill.due, bill.waiting) == ((), ())


def test_what_nobody_answers_for_waits_until_somebody_does() -> None:
    entries = [
        OpenEntry(story_entry(1, "0:0+50"), is_payable=False),
        OpenEntry(story_entry(2, "1:50+10")),
    ]
    bill = bill_purse(entries, [record(entries[1].logged)])
    assert (bill.due, numbers(bill.waiting)) == ((), "1,2")
    registered = [replace(each, is_payable=True) for each in bill.waiting]
    assert numbers(bill_purse(registered, []).due) == "1"


@pytest.mark.parametrize(("before_fen", "billed"), [(5000, "1"), (5001, "-")])
def test_the_signed_balance_of_a_later_load_confirms_or_contradicts(
    before_fen: int, billed: str
) -> None:
    first = OpenEntry(story_entry(1, "0:0+50"))
    later = record(story_entry(2, "1:0+10"), balance_before_fen=before_fen)
    assert numbers(bill_purse([first], [later]).due) == billed


def test_records_that_differ_in_unsigned_bytes_settle_an_entry_once() -> None:
    entry = OpenEntry(story_entry(1, "0:0+50"))
    bill = bill_purse([entry], [record(entry.logged) for _ in range(3)])
    assert (bill.due, bill.waiting) == ((), ())


def test_the_cost_of_a_purse_is_linear_in_its_tries() -> None:
    def seconds(count: int) -> float:
        tries = [OpenEntry(story_entry(number, "5:0+50")) for number in range(1, count)]
        begin = process_time()
        bill_purse([*tries, OpenEntry(story_entry(count, "6:50+1"))], [])
        return process_time() - begin

    # Twenty times as many: linear is 20, quadratic 400. A busy machine is given three tries.
    few, many = [seconds(1_000) for _ in range(3)], [seconds(20_000) for _ in range(3)]
    assert min(many) < 100 * max(few)
