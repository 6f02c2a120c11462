"""What a key service says of itself while it serves: one line an event, and never a key.

Decides which events there are and what they may show. Leaves where they are kept to whoever starts
the server.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

_CHARACTERS_MAX = 600


class EventKind(StrEnum):
    """What happened."""

    STARTED = "started"  # 开始服务
    STOPPED = "stopped"  # 停止服务
    CONNECTED = "connected"  # 连接: somebody was let in
    TURNED_AWAY = "turned-away"  # 拒绝连接: somebody was not
    REFUSED = "refused"  # 拒绝请求: a request that may not or cannot be done
    FAILED = "failed"  # 故障: a request that should have been done
    DONE = "done"  # 完成: a request that gave a key out or took one in


@dataclass(frozen=True, slots=True)
class Event:
    r"""One event: who asked for what, and why it came to nothing.

    >>> str(Event(EventKind.REFUSED, "user 1000", "sign", "UnknownKeyError: no\nsuch key"))
    'refused: user 1000: sign: UnknownKeyError: no?such key'
    """

    kind: EventKind
    who: str
    what: str = ""
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.reason}"

    @property
    def reason(self) -> str:
        """All but the kind, in one line."""
        text = ": ".join(part for part in (self.who, self.what, self.why) if part)
        # What a client wrote stands in here: it must not write lines of its own.
        shown = (each if each.isprintable() else "?" for each in text[:_CHARACTERS_MAX])
        return "".join(shown)


#: Called by one thread at a time.
Log = Callable[[Event], None]
