"""Which settlement day is open, and that a sender cannot move it."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from settlement.days.opening import DayAnswer, open_day
from settlement.intake.answers import FileAnswer, StoredFile
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


# last closed  business days of ready files  stated | open day
DAYS = """
  -      1,1,3   -    |  3
  -      -       -    |  nothing_ready
  -      -       7    |  7
  3      1,2     -    |  4
  3      9       -    |  9
  3      9       5    |  5
  3      9       3    |  day_before_last_closed
  3      9       2    |  day_before_last_closed
  3      -       -    |  nothing_ready
  3      -       5    |  5
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
    found = open_day(day(closed), ready, day(stated))
    assert found == (DayAnswer(expected) if "_" in expected else day(expected))


@given(SEPTEMBER, SEPTEMBER, st.integers(2, 400))
def test_a_sender_whose_clock_runs_ahead_does_not_carry_the_day_with_it(
    received: date, closed: date, ahead: int
) -> None:
    runaway = file_of(received + timedelta(days=ahead), received)
    timely = file_of(received - timedelta(days=1), received)
    after = closed + timedelta(days=1)
    assert open_day(closed, [runaway], None) == max(received, after)
    assert open_day(closed, [runaway, timely], None) == max(timely.business_day, after)


@given(st.lists(SEPTEMBER, min_size=1), SEPTEMBER)
def test_the_open_day_lies_after_every_closed_one(days: list[date], closed: date) -> None:
    found = open_day(closed, [file_of(each, date(2018, 9, 30)) for each in days], None)
    assert isinstance(found, date)
    assert found > closed


def test_every_answer_is_told_in_two_languages() -> None:
    for answer in DayAnswer:
        assert answer.text.zh
        assert answer.text.en
    assert DayAnswer.NOTHING_READY.retry_may_help
    assert not DayAnswer.DAY_BEFORE_LAST_CLOSED.retry_may_help


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
