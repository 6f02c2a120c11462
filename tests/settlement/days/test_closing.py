"""Which settlement day is open, and that a sender cannot move it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.schemes import Life
from settlement.days.opening import DayAnswer, DayBounds, files_until, open_day
from settlement.intake.answers import FileAnswer, FileRow, StoredFile
from settlement.seal import canonical_json, digest, link

SEPTEMBER = st.dates(date(2018, 9, 1), date(2018, 9, 30))


def file_of(business_day: date, received: date) -> StoredFile:
    moment = datetime(received.year, received.month, received.day, 12, tzinfo=UTC)
    return StoredFile(
        content_hash="0" * 64,
        sender=1,
        sequence=1,
        key_version=1,
        business_day=business_day,
        created_at=moment.replace(tzinfo=None),
        received_at=moment,
        size_bytes=0,
        record_count=0,
        register_count=0,
        debit_fen=0,
        load_fen=0,
        hash_total="0" * 16,
        version=2,
        answer=FileAnswer.ACCEPTED,
        missing=(),
    )


def row_of(file: StoredFile) -> FileRow:
    return FileRow(file, file.row_hash, (), None, is_ready=True)


LIFE = Life(date(2004, 12, 28), date(2099, 12, 31))
NOW = datetime(2018, 9, 30, 12, tzinfo=UTC)
ALONE, BY_TWO = DayBounds(LIFE, NOW), DayBounds(LIFE, NOW, by_two=True)

# last closed  business days of ready files  stated | open day
DAYS = """
  -      1,1,3   -    |  1
  -      3,1     3    |  3
  -      -       -    |  nothing_ready
  -      -       7    |  7
  3      1,2     -    |  4
  3      1,9     -    |  4
  3      9       -    |  9
  3      9       5    |  5
  3      9       3    |  day_before_last_closed
  3      9       2    |  day_before_last_closed
  3      -       -    |  nothing_ready
  3      -       5    |  5
  3      -       17   |  17
  3      -       18   |  day_far_from_files
  1      9       23   |  23
  1      9       24   |  day_far_from_files
  -      20      5    |  day_far_from_files
"""


def day(text: str) -> date | None:
    return None if text == "-" else date(2018, 9, int(text))


@pytest.mark.parametrize("line", DAYS.strip().splitlines())
def test_the_open_day(line: str) -> None:
    left, expected = (part.strip() for part in line.split("|"))
    closed, files, stated = left.split()
    ready = [
        file_of(date(2018, 9, int(each)), date(2018, 9, 30))
        for each in files.split(",")
        if each != "-"
    ]
    found = open_day(day(closed), ready, day(stated), ALONE)
    assert found == (DayAnswer(expected) if "_" in expected else day(expected))


# The files are of 2 September 2018, the office asks on the 30th.
OUT_OF_BOUNDS = """
  2099-01-01  | day_beyond_tomorrow
  2018-10-02  | day_beyond_tomorrow
  2018-10-01  | day_far_from_files
  2018-09-17  | day_far_from_files
  2018-08-18  | day_far_from_files
  2008-09-02  | day_far_from_files
  2004-12-27  | day_outside_life
  2100-01-01  | day_outside_life
  9999-12-31  | day_outside_life
"""


@pytest.mark.parametrize("line", OUT_OF_BOUNDS.strip().splitlines())
def test_a_day_out_of_bounds_is_opened_only_by_two_and_only_within_the_life(line: str) -> None:
    stated, expected = (part.strip() for part in line.split("|"))
    ready, answer = [file_of(date(2018, 9, 2), date(2018, 9, 2))], DayAnswer(expected)
    assert open_day(None, ready, date.fromisoformat(stated), ALONE) is answer
    by_two = open_day(None, ready, date.fromisoformat(stated), BY_TWO)
    assert by_two == (date.fromisoformat(stated) if answer.two_may_say_so else answer)


def test_after_the_last_day_of_the_scheme_none_opens() -> None:
    for last_day in (LIFE.last_day, date.max):
        bounds = replace(BY_TWO, life=Life(LIFE.first_day, last_day))
        file = file_of(date(2018, 9, 2), date(2018, 9, 2))
        assert open_day(last_day, [file], None, bounds) is DayAnswer.DAY_OUTSIDE_LIFE


def test_where_files_came_in_the_day_has_come_whatever_this_clock_says() -> None:
    slow = replace(ALONE, now=datetime(2001, 1, 1, tzinfo=UTC))
    file = file_of(date(2018, 9, 2), date(2018, 9, 2))
    assert open_day(None, [file], date(2018, 9, 3), slow) == date(2018, 9, 3)
    assert open_day(None, [file], date(2018, 9, 4), slow) is DayAnswer.DAY_BEYOND_TOMORROW


@given(SEPTEMBER, SEPTEMBER, st.integers(2, 400))
def test_a_sender_whose_clock_runs_ahead_does_not_carry_the_day_with_it(
    received: date, closed: date, ahead: int
) -> None:
    runaway = file_of(received + timedelta(days=ahead), received)
    timely = file_of(received - timedelta(days=1), received)
    after = closed + timedelta(days=1)
    assert open_day(closed, [runaway], None, BY_TWO) == max(received, after)
    assert open_day(closed, [runaway, timely], None, BY_TWO) == max(timely.business_day, after)


@given(st.lists(SEPTEMBER, min_size=1), SEPTEMBER)
def test_the_open_day_lies_after_every_closed_one(days: list[date], closed: date) -> None:
    files = [file_of(each, date(2018, 9, 30)) for each in days]
    found = open_day(closed, files, None, ALONE)
    assert isinstance(found, date)
    assert found > closed


@given(st.lists(SEPTEMBER))
def test_closing_the_oldest_day_again_and_again_settles_every_file_in_its_day(
    days: list[date],
) -> None:
    waiting = [row_of(file_of(each, date(2018, 9, 30))) for each in days]
    closed: date | None = None
    while waiting:
        found = open_day(closed, [row.file for row in waiting], None, ALONE)
        assert isinstance(found, date)
        taken = files_until(waiting, found)
        assert {row.file.business_day for row in taken} == {found}
        waiting = [row for row in waiting if row not in taken]
        closed = found
    assert closed == max(days, default=None)


def test_a_late_file_belongs_to_the_first_day_that_can_still_open() -> None:
    late = row_of(file_of(date(2018, 9, 2), date(2018, 9, 30)))
    assert open_day(date(2018, 9, 28), [late.file], None, ALONE) == date(2018, 9, 29)
    assert files_until([late], date(2018, 9, 29)) == (late,)


def test_every_answer_is_told_in_two_languages() -> None:
    for answer in DayAnswer:
        assert answer.text.zh
        assert answer.text.en
    assert DayAnswer.NOTHING_READY.retry_may_help
    assert not DayAnswer.DAY_BEFORE_LAST_CLOSED.retry_may_help
    assert not DayAnswer.DAY_OUTSIDE_LIFE.retry_may_help


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_canonical_json_does_not_depend_on_order(values: dict[str, int | str]) -> None:
    turned = dict(reversed(values.items()))
    assert canonical_json(values) == canonical_json(turned)


def test_floats_and_strangers_are_no_part_of_a_sealed_document() -> None:
    for stranger in (b"bytes", {1, 2}, object()):
        with pytest.raises(TypeError):
            canonical_json([stranger])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(float("nan"))  # type: ignore[arg-type]


def test_a_link_covers_what_stands_before_it() -> None:
    assert link(digest(1), "x") != link(digest(2), "x")
