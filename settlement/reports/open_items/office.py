"""Refused files, positions of participants, and cases: money held for holders, and contradictions.

Decides that positions are those that stand open now unless days are asked for, and that a case is
open until two people settled it.
"""

from datetime import date
from typing import Any

from cardcore.text import Text
from settlement.city import City
from settlement.dispositions import Note
from settlement.dispositions import Reason as Judged
from settlement.intake.answers import FileAnswer
from settlement.ledger.accounts import HOLDER_DUE, AccountKind, parse_account
from settlement.reports.open_items.cards import CardReason, contradictions
from settlement.reports.open_items.records import DAY_OF_FILE, days_of_record
from settlement.reports.open_items.values import (
    AGE,
    AMOUNT,
    CARD,
    DAY,
    ITEM,
    REASON,
    Cell,
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
from settlement.service.runs import closed_outputs
from settlement.store import days as day_store
from settlement.store.files import load_refusals

_REFUSALS = "item VARCHAR, day DATE, reason VARCHAR, is_alarm BOOLEAN, participant BIGINT, "
_REFUSALS += "sequence BIGINT, content_hash VARCHAR, received_at TIMESTAMP, amount_fen BIGINT"
_POSITIONS = "item VARCHAR, day DATE, reason VARCHAR, participant BIGINT, account VARCHAR, "
_POSITIONS += "gross_debit_fen BIGINT, gross_credit_fen BIGINT, amount_fen BIGINT"
#: What a record's last decision holds for its holder. Every decision that posted such money, or
#: took it back, lies in a day whose ledger has it. Few records hold any: only they are looked at.
_HELD = f"""
SELECT
    'case/record/' || lpad(lower(to_hex(file)), 16, '0') || '/' || row AS item,
    if(reason = reason_returned(), 1, 0) AS reason, day, operator AS participant,
    lpad(lower(to_hex(terminal)), 12, '0') || '-' || lpad(terminal_serial::VARCHAR, 8, '0')
        AS record,
    lpad(card_number::VARCHAR, 20, '0') AS card_number, excess_fen::BIGINT AS amount_fen
FROM (
    SELECT *, {DAY_OF_FILE}
    FROM read_parquet($decided, filename = true)
    SEMI JOIN (SELECT file, row FROM read_parquet($decided) WHERE excess_fen > 0) AS held
        USING (file, row)
    QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY day DESC) = 1
)
WHERE excess_fen > 0
"""  # noqa: S608 - texts of ours


def _refusals(city: City, _as_of: date | None, _question: Question) -> Relation | None:
    rows = []
    for each in load_refusals(city.database):
        said = each.acknowledgement
        at = said.received_at.replace(tzinfo=None)
        rows.append(
            (f"refusal/{each.number}", at.date(), said.answer.name, each.is_alarm, said.sender,
             said.sequence, said.content_hash, at, 0)
        )  # fmt: skip
    return Relation("FROM held", {}, _REFUSALS, rows)


def _positions(city: City, as_of: date | None, question: Question) -> Relation | None:
    assert as_of is not None  # nobody owes anything before a day is closed
    first, last = question.first, question.last
    if question.item is not None and (day := _day_named(question.item)):
        first = last = day
    if first is None and last is None:
        balances = day_store.load_balances(city.database).items()
        rows = [_position(name, as_of, name, None, None, fen) for name, fen in balances if fen]
    else:
        days = day_store.load_days_between(city.database, first or date.min, last or as_of)
        rows = [
            _position(
                f"{day}/{each.account}", day, each.account, each.gross_debit_fen,
                each.gross_credit_fen, each.net_fen,
            )
            for day in (each.settlement_day for each in days)
            for each in day_store.load_positions(city.database, day)
        ]  # fmt: skip
    return Relation("FROM held", {}, _POSITIONS, rows)


def _day_named(item: str) -> date | None:
    """Of a position of a day: one that stands open begins with its account."""
    try:
        return date.fromisoformat(item.partition("/")[0])
    except ValueError:
        return None


def _position(
    item: str, day: date, name: str, debit_fen: int | None, credit_fen: int | None, net_fen: int
) -> tuple[object, ...]:
    account = parse_account(name)
    kind = account.kind.name
    return item, day, kind, account.participant, name, debit_fen, credit_fen, net_fen


def _cases(city: City, _as_of: date | None, question: Question) -> Relation | None:
    found = contradictions(city)
    query = (
        "SELECT 'case/contradiction/' || digest AS item, reason, day, card_number, amount_fen, "  # noqa: S608 - texts of ours
        f"NULL::UINTEGER AS participant, NULL::VARCHAR AS record FROM ({found.query})"
    )
    days = (
        day_store.load_days_of_account(city.database, HOLDER_DUE.text)
        if question.item is None
        else days_of_record(city, question.item)
    )
    decided = [str(path) for day in days for path in closed_outputs(city, day, "decisions")]
    if not decided:
        return Relation(query, found.values)
    return Relation(f"{query} UNION ALL BY NAME {_HELD}", {**found.values, "decided": decided})


def _alarm(value: Any) -> Cell:  # noqa: ANN401 - a cell of SQL
    return Text("告警", "alarm") if value else None


def _look_at_file(line: Line) -> str:
    return f"onecard files show {str(line.cells['content_hash'])[:12]}"


def _look_at_record(line: Line) -> str | None:
    record = line.cells["record"]
    return None if record is None else f"onecard explain {record}"


def _look_at_day(line: Line) -> str:
    return f"onecard days show {line.cells['day']}"


_AGAIN = Text("照原样重新上送可能被接受", "sending it again as it is may help")
_MEND = Text("须先更正再上送", "it has to be mended first, then sent again")
REFUSALS = Noun(
    "refusals",
    Text("拒收的文件", "Refused files"),
    Text(
        "送来而未被接收的文件：未改变任何东西；告警者须人查看",
        "a file that came and was not taken in: it changed nothing; people look at those that are "
        "alarms",
    ),
    Text("没有拒收的文件", "no file was refused"),
    (
        ITEM,
        REASON,
        Field("is_alarm", Text("告警", "alarm")),
        Field("participant", Text("自称采集点", "sender named"), FieldKind.COUNT),
        Field("sequence", Text("序号", "seq"), FieldKind.COUNT),
        Field("content_hash", Text("哈希", "hash"), is_detail=True),
        Field("received_at", Text("收到（UTC）", "received (UTC)")),
        AGE,
    ),
    _refusals,
    frozenset({Filter.REASON, Filter.PARTICIPANT, Filter.DAYS, Filter.AGE}),
    "received_at",
    tuple(
        Reason(each.name, each.name, each.text, _AGAIN if each.retry_may_help else _MEND)
        for each in FileAnswer
        if not each.is_kept
    ),
    has_money=False,
    before_any_day=True,
    rules=(RulingKind.REFUSALS_ACKNOWLEDGE,),
    closed_by=frozenset({RulingKind.REFUSALS_ACKNOWLEDGE}),
    read={"is_alarm": _alarm},
    look=_look_at_file,
)
_TO_BE_PAID = Text(
    "按净额付款；付款尚不在本系统入账", "it is paid by its net; payments are not posted here yet"
)
_CLEARS = {
    AccountKind.CARD_FLOAT: Text("卡上余额用去即减少", "cards spend what lies on them"),
    AccountKind.HOLDER_DUE: Text(
        "由两人了结其个案：`onecard cases list`",
        "nothing: two people settle its cases, `onecard cases list`",
    ),
    AccountKind.SUSPENSE: Text(
        "其可疑记录查清：`onecard records list`",
        "its suspended records are cleared up: `onecard records list`",
    ),
}
POSITIONS = Noun(
    "positions",
    Text("净额", "Positions"),
    Text(
        "账户上尚未结清的净额；正数为欠城市，负数为城市所欠",
        "what stands open on an account: owed to the city where positive, owed by it where "
        "negative",
    ),
    Text("没有未结清的净额", "no position is open"),
    (
        ITEM,
        DAY,
        Field("participant", Text("参与方", "participant"), FieldKind.PARTICIPANT),
        Field("reason", Text("账户", "account"), FieldKind.WORDS),
        Field("gross_debit_fen", Text("借方", "debits"), FieldKind.AMOUNT),
        Field("gross_credit_fen", Text("贷方", "credits"), FieldKind.AMOUNT),
        Field("amount_fen", Text("净额", "net"), FieldKind.AMOUNT),
    ),
    _positions,
    frozenset({Filter.REASON, Filter.PARTICIPANT, Filter.DAYS}),
    "item",
    tuple(
        Reason(each.name, each.name, each.text, _CLEARS.get(each, _TO_BE_PAID))
        for each in AccountKind
    ),
    look=_look_at_day,
)
_PAY_BACK = Text(
    "不会自行消失：两人了结后退还持卡人", "nothing: two people settle it, and the holder gets it"
)
_LOOK_INTO = Text(
    "其间的记录送到时可能消失；否则查卡与终端后由两人了结",
    "records of that time may explain it; else card and terminal are looked into, and two people "
    "settle it",
)
CASES = Noun(
    "cases",
    Text("个案", "Cases"),
    Text(
        "留待退还持卡人的款项，或不可能同时成立的事实",
        "money that is held for a holder, or what cannot be whatever is missing",
    ),
    Text("没有个案", "there is no case"),
    (
        ITEM,
        REASON,
        Field("record", Text("交易", "record")),
        CARD,
        Field("participant", Text("收款方", "payee"), FieldKind.PARTICIPANT),
        DAY,
        AGE,
        AMOUNT,
    ),
    _cases,
    frozenset({Filter.REASON, Filter.PARTICIPANT, Filter.CARD, Filter.DAYS, Filter.AGE}),
    "day",
    (
        Reason("OVERCHARGED", 0, Note.OVERCHARGED.text, _PAY_BACK),
        Reason("RETURNED", 1, Judged.RETURNED.text, _PAY_BACK),
        Reason(
            "CONTRADICTION",
            int(CardReason.CONTRADICTION),
            Text("矛盾：一笔无处可归的交易", "a contradiction: a movement that has no place"),
            _LOOK_INTO,
        ),
        Reason(
            "CONTRADICTION_OUT",
            int(CardReason.CONTRADICTION_OUT),
            Text(
                "矛盾：钱离开了卡而不可能如此",
                "a contradiction: money left a card, and cannot have",
            ),
            _LOOK_INTO,
        ),
        Reason(
            "CONTRADICTION_IN",
            int(CardReason.CONTRADICTION_IN),
            Text(
                "矛盾：无人许可的钱到了卡上",
                "a contradiction: money came onto a card, and nobody allowed it",
            ),
            _LOOK_INTO,
        ),
    ),
    rules=(RulingKind.CASES_SETTLE,),
    closed_by=frozenset({RulingKind.CASES_SETTLE}),
    look=_look_at_record,
)
