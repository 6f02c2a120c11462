"""Ctrl-C: heard once, remembered, and said in a sentence by `main`.

Decides only that a stop is remembered: a library that meets it in the middle of an import or a
statement reports something of its own, and whoever reads that has to know why.
"""

import signal
from types import FrameType

_HEARD: list[int] = []


def hear_stops() -> None:
    """From now on. A process that was started to ignore Ctrl-C, as one in the background, does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)


def was_stopped() -> bool:
    """Whether somebody stopped this process, whatever became of that."""
    return bool(_HEARD)


def _stop(number: int, _frame: FrameType | None) -> None:
    # Whoever is impatient does not interrupt what is put away on the way out.
    signal.signal(number, signal.SIG_IGN)
    _HEARD.append(number)
    raise KeyboardInterrupt
