"""Which settlement day (清算日) is open, and why none is.

Decides the day of a run from what is ready, which files belong to it, and the closed list of
reasons for having none. One day is open at a time, and days are closed oldest first; closed days
never change, so a late record is posted in the open day with its own business day beside it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from cardcore.schemes import Life
from cardcore.text import Text
from settlement.intake.answers import CLOCK_AHEAD_MAX, FileRow, StoredFile

_ONE_DAY = timedelta(days=1)
#: A stated day may lie this far from the nearest day of a ready file. The longest public holiday
#: has nine days; a mistyped month or year is 28 days away or more.
DAYS_FROM_FILES_MAX = timedelta(days=14)


class DayAnswer(StrEnum):
    """Why no day was cleared or closed, in order of precedence."""

    DAY_OUTSIDE_LIFE = "day_outside_life"  # the scheme does not live on it
    DAY_BEFORE_LAST_CLOSED = "day_before_last_closed"  # it was skipped and cannot open any more
    NOTHING_READY = "nothing_ready"  # no day was stated, and no complete file waits
    FILES_SET_ASIDE = "files_set_aside"  # the same, but for files that cannot be judged
    DAY_BEYOND_TOMORROW = "day_beyond_tomorrow"  # closing it would lock out the days until then
    DAY_FAR_FROM_FILES = "day_far_from_files"  # no file that waits is of any day near it

    SEALED_OTHERWISE = "sealed_otherwise"  # its number is sealed with another content

    @property
    def retry_may_help(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return self in {
            DayAnswer.NOTHING_READY,
            DayAnswer.FILES_SET_ASIDE,
            DayAnswer.DAY_BEYOND_TOMORROW,
            DayAnswer.DAY_FAR_FROM_FILES,
        }

    @property
    def two_may_say_so(self) -> bool:
        """Whether two people may have such a day closed all the same."""
        return self in {DayAnswer.DAY_BEYOND_TOMORROW, DayAnswer.DAY_FAR_FROM_FILES}

    @property
    def text(self) -> Text:
        """For people."""
        return _TEXTS[self]


_TEXTS = {
    DayAnswer.DAY_OUTSIDE_LIFE: Text(
        "该日不在城市规则的有效期内", "the scheme of the city does not live on this day"
    ),
    DayAnswer.DAY_BEFORE_LAST_CLOSED: Text(
        "该清算日早于已关闭的清算日",
        "this day lies before the last closed one and cannot be opened",
    ),
    DayAnswer.NOTHING_READY: Text("没有待清算的文件", "no complete file waits to be cleared"),
    DayAnswer.FILES_SET_ASIDE: Text(
        "待清算的文件均已搁置", "every file that waits to be cleared was set aside"
    ),
    DayAnswer.DAY_BEYOND_TOMORROW: Text(
        "该清算日晚于明天，其间各日将不能再清算",
        "this day lies beyond tomorrow; the days until then would be locked out",
    ),
    DayAnswer.DAY_FAR_FROM_FILES: Text(
        f"该清算日与待清算文件相差超过 {DAYS_FROM_FILES_MAX.days} 天",
        f"no file that waits is of a day within {DAYS_FROM_FILES_MAX.days} days of this one",
    ),
    DayAnswer.SEALED_OTHERWISE: Text(
        "该日序号已另有封存：数据库早于已封存的日，或少了当时的文件，或此密钥服务已为另一座同名的城"
        "市封存",
        "this day number is sealed with another content: the database is older than its last "
        "sealed day, a file of it is gone, or another city of this name has this key service",
    ),
}
assert set(_TEXTS) == set(DayAnswer)


@dataclass(frozen=True, slots=True)
class DayBounds:
    """What keeps a day in bounds: the scheme's life, the moment (with its zone) at which somebody
    asks, and whether two people ask for the day together.
    """

    life: Life
    now: datetime
    by_two: bool = False


def open_day(
    last_closed: date | None,
    ready: Sequence[StoredFile],
    stated: date | None,
    bounds: DayBounds,
    *,
    has_review: bool = False,
) -> date | DayAnswer:
    """The day to clear. A stated day is taken if it can still be opened, and lies neither beyond
    tomorrow nor far from the files that wait, unless two people say so.

    Otherwise it is the oldest day of the ready files, but after the last closed day. Records of
    closed days that can be judged now (`has_review`) are reason enough for the day after the last
    closed one.
    """
    if last_closed is not None and last_closed >= bounds.life.last_day:
        return DayAnswer.DAY_OUTSIDE_LIFE
    following = bounds.life.first_day if last_closed is None else last_closed + _ONE_DAY
    # What comes late belongs to the first day that can still open.
    days = [max(day_of(file), following) for file in ready]
    if stated is not None:
        chosen = stated
    elif days:
        chosen = min(days)
    elif has_review and last_closed is not None:
        chosen = following
    else:
        return DayAnswer.NOTHING_READY
    if chosen not in bounds.life:
        return DayAnswer.DAY_OUTSIDE_LIFE
    if chosen < following:
        return DayAnswer.DAY_BEFORE_LAST_CLOSED
    if bounds.by_two:
        return chosen
    # Where files came in the day has come, whatever the clock of this machine says.
    today = max(bounds.now.date(), *(file.received_at.date() for file in ready), date.min)
    if chosen > today + _ONE_DAY:
        return DayAnswer.DAY_BEYOND_TOMORROW
    near = days or ([] if last_closed is None else [last_closed])
    if near and min(abs(chosen - each) for each in near) > DAYS_FROM_FILES_MAX:
        return DayAnswer.DAY_FAR_FROM_FILES
    return chosen


def day_of(file: StoredFile) -> date:
    """The day a file belongs to: its business day, but not one that no clock here had reached when
    it came. A sender whose clock runs ahead does not carry the office's day with it.
    """
    received = file.received_at.date()
    return file.business_day if file.business_day <= received + CLOCK_AHEAD_MAX else received


def files_until(ready: Sequence[FileRow], settlement_day: date) -> tuple[FileRow, ...]:
    """The ready files that a run over a day is made of: those of the day, and those of earlier days
    that came late or whose day was skipped. Files of later days wait for theirs.
    """
    return tuple(row for row in ready if day_of(row.file) <= settlement_day)
