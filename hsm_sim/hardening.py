"""What a process does before it takes keys in: nothing of its memory gets out by accident.

Decides that there is no core dump, no reading of its memory by others of the same user, no file
for others, and no traceback that could show a value. Whoever is root reads the memory anyway: that
is why masters belong in a device (docs/keys.md).
"""

import ctypes
import os
import resource
import sys
import threading
from pathlib import Path
from types import TracebackType

_PR_SET_DUMPABLE = 4  # prctl(2)


def harden_process() -> None:
    """For the process that holds keys, before it holds any. Raises `OSError` where it cannot."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Not dumpable: /proc/PID belongs to root, ptrace and core dumps are off (Linux).
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")
    os.umask(0o077)
    sys.excepthook = _say_class_and_place
    threading.excepthook = _say_of_thread


def class_and_place(error: BaseException) -> str:
    """What failed and where, and none of the values: those may be keys."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return f"{type(error).__name__}{place}"


def _say_class_and_place(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    sys.stderr.write(f"failed: {class_and_place(error)}\n")


def _say_of_thread(arguments: threading.ExceptHookArgs) -> None:
    if arguments.exc_value is not None:
        sys.stderr.write(f"failed: {class_and_place(arguments.exc_value)}\n")
