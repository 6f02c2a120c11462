"""A disk that forgets what was not synced: what a power cut would leave of a folder, at any moment.

Killing a process proves nothing of an fsync, because what it wrote stays in the memory of the
operating system. This model takes every fsync that really happens for what it promises and no more:
of a file, the bytes it had then; of a folder, the names it had then. A name that was not synced is
gone after the cut, and so is everything below it; a file that was not synced is empty.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class ForgetfulDisk:
    """What was made durable since it was put in, and everything that lay there before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bytes: dict[int, bytes] = {}
        self._names: dict[int, dict[str, int]] = {}
        for path in (folder, *folder.rglob("*")):
            self._keep(path.stat().st_ino, path)

    @classmethod
    @contextmanager
    def under(cls, folder: Path) -> Iterator["ForgetfulDisk"]:
        """The disk below an existing folder, for as long as the block runs."""
        disk, fsync = cls(folder), os.fsync

        def synced(handle: int) -> None:
            fsync(handle)
            # Not resolved: a file whose name is gone has none.
            disk._keep(os.fstat(handle).st_ino, Path(f"/proc/self/fd/{handle}"))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", synced)
            yield disk

    def _keep(self, number: int, path: Path) -> None:
        if path.is_dir():
            self._names[number] = {each.name: each.stat().st_ino for each in path.iterdir()}
        elif path.is_file():
            self._bytes[number] = path.read_bytes()

    def content(self, path: Path) -> bytes | None:
        """The bytes of a file that are on the disk, under whatever name; None without any."""
        return self._bytes.get(path.stat().st_ino)

    def after_a_cut(self) -> dict[str, bytes | None]:
        """Every file and folder that would be there, by its name; None stands for a folder."""
        left: dict[str, bytes | None] = {}
        self._walk(self.folder.stat().st_ino, "", left)
        return left

    def _walk(self, number: int, before: str, left: dict[str, bytes | None]) -> None:
        for name, inner in self._names.get(number, {}).items():
            path = f"{before}{name}"
            if inner in self._names or self._is_folder(path, inner):
                left[path] = None
                self._walk(inner, f"{path}/", left)
            else:
                left[path] = self._bytes.get(inner, b"")

    def _is_folder(self, path: str, number: int) -> bool:
        try:
            found = (self.folder / path).stat()
        except OSError:
            return False
        return found.st_ino == number and stat.S_ISDIR(found.st_mode)

    def forgotten(self, *besides: str) -> list[str]:
        """What stands in the folder now and would not after a cut, or not so. Names that contain
        one of `besides` are left out.
        """
        left = self.after_a_cut()
        found = []
        for path in sorted(self.folder.rglob("*")):
            name = str(path.relative_to(self.folder))
            if any(each in name for each in besides):
                continue
            there = None if path.is_dir() else path.read_bytes()
            if name not in left or left[name] != there:
                found.append(name)
        return found
