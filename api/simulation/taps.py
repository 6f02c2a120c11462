"""Published tap files: rows of CSV to taps. Decides what a row means and which rows are wrong;
leaves driving them to `replay`. Nothing is done with a file before every row of it has been read.

Releases of the set differ in the order of their columns, in quotes and encoding, and in which of
the city's operators they show: columns are found by name, and an operator the scheme does not list
is taken up from the file. A time with an offset is turned into the time of the city.
"""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

from cardcore.records.kinds import RecordKind, Sector
from cardcore.schemes import Participant, ParticipantKind, Scheme
from cardcore.text import quoted

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
#: Every city of these schemes keeps the time of Beijing.
CITY_TIME = timezone(timedelta(hours=8))
_NAME_CHARACTERS_MAX = 40
#: What moves a cursor or turns the direction of writing has no place in a name.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")
#: Codes of operators taken up from files stand above every code of a scheme, by their names.
_TAKEN_UP_FROM, _TAKEN_UP_CODES = 10_000_000, 89_000_000


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
    seen: dict[tuple[str, ...], int] = {}
    taps: list[Tap] = []
    copies: list[int] = []
    rows = 0
    for line, cells in _table(_decode(content)):
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


def _table(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and the needed cells of every row, in the order of COLUMNS. A row's line is the
    one it starts on: a quoted cell may hold line breaks.
    """
    if text.lstrip().startswith(("{", "[")):
        raise TapsFileError(1, "", "this is JSON; a tap file is CSV with a header")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        positions = []
        for name in COLUMNS:
            if header.count(name) != 1:
                what = "is missing" if name not in header else "stands twice"
                found = quoted(",".join(header))
                raise TapsFileError(1, name, f"the column {what}; the header is {found}")
            positions.append(header.index(name))
        line = reader.line_num + 1
        for row in reader:
            if row:
                if len(row) != len(header):
                    raise TapsFileError(line, "", f"{len(row)} cells, the header has {len(header)}")
                yield line, tuple(_cell(line, header[at], row[at]) for at in positions)
            line = reader.line_num + 1
    except csv.Error as error:
        raise TapsFileError(line, "", f"not CSV: {error}") from error


def _cell(line: int, column: str, text: str) -> str:
    """A cell in one line, without blanks around it; control characters are refused."""
    text = " ".join(text.split())
    if _CONTROL.search(text):
        raise TapsFileError(line, column, f"{quoted(text)} holds control characters")
    return text


def _read_row(line: int, cells: dict[str, str], scheme: Scheme) -> Tap:
    kind = TAP_KINDS.get(cells["deal_type"])
    if kind is None:
        known = "、".join(TAP_KINDS)
        raise TapsFileError(
            line, "deal_type", f"{quoted(cells['deal_type'])} is not a tap kind; known are {known}"
        )
    operator = scheme.participant(cells["company_name"])
    if operator is None:
        operator = _taken_up(line, cells["company_name"])
    if not re.fullmatch(r"[0-9A-Za-z*]{1,20}", cells["card_no"]):
        raise TapsFileError(
            line, "card_no", f"{quoted(cells['card_no'])} is not a masked card number"
        )
    if not re.fullmatch(r"[0-9]{1,11}", cells["equ_no"]):
        raise TapsFileError(line, "equ_no", f"{quoted(cells['equ_no'])} is not a device number")
    if cells["conn_mark"] not in {"0", "1"}:
        raise TapsFileError(line, "conn_mark", f"{quoted(cells['conn_mark'])} is neither 0 nor 1")
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


def _taken_up(line: int, name: str) -> Participant:
    """An operator that the scheme does not list: cities have registries, and a file shows who was
    in one. Its code comes from its name, so every file gives it the same.
    """
    if not 0 < len(name) <= _NAME_CHARACTERS_MAX:
        raise TapsFileError(line, "company_name", f"{quoted(name)} is not an operator's name")
    digest = hashlib.sha256(name.encode()).digest()
    code = _TAKEN_UP_FROM + int.from_bytes(digest[:8], "big") % _TAKEN_UP_CODES
    return Participant(code, name, ParticipantKind.OPERATOR, Sector.TRANSIT, (code,))


def _amount(line: int, column: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > AMOUNT_FEN_MAX:
        raise TapsFileError(
            line, column, f"{quoted(text)} is not a whole number of fen from 0 to {AMOUNT_FEN_MAX}"
        )
    return int(text)


def _moment(line: int, column: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else _in_city(moment)
    except (ValueError, OverflowError) as error:
        raise TapsFileError(line, column, f"{quoted(text)} is not a date and time") from error


def _in_city(moment: datetime) -> datetime:
    """What the clocks of the city showed."""
    return moment.astimezone(CITY_TIME).replace(tzinfo=None)
