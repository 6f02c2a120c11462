"""The files in a card's memory: finding, reading and changing them (ISO/IEC 7816-4).

Decides how a file is found and which cells change when something is written. Leaves what a file
is to `cardcore.chip.tree`, whether somebody may write to the commands, and that the change happens
whole to `cardcore.chip.memory`. Writing here means adding to a dict of changes; nothing is written
yet.
"""

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any

from cardcore.chip.content import Content, files_of
from cardcore.chip.memory import Memory
from cardcore.chip.tree import (
    BODY_SLOT,
    FILES_MAX,
    FIRST_RECORD_SLOT,
    HEADER_SLOT,
    DedicatedFile,
    ElementaryFile,
    File,
    Structure,
    decode_file,
)
from cardcore.errors import DecodeError
from cardcore.tlv import Tlv, encode_all


class ApplicationState(IntEnum):
    """Whether a directory answers. The highest one on the way up to the MF counts."""

    ACTIVE = 0  # 正常
    BLOCKED = 1  # 临时锁定
    BLOCKED_FOR_GOOD = 2  # 永久锁定
    CARD_BLOCKED = 3  # 卡片锁定; of the MF only


#: Cards of one product have the same files: as many trees as a dozen products have while they grow.
_TREES_KEPT = 128


class _Tree:
    """Where the files of a card are found: by number, by id, by short id. It never changes; a card
    that gets other files gets another one.
    """

    __slots__ = (
        "_contents",
        "by_fid",
        "by_name",
        "by_number",
        "by_sfi",
        "directories",
        "named",
        "root",
        "states",
    )

    def __init__(self, headers: tuple[tuple[int, bytes], ...]) -> None:
        files = [decode_file(cell >> 8, data) for cell, data in headers]
        if not files or not isinstance(files[0], DedicatedFile):
            raise DecodeError("card image", 0, "no master file")
        self.root = files[0]
        self.directories: list[DedicatedFile] = []
        self.by_number: dict[int, File] = {}
        #: By the number of the directory and the id of the file, in one number.
        self.by_fid: dict[int, File] = {}
        self.by_sfi: dict[int, ElementaryFile] = {}
        for file in files:
            self.by_number[file.number] = file
            if file is not self.root:
                self.by_fid[file.parent << 16 | file.fid] = file
            if isinstance(file, DedicatedFile):
                self.directories.append(file)
            elif file.sfi:
                self.by_sfi[file.parent << 16 | file.sfi] = file
        self.named = [file for file in self.directories if file.name]
        #: What a whole name finds: readers seldom ask with less.
        self.by_name = {file.name: self.starting(file.name) for file in self.named}
        #: The cells that can block each directory: its own and those of the ones above.
        self.states = {each.number: list(self._states(each)) for each in self.directories}
        self._contents: dict[int, Content] = {}

    def content(self, directory: DedicatedFile) -> Content:
        """What stands under the digest of a directory; made when it is first asked for."""
        found = self._contents.get(directory.number)
        if found is None:
            files = files_of(directory, list(self.by_number.values()))
            found = self._contents[directory.number] = Content(files)
        return found

    def starting(self, prefix: bytes) -> list[DedicatedFile]:
        """The directories whose name starts so, in the order of the tree."""
        return [file for file in self.named if file.name.startswith(prefix)]

    def _states(self, directory: DedicatedFile) -> Iterator[int]:
        yield directory.number << 8 | BODY_SLOT
        while directory is not self.root:
            above = self.by_number.get(directory.parent)
            assert isinstance(above, DedicatedFile), "a directory stands in a directory"
            directory = above
            yield directory.number << 8 | BODY_SLOT


_tree = lru_cache(maxsize=_TREES_KEPT)(_Tree)


def is_header(cell: int) -> bool:
    """Whether a cell says what a file is."""
    return cell & 0xFF == HEADER_SLOT and 0 < cell >> 8 <= FILES_MAX


def _headers(memory: Memory) -> tuple[tuple[int, bytes], ...]:
    found = memory.cells_at(0xFF, HEADER_SLOT)
    return tuple(each for each in found if is_header(each[0]))


