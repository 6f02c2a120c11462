"""Published tap files: rows of CSV to taps. Decides what a row means and which rows are wrong;
leaves driving them to `replay`. Columns are found by name, since releases of the set differ in
order. Nothing is done with a file before every row of it has been read.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from cardcore.records.kinds import RecordKind
from cardcore.schemes import Participant, Scheme

#: Columns of set 29200_00403601 of Shenzhen's open-data platform that a replay needs.
COLUMNS = (
    "card_no", "deal_date", "deal_type", "deal_money", "deal_value", "equ_no",
    "company_name", "station", "car_no", "conn_mark", "close_date",
)  # fmt: skip
TAP_KINDS = {
    "地铁入站": RecordKind.ENTRY,
    "地铁出站": RecordKind.EXIT,
    "巴士": RecordKind.PURCHASE,
}
#: Taps of one file lie within this of each other: well inside the life of a card.
FILE_SPAN_MAX = timedelta(days=3 * 365)
#: A tap just after midnight may be settled with the day before.
CLOCK_AHEAD_MAX = timedelta(days=1)
AMOUNT_FEN_MAX = 100_000  # the largest balance a named card may hold bounds every fare


class TapsFileError(Exception):
    """A tap file that cannot be replayed; says line, column and what is wrong."""

    def __init__(self, line: int, column: str, reason: str) -> None:
        place = f"line {line}, column {column}" if column else f"line {line}"
        super().__init__(f"{place}: {reason}")
        self.line = line
        self.column = column


@dataclass(frozen=True, slots=True)
class Tap:
    """One published tap. `copies` counts exact copies of the row beyond the first."""

    row: int
    masked_card: str
    time: datetime
    kind: RecordKind
    tariff_fen: int
    charged_fen: int
    terminal: str  # 12 digits
    operator: Participant
    place: str  # metro station or bus line; empty when the row names none
    vehicle: str  # gate or bus; empty when the row names none
    transfer_mark: bool
    settlement_day: date
    copies: int = 0


@dataclass(frozen=True, slots=True)
class TapsFile:
    """A whole file: taps in order of time, and how many rows it had."""

    taps: tuple[Tap, ...]
    rows: int
    content_hash: str


def read_taps_file(path: Path, scheme: Scheme) -> TapsFile:
    """Read and check every row. `TapsFileError` for the first one that is wrong."""
    content = path.read_bytes()
    reader = csv.reader(io.StringIO(_decode(content), newline=""), strict=True)
    seen: dict[tuple[str, ...], int] = {}
    taps: list[Tap] = []
    copies: list[int] = []
    rows = 0
    for line, cells in _table(reader):
        rows += 1
        # A row that repeats another in every column is the same record uploaded twice.
        if (first := seen.setdefault(cells, len(taps))) < len(taps):
            copies[first] += 1
            continue
        taps.append(_read_row(line, dict(zip(COLUMNS, cells, strict=True)), scheme))
        copies.append(0)
    if not taps:
        raise TapsFileError(1, "", "the file holds a header and no rows")
    _check_days(taps)
    ordered = sorted(
        (replace(tap, copies=count) for tap, count in zip(taps, copies, strict=True)),
        key=lambda tap: (tap.time, tap.row),
    )
    return TapsFile(tuple(ordered), rows, hashlib.sha256(content).hexdigest())


def _check_days(taps: Sequence[Tap]) -> None:
    """A file is some days of one city; a date far from the others is a broken one.

    A terminal's clock may run ahead of the office by a day, and records may come late, but no
    card of the file lives longer than `FILE_SPAN_MAX`.
    """
    middle = sorted(tap.time for tap in taps)[len(taps) // 2]
    for tap in taps:
        if abs(tap.time - middle) > FILE_SPAN_MAX:
            raise TapsFileError(tap.row, "deal_date", f"{tap.time} is years from the other rows")
        if tap.settlement_day < tap.time.date() - CLOCK_AHEAD_MAX:
            raise TapsFileError(
                tap.row, "close_date", f"{tap.settlement_day} is before the tap at {tap.time}"
            )
        if tap.settlement_day > tap.time.date() + FILE_SPAN_MAX:
            raise TapsFileError(
                tap.row, "close_date", f"{tap.settlement_day} is years after the tap at {tap.time}"
            )


def _decode(content: bytes) -> str:
    """Text of the file: UTF-8, or GB 18030 as older exports of the platform are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return content.decode("gb18030")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise TapsFileError(line, "", "neither UTF-8 nor GB 18030 text") from error


def _table(reader: Iterator[list[str]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and the needed cells of every row, in the order of COLUMNS."""
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        positions = []
        for name in COLUMNS:
            if header.count(name) != 1:
                what = "is missing" if name not in header else "stands twice"
                raise TapsFileError(1, name, f"the column {what}; the header is {header}")
            positions.append(header.index(name))
        for line, row in enumerate(reader, start=2):
            if not row:
                continue
            if len(row) != len(header):
                raise TapsFileError(line, "", f"{len(row)} cells, the header has {len(header)}")
            yield line, tuple(row[position].strip() for position in positions)
    except csv.Error as error:
        raise TapsFileError(line + 1, "", f"not CSV: {error}") from error


def _read_row(line: int, cells: dict[str, str], scheme: Scheme) -> Tap:
    kind = TAP_KINDS.get(cells["deal_type"])
    if kind is None:
        known = "、".join(TAP_KINDS)
        raise TapsFileError(
            line, "deal_type", f"{cells['deal_type']!r} is not a tap kind; known are {known}"
        )
    operator = scheme.participant(cells["company_name"])
    if operator is None:
        raise TapsFileError(
            line,
            "company_name",
            f"{cells['company_name']!r} is not an operator of scheme {scheme.name}",
        )
    if not re.fullmatch(r"[0-9A-Za-z*]{1,20}", cells["card_no"]):
        raise TapsFileError(line, "card_no", f"{cells['card_no']!r} is not a masked card number")
    if not re.fullmatch(r"[0-9]{1,11}", cells["equ_no"]):
        raise TapsFileError(line, "equ_no", f"{cells['equ_no']!r} is not a device number")
    if cells["conn_mark"] not in {"0", "1"}:
        raise TapsFileError(line, "conn_mark", f"{cells['conn_mark']!r} is neither 0 nor 1")
    return Tap(
        row=line,
        masked_card=cells["card_no"],
        time=_moment(line, "deal_date", cells["deal_date"]),
        kind=kind,
        tariff_fen=_amount(line, "deal_value", cells["deal_value"]),
        charged_fen=_amount(line, "deal_money", cells["deal_money"]),
        terminal=cells["equ_no"].zfill(12),
        operator=operator,
        place=cells["station"],
        vehicle=cells["car_no"],
        transfer_mark=cells["conn_mark"] == "1",
        settlement_day=_moment(line, "close_date", cells["close_date"]).date(),
    )


def _amount(line: int, column: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > AMOUNT_FEN_MAX:
        raise TapsFileError(
            line, column, f"{text!r} is not a whole number of fen from 0 to {AMOUNT_FEN_MAX}"
        )
    return int(text)


def _moment(line: int, column: str, text: str) -> datetime:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError as error:
        raise TapsFileError(line, column, f"{text!r} is not a date and time") from error
