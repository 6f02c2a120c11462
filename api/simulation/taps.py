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
from cardcore.text import Text, shorten

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
_NO_CSV = Text("不是 CSV：引号不成对或换行有误", "not CSV: a quote or a line end is out of place")
#: What moves a cursor or turns the direction of writing has no place in a name.
_CONTROL = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")
#: Codes of operators taken up from files stand above every code of a scheme, by their names.
_TAKEN_UP_FROM, _TAKEN_UP_CODES = 10_000_000, 89_000_000


class TapsFileError(Exception):
    """A tap file that cannot be replayed; says line, column and what is wrong."""

    def __init__(self, line: int, column: str, reason: Text) -> None:
        zh, en = f"第 {line} 行", f"line {line}"
        if column:
            zh, en = f"{zh} {column} 列", f"{en}, column {column}"
        super().__init__(Text(f"{zh}：{reason.zh}", f"{en}: {reason.en}"))
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
        raise TapsFileError(
            1, "", Text("只有表头，没有数据", "the file holds a header and no rows")
        )
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
            far = Text(f"{tap.time} 与其他行相距数年", f"{tap.time} is years from the other rows")
            raise TapsFileError(tap.row, "deal_date", far)
        if tap.settlement_day < tap.time.date() - CLOCK_AHEAD_MAX:
            early = Text(
                f"{tap.settlement_day} 早于刷卡时间 {tap.time}",
                f"{tap.settlement_day} is before the tap at {tap.time}",
            )
            raise TapsFileError(tap.row, "close_date", early)
        if tap.settlement_day > tap.time.date() + FILE_SPAN_MAX:
            late = Text(
                f"{tap.settlement_day} 比刷卡时间 {tap.time} 晚数年",
                f"{tap.settlement_day} is years after the tap at {tap.time}",
            )
            raise TapsFileError(tap.row, "close_date", late)


def _decode(content: bytes) -> str:
    """Text of the file: UTF-8, or GB 18030 as older exports of the platform are."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        try:
            return content.decode("gb18030")
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            reason = Text("既非 UTF-8 也非 GB 18030 文字", "neither UTF-8 nor GB 18030 text")
            raise TapsFileError(line, "", reason) from error


def _table(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line number and the needed cells of every row, in the order of COLUMNS. A row's line is the
    one it starts on: a quoted cell may hold line breaks.
    """
    if text.lstrip().startswith(("{", "[")):
        reason = Text(
            "这是 JSON；刷卡数据文件是带表头的 CSV", "this is JSON; a tap file is CSV with a header"
        )
        raise TapsFileError(1, "", reason)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        header = [name.strip() for name in next(reader, [])]
        positions = []
        for name in COLUMNS:
            if header.count(name) != 1:
                what = Text("出现两次", "stands twice")
                if name not in header:
                    what = Text("缺失", "is missing")
                found = shorten(",".join(header))
                reason = Text(
                    f"此列{what.zh}；表头为 {found}", f"the column {what.en}; the header is {found}"
                )
                raise TapsFileError(1, name, reason)
            positions.append(header.index(name))
        line = reader.line_num + 1
        for row in reader:
            if row:
                if len(row) != len(header):
                    reason = Text(
                        f"有 {len(row)} 格，表头有 {len(header)} 格",
                        f"{len(row)} cells, the header has {len(header)}",
                    )
                    raise TapsFileError(line, "", reason)
                yield line, tuple(_cell(line, header[at], row[at]) for at in positions)
            line = reader.line_num + 1
    except csv.Error as error:
        raise TapsFileError(line, "", _NO_CSV) from error


def _cell(line: int, column: str, text: str) -> str:
    """A cell in one line, without blanks around it; control characters are refused."""
    text = " ".join(text.split())
    if _CONTROL.search(text):
        raise TapsFileError(line, column, _said(text, "含有控制字符", "holds control characters"))
    return text


def _read_row(line: int, cells: dict[str, str], scheme: Scheme) -> Tap:
    kind = TAP_KINDS.get(cells["deal_type"])
    if kind is None:
        reason = _said(
            cells["deal_type"],
            f"不是刷卡种类；有 {'、'.join(TAP_KINDS)}",
            f"is not a tap kind; known are {', '.join(TAP_KINDS)}",
        )
        raise TapsFileError(line, "deal_type", reason)
    operator = scheme.participant(cells["company_name"])
    if operator is None:
        operator = _taken_up(line, cells["company_name"])
    if not re.fullmatch(r"[0-9A-Za-z*]{1,20}", cells["card_no"]):
        reason = _said(cells["card_no"], "不是脱敏的卡号", "is not a masked card number")
        raise TapsFileError(line, "card_no", reason)
    if not re.fullmatch(r"[0-9]{1,11}", cells["equ_no"]):
        reason = _said(cells["equ_no"], "不是设备编号", "is not a device number")
        raise TapsFileError(line, "equ_no", reason)
    if cells["conn_mark"] not in {"0", "1"}:
        reason = _said(cells["conn_mark"], "既非 0 也非 1", "is neither 0 nor 1")
        raise TapsFileError(line, "conn_mark", reason)
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
        reason = _said(name, "不是运营商名称", "is not an operator's name")
        raise TapsFileError(line, "company_name", reason)
    digest = hashlib.sha256(name.encode()).digest()
    code = _TAKEN_UP_FROM + int.from_bytes(digest[:8], "big") % _TAKEN_UP_CODES
    return Participant(code, name, ParticipantKind.OPERATOR, Sector.TRANSIT, (code,))


def _amount(line: int, column: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > AMOUNT_FEN_MAX:
        reason = _said(
            text,
            f"不是 0 至 {AMOUNT_FEN_MAX} 的整数分",
            f"is not a whole number of fen from 0 to {AMOUNT_FEN_MAX}",
        )
        raise TapsFileError(line, column, reason)
    return int(text)


def _moment(line: int, column: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo is None else _in_city(moment)
    except (ValueError, OverflowError) as error:
        reason = _said(text, "不是日期时间", "is not a date and time")
        raise TapsFileError(line, column, reason) from error


def _said(text: str, zh: str, en: str) -> Text:
    """What is wrong with a cell, after what stands in it."""
    given = shorten(text)
    named = Text(given, given) if given else Text("空白", "an empty cell")
    return Text(f"{named.zh} {zh}", f"{named.en} {en}")


def _in_city(moment: datetime) -> datetime:
    """What the clocks of the city showed."""
    return moment.astimezone(CITY_TIME).replace(tzinfo=None)
