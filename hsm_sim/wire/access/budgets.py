"""What a client may take in a day: keys that leave for it, and wrong guesses it may make.

Decides when a day's budget is over. Leaves who asks and how many keys a day he may have to
`rights`, and what is written about it to `dispatch`. Budgets are kept in memory: to begin a day
anew by another start of the service takes the PINs of two custodians, and stands in the log.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from cardcore.errors import KeyRightError
from cardcore.text import Text


@dataclass(slots=True)
class _Day:
    day: date
    keys: dict[str, int] = field(default_factory=dict)


class Budgets:
    """What clients have taken today, UTC. Threads share it."""

    def __init__(self, today: Callable[[], date]) -> None:
        self._today = today
        self._lock = threading.Lock()
        self._day = _Day(today())

    def spend_keys(self, client: str, count: int, keys_a_day: int | None) -> None:
        """Count keys that are about to leave. Raises `KeyRightError` when they are too many for
        today; then none of them may leave.
        """
        with self._lock:
            day = self._this_day()
            spent = day.keys.get(client, 0) + count
            if keys_a_day is not None and spent > keys_a_day:
                raise KeyRightError(
                    Text(
                        f"{client}：今日已取 {spent - count} 把密钥，限 {keys_a_day} 把；"
                        "由密钥服务的运行者在其权限文件中规定（keys_a_day）",
                        f"{client}: {spent - count} keys have left for it today, of "
                        f"{keys_a_day}; whoever runs the key service decides, in its rights file "
                        "(keys_a_day)",
                    )
                )
            day.keys[client] = spent

    def _this_day(self) -> _Day:
        today = self._today()
        if today != self._day.day:
            self._day = _Day(today)
        return self._day
