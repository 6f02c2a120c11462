"""What can be saved out of a damaged journal: every row that still stands whole in some page.

Decides which rows of a cut or overwritten file can be trusted to be what was written, and makes a
new journal of them. Leaves to the back office to say which records it has already: all are sent
again, and those it has are answered as duplicates. A record that waits for its day goes on waiting.

The file is read as bytes, not through SQLite, because a damaged first page or inner page would
hide whole leaves that are well. Of a page only two kinds matter (SQLite file format §1.6): leaves
of tables (0D: taps, records, holds) and leaves of indexes (0A: requests). Pages of the write-ahead
log replace those of the file up to the last commit. A row counts when its columns have the types
of its table and its record decodes.

What is not promised: a row on a lost page is lost, and a finished tap whose record is lost is lost
with it. A record whose hold is lost goes up at once. Serials that may have been used are not used
again (`SERIAL_MARGIN`), so a salvaged terminal shows a gap, never the same serial twice.
"""

import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from cardcore.errors import RecordFormatError
from cardcore.records.record import TransactionRecord, decode_record
from cardcore.text import Text
from terminals.errors import JournalError
from terminals.journal.disk import beside, connect, create, translate
from terminals.journal.migration import renew_draft
from terminals.taps import TapOutcome, TapState

#: Serials skipped after the highest that was read: more than a terminal gives between two uploads.
SERIAL_MARGIN = 10_000
PAGE_BYTES_DEFAULT = 4096
_FILE_HEADER_BYTES, _WAL_HEADER_BYTES = 100, 32
_FRAME = struct.Struct(">II8s8x")
_TABLE_LEAF, _INDEX_LEAF = 0x0D, 0x0A
_INTEGER_BYTES = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}

Value = int | str | bytes | None
Row = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class SalvageReport:
    """What was saved. `open_taps` wait for their cards as before."""

    records: int
    taps: int
    open_taps: int
    pages_unreadable: int


@dataclass(slots=True)
class _Finds:
    """Rows by their keys; a later find of the same key replaces an earlier one."""

    taps: dict[int, Row] = field(default_factory=dict)
    records: dict[int, Row] = field(default_factory=dict)
    requests: dict[str, Row] = field(default_factory=dict)
    holds: dict[int, Row] = field(default_factory=dict)
    unreadable: int = 0


def salvage(damaged: Path, target: Path, *, sender: int, last_sequence: int) -> SalvageReport:
    """Make a new journal at `target` from what is readable at `damaged`, which stays untouched.

    `last_sequence` is the last batch file of this sender that the back office has; the series goes
    on after it and begins with every record again. Throw the old outbox away. Raises
    `JournalError` when there is a journal at `target` already.
    """
    if target.exists():
        raise JournalError(Text(f"{target} 已存在", f"{target} exists"))
    finds = _scan(_pages(damaged))
    taps = _tap_rows(finds)
    create(target, sender)
    with closing(connect(target)) as database:
        try:
            _fill(database, finds, taps, last_sequence)
        except sqlite3.Error as error:
            raise translate(error) from error
    states = [row[4] for row in taps.values()]
    return SalvageReport(
        len(finds.records), len(taps), states.count(TapState.OPEN), finds.unreadable
    )


