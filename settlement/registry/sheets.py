"""Rows of one kind as a CSV file: written as it is read.

Decides the columns, and what a file says of the subjects it names: all their rows, from the first
to the last. Where a subject's last line ends, the subject ends; days before its first line that are
registered must stand in the file too, so that nobody loses the past by leaving it out. What the
registry says itself (when a row was told) may be repeated and is never taken. Subjects the
file does not name stay as they are. A file is taken whole or not at all, and every fault is named
with its line and column.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from itertools import pairwise

from cardcore.text import Text
from settlement.registry.book import BEGINNING, FOREVER, AnyDated, Book, Dated, NewChange
from settlement.registry.columns import Day, Value, ValueFaultError
from settlement.registry.decide import (
    Decided,
    Refused,
    RegistryRefusal,
    check_references,
    describe,
    notes_of,
)
from settlement.registry.rows import KINDS, Kind, stated

VALID_FROM, VALID_TO = "valid_from", "valid_to"
#: So many faults are named; a file with more has one fault that repeats itself.
FAULTS_MAX = 20
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SheetFault:
    """What is wrong at one place of a file. `line` counts from 1, the header being the first."""

    line: int
    column: str
    fault: Text


@dataclass(frozen=True, slots=True)
class SheetLine:
    """A row of a file, and where it stands."""

    number: int
    dated: AnyDated


def write_sheet(kind: Kind, rows: Iterable[AnyDated]) -> str:
    """Rows as a CSV text; open days are empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*(each.name for each in kind.columns), VALID_FROM, VALID_TO])
    for each in rows:
        values = asdict(each.row)
        first = "" if each.valid_from == BEGINNING else each.valid_from.isoformat()
        last = "" if each.valid_to == FOREVER else each.valid_to.isoformat()
        cells = [column.write(values[column.name]) for column in kind.columns]
        writer.writerow([*cells, first, last])
    return text.getvalue()


