"""Tables for people and for pipes: no figure, date or name is ever cut.

Decides how rows are laid out. On a terminal the columns that do not fit beside the others move into
a further line of their row, words with their head before them; words may go on in a next line, a
figure never does. A pipe gets whole plain values with tabs between them, and amounts in yuan
without signs: of each table first its title behind `# `, then the header.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text as Styled

from api.lines import wrap
from cardcore.money import yuan
from cardcore.text import Text, words

_GAP = 2
_INDENT = 2


@dataclass(frozen=True, slots=True)
class Fen:
    """An amount: two decimals for people, a plain decimal in a pipe."""

    amount_fen: int

    def __str__(self) -> str:
        return yuan(self.amount_fen)

    @property
    def plain(self) -> str:
        """Without currency and without marks between thousands."""
        sign, fen = "-" if self.amount_fen < 0 else "", abs(self.amount_fen)
        return f"{sign}{fen // 100}.{fen % 100:02}"


@dataclass(frozen=True, slots=True)
class Count:
    """A number: thousands marked for people, plain digits in a pipe."""

    number: int

    def __str__(self) -> str:
        return f"{self.number:,}"

    @property
    def plain(self) -> str:
        """Digits alone."""
        return str(self.number)


Cell = str | Text | Fen | Count | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column by what its head says. Amounts and numbers stand to the right, words may wrap."""

    head: Text
    right: bool = False
    words: bool = False


@dataclass(slots=True)
class Table:
    """A table while it is filled: a title, columns, rows of cells, and their style if they have
    one.
    """

    title: Text
    columns: Sequence[Column]
    rows: list[tuple[Sequence[Cell], str]] = field(default_factory=list)

    def add(self, *cells: Cell, style: str = "") -> None:
        """One row."""
        assert len(cells) == len(self.columns), cells
        self.rows.append((cells, style))


def amounts(title: Text, first: Text, *others: Text) -> Table:
    """A table of words in the first column and figures in the others."""
    return Table(title, [Column(first), *(Column(each, right=True) for each in others)])


def show(table: Table, console: Console) -> None:
    """Print a table, as wide as the terminal is; into a pipe, plainly."""
    if not console.is_terminal:
        lines = [cells for cells, _ in table.rows]
        heads = [str(each.head) for each in table.columns]
        if str(table.title):
            console.file.write(f"# {table.title}\n")
        for cells in (heads, *lines) if any(heads) else lines:
            console.file.write("\t".join(_plain(each) for each in cells) + "\n")
        return
    if str(table.title):
        console.print()
        console.print(Styled(str(table.title), "bold"), soft_wrap=True)
    for line in lay_out(table, console.width):
        console.print(line, soft_wrap=True)


def as_csv(table: Table) -> str:
    """The same as CSV, with whole plain values."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([str(each.head) for each in table.columns])
    writer.writerows([_plain(each) for each in cells] for cells, _ in table.rows)
    return out.getvalue()


def lay_out(table: Table, width: int) -> Iterable[Styled]:
    """The lines of a table that is to be `width` cells wide."""
    heads = [str(each.head) for each in table.columns]
    rows = [([_shown(each) for each in cells], style) for cells, style in table.rows]
    widths = [
        max((cell_len(part) for cells in column for part in cells.split("\n")), default=0)
        for column in zip(heads, *(cells for cells, _ in rows), strict=True)
    ]
    groups = _groups(table.columns, widths, width)
    for (number,) in _alone(table.columns, groups):
        rows = [([*cells], style) for cells, style in rows]
        for cells, _ in rows:
            cells[number] = cells[number] and f"{heads[number]}{words('：', ': ')}{cells[number]}"
        heads[number], widths[number] = "", width - _INDENT
    for line in _row(table.columns, heads, widths, groups) if any(heads) else ():
        yield Styled(line, "dim")
    for cells, style in rows:
        for line in _row(table.columns, cells, widths, groups):
            yield Styled(line, style)


def _groups(columns: Sequence[Column], widths: list[int], width: int) -> list[list[int]]:
    """Which columns stand on which line of a row. A column of words takes what is left."""
    groups: list[list[int]] = []
    left = -1
    for number, column in enumerate(columns):
        needed = widths[number] if not column.words else min(widths[number], width // 3)
        if left < needed:
            groups.append([])
            left = width - (_INDENT if len(groups) > 1 else 0)
        groups[-1].append(number)
        left -= needed + _GAP
    for index, group in enumerate(groups):
        room = width - (_INDENT if index else 0) - _GAP * (len(group) - 1)
        wordy = [number for number in group if columns[number].words]
        fixed = sum(widths[number] for number in group if not columns[number].words)
        for number in wordy:
            widths[number] = max(8, min(widths[number], (room - fixed) // len(wordy)))
    return groups


def _alone(columns: Sequence[Column], groups: Sequence[list[int]]) -> Iterable[list[int]]:
    """Columns of words that have a further line for themselves."""
    return (group for group in groups[1:] if len(group) == 1 and columns[group[0]].words)


def _row(
    columns: Sequence[Column],
    cells: Sequence[str],
    widths: Sequence[int],
    groups: Sequence[Sequence[int]],
) -> Iterable[str]:
    for index, group in enumerate(groups):
        parts = [_lines(columns[each], cells[each], widths[each]) for each in group]
        if index and not any(any(each) for each in parts):
            continue
        for line in range(max(len(each) for each in parts)):
            said = []
            for number, part in zip(group, parts, strict=True):
                text = part[line] if line < len(part) else ""
                room = " " * max(0, widths[number] - cell_len(text))
                said.append(room + text if columns[number].right else text + room)
            yield (" " * _INDENT * bool(index) + (" " * _GAP).join(said)).rstrip()


def _lines(column: Column, cell: str, width: int) -> list[str]:
    if not column.words:
        return cell.split("\n")
    return [line for part in cell.split("\n") for line in wrap(part, width)]


def _shown(cell: Cell) -> str:
    return "" if cell is None else str(cell)


def _plain(cell: Cell) -> str:
    said = cell.plain if isinstance(cell, Fen | Count) else _shown(cell)
    return " ".join(said.split())