def _pages(path: Path) -> dict[int, bytes]:
    """Page number to its newest committed content; the cut last page is left out."""
    data = path.read_bytes() if path.exists() else b""
    log_path = beside(path, "-wal")
    log = log_path.read_bytes() if log_path.exists() else b""
    size = _page_bytes(data, log)
    pages = {number + 1: data[number * size :][:size] for number in range(len(data) // size)}
    salt, at, uncommitted = log[16:24], _WAL_HEADER_BYTES, dict[int, bytes]()
    while at + _FRAME.size + size <= len(log):
        number, pages_after_commit, frame_salt = _FRAME.unpack_from(log, at)
        if frame_salt != salt:
            break  # left over from before the last checkpoint
        uncommitted[number] = log[at + _FRAME.size :][:size]
        at += _FRAME.size + size
        if pages_after_commit:
            pages |= uncommitted
            uncommitted.clear()
    return pages


def _page_bytes(data: bytes, log: bytes) -> int:
    for size in (int.from_bytes(data[16:18], "big"), int.from_bytes(log[8:12], "big")):
        if 512 <= size <= 32_768 and size & (size - 1) == 0:
            return size
    return PAGE_BYTES_DEFAULT


def _scan(pages: Mapping[int, bytes]) -> _Finds:
    finds = _Finds()
    for number, page in sorted(pages.items()):
        start = _FILE_HEADER_BYTES if number == 1 else 0
        if page[start] not in {_TABLE_LEAF, _INDEX_LEAF}:
            continue
        try:
            for key, row in _rows(page, start):
                _keep(finds, key, row)
        except (IndexError, ValueError):
            finds.unreadable += 1
    return finds


def _rows(page: bytes, start: int) -> Iterator[tuple[int, Row]]:
    """Row id and columns of every cell that lies in the page whole (§1.6, §2.1)."""
    count = int.from_bytes(page[start + 3 : start + 5], "big")
    for index in range(count):
        pointer = start + 8 + 2 * index
        at = int.from_bytes(page[pointer : pointer + 2], "big")
        size, at = _varint(page, at)
        key = 0
        if page[start] == _TABLE_LEAF:
            key, at = _varint(page, at)
        if at + size <= len(page):  # a longer row goes on in another page; none of ours is so long
            yield key, _columns(page[at : at + size])


def _columns(payload: bytes) -> Row:
    header_end, at = _varint(payload, 0)
    body, values = header_end, list[Value]()
    while at < header_end:
        kind, at = _varint(payload, at)
        value, body = _value(payload, body, kind)
        values.append(value)
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    """One column by its serial type (§2.1)."""
    if kind == 0:
        return None, at
    if kind in {8, 9}:
        return kind - 8, at
    length = _INTEGER_BYTES.get(kind, (kind - 12) // 2)
    data = payload[at : at + length]
    if len(data) != length or kind in {7, 10, 11}:
        raise ValueError(f"serial type {kind}")
    if kind < 7:
        return int.from_bytes(data, "big", signed=True), at + length
    return (data.decode() if kind % 2 else data), at + length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[at + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + index + 1
    return value << 8 | data[at + 8], at + 9


def _keep(finds: _Finds, key: int, row: Row) -> None:
    """Put a row where it belongs, by the types of its columns; others are left."""
    match row:
        case (None, str(), str() as card, str() as terminal, int(), int() | None, int() | None,
              bytes() as draft, bytes(), bytes() | None,
              *rest) if _is_application(rest):  # fmt: skip
            record, application = _decode(draft), rest[0] if rest else 0
            if record and (record.card_number, record.terminal, record.application) == (
                card, terminal, application,
            ):  # fmt: skip
                finds.taps[key] = (*row[:10], application)
        case (None, int(), str() as terminal, int() as serial, bytes() as data,
              int(), int(), int()):  # fmt: skip
            record = _decode(data)
            if record and (record.terminal, record.terminal_serial) == (terminal, serial):
                finds.records[key] = row
        case (str() as request_id, bytes(), int()):
            finds.requests[request_id] = row
        case (None, str() as until, int() | None) if _is_day(until):
            finds.holds[key] = row


def _is_application(rest: list[Value]) -> bool:
    """A row of format 2 ends before the application."""
    return not rest or (len(rest) == 1 and isinstance(rest[0], int))


def _decode(data: bytes) -> TransactionRecord | None:
    try:
        return decode_record(data)
    except RecordFormatError:
        return None


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _tap_rows(finds: _Finds) -> dict[int, Row]:
    """The taps as they go on, when the pages they stood on are of different age.

    An open tap whose record was found is recorded. Of two open taps of one purse the older one has
    ended in a row that is lost: it lapses, so that the register still counts it. So does one of an
    older format that no record of today can carry.
    """
    positions = {row[1]: position for position, row in enumerate(_in_order(finds.records), 1)}
    taps, waiting = dict[int, Row](), set[tuple[Value, Value]]()
    for tap, row in sorted(finds.taps.items(), reverse=True):
        request_id, card, terminal, state, outcome = row[1:6]
        purse, draft = (card, row[10]), row[7]
        assert isinstance(draft, bytes)
        if state == TapState.OPEN and tap in positions:
            state, outcome = TapState.RECORDED, TapOutcome.APPROVED
        elif state == TapState.OPEN:
            renewed = None if purse in waiting else _renewed(draft)
            if renewed is None:
                state, outcome = TapState.LAPSED, TapOutcome.UNRESOLVED
            else:
                waiting.add(purse)
                draft = renewed
        taps[tap] = (
            *(tap, request_id, card, terminal, state, outcome, positions.get(tap)),
            *(draft, *row[8:]),
        )
    return taps


def _renewed(draft: bytes) -> bytes | None:
    try:
        return renew_draft(draft)
    except ValueError:
        return None


def _in_order(rows: Mapping[int, Row]) -> list[Row]:
    return [row for _, row in sorted(rows.items())]


def _fill(
    database: sqlite3.Connection, finds: _Finds, taps: Mapping[int, Row], last_sequence: int
) -> None:
    """Write the finds into a fresh journal, in one transaction."""
    database.execute("BEGIN")
    database.executemany(
        "INSERT INTO taps VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        list(taps.values()),
    )
    database.executemany(
        "INSERT INTO requests VALUES (?, ?, ?)",
        [row for row in finds.requests.values() if row[2] in finds.taps],
    )
    # Positions close up again, because those of a journal have no holes.
    positions = {old: new for new, old in enumerate(sorted(finds.records), 1)}
    database.executemany(
        "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(new, *finds.records[old][1:]) for old, new in positions.items()],
    )
    database.executemany(
        "INSERT INTO holds VALUES (?, ?, NULL)",
        [
            (positions[old], until)
            for old, (_, until, sequence) in finds.holds.items()
            if old in positions and sequence is None
        ],
    )
    database.execute(
        "UPDATE collector SET serial_floor = ? + (SELECT coalesce(max(serial), 0) FROM records)",
        (SERIAL_MARGIN,),
    )
    if last_sequence:
        database.execute(
            "INSERT INTO batches VALUES (?, 1, 0, 0, '', 0, '', '{\"salvaged\": true}', 1)",
            (last_sequence,),
        )
    database.execute("COMMIT")
