"""Serials that no file brought, and device registers that differ from their records.

Decides nothing: runs found both. A register differs on the day that read it, and stays so.
"""

from datetime import date

from cardcore.text import Text
from settlement.city import City
from settlement.reports.open_items.records import DAY_OF_FILE
from settlement.reports.open_items.values import (
    AGE,
    DAY,
    ITEM,
    REASON,
    TERMINAL,
    Field,
    FieldKind,
    Filter,
    Noun,
    Question,
    Reason,
    Relation,
)
from settlement.rulings.kinds import RulingKind
from settlement.rulings.subjects import Subject, SubjectError
from settlement.service.runs import closed_outputs, last_outputs
from settlement.store.days import load_days_between

_TERMINAL = "lpad(lower(to_hex(terminal)), 12, '0')"
_SERIALS = f"""
SELECT
    'serials/' || {_TERMINAL} || '/' || first_serial || '-' || last_serial AS item, 0 AS reason,
    {_TERMINAL} AS terminal, first_serial, last_serial,
    last_serial - first_serial + 1 AS missing, opened_day AS day, 0 AS amount_fen
FROM read_parquet($paths) WHERE state = gap_open()
"""  # noqa: S608 - texts of ours
#: What the device counted and no record says is positive; what records say beyond that, negative.
_REGISTERS = f"""
SELECT
    *, 'register/' || day || '/' || terminal AS item,
    CASE WHEN records_short > 0 THEN 1 WHEN records_short < 0 THEN 2 ELSE 3 END AS reason,
    debit_fen + load_fen AS amount_fen
FROM (
    SELECT
        {_TERMINAL} AS terminal, expected_records, found_records,
        expected_records - found_records AS records_short,
        expected_debit_fen - found_debit_fen AS debit_fen,
        expected_load_fen - found_load_fen AS load_fen, {DAY_OF_FILE}
    FROM read_parquet($paths, filename = true)
)
"""  # noqa: S608 - texts of ours


def _serials(city: City, _as_of: date | None, _question: Question) -> Relation | None:
    paths = [str(each) for each in last_outputs(city, "terminals/terminal_gaps")]
    return Relation(_SERIALS, {"paths": paths})


def _registers(city: City, as_of: date | None, question: Question) -> Relation | None:
    assert as_of is not None  # no register was read before a day was closed
    first, last = question.first, question.last
    if question.item is not None:
        first = last = _day_named(question.item)
    days = load_days_between(city.database, first or date.max, last or as_of)
    name = "terminals/register_differences"
    paths = [str(path) for day in days for path in closed_outputs(city, day, name)]
    return Relation(_REGISTERS, {"paths": paths}) if paths else None


def _day_named(item: str) -> date | None:
    """Of a register, by its grammar."""
    try:
        return date.fromisoformat(Subject.parse(item).parts[0])
    except (SubjectError, ValueError):
        return None


SERIALS = Noun(
    "serials",
    Text("缺失的终端流水号", "Missing serials"),
    Text(
        "终端按序计号，其中这些号没有任何文件送来；缺多少钱由卡链得知，此处无金额",
        "a terminal counts without holes, and no file brought these numbers; the cards tell what "
        "they are worth (`onecard gaps list`), so there is no amount here",
    ),
    Text("没有缺失的流水号", "no serial is missing"),
    (
        ITEM,
        REASON,
        TERMINAL,
        Field("first_serial", Text("起", "first"), FieldKind.COUNT),
        Field("last_serial", Text("止", "last"), FieldKind.COUNT),
        Field("missing", Text("个数", "missing"), FieldKind.COUNT),
        Field("day", Text("发现日", "found on")),
        AGE,
    ),
    _serials,
    frozenset({Filter.TERMINAL, Filter.DAYS, Filter.AGE}),
    "day",
    (
        Reason(
            "MISSING",
            0,
            Text("无文件送来", "no file brought them"),
            Text("其采集方补送含这些号的文件", "its collector sends the files that have them"),
        ),
    ),
    has_money=False,
    rules=(RulingKind.SERIALS_SKIP,),
    closed_by=frozenset({RulingKind.SERIALS_SKIP}),
)
_STAYS = Text(
    "不会自行消失：补送的记录计入其后的日，须由两人确认",
    "nothing: records that still come count on a later day; two people acknowledge it",
)
REGISTERS = Noun(
    "registers",
    Text("计数器差异", "Registers that differ"),
    Text(
        "设备自己的累计数与当日收到的记录不符；记录多于或少于设备所计者都列出",
        "what a device counted itself is not what the records of that day add up to; more as well "
        "as less is listed",
    ),
    Text("没有计数器差异", "no register differs"),
    (
        ITEM,
        REASON,
        TERMINAL,
        DAY,
        AGE,
        Field("expected_records", Text("设备笔数", "device records"), FieldKind.COUNT),
        Field("found_records", Text("文件笔数", "file records"), FieldKind.COUNT),
        Field("debit_fen", Text("扣款差", "debits short"), FieldKind.AMOUNT),
        Field("load_fen", Text("充值差", "loads short"), FieldKind.AMOUNT),
    ),
    _registers,
    frozenset({Filter.REASON, Filter.TERMINAL, Filter.DAYS, Filter.AGE}),
    "day",
    (
        Reason("RECORDS_SHORT", 1, Text("记录少于设备所计", "fewer records than counted"), _STAYS),
        Reason("RECORDS_OVER", 2, Text("记录多于设备所计", "more records than counted"), _STAYS),
        Reason("SUMS_DIFFER", 3, Text("笔数相符，金额不符", "as many records, other sums"), _STAYS),
    ),
    is_windowed=True,
    rules=(RulingKind.REGISTERS_ACKNOWLEDGE,),
    closed_by=frozenset({RulingKind.REGISTERS_ACKNOWLEDGE}),
)
