"""Suspended records, claims, and records with a note, as closed days left them.

Decides which records are open: what waits after the last closed day, claims that nothing waits for,
and what the days of a question noted. Leaves what may be ruled of them to `settlement.rulings`.
"""

from dataclasses import replace
from datetime import date

from cardcore.text import Text
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.dispositions import Note
from settlement.dispositions import Reason as Judged
from settlement.facts import columnar
from settlement.reports.open_items.values import (
    AGE,
    AMOUNT,
    CARD,
    DAY,
    ITEM,
    REASON,
    TERMINAL,
    Field,
    FieldKind,
    Filter,
    Line,
    Noun,
    Question,
    Reason,
    Relation,
)
from settlement.rulings.kinds import RulingKind
from settlement.rulings.subjects import Subject, SubjectError
from settlement.service.runs import closed_outputs, last_outputs
from settlement.store.days import load_days, load_days_between, load_reviewing_days
from settlement.store.files import load_file_lines

_ROW = """
    'record/' || lpad(lower(to_hex(file)), 16, '0') || '/' || row AS item, time,
    lpad(lower(to_hex(terminal)), 12, '0') AS terminal,
    lpad(lower(to_hex(terminal)), 12, '0') || '-' || lpad(terminal_serial::VARCHAR, 8, '0')
        AS record,
    operator AS participant, lpad(card_number::VARCHAR, 20, '0') AS card_number,
    amount_fen::BIGINT AS amount_fen
"""
#: The day in the name of a run's file.
DAY_OF_FILE = "regexp_extract(filename, '/runs/([0-9-]{10})/', 1)::DATE AS day"
_WAITING = f"SELECT {_ROW}, reason, settlement_day AS day FROM read_parquet($waiting)"  # noqa: S608 - texts of ours
_HOPELESS = f"""
SELECT {_ROW}, reason, {DAY_OF_FILE} FROM read_parquet($decided, filename = true)
WHERE reason = reason_tac_wrong()
"""  # noqa: S608 - texts of ours
#: More taps of one card at one terminal in a business day than anybody makes who travels or eats,
#: whatever they cost: a card that lies in a drawer is tapped for others.
TAPS_A_DAY_MAX = 20
#: The bit of that beside those of notes.
_VELOCITY = 1 << 16
#: Of a record that was decided again what was noted last; and the last of too many taps.
_NOTED = f"""
SELECT * REPLACE (bit_or(reason) AS reason)
FROM (
    SELECT * EXCLUDE (file, row)
    FROM (
        SELECT file, row, {_ROW}, notes::UINTEGER AS reason, {DAY_OF_FILE}
        FROM read_parquet($decided, filename = true) WHERE notes <> 0
    )
    QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY day DESC) = 1
    UNION ALL BY NAME
    SELECT {_ROW}, {_VELOCITY}::UINTEGER AS reason, {DAY_OF_FILE}
    FROM read_parquet($newest, filename = true) SEMI JOIN (
        SELECT unnest(arg_max({{'file': file, 'row': row}}, (time, file, row)))
        FROM read_parquet($newest)
        WHERE is_posted(reason) AND NOT is_load AND moves_purse(kind)
        GROUP BY card_number, application, terminal, business_day
        HAVING count(*) > {TAPS_A_DAY_MAX}
    ) USING (file, row)
)
GROUP BY ALL
"""  # noqa: S608 - texts of ours
_DAYS_OF_HOPELESS = """
SELECT DISTINCT day FROM read_parquet($claims) WHERE reason = reason_tac_wrong() ORDER BY day
"""


def _suspended(city: City, _as_of: date | None, _question: Question) -> Relation | None:
    waiting = [str(each) for each in last_outputs(city, "waiting")]
    if not waiting:
        return None
    return Relation(f"{_WAITING} WHERE is_suspended(reason)", {"waiting": waiting})


def _claimed(city: City, _as_of: date | None, question: Question) -> Relation | None:
    """Those that wait, and those that nothing will prove, on the days that judged them."""
    waiting = [str(each) for each in last_outputs(city, "waiting")]
    days = load_days(city.database, _days_of_hopeless(city))
    decided = [
        str(path)
        for day in days
        if _is_asked(day.settlement_day, question)
        for path in closed_outputs(city, day, "decisions")
    ]
    parts, values = [], {}
    if waiting:
        parts.append(f"{_WAITING} WHERE is_claim(reason)")
        values["waiting"] = waiting
    if decided:
        parts.append(_HOPELESS)
        values["decided"] = decided
    return Relation(" UNION ALL BY NAME ".join(parts), values) if parts else None


def _days_of_hopeless(city: City) -> list[date]:
    claims = [str(each) for each in last_outputs(city, "claims")]
    with columnar.connect(city.folder) as connection:
        columnar.define_words(connection)
        found = connection.execute(_DAYS_OF_HOPELESS, {"claims": claims}).fetchall()
    return [day for (day,) in found]


