"""The files of a card: MF, DF and EF as data, transparent, record and cyclic (ISO/IEC 7816-4).

Decides where a file's bytes lie in memory, how a file is found, and which cells change when a
record is written. Leaves whether somebody may do so to the card, and that the change happens
whole to `cardcore.memory`. Writing here means adding to a dict of changes; nothing is written yet.

A file's number is its place in the tree. Its cells are numbered file * 256 + slot::

    slot 0        what the file is (the header below)
    slot 1        a transparent file: its bytes; a record file: newest slot and count
    slot 2 to 255 records
"""

import struct
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from cardcore.errors import DecodeError
from cardcore.memory import Memory
from cardcore.tlv import Tlv, encode_all

RECORDS_MAX = 254
_HEADER_SLOT, _BODY_SLOT, _FIRST_RECORD_SLOT = 0, 1, 2
_DEDICATED = struct.Struct(">BBHBB")  # structure, parent, file id, copied SFI, bytes of the name
_ELEMENTARY = struct.Struct(">BBHBHBBBB")


class Structure(IntEnum):
    """What a file is made of."""

    DEDICATED = 0  # MF or DF: a directory
    TRANSPARENT = 1
    LINEAR_FIXED = 2
    LINEAR_VARIABLE = 3  # each record keeps the length it was made with
    CYCLIC = 4  # record 1 is the newest; a new one takes the place of the oldest


class Access(IntEnum):
    """Condition under which an operation on a file is open."""

    NEVER = 0
    ALWAYS = 1
    COMPOSITE = 2  # held back and written by the DEBIT of a composite purchase


@dataclass(frozen=True, slots=True)
class DedicatedFile:
    """MF or DF. `proprietary` is what template A5 of its FCI starts with; when `copied_sfi` is not
    zero, tag 9F0C follows with a copy of that EF (JT/T 978: the public information).
    """

    number: int
    parent: int  # its own number in the MF
    fid: int
    name: bytes = b""
    proprietary: bytes = b""
    copied_sfi: int = 0

    def encode(self) -> bytes:
        """Header cell of the file."""
        head = _DEDICATED.pack(
            Structure.DEDICATED, self.parent, self.fid, self.copied_sfi, len(self.name)
        )
        return head + self.name + self.proprietary


@dataclass(frozen=True, slots=True)
class ElementaryFile:
    """EF. `size` is the length of a transparent file or the longest record.

    `identifier_bytes` says how many bytes at the start of a record are its identifier; the last
    of them is what READ RECORD by identifier and UPDATE CAPP DATA CACHE call it by.
    """

    number: int
    parent: int
    fid: int
    sfi: int  # 0: found by file id only
    structure: Structure
    size: int
    records_max: int = 0
    identifier_bytes: int = 0
    read: Access = Access.ALWAYS
    update: Access = Access.NEVER

    def encode(self) -> bytes:
        """Header cell of the file."""
        return _ELEMENTARY.pack(
            self.structure,
            self.parent,
            self.fid,
            self.sfi,
            self.size,
            self.records_max,
            self.identifier_bytes,
            self.read,
            self.update,
        )


File = DedicatedFile | ElementaryFile
_FileT = TypeVar("_FileT", DedicatedFile, ElementaryFile)


def _decode_file(number: int, data: bytes) -> File:
    try:
        if data[0] == Structure.DEDICATED:
            _, parent, fid, copied_sfi, length = _DEDICATED.unpack_from(data)
            body = data[_DEDICATED.size :]
            return DedicatedFile(number, parent, fid, body[:length], body[length:], copied_sfi)
        structure, parent, fid, sfi, size, records_max, identifier, read, update = (
            _ELEMENTARY.unpack(data)
        )
        return ElementaryFile(
            number,
            parent,
            fid,
            sfi,
            Structure(structure),
            size,
            records_max,
            identifier,
            Access(read),
            Access(update),
        )
    except (struct.error, ValueError, IndexError) as error:
        raise DecodeError("file header", number << 8, str(error)) from error


class TreeBuilder:
    """Makes the tree of a new card, file by file, and collects its cells.

    >>> tree = TreeBuilder()
    >>> root = tree.add_directory(None, 0x3F00)
    >>> serial = tree.add_file(root, 0x0015, Structure.TRANSPARENT, [bytes(30)], sfi=0x15)
    >>> sorted(tree.cells), len(tree.cells[serial.number << 8 | 1])
    ([256, 512, 513], 30)
    """

    def __init__(self) -> None:
        self.cells: dict[int, bytes] = {}
        self._next = 1  # cell 0 belongs to the memory

    def add_directory(
        self,
        parent: DedicatedFile | None,
        fid: int,
        *,
        name: bytes = b"",
        proprietary: bytes = b"",
        copied_sfi: int = 0,
    ) -> DedicatedFile:
        """MF (without a parent, first) or DF."""
        number = self._take_number()
        parent_number = number if parent is None else parent.number
        return self._keep(DedicatedFile(number, parent_number, fid, name, proprietary, copied_sfi))

    def add_file(
        self,
        parent: DedicatedFile,
        fid: int,
        structure: Structure,
        contents: Sequence[bytes],
        *,
        sfi: int = 0,
        size: int | None = None,
        records_max: int | None = None,
        identifier_bytes: int = 0,
        read: Access = Access.ALWAYS,
        update: Access = Access.NEVER,
    ) -> ElementaryFile:
        """EF with its contents: the one body of a transparent file, or records, newest first in a
        cyclic file. `size` and `records_max` are those of the contents unless given.
        """
        if structure is Structure.TRANSPARENT:
            assert len(contents) == 1, "a transparent file has one body"
            records_max = 0
        file = self._keep(
            ElementaryFile(
                self._take_number(),
                parent.number,
                fid,
                sfi,
                structure,
                max(map(len, contents)) if size is None else size,
                len(contents) if records_max is None else records_max,
                identifier_bytes,
                read,
                update,
            )
        )
        base = file.number << 8
        if structure is Structure.TRANSPARENT:
            self.cells[base | _BODY_SLOT] = contents[0]
            return file
        assert len(contents) <= file.records_max <= RECORDS_MAX, "too many records"
        ordered = contents[::-1] if structure is Structure.CYCLIC else contents
        for slot, record in enumerate(ordered):
            self.cells[base | _FIRST_RECORD_SLOT + slot] = record
        newest = (len(contents) - 1) % file.records_max
        self.cells[base | _BODY_SLOT] = bytes((newest, len(contents)))
        return file

    def _take_number(self) -> int:
        number = self._next
        assert number <= 0xFF, "a card has at most 255 files"
        self._next += 1
        return number

    def _keep(self, file: _FileT) -> _FileT:
        self.cells[file.number << 8 | _HEADER_SLOT] = file.encode()
        return file


