"""Putting bytes on the disk so that they are there whole or not at all."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write_durable(path: Path, data: bytes) -> None:
    """Put a file in place whole or not at all, on the disk before this returns."""
    with _written_beside(path, data) as temporary:
        temporary.replace(path)


def write_once(path: Path, data: bytes) -> None:
    """The same, where nothing else may ever stand: raises `FileExistsError` when other bytes do.
    The same bytes again change nothing.
    """
    with _written_beside(path, data) as temporary:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            if path.read_bytes() != data:
                raise


@contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    """The bytes in a file beside their place, for the block to put there."""
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        yield Path(temporary)
    finally:
        Path(temporary).unlink(missing_ok=True)
    sync_folder(path.parent)


def remove_durable(path: Path) -> None:
    """Remove a file, if it is there; its name is off the disk before this returns."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; every new name is on the disk before this returns."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in reversed(missing):
        sync_folder(each.parent)


def sync_file(path: Path) -> None:
    """Wait until a file's bytes are on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
