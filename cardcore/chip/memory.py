"""Non-volatile memory of a card: cells that a command changes all together or not at all.

Decides how a commit survives the loss of power at any instant. Leaves which cell holds what to
`cardcore.chip.filesystem`. Method: a write-ahead log inside the card. A commit writes

1. one log entry a cell, with the cell's number and its new bytes;
2. the mark: how many entries there are and their checksum. Now the new state is certain;
3. the cells themselves;
4. an empty mark. Now the log is free.

At power-up a log whose mark holds is written to the cells once more; any other log is forgotten.
Entries are whole new values, so writing them twice is harmless, also when power fails again
during the repair. Without power every physical write may stop before, inside or behind its bytes:
`power` decides it, and the tests walk through all of these instants.
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cardcore.errors import DecodeError, PowerLossError
from cardcore.limits import MEMORY_BYTES_MAX

#: Asked before each physical write with the number of bytes. None lets it happen; n stops it
#: after n bytes (0 before, all of them behind it), and the card is dead until power-up. It may
#: also raise `PowerLossError` itself, which is the same as 0.
PowerSupply = Callable[[int], int | None]

#: The cell that counts commits.
GENERATION = 0
_MAGIC = b"OCM1"
_FRONT = struct.Struct(">4sHH")  # magic, cells, entries of an unfinished log
_CELL = struct.Struct(">HHH")  # number, bytes, bytes up to the last one that is not zero
_ENTRY = struct.Struct(">HH")  # cell, bytes
_MARK = struct.Struct(">HI")  # entries, checksum over them
_CHECKSUM = struct.Struct(">I")
_COUNT = struct.Struct(">H")
_MARK_AT = -1
_NO_MARK = bytes(_MARK.size)


class Memory:
    """Cells by number (0 to 65535), each a byte string. Cell 0 is the memory's own. Writing no
    bytes to a cell erases it: it is as if nothing was ever written there.
    """

    __slots__ = ("_cells", "_log", "_written", "power")

    def __init__(self, cells: Mapping[int, bytes]) -> None:
        self._cells = {GENERATION: bytes(4), **cells}
        #: Entries by position from 0, and the mark at `_MARK_AT`. Empty: the log is free.
        self._log: dict[int, bytes] = {}
        #: Cells that have been written since `take_written` was last asked.
        self._written: set[int] = set()
        self.power: PowerSupply | None = None

    @property
    def generation(self) -> int:
        """How many commits this memory has seen."""
        return int.from_bytes(self._cells[GENERATION], "big")

    def read(self, cell: int) -> bytes | None:
        """The bytes of a cell, or None when nothing was ever written there."""
        return self._cells.get(cell) or None

    def reader(self) -> Callable[[int], bytes | None]:
        """What reads cells of this memory from now on, where many are read: an erased cell may be
        no bytes as well as None.
        """
        return self._cells.get

    def cells(self) -> dict[int, bytes]:
        """A copy of every cell that is not erased."""
        return {cell: data for cell, data in self._cells.items() if data}

    def cells_at(self, mask: int, wanted: int) -> list[tuple[int, bytes]]:
        """Cells whose numbers have these bits under the mask, erased ones not, in order."""
        cells = self._cells.items()
        found = [each for each in cells if each[0] & mask == wanted and each[1]]
        found.sort()
        return found

    def take_written(self) -> dict[int, bytes]:
        """The cells that have been written since this was last asked, erased ones empty. Whoever
        keeps them in order, behind an earlier state, has this one. Not while power has failed.
        """
        assert not self._log, "power failed and the card was not powered up again"
        written = {cell: self._cells[cell] for cell in sorted(self._written)}
        self._written.clear()
        return written

    def commit(self, changes: Mapping[int, bytes]) -> None:
        """Write all of these cells, or, when power fails before the mark, none of them.

        Raises `PowerLossError` when power fails; `power_up` must come next.
        """
        assert changes, "a commit without a change"
        assert GENERATION not in changes, "the generation is the memory's own"
        assert not self._log, "power failed and the card was not powered up again"
        generation = ((self.generation + 1) & 0xFFFFFFFF).to_bytes(4, "big")
        wanted = [*changes.items(), (GENERATION, generation)]
        entries = [cell.to_bytes(2, "big") + data for cell, data in wanted]
        self._write_each(self._log, enumerate(entries))
        self._write(self._log, _MARK_AT, self._mark_of(entries, len(entries)))
        self._apply(wanted)

    def power_up(self) -> None:
        """Finish or forget what the loss of power left behind. May lose power again."""
        if self._log_holds():
            entries = [self._log[position] for position in range(len(self._log) - 1)]
            self._apply([(entry[0] << 8 | entry[1], entry[2:]) for entry in entries])
        self._log.clear()

    def image(self) -> bytes:
        """The whole memory in a canonical form: equal memories give equal bytes.

        An unfinished log whose mark holds is part of it; a log that would be forgotten is not.
        """
        entries = []
        if self._log_holds():
            entries = [self._log[position] for position in range(len(self._log) - 1)]
        cells = self.cells()
        parts = [_FRONT.pack(_MAGIC, len(cells), len(entries))]
        for cell, data in sorted(cells.items()):
            used = data.rstrip(b"\x00")
            parts += (_CELL.pack(cell, len(data), len(used)), used)
        for entry in entries:
            parts += (_ENTRY.pack(int.from_bytes(entry[:2], "big"), len(entry) - 2), entry[2:])
        body = b"".join(parts)
        return body + _CHECKSUM.pack(zlib.crc32(body))

    @classmethod
    def from_image(cls, image: bytes) -> "Memory":
        """The memory of an image, not yet powered up. `DecodeError` when it is damaged, or when its
        cells would be more than a chip has: zeros at their ends take no bytes in an image, so their
        lengths are added up before any is made.
        """
        reader = _Reader(image)
        magic, cell_count, entry_count = reader.take(_FRONT)
        if magic != _MAGIC:
            raise DecodeError("card image", 0, "does not start with OCM1")
        cells: dict[int, bytes] = {}
        position, read = reader.position, _CELL.unpack_from
        last, room = -1, MEMORY_BYTES_MAX
        try:
            for _ in range(cell_count):
                number, length, used = read(image, position)
                room -= length
                if room < 0 or used > length or number <= last:
                    raise DecodeError("card image", position, "is no cell of a chip")
                last = number
                position += _CELL.size + used
                cells[number] = image[position - used : position].ljust(length, b"\x00")
        except struct.error as error:
            raise DecodeError("card image", position, "ends inside its cells") from error
        reader.position = position
        log: dict[int, bytes] = {}
        for at in range(entry_count):
            number, length = reader.take(_ENTRY)
            log[at] = number.to_bytes(2, "big") + reader.take_bytes(length)
        (checksum,) = reader.take(_CHECKSUM)
        if reader.position != len(image) or checksum != zlib.crc32(image[: -_CHECKSUM.size]):
            raise DecodeError("card image", len(image) - _CHECKSUM.size, "checksum does not hold")
        if len(cells.get(GENERATION, b"")) != 4:
            raise DecodeError("card image", _FRONT.size, "no generation")
        memory = cls(cells)
        if log:
            memory._log = {**log, _MARK_AT: cls._mark_of(log.values(), len(log))}
        return memory

    def _apply(self, logged: Sequence[tuple[int, bytes]]) -> None:
        """Write the cells that the log has; then it is free."""
        self._written.update([cell for cell, _ in logged])
        self._write_each(self._cells, logged)
        self._write(self._log, _MARK_AT, _NO_MARK)
        self._log.clear()

    def _log_holds(self) -> bool:
        entries = [entry for at, entry in self._log.items() if at != _MARK_AT]
        return bool(entries) and self._log.get(_MARK_AT) == self._mark_of(entries, len(entries))

    @staticmethod
    def _mark_of(entries: Iterable[bytes], count: int) -> bytes:
        return _MARK.pack(count, zlib.crc32(b"".join(entries)))

    def _write_each(self, area: dict[int, bytes], writes: Iterable[tuple[int, bytes]]) -> None:
        """Physical writes one after another, in one go while nobody can ask to stop them."""
        if self.power is None:
            area.update(writes)
            return
        for key, data in writes:
            self._write(area, key, data)

    def _write(self, area: dict[int, bytes], key: int, data: bytes) -> None:
        """One physical write; here and above are the only places where bytes reach the memory."""
        if self.power is not None:
            reached = self.power(len(data))
            if reached is not None:
                area[key] = data[:reached] + area.get(key, b"")[reached:]
                raise PowerLossError(f"power failed after {reached} of {len(data)} bytes")
        area[key] = data


def encode_cells(cells: Mapping[int, bytes]) -> bytes:
    r"""Some cells, those without bytes as well: what a commit has written, to be kept. First how
    many, then number and lengths of each, then the bytes of all.

    >>> decode_cells(encode_cells({7: b"ab", 3: b"", 4: bytes(2)}))
    {3: b'', 4: b'\x00\x00', 7: b'ab'}
    """
    rows, contents = [_COUNT.pack(len(cells))], []
    for cell, data in sorted(cells.items()):
        used = data.rstrip(b"\x00")
        rows.append(_CELL.pack(cell, len(data), len(used)))
        contents.append(used)
    return b"".join(rows + contents)


def decode_cells(data: bytes) -> dict[int, bytes]:
    """Cells as `encode_cells` keeps them; `DecodeError` when they are damaged."""
    if len(data) < _COUNT.size:
        raise DecodeError("cells", 0, "are missing")
    position = _COUNT.size + _CELL.size * int(_COUNT.unpack_from(data)[0])
    if position > len(data):
        raise DecodeError("cells", len(data), "end inside their table")
    cells: dict[int, bytes] = {}
    room = MEMORY_BYTES_MAX
    for cell, length, used in _CELL.iter_unpack(data[_COUNT.size : position]):
        room -= length
        if room < 0:
            raise DecodeError("cells", position, "are more than a chip has")
        content = data[position : position + used]
        cells[cell] = content if used == length else content.ljust(length, b"\x00")
        position += used
    if position != len(data):
        raise DecodeError("cells", min(position, len(data)), "another length than they say")
    return cells


class _Reader:
    """Cuts pieces off an image and knows where it stands."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take_bytes(self, length: int) -> bytes:
        piece = self.data[self.position : self.position + length]
        if len(piece) < length:
            raise DecodeError("card image", self.position, f"ends before {length} bytes more")
        self.position += length
        return piece

    def take(self, layout: struct.Struct) -> tuple[Any, ...]:
        return layout.unpack(self.take_bytes(layout.size))