def read_sheet(
    kind: Kind, data: bytes, faults_max: int = FAULTS_MAX
) -> tuple[list[SheetLine], list[SheetFault]]:
    """The rows of a CSV file, and everything that is wrong with it. Columns stand in any order."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        return [], [SheetFault(line, "", Text("不是 UTF-8 文本", "is no text in UTF-8"))]
    reader = csv.reader(io.StringIO(text), strict=True)
    lines: list[SheetLine] = []
    faults: list[SheetFault] = []
    try:
        header = next(reader, [])
        faults += _header_faults(kind, header)
        begins = reader.line_num + 1  # a cell may hold ends of lines
        for cells in [] if faults else reader:
            number, begins = begins, reader.line_num + 1
            if not any(cells):
                continue
            read = _read_line(kind, header, cells, number)
            if isinstance(read, SheetLine):
                lines.append(read)
            else:
                faults += read
            if len(faults) >= faults_max:
                break
    except csv.Error:
        said = Text("不是 CSV：引号不成对或有多余字符", "is no CSV: a quote or a sign too many")
        faults.append(SheetFault(max(1, reader.line_num), "", said))
    return lines, faults[:faults_max]


def decide_sheet(
    book: Book, kind: Kind, lines: Sequence[SheetLine], last_closed: date | None
) -> Decided | list[SheetFault]:
    """The changes after which the subjects of a file read as it says, or what speaks against it."""
    changes: list[tuple[int, NewChange]] = []
    faults: list[SheetFault] = []
    of_subject: dict[str, list[SheetLine]] = {}
    for line in lines:
        of_subject.setdefault(line.dated.subject[1], []).append(line)
    for subject, said in of_subject.items():
        said.sort(key=lambda line: line.dated.valid_from)
        if fault := days_fault(book, kind, subject, said):
            faults.append(fault)
            continue
        for number, change in differences(book, kind, subject, said):
            book.enter(change)
            changes.append((number, change))
    # Whoever is named may stand further down in the same file.
    for number, change in changes:
        if refused := check_references(book, change):
            faults.append(fault_at(number, refused))
    if faults:
        return sorted(faults, key=lambda fault: fault.line)[:FAULTS_MAX]
    made = tuple(change for _, change in changes)
    return Decided(made, notes_of(made, last_closed))


def _header_faults(kind: Kind, header: Sequence[str]) -> list[SheetFault]:
    names = [*(each.name for each in kind.columns), VALID_FROM, VALID_TO]
    needed = {each.name for each in kind.columns if not each.optional}
    faults = [
        SheetFault(
            1,
            name,
            Text(
                f"未知列，可用 {'、'.join(names)}", f"no such column; there are {', '.join(names)}"
            ),
        )
        for name in header
        if name not in names
    ]
    faults += [
        SheetFault(1, name, Text("列重复", "the column stands twice"))
        for name, count in Counter(header).items()
        if count > 1
    ]
    faults += [
        SheetFault(1, name, Text("缺少此列", "the column is missing"))
        for name in names
        if name in needed and name not in header
    ]
    return faults


def _read_line(
    kind: Kind, header: Sequence[str], cells: Sequence[str], number: int
) -> SheetLine | list[SheetFault]:
    if len(cells) != len(header):
        zh, en = (
            f"应有 {len(header)} 列，实为 {len(cells)} 列",
            f"{len(cells)} cells, not {len(header)}",
        )
        return [SheetFault(number, "", Text(zh, en))]
    given = dict(zip(header, cells, strict=True))
    values: dict[str, Value] = {}
    faults: list[SheetFault] = []
    for column in kind.columns:
        try:
            values[column.name] = column.read(given.get(column.name, ""))
        except ValueFaultError as error:
            faults.append(SheetFault(number, column.name, error.fault))
    period: list[date] = []
    for name, unstated in ((VALID_FROM, BEGINNING), (VALID_TO, FOREVER)):
        try:
            period.append(read_day(given.get(name, "")) or unstated)
        except ValueFaultError as error:
            faults.append(SheetFault(number, name, error.fault))
    if not faults and period[1] < period[0]:
        faults.append(SheetFault(number, VALID_TO, RegistryRefusal.END_BEFORE_START.value))
    return faults or SheetLine(number, Dated(kind.make(values), *period))


def read_day(text: str) -> date | None:
    """A day as YYYY-MM-DD; None for an empty text.

    >>> read_day("2026-06-30"), read_day("")
    (datetime.date(2026, 6, 30), None)
    """
    if not text:
        return None
    return date.fromisoformat(Day().read(text))


def days_fault(
    book: Book,
    kind: Kind,
    subject: str,
    said: Sequence[SheetLine],
    *,
    may_state_own: bool = False,
) -> SheetFault | None:
    """What is wrong with the days of a subject's lines, which stand in order of their first day.
    What the registry says itself only a city taken over may state.
    """
    for before, line in pairwise(said):
        if line.dated.valid_from <= before.dated.valid_to:
            at = Text(f"第 {before.number} 行", f"line {before.number}")
            refused = Refused(RegistryRefusal.OVERLAP, at)
            return fault_at(line.number, refused)
        first, last = before.dated.valid_to + _DAY, line.dated.valid_from - _DAY
        if first <= last and (not kind.may_pause or book.within(kind.name, subject, first, last)):
            hole = f"{first} - {last}"
            return fault_at(line.number, Refused(RegistryRefusal.HOLE, Text(hole, hole)))
    for line in () if may_state_own else said:
        dated = line.dated
        days_held = book.within(kind.name, subject, dated.valid_from, dated.valid_to)
        if dated.row != stated(dated.row) and all(
            _own(kind, each) != _own(kind, dated) for each in days_held
        ):
            return fault_at(line.number, Refused(RegistryRefusal.NOT_TO_STATE, describe(dated)))
    held = book.rows(kind.name, subject)
    if held and held[0].valid_from < said[0].dated.valid_from:
        return fault_at(said[0].number, Refused(RegistryRefusal.HOLE, describe(held[0])))
    return None


def differences(
    book: Book, kind: Kind, subject: str, said: Sequence[SheetLine], *, keep_own: bool = False
) -> list[tuple[int, NewChange]]:
    """The changes that make a subject read as its lines say, with what they state of what the
    registry says itself, or without it.
    """
    changes = []
    for line in said:
        first, last = line.dated.valid_from, line.dated.valid_to
        held = book.within(kind.name, subject, first, last)
        row = stated(line.dated.row)
        is_so = all(stated(each.row) == row for each in held)
        if keep_own:
            row = line.dated.row
        if not is_so or not book.is_covered(kind.name, subject, first, last):
            changes.append((line.number, NewChange(kind.name, subject, row, first, last)))
    final = said[-1].dated.valid_to
    beyond = [] if final == FOREVER else book.within(kind.name, subject, final + _DAY, FOREVER)
    if beyond:
        end = NewChange(kind.name, subject, None, final + _DAY, beyond[-1].valid_to)
        changes.append((said[-1].number, end))
    return changes


def _own(kind: Kind, dated: AnyDated) -> list[Value]:
    """What the registry says itself of a row."""
    values = asdict(dated.row)
    return [values[each.name] for each in kind.columns if each.is_own]


def fault_at(line: int, refused: Refused) -> SheetFault:
    """A refusal as the fault of a line, at the column that shows it."""
    column = {
        RegistryRefusal.OVERLAP: VALID_FROM,
        RegistryRefusal.HOLE: VALID_FROM,
        RegistryRefusal.PARTICIPANT_IN_USE: VALID_TO,
        RegistryRefusal.NOT_TO_STATE: "published",
        RegistryRefusal.KEY_VERSION_NOT_NEW: "key_version",
    }.get(refused.refusal, "participant")
    return SheetFault(line, column, refused.text)


def sheet_document(dated: AnyDated) -> Mapping[str, Value]:
    """A row as a JSON object: its columns as people write them, and its days."""
    kind = KINDS[dated.subject[0]]
    values = asdict(dated.row)
    return {each.name: each.write(values[each.name]) for each in kind.columns} | {
        VALID_FROM: None if dated.valid_from == BEGINNING else dated.valid_from.isoformat(),
        VALID_TO: None if dated.valid_to == FOREVER else dated.valid_to.isoformat(),
    }
