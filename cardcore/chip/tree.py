"""The tree of a card as data: what a file is, its header in memory, and the making of a tree.

Decides which cells a new card or a new application consists of. Leaves how files are found, read
and changed to `cardcore.chip.filesystem`, and what access rules mean to `cardcore.chip.access`.

A file's number is its place in the tree. Its cells are numbered file * 256 + slot::

    slot 0        what the file is (the header below)
    slot 1        a transparent file: its bytes; a record file: newest slot and count;
                  a directory: its state, once it has been blocked
    slot 2 to 255 records
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from cardcore.chip.access import Access
from cardcore.errors import DecodeError

RECORDS_MAX = 254
SFI_MAX = 30
#: The master file, the current directory, and one kept by ISO/IEC 7816-4.
_RESERVED_IDS = frozenset({0x3F00, 0x3FFF, 0xFFFF})
#: Cells from 0xE000 on hold a package that is on its way in (`cardcore.chip.commands.manage`).
FILES_MAX = 0xDF
HEADER_SLOT, BODY_SLOT, FIRST_RECORD_SLOT = 0, 1, 2
#: Cards of one product have the same headers, and a header says nothing of its holder: as many as a
#: dozen products have are read once.
_HEADERS_KEPT = 2048
_DEDICATED = struct.Struct(">BBHBB")  # structure, parent, file id, copied SFI, bytes of the name
_ELEMENTARY = struct.Struct(">BBHBHBB")


class Structure(IntEnum):
    """What a file is made of."""

    __hash__ = int.__hash__  # files are looked up by it: as quick as the number it is

    DEDICATED = 0  # 目录: MF or DF: a directory
    TRANSPARENT = 1  # 透明文件
    LINEAR_FIXED = 2  # 定长记录
    LINEAR_VARIABLE = 3  # 变长记录: each record keeps the length it was made with
    CYCLIC = 4  # 循环记录: record 1 is the newest; a new one takes the place of the oldest


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
        head = _ELEMENTARY.pack(
            self.structure,
            self.parent,
            self.fid,
            self.sfi,
            self.size,
            self.records_max,
            self.identifier_bytes,
        )
        return head + self.read.encode() + self.update.encode()

    @property
    def bytes_max(self) -> int:
        """What the file takes when every record is written, its header with it."""
        return len(self.encode()) + self.size * (self.records_max or 1)

    def record_cells(self, cells: Mapping[int, bytes]) -> list[int]:
        """The cells of its records, in the order of their slots; newest first in a cyclic file."""
        newest, count = cells[self.number << 8 | BODY_SLOT]
        slots = list(range(count))
        if self.structure is Structure.CYCLIC:
            slots = [(newest - age) % self.records_max for age in range(count)]
        return [self.number << 8 | FIRST_RECORD_SLOT + slot for slot in slots]


File = DedicatedFile | ElementaryFile


@lru_cache(maxsize=_HEADERS_KEPT)
def decode_file(number: int, data: bytes) -> File:
    """The file whose header cell this is; `DecodeError` when the bytes are no header."""
    try:
        if data[0] == Structure.DEDICATED:
            _, parent, fid, copied_sfi, length = _DEDICATED.unpack_from(data)
            body = data[_DEDICATED.size :]
            return DedicatedFile(number, parent, fid, body[:length], body[length:], copied_sfi)
        structure, parent, fid, sfi, size, records_max, identifier = _ELEMENTARY.unpack_from(data)
        read, at = Access.decode(data, _ELEMENTARY.size)
        update, at = Access.decode(data, at)
        if at != len(data):
            raise DecodeError("file header", at, "bytes behind the access rules")
        return ElementaryFile(
            number,
            parent,
            fid,
            sfi,
            Structure(structure),
            size,
            records_max,
            identifier,
            read,
            update,
        )
    except (struct.error, ValueError, IndexError) as error:
        raise DecodeError("file header", 0, str(error)) from error


def moved_header(data: bytes, parent: int) -> bytes:
    """The header cell of a file that goes into another directory: its second byte names it."""
    return data[:1] + bytes((parent,)) + data[2:]


def check_tree(cells: Mapping[int, bytes]) -> list[File]:
    """The files of these cells in the order of their numbers, the directory of all others first.

    Raises `DecodeError`, with the cell where something is wrong, for cells that are no such tree:
    a header that cannot be read, a parent that is not there, contents that do not fit.
    """
    files = [
        decode_file(cell >> 8, data)
        for cell, data in sorted(cells.items())
        if cell & 0xFF == HEADER_SLOT
    ]
    if not files or not isinstance(files[0], DedicatedFile):
        raise DecodeError("file tree", 0, "does not start with a directory")
    directories = {files[0].number}
    slots = {HEADER_SLOT + (files[0].number << 8)}
    for file in files[1:]:
        if file.parent not in directories:
            raise DecodeError("file tree", file.number << 8, "the parent is no directory above")
        if isinstance(file, DedicatedFile):
            directories.add(file.number)
            slots.add(file.number << 8)
        else:
            slots |= _check_contents(file, cells)
    if slots != set(cells):
        raise DecodeError("file tree", min(slots ^ set(cells)), "a cell that belongs to no file")
    _check_names(files)
    return files


def bytes_of(files: Iterable[File]) -> int:
    """What these files take when every record is written."""
    return sum(
        file.bytes_max if isinstance(file, ElementaryFile) else len(file.encode()) for file in files
    )


def _check_names(files: Sequence[File]) -> None:
    """Each is found by one name: file ids and short ids in their directory, names of directories
    everywhere. A file id is neither that of its directory nor one that means something else
    (ISO/IEC 7816-4 §7.3.1).
    """
    directory_ids = {file.number: file.fid for file in files if isinstance(file, DedicatedFile)}
    taken: set[tuple[int, str, int | bytes]] = set()
    for file in files:
        parent = 0 if file is files[0] else file.parent
        names: list[tuple[int, str, int | bytes]] = [(parent, "file id", file.fid)]
        if isinstance(file, ElementaryFile):
            if file.sfi:
                names.append((parent, "short id", file.sfi))
        elif file.name:
            names.append((0, "name", file.name))
        if not taken.isdisjoint(names) or file.fid == directory_ids.get(parent):
            raise DecodeError("file tree", file.number << 8, "a name that is taken")
        taken.update(names)
        is_odd = isinstance(file, ElementaryFile) and file.sfi > SFI_MAX
        if is_odd or (file.fid in _RESERVED_IDS and file is not files[0]):
            raise DecodeError("file tree", file.number << 8, "a name that no file has")


def _check_contents(file: ElementaryFile, cells: Mapping[int, bytes]) -> set[int]:
    """The cells of an EF, which must all be there and fit."""
    base = file.number << 8
    body = cells.get(base | BODY_SLOT, b"")
    slots = {base | HEADER_SLOT, base | BODY_SLOT}
    if file.structure is Structure.TRANSPARENT:
        if not body or len(body) != file.size:
            raise DecodeError("file tree", base | BODY_SLOT, "the body has another length")
        return slots
    if len(body) != 2 or not 1 <= file.records_max <= RECORDS_MAX or not 1 <= file.size <= 0xFF:
        raise DecodeError("file tree", base | BODY_SLOT, "is no record file")
    newest, count = body
    if newest >= file.records_max or count > file.records_max:
        raise DecodeError("file tree", base | BODY_SLOT, "more records than the file has room for")
    if file.identifier_bytes > file.size:
        raise DecodeError("file tree", base | HEADER_SLOT, "an identifier longer than its record")
    whole = file.structure is not Structure.LINEAR_VARIABLE
    for cell in file.record_cells(cells):
        length = len(cells.get(cell, b""))
        shortest = file.size if whole else max(1, file.identifier_bytes)
        if not shortest <= length <= file.size:
            raise DecodeError("file tree", cell, "the record has another length")
        slots.add(cell)
    return slots


@lru_cache(maxsize=_HEADERS_KEPT)
def _elementary(number: int, *rest: Any) -> tuple[ElementaryFile, bytes]:  # noqa: ANN401 - fields
    """A file and its header cell. Cards of one product have the same files."""
    file = ElementaryFile(number, *rest)
    return file, file.encode()


def _content_cells(file: ElementaryFile, contents: Sequence[bytes]) -> Iterable[tuple[int, bytes]]:
    """The cells of its body, or of its records: newest first in a cyclic file."""
    base = file.number << 8
    if file.structure is Structure.TRANSPARENT:
        return ((base | BODY_SLOT, contents[0]),)
    ordered = contents[::-1] if file.structure is Structure.CYCLIC else contents
    return enumerate(ordered, base | FIRST_RECORD_SLOT)


#: File ids of a directory and of a file in it.
Place = tuple[int, int]
#: What files hold, by place: one body, or records.
Contents = Mapping[Place, Sequence[bytes]]
#: How many records of which length each place holds: what cards of one product have in common.
Shape = tuple[tuple[Place, tuple[int, ...]], ...]


def shape_of(contents: Contents) -> Shape:
    """The shape of these contents."""
    return tuple([(place, tuple(map(len, records))) for place, records in contents.items()])


def blank_contents(shape: Shape) -> Contents:
    """Zeros of that shape."""
    return {place: [bytes(length) for length in lengths] for place, lengths in shape}


class Form:
    """A tree laid out once, and filled for every card whose contents are of its shape.

    >>> tree = TreeBuilder()
    >>> made = tree.add_file(tree.add_directory(None, 0x1001), 1, Structure.TRANSPARENT, [bytes(2)])
    >>> Form(tree).filled({(0x1001, 1): [b"ab"]})[made.number << 8 | BODY_SLOT]
    b'ab'
    """

    __slots__ = ("_cells", "_files")

    def __init__(self, tree: "TreeBuilder") -> None:
        self._cells, self._files = tree.cells, tree.files

    def filled(self, contents: Contents) -> dict[int, bytes]:
        """The cells of the tree with these contents in their places."""
        cells = self._cells.copy()
        for place, records in contents.items():
            cells.update(_content_cells(self._files[place], records))
        return cells


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
        #: By file id of the directory, and of the file in it.
        self.files: dict[Place, ElementaryFile] = {}
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
        directory = DedicatedFile(number, parent_number, fid, name, proprietary, copied_sfi)
        self.cells[number << 8 | HEADER_SLOT] = directory.encode()
        return directory

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
        file, header = _elementary(
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
        self.files[parent.fid, fid] = file
        base = file.number << 8
        self.cells[base | HEADER_SLOT] = header
        self.cells.update(_content_cells(file, contents))
        if structure is not Structure.TRANSPARENT:
            assert len(contents) <= file.records_max <= RECORDS_MAX, "too many records"
            cyclic = structure is Structure.CYCLIC
            newest = (len(contents) - 1) % file.records_max if cyclic else 0
            self.cells[base | BODY_SLOT] = bytes((newest, len(contents)))
        return file

    def _take_number(self) -> int:
        number = self._next
        assert number <= FILES_MAX, "a card has no more file numbers"
        self._next += 1
        return number