def _is_asked(day: date, question: Question) -> bool:
    return (question.first or day) <= day <= (question.last or day)


def _noted(city: City, as_of: date | None, question: Question) -> Relation | None:
    assert as_of is not None  # no day noted anything before one was closed
    if question.item is None:
        assert question.first is not None  # a window
        days = load_days_between(city.database, question.first, question.last or as_of)
    else:
        days = days_of_record(city, question.item)
    decided = [str(path) for day in days for path in closed_outputs(city, day, "decisions")]
    if not decided:
        return None
    # Taps are counted over all records of a day: of the last one only, unless they are asked for.
    counted = days if question.reason == "VELOCITY" or question.item else days[-1:]
    newest = [str(path) for day in counted for path in closed_outputs(city, day, "decisions")]
    return Relation(_NOTED, {"decided": decided, "newest": newest})


def days_of_record(city: City, item: str) -> tuple[ClosedDay, ...]:
    """The closed days that may have decided a record."""
    try:
        prefix = Subject.parse(item).parts[-2]
    except (SubjectError, IndexError):
        return ()
    lines = load_file_lines(city.database, [prefix])
    settled = lines[0].settlement_day if len(lines) == 1 else None
    if settled is None:
        return ()
    return (*load_days(city.database, [settled]), *load_reviewing_days(city.database, settled))


_FIELDS = (
    ITEM,
    REASON,
    Field("record", Text("交易", "record")),
    Field("time", Text("时间", "time")),
    DAY,
    AGE,
    Field("participant", Text("收款方", "payee"), FieldKind.PARTICIPANT),
    replace(TERMINAL, is_detail=True),  # the record names it
    CARD,
    AMOUNT,
)
_FILTERS = frozenset(Filter)


def _explain(line: Line) -> str:
    return f"onecard explain {line.cells['record']}"


def _judged(*reasons: Judged) -> tuple[Reason, ...]:
    return tuple(Reason(each.name, int(each), each.text, each.remedy) for each in reasons)


RECORDS = Noun(
    "records",
    Text("可疑记录", "Suspended records"),
    Text(
        "卡片签过的交易，已入可疑挂账：钱已离卡，尚未付给收款方",
        "the card has signed it and its money is held in suspense: it left the card, and its payee "
        "has not got it",
    ),
    Text("没有可疑记录", "no record is suspended"),
    _FIELDS,
    _suspended,
    _FILTERS,
    "time",
    _judged(Judged.TERMINAL_UNKNOWN, Judged.CLOCK_AHEAD, Judged.HOTLISTED, Judged.CENTRE_PENDING),
    rules=(RulingKind.RECORDS_RELEASE, RulingKind.RECORDS_RETURN),
    look=_explain,
)
CLAIMS = Noun(
    "claims",
    Text("主张", "Claims"),
    Text(
        "没有卡片证实的交易：不动任何款项，只记其金额与账龄",
        "no card of ours has proven it: it moves no money, and is told with its amount and age",
    ),
    Text("没有主张", "there is no claim"),
    _FIELDS,
    _claimed,
    _FILTERS,
    "time",
    _judged(
        Judged.FOREIGN_CARD,
        Judged.ALGORITHM_UNKNOWN,
        Judged.KEY_VERSION_UNKNOWN,
        Judged.TAC_MISSING,
        Judged.TAC_WRONG,
    ),
    rules=(RulingKind.CLAIMS_WRITE_OFF,),
    closed_by=frozenset({RulingKind.CLAIMS_WRITE_OFF}),
    look=_explain,
)
_STAYS = Text("不会自行消失：须由两人确认", "nothing: two people acknowledge it")
ALARMS = Noun(
    "alarms",
    Text("告警", "Alarms"),
    Text(
        "已有处理结果的记录，但其中有须人查看之处；款项不受影响",
        "a record that is decided, and in which there is something for people to look at; no money "
        "depends on it",
    ),
    Text("没有告警", "there is no alarm"),
    _FIELDS,
    _noted,
    _FILTERS,
    "time",
    (
        Reason(
            "VELOCITY",
            _VELOCITY,
            Text(
                f"同卡同终端一日内超过 {TAPS_A_DAY_MAX} 次",
                f"more than {TAPS_A_DAY_MAX} taps of one card at one terminal in a day",
            ),
            _STAYS,
        ),
        *(Reason(str(each.name), int(each), each.text, _STAYS) for each in Note),
    ),
    reasons_are_bits=True,
    is_windowed=True,
    rules=(RulingKind.ALARMS_ACKNOWLEDGE,),
    closed_by=frozenset({RulingKind.ALARMS_ACKNOWLEDGE}),
    look=_explain,
)