class FileSystem:
    """The files in a memory. The tree is read once; contents are read when they are asked for."""

    __slots__ = ("_memory", "_read_cell", "directories", "root", "tree")

    def __init__(self, memory: Memory, like: "FileSystem | None" = None) -> None:
        """`like` are the files of a card whose headers are the same, so that none is read here."""
        self._memory = memory
        self._read_cell = memory.reader()
        #: Shared by all cards with the same files.
        self.tree: _Tree = like.tree if like is not None else _tree(_headers(memory))
        self.root = self.tree.root
        #: MF and DFs in the order of the tree.
        self.directories: Sequence[DedicatedFile] = self.tree.directories

    def directory(self, number: int) -> DedicatedFile:
        """The directory with that number, which is there."""
        found = self.tree.by_number[number]
        assert isinstance(found, DedicatedFile), "a directory"
        return found

    def parent(self, directory: DedicatedFile) -> DedicatedFile:
        """The directory above; the MF is above itself."""
        return self.directory(directory.parent)

    def upwards(self, directory: DedicatedFile) -> Iterator[DedicatedFile]:
        """The directory, the one above it, and so on to the MF."""
        yield directory
        while directory is not self.root:
            directory = self.parent(directory)
            yield directory

    @property
    def files(self) -> Iterable[File]:
        """Every file of the card."""
        return self.tree.by_number.values()

    def staged(self, cell: int) -> bytes:
        """A cell that belongs to no file; empty when nothing is there."""
        return self._memory.read(cell) or b""

    def own_state(self, directory: DedicatedFile) -> ApplicationState:
        """Whether this very directory is blocked."""
        state = self._memory.read(directory.number << 8 | BODY_SLOT)
        return ApplicationState.ACTIVE if state is None else ApplicationState(state[0])

    def state(self, directory: DedicatedFile) -> ApplicationState:
        """Whether a directory is blocked, itself or with one above it."""
        highest = 0
        for cell in self.tree.states[directory.number]:
            state = self._read_cell(cell)
            if state and state[0] > highest:
                highest = state[0]
        return ApplicationState(highest) if highest else ApplicationState.ACTIVE

    def write_state(
        self,
        directory: DedicatedFile,
        state: ApplicationState,
        changes: MutableMapping[int, bytes],
    ) -> None:
        """Block a directory, or let it go."""
        changes[directory.number << 8 | BODY_SLOT] = bytes((state,)) if state else b""

    def has(self, number: int) -> bool:
        """Whether a file has that number."""
        return number in self.tree.by_number

    def cells_below(self, directory: DedicatedFile) -> list[int]:
        """Every cell of a directory and of what is in it."""
        numbers = {directory.number}
        for file in self.tree.by_number.values():
            if file.parent in numbers:
                numbers.add(file.number)
        return [cell for cell in sorted(self._memory.cells()) if cell >> 8 in numbers]

    def child(self, directory: DedicatedFile, fid: int) -> File | None:
        """The file with that id directly in a directory."""
        return self.tree.by_fid.get(directory.number << 16 | fid)

    def by_sfi(self, directory: DedicatedFile, sfi: int) -> ElementaryFile | None:
        """The EF with that short id directly in a directory."""
        return self.tree.by_sfi.get(directory.number << 16 | sfi)

    def named(self, prefix: bytes) -> Sequence[DedicatedFile]:
        """The directories whose name starts with the prefix, in the order of the tree."""
        found = self.tree.by_name.get(prefix)
        return self.tree.starting(prefix) if found is None else found

    def fci(self, directory: DedicatedFile) -> bytes:
        """File control information, the answer to SELECT: 6F { 84 name, A5 { … } }.

        A directory without a name answers with its file id under tag 83.
        """
        proprietary = directory.proprietary
        copied = self.by_sfi(directory, directory.copied_sfi)
        if copied is not None:
            proprietary += Tlv(0x9F0C, self.body(copied)).encode()
        named = Tlv(0x84, directory.name)
        if not directory.name:
            named = Tlv(0x83, directory.fid.to_bytes(2, "big"))
        template = (named, Tlv(0xA5, proprietary)) if proprietary else (named,)
        return Tlv(0x6F, encode_all(template)).encode()

    def digest(self, directory: DedicatedFile) -> bytes:
        """Of everything in a directory but its keys (`cardcore.chip.content`)."""
        return self.tree.content(directory).digest(self._read_cell)

    def body(self, file: ElementaryFile, changes: Mapping[int, bytes] | None = None) -> bytes:
        """The bytes of a transparent file, as they will be after `changes`."""
        return self._read(file, BODY_SLOT, changes)

    def count(self, file: ElementaryFile, changes: Mapping[int, bytes] | None = None) -> int:
        """How many records a record file holds, as it will be after `changes`."""
        return self._read(file, BODY_SLOT, changes)[1]

    def record(
        self, file: ElementaryFile, number: int, changes: Mapping[int, bytes] | None = None
    ) -> bytes | None:
        """Record by number from 1, as it will be after `changes`, or None."""
        slot = self._slot(file, number, changes or {})
        return None if slot is None else self._read(file, slot, changes or {})

    def records(self, file: ElementaryFile) -> list[bytes]:
        """Every record, from number 1."""
        base = file.number << 8 | FIRST_RECORD_SLOT
        newest, count = self._read(file, BODY_SLOT)
        cells: Iterable[int] = range(base, base + count)
        if file.structure is Structure.CYCLIC:
            cells = [base + (newest - age) % file.records_max for age in range(count)]
        records: list[Any] = [*map(self._read_cell, cells)]
        assert all(records), f"file {file.number} lacks a record"
        return records

    def identified(self, file: ElementaryFile, identifier: int) -> list[int]:
        """Numbers of the records whose identifier ends in that byte."""
        at = file.identifier_bytes - 1
        if at < 0:
            return []
        records = enumerate(self.records(file), start=1)
        return [number for number, record in records if record[at] == identifier]

    def write_body(
        self, file: ElementaryFile, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Replace the bytes of a transparent file."""
        assert len(data) == file.size, "a transparent file keeps its length"
        changes[file.number << 8 | BODY_SLOT] = data

    def write_record(
        self, file: ElementaryFile, number: int, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Write over the start of a record that is there. A record keeps its length."""
        slot = self._slot(file, number, changes)
        assert slot is not None, "no such record"
        old = self._read(file, slot, changes)
        assert len(data) <= len(old), "a record keeps its length"
        changes[file.number << 8 | slot] = data + old[len(data) :]

    def replace_record(
        self, file: ElementaryFile, number: int, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Put other bytes in the place of a record, also of another length."""
        slot = self._slot(file, number, changes)
        assert slot is not None, "no such record"
        changes[file.number << 8 | slot] = data

    def replace_records(
        self, file: ElementaryFile, records: Sequence[bytes], changes: MutableMapping[int, bytes]
    ) -> None:
        """Give a linear file other records."""
        assert file.structure is not Structure.CYCLIC, "a cyclic file is only appended to"
        assert len(records) <= file.records_max, "too many records"
        base = file.number << 8
        for slot in range(max(self.count(file), len(records))):
            record = records[slot] if slot < len(records) else b""
            changes[base | FIRST_RECORD_SLOT + slot] = record
        changes[base | BODY_SLOT] = bytes((0, len(records)))

    def append(
        self, file: ElementaryFile, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Add a record: the newest of a cyclic file, where the oldest goes when the file is full,
        the last one of a linear file, which must have room.
        """
        if file.structure is not Structure.CYCLIC:
            self.extend(file, (data,), changes)
            return
        newest, count = self._read(file, BODY_SLOT, changes)
        assert len(data) == file.size, "a cyclic file has records of one length"
        newest = (newest + 1) % file.records_max
        base = file.number << 8
        changes[base | FIRST_RECORD_SLOT + newest] = data
        changes[base | BODY_SLOT] = bytes((newest, min(count + 1, file.records_max)))

    def extend(
        self, file: ElementaryFile, records: Sequence[bytes], changes: MutableMapping[int, bytes]
    ) -> None:
        """Add records behind the last one of a linear file, which must have room."""
        assert file.structure is not Structure.CYCLIC, "a cyclic file is appended to one by one"
        base = file.number << 8
        _, count = self._read(file, BODY_SLOT, changes)
        assert count + len(records) <= file.records_max, "the file is full"
        changes.update(enumerate(records, base | FIRST_RECORD_SLOT + count))
        changes[base | BODY_SLOT] = bytes((0, count + len(records)))

    def _slot(self, file: ElementaryFile, number: int, changes: Mapping[int, bytes]) -> int | None:
        newest, count = self._read(file, BODY_SLOT, changes)
        if not 1 <= number <= count:
            return None
        if file.structure is Structure.CYCLIC:
            return int(FIRST_RECORD_SLOT + (newest + 1 - number) % file.records_max)
        return FIRST_RECORD_SLOT + number - 1

    def _read(
        self, file: ElementaryFile, slot: int, changes: Mapping[int, bytes] | None = None
    ) -> bytes:
        cell = file.number << 8 | slot
        if changes and cell in changes:
            return changes[cell]
        data = self._read_cell(cell)
        assert data, f"file {file.number} has no slot {slot}"
        return data
