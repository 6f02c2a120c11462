"""Which settlement day (清算日) is open, and why none is.

Decides the day of a run from what is ready, and the closed list of reasons for having none. One day
is open at a time; closed days never change, so a late record is posted in the open day with its own
business day beside it.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum

from cardcore.text import Text
from settlement.intake.answers import StoredFile

#: A sender's business day may run ahead of the office's clock by so much, no more.
BUSINESS_DAY_AHEAD = timedelta(days=1)


class DayAnswer(StrEnum):
    """Why no day was cleared or closed, in order of precedence."""

    DAY_BEFORE_LAST_CLOSED = "day_before_last_closed"  # it was skipped and cannot open any more
    NOTHING_READY = "nothing_ready"  # no day was stated, and no complete file waits

    @property
    def retry_may_help(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return self is DayAnswer.NOTHING_READY

    @property
    def text(self) -> Text:
        """For people."""
        return _TEXTS[self]


_TEXTS = {
    DayAnswer.DAY_BEFORE_LAST_CLOSED: Text(
        "该清算日早于已关闭的清算日",
        "this day lies before the last closed one and cannot be opened",
    ),
    DayAnswer.NOTHING_READY: Text("没有待清算的文件", "no complete file waits to be cleared"),
}
assert set(_TEXTS) == set(DayAnswer)


def open_day(
    last_closed: date | None,
    ready: Sequence[StoredFile],
    stated: date | None,
    *,
    has_review: bool = False,
) -> date | DayAnswer:
    """The day to clear. A stated day is taken if it can still be opened.

    Otherwise it is the latest business day among the ready files, but after the last closed day.
    A sender whose clock runs ahead does not carry the office's day with it. Records of closed days
    that can be judged now (`has_review`) are reason enough for the day after the last closed one.
    """
    if stated is not None:
        if last_closed is not None and stated <= last_closed:
            return DayAnswer.DAY_BEFORE_LAST_CLOSED
        return stated
    if not ready and has_review and last_closed is not None:
        return last_closed + timedelta(days=1)
    if not ready:
        return DayAnswer.NOTHING_READY
    # A day no clock here has reached yet says nothing about which day is open.
    days = [
        file.business_day
        for file in ready
        if file.business_day <= file.received_at.date() + BUSINESS_DAY_AHEAD
    ]
    latest = max(days or [file.received_at.date() for file in ready])
    return latest if last_closed is None else max(latest, last_closed + timedelta(days=1))
