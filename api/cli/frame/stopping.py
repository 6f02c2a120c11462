"""Ctrl-C: heard once, remembered, and said in a sentence by `main`.

Decides only that a stop is remembered: a library that meets it in the middle of an import or a
statement reports something of its own, and whoever reads that has to know why.
"""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cardcore.text import Text

_HEARD: list[int] = []
#: Between two tries to stop, where the first fell on a place that nothing leaves.
_AGAIN_S = 0.02
_STANDS = [
    Text(
        "已停止。已完成的部分都在；再次执行同一命令即可继续。",
        "Stopped. What was done stands; the same command goes on from there.",
    )
]


def hear_stops() -> None:
    """From now on. A process that was started to ignore Ctrl-C, as one in the background, does."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _stop)
        sys.unraisablehook = _not_left
        threading.excepthook = _of_a_thread


def was_stopped() -> bool:
    """Whether somebody stopped this process, whatever became of that."""
    return bool(_HEARD)


@contextmanager
def standing(said: Text) -> Iterator[None]:
    """Whoever stops what is done in here is told this."""
    _STANDS.append(said)
    yield
    _STANDS.pop()


def what_stands() -> Text:
    """What to say to somebody who stopped this process."""
    return _STANDS[-1]


def _stop(number: int, _frame: FrameType | None) -> None:
    # Whoever is impatient does not interrupt what is put away on the way out.
    signal.signal(number, signal.SIG_IGN)
    _HEARD.append(number)
    raise KeyboardInterrupt


def _not_left(unraisable: "sys.UnraisableHookArgs") -> None:
    """A stop that falls on the clearing up of an object is dropped by the interpreter, which would
    go on to the end: it is tried again a moment later.
    """
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    signal.signal(signal.SIGALRM, _again)
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)


def _again(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _of_a_thread(ended: threading.ExceptHookArgs) -> None:
    """Once stopped, what the threads of a pool say of work that nobody waits for is not said."""
    if not was_stopped():
        threading.__excepthook__(ended)