class FileSystem:
    """The files in a memory. The tree is read once; contents are read when they are asked for."""

    __slots__ = ("_by_fid", "_by_number", "_by_sfi", "_memory", "_named", "root")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        files = [
            _decode_file(cell >> 8, data)
            for cell, data in sorted(memory.cells().items())
            if cell and cell & 0xFF == _HEADER_SLOT
        ]
        directories = [file for file in files if isinstance(file, DedicatedFile)]
        if not directories or directories[0] is not files[0]:
            raise DecodeError("card image", 0, "no master file")
        self.root = directories[0]
        self._named = [file for file in directories if file.name]
        self._by_number = {file.number: file for file in directories}
        self._by_fid: dict[tuple[int, int], File] = {
            (file.parent, file.fid): file for file in files if file is not self.root
        }
        self._by_sfi = {
            (file.parent, file.sfi): file
            for file in files
            if isinstance(file, ElementaryFile) and file.sfi
        }

    def parent(self, directory: DedicatedFile) -> DedicatedFile:
        """The directory above; the MF is above itself."""
        return self._by_number[directory.parent]

    def child(self, directory: DedicatedFile, fid: int) -> File | None:
        """The file with that id directly in a directory."""
        return self._by_fid.get((directory.number, fid))

    def by_sfi(self, directory: DedicatedFile, sfi: int) -> ElementaryFile | None:
        """The EF with that short id directly in a directory."""
        return self._by_sfi.get((directory.number, sfi))

    def named(self, prefix: bytes) -> list[DedicatedFile]:
        """The directories whose name starts with the prefix, in the order of the tree."""
        return [file for file in self._named if file.name.startswith(prefix)]

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

    def body(self, file: ElementaryFile) -> bytes:
        """The bytes of a transparent file."""
        return self._read(file, _BODY_SLOT)

    def count(self, file: ElementaryFile) -> int:
        """How many records a record file holds."""
        return self._read(file, _BODY_SLOT)[1]

    def record(
        self, file: ElementaryFile, number: int, changes: Mapping[int, bytes] | None = None
    ) -> bytes | None:
        """Record by number from 1, as it will be after `changes`, or None."""
        slot = self._slot(file, number, changes or {})
        return None if slot is None else self._read(file, slot, changes or {})

    def records(self, file: ElementaryFile) -> Iterator[bytes]:
        """Every record, from number 1."""
        for number in range(1, self.count(file) + 1):
            record = self.record(file, number)
            assert record is not None
            yield record

    def identified(self, file: ElementaryFile, identifier: int) -> int | None:
        """Number of the first record whose identifier ends in that byte."""
        if not file.identifier_bytes:
            return None
        at = file.identifier_bytes - 1
        for number, record in enumerate(self.records(file), start=1):
            if record[at] == identifier:
                return number
        return None

    def write_body(
        self, file: ElementaryFile, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Replace the bytes of a transparent file."""
        assert len(data) == file.size, "a transparent file keeps its length"
        changes[file.number << 8 | _BODY_SLOT] = data

    def write_record(
        self, file: ElementaryFile, number: int, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Write over the start of a record that is there. A record keeps its length."""
        slot = self._slot(file, number, changes)
        assert slot is not None, "no such record"
        old = self._read(file, slot, changes)
        assert len(data) <= len(old), "a record keeps its length"
        changes[file.number << 8 | slot] = data + old[len(data) :]

    def append(
        self, file: ElementaryFile, data: bytes, changes: MutableMapping[int, bytes]
    ) -> None:
        """Make a record the newest of a cyclic file; the oldest goes when the file is full."""
        assert file.structure is Structure.CYCLIC
        assert len(data) == file.size, "a cyclic file has records of one length"
        newest, count = self._read(file, _BODY_SLOT, changes)
        newest = (newest + 1) % file.records_max
        base = file.number << 8
        changes[base | _FIRST_RECORD_SLOT + newest] = data
        changes[base | _BODY_SLOT] = bytes((newest, min(count + 1, file.records_max)))

    def _slot(self, file: ElementaryFile, number: int, changes: Mapping[int, bytes]) -> int | None:
        newest, count = self._read(file, _BODY_SLOT, changes)
        if not 1 <= number <= count:
            return None
        if file.structure is Structure.CYCLIC:
            return int(_FIRST_RECORD_SLOT + (newest + 1 - number) % file.records_max)
        return _FIRST_RECORD_SLOT + number - 1

    def _read(
        self, file: ElementaryFile, slot: int, changes: Mapping[int, bytes] | None = None
    ) -> bytes:
        cell = file.number << 8 | slot
        if changes and cell in changes:
            return changes[cell]
        data = self._memory.read(cell)
        assert data is not None, f"file {file.number} has no slot {slot}"
        return data
