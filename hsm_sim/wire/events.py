"""What a key service says of itself while it serves: one line an event, and never a key.

Decides which events there are, what they may show, and how many of a kind a minute are kept. Leaves
where they are kept to whoever starts the server.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cardcore.text import Text

_CHARACTERS_MAX = 600
#: Events of one kind a minute, about one client and in all. Full lines of both kinds an intruder
#: can make, day and night, are 400 MB a day; his own are half that of one.
A_CLIENT_A_MINUTE, A_KIND_A_MINUTE = 60, 240
_MINUTE_SECONDS = 60.0


class EventKind(StrEnum):
    """What happened."""

    STARTED = "started"  # 开始服务
    STOPPED = "stopped"  # 停止服务
    CONNECTED = "connected"  # 连接: somebody was let in
    TURNED_AWAY = "turned-away"  # 拒绝连接: somebody was not
    REFUSED = "refused"  # 拒绝请求: a request that may not or cannot be done
    FAILED = "failed"  # 故障: a request that should have been done
    ALARM = "alarm"  # 报警: somebody does what nobody honest does
    DONE = "done"  # 完成: a request that gave a key out or took one in

    @property
    def text(self) -> Text:
        """For people."""
        return Text(_KINDS_ZH[self], str(self))


_KINDS_ZH = {
    EventKind.STARTED: "开始服务",
    EventKind.STOPPED: "停止服务",
    EventKind.CONNECTED: "连接",
    EventKind.TURNED_AWAY: "拒绝连接",
    EventKind.REFUSED: "拒绝请求",
    EventKind.FAILED: "故障",
    EventKind.ALARM: "报警",
    EventKind.DONE: "完成",
}


def plain(name: str) -> Text:
    """A name, which is the same in both languages."""
    return Text(name, name)


_NOTHING = plain("")


@dataclass(frozen=True, slots=True)
class Event:
    r"""One event: who asked for what, and why it came to nothing.

    >>> who, why = Text("用户 1000", "user 1000"), Text("没有\n密钥", "no\nsuch key")
    >>> print(Event(EventKind.REFUSED, who, plain("sign"), why).said)
    refused: user 1000: sign: no?such key
    """

    kind: EventKind
    who: Text
    what: Text = _NOTHING
    why: Text = _NOTHING

    @property
    def said(self) -> Text:
        """All of it in one line, for the terminal."""
        parts = (self.who, self.what, self.why)
        return Text(
            _line("：", [self.kind.text.zh, *(each.zh for each in parts)]),
            _line(": ", [self.kind.text.en, *(each.en for each in parts)]),
        )

    @property
    def reason(self) -> str:
        """All but the kind, in one line, for the log, which is in English."""
        return _line(": ", [each.en for each in (self.who, self.what, self.why)])


class EventRate:
    """How many events somebody can cause. Keys that left, alarms, begin and end are never left out;
    of what is refused so much a minute passes, and a count says what did not.
    """

    def __init__(self, now_seconds: Callable[[], float] = time.monotonic) -> None:
        self._now_seconds = now_seconds
        self._minute_ends = 0.0
        self._seen: Counter[tuple[EventKind, str]] = Counter()
        self._left_out: Counter[EventKind] = Counter()

    def passed(self, event: Event) -> list[Event]:
        """What is to be kept now: the count of a minute that is over, and the event or not."""
        counts = []
        if self._now_seconds() >= self._minute_ends or event.kind is EventKind.STOPPED:
            counts = [
                Event(
                    kind,
                    Text(f"另有 {count} 件未记", f"{count} more left out"),
                    Text("记录已限速", "the log is rate-limited"),
                )
                for kind, count in sorted(self._left_out.items())
            ]
            self._left_out.clear()
            self._seen.clear()
            self._minute_ends = self._now_seconds() + _MINUTE_SECONDS
        if event.kind not in _LIMITED:
            return [*counts, event]
        client = event.who.en.rpartition(" at ")[0] or event.who.en.partition(", process")[0]
        of_all = self._seen[event.kind, ""]
        if of_all >= A_KIND_A_MINUTE or self._seen[event.kind, client] >= A_CLIENT_A_MINUTE:
            self._left_out[event.kind] += 1
            return counts
        self._seen[event.kind, ""] += 1
        self._seen[event.kind, client] += bool(client)
        return [*counts, event]


_LIMITED = {EventKind.TURNED_AWAY, EventKind.REFUSED, EventKind.FAILED}


def _line(between: str, parts: Sequence[str]) -> str:
    """What a client wrote stands in here: it must not write lines of its own."""
    text = between.join(part for part in parts if part)[:_CHARACTERS_MAX]
    return "".join(each if each.isprintable() else "?" for each in text)


#: Called by one thread at a time.
Log = Callable[[Event], None]
