"""What an application consists of, as one digest: every file, every access rule, every byte.

Decides which bytes stand under the digest, so that whoever made a card and the card itself come to
the same one. Leaves asking for it to `cardcore.chip.commands.manage` (GET DATA 00E1), and the
comparison to personalisation.

SHA-256 over the files in the order of their numbers, first what they are, then what they hold:

1. for each file the length of its header and the header, its parent by place among these files;
2. for each transparent file its bytes; for each record file newest slot and count, the lengths of
   its records, one byte each, and the records, in the order of their slots.

Key files stand there by their headers alone: a key is known by its check value. So the digest of
a card says of every file, also of those nobody may read, that it is the one that was planned.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Protocol, Self

from cardcore.chip.cardkeys import FID_KEYS
from cardcore.chip.tree import (
    BODY_SLOT,
    FIRST_RECORD_SLOT,
    DedicatedFile,
    ElementaryFile,
    File,
    Structure,
    moved_header,
)

#: The file of GET DATA whose answer this is.
TAG_CONTENT = 0x00E1
DIGEST_BYTES = 32


class Started(Protocol):
    """A digest that has been begun."""

    def copy(self) -> Self:
        """Another one, as far."""

    def update(self, data: bytes, /) -> None:
        """Take in more."""

    def digest(self) -> bytes:
        """What it comes to."""


def go_on(started: Started, data: bytes) -> bytes:
    """The digest of what was begun and `data`; what was begun stays as it is."""
    digest = started.copy()
    digest.update(data)
    return digest.digest()


class Content:
    """The files of one directory, it first; what they are is digested once.

    >>> from cardcore.chip.tree import TreeBuilder, check_tree
    >>> tree = TreeBuilder()
    >>> made = tree.add_file(tree.add_directory(None, 0x1001), 1, Structure.TRANSPARENT, [b"ab"])
    >>> content = Content(check_tree(tree.cells))
    >>> content.digest(tree.cells.get) == content.digest({**tree.cells, 0x201: b"xy"}.get)
    False
    """

    __slots__ = ("_bodies", "_started")

    def __init__(self, files: Sequence[File]) -> None:
        places = {file.number: place for place, file in enumerate(files)}
        self._started = hashlib.sha256()
        #: The body cell of each file that holds something, and its first record if it has records.
        self._bodies: list[tuple[int, int | None]] = []
        for file in files:
            header = moved_header(file.encode(), places.get(file.parent, 0))
            self._started.update(bytes((len(header),)) + header)
            if isinstance(file, ElementaryFile) and file.fid != FID_KEYS:
                base = file.number << 8
                has_records = file.structure is not Structure.TRANSPARENT
                first = base | FIRST_RECORD_SLOT if has_records else None
                self._bodies.append((base | BODY_SLOT, first))

    def digest(self, read: Callable[[int], bytes | None]) -> bytes:
        """32 bytes; `read` gives the bytes of a cell."""
        parts: list[bytes] = []
        for cell, first in self._bodies:
            body = read(cell)
            assert body, f"cell {cell:04X} of a file is not there"
            parts.append(body)
            if first is not None:
                records: list[Any] = [*map(read, range(first, first + body[1]))]
                assert all(records), f"a record of file {cell >> 8:02X} is not there"
                parts.append(bytes(map(len, records)))
                parts += records
        return go_on(self._started, b"".join(parts))


def files_of(directory: DedicatedFile, files: Sequence[File]) -> list[File]:
    """A directory and everything in it, in the order of `files`."""
    inside = {directory.number}
    found: list[File] = []
    for file in files:
        if file is directory or (file.parent in inside and file.number != file.parent):
            inside.add(file.number)
            found.append(file)
    return found
