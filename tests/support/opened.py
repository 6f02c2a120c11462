"""Which files somebody opens: asked of the operating system, so that no library can hide one."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_IN_OPEN, _IN_ISDIR = 0x20, 0x40000000
_EVENT = struct.Struct("iIII")
_QUEUE_BYTES = 1 << 20


@contextmanager
def opened_files(folder: Path) -> Iterator[list[str]]:
    """What is opened below a folder inside the block, by its path from there, each time anew.

    Folders made inside the block are not watched.
    """
    queue = _LIBC.inotify_init1(os.O_NONBLOCK)
    assert queue >= 0, os.strerror(ctypes.get_errno())
    opened: list[str] = []
    try:
        watched = {}
        for each in (folder, *folder.rglob("*/")):
            number = _LIBC.inotify_add_watch(queue, os.fsencode(each), _IN_OPEN)
            assert number >= 0, os.strerror(ctypes.get_errno())
            watched[number] = each
        yield opened
        while True:
            try:
                events = os.read(queue, _QUEUE_BYTES)
            except BlockingIOError:
                break
            start = 0
            while start < len(events):
                number, mask, _, size = _EVENT.unpack_from(events, start)
                name = events[start + _EVENT.size :][:size].rstrip(b"\0").decode()
                start += _EVENT.size + size
                if name and not mask & _IN_ISDIR:
                    opened.append(str((watched[number] / name).relative_to(folder)))
    finally:
        os.close(queue)
