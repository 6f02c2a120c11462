"""Gaps and contradictions of cards, as the last closed day left them.

Decides what is a gap and what a contradiction: by R5 an exact gap has something missing that can
explain it. Claimed gaps stand apart: nobody signed the counters of debits. Missing debits and
missing loads are never netted: each has its price, and its sum.
"""

from datetime import date
from enum import IntEnum

from cardcore.text import Text
from settlement.city import City
from settlement.dispositions import SegmentKind
from settlement.reports.open_items.values import (
    AGE,
    CARD,
    ITEM,
    REASON,
    Field,
    FieldKind,
    Filter,
    Noun,
    Question,
    Reason,
    Relation,
)
from settlement.rulings.kinds import RulingKind
from settlement.service.runs import last_outputs


class CardReason(IntEnum):
    """What a relation of this module says in its column `reason`."""

    MISSING_DEBITS = SegmentKind.MISSING_DEBITS  # 缺失扣款
    MISSING_LOADS = SegmentKind.MISSING_LOADS  # 缺失充值
    CLAIMED_DEBITS = 10  # 声称缺失扣款
    CLAIMED_LOADS = 11  # 声称缺失充值
    CONTRADICTION = 20  # 矛盾：无处可归的交易
    CONTRADICTION_OUT = 21  # 矛盾：钱离开了卡
    CONTRADICTION_IN = 22  # 矛盾：钱到了卡上


_PURSE = """
    lpad(card_number::VARCHAR, 20, '0') AS card_number, application::INTEGER AS application,
    abs(price_fen)::BIGINT AS amount_fen, opened_day AS day
"""
_SEGMENT = f"""
SELECT
    segment_digest(
        issuer, card_number, application, left_online, left_time, right_online, right_time,
        missing_loads, price_fen
    ) AS digest,
    {_PURSE}, left_time AS since, right_time AS until, missing_loads AS missing,
"""
_EXACT = f"""
{_SEGMENT} kind::INTEGER AS reason
FROM read_parquet($segments) WHERE kind <> segment_contradiction()
"""
_CONTRADICTORY = f"""
{_SEGMENT}
    {CardReason.CONTRADICTION.value} + if(price_fen > 0, 1, if(price_fen < 0, 2, 0)) AS reason
FROM read_parquet($segments) WHERE kind = segment_contradiction()
"""
_CLAIMED = f"""
SELECT
    claimed_digest(
        issuer, card_number, application, counter_kind, first_counter, last_counter, price_fen
    ) AS digest,
    {_PURSE}, NULL::TIMESTAMP AS since, right_time AS until,
    greatest(last_counter - first_counter + 1, 0) AS missing,
    if(price_fen > 0, {CardReason.CLAIMED_DEBITS.value}, {CardReason.CLAIMED_LOADS.value}) AS reason
FROM read_parquet($gaps) LEFT JOIN (
    SELECT issuer, card_number, application, time AS stated_time FROM read_parquet($statements)
) USING (issuer, card_number, application)
WHERE is_claimed_gap(state, price_fen, right_time, loose_days, stated_time)
"""  # noqa: S608 - texts of ours
_GAPS = f"SELECT 'gap/' || digest AS item, * FROM ({_EXACT} UNION ALL BY NAME {_CLAIMED})"  # noqa: S608 - texts of ours


def _gaps(city: City, _as_of: date | None, _question: Question) -> Relation | None:
    names = ("segments", "gaps", "statements")
    return Relation(_GAPS, {name: _paths(city, name) for name in names})


def contradictions(city: City) -> Relation:
    """What cannot be, of every card, by its digest."""
    return Relation(_CONTRADICTORY, {"segments": _paths(city, "segments")})


def _paths(city: City, name: str) -> list[str]:
    return [str(each) for each in last_outputs(city, name)]


_RECORDS = Text("缺的记录一到即补上", "the records that are missing fill it as soon as they come")
_STATED = Text(
    "缺的记录送到，或该卡下次签出余额",
    "the records that are missing come, or the card signs a balance again",
)

GAPS = Noun(
    "gaps",
    Text("缺口", "Gaps"),
    Text(
        "卡上的钱变了，却没有记录说明：两次余额陈述之间的差额为准确缺口，最后一次陈述之后由计数器所称者为声称缺口",
        "the money on a card changed and no record says how: between two balances that the card "
        "signed the price is exact, after the last one counters that nobody signed claim it",
    ),
    Text("没有缺口", "there is no gap"),
    (
        ITEM,
        REASON,
        CARD,
        Field("application", Text("应用", "application"), FieldKind.COUNT),
        Field("since", Text("起", "since")),
        Field("until", Text("止", "until")),
        Field("missing", Text("缺失计数器", "counters"), FieldKind.COUNT),
        Field("day", Text("发现日", "found on")),
        AGE,
        Field("amount_fen", Text("差额", "price"), FieldKind.AMOUNT),
    ),
    _gaps,
    frozenset({Filter.REASON, Filter.CARD, Filter.DAYS, Filter.AGE}),
    "day",
    (
        Reason(
            "MISSING_DEBITS",
            int(CardReason.MISSING_DEBITS),
            SegmentKind.MISSING_DEBITS.text,
            _RECORDS,
        ),
        Reason(
            "MISSING_LOADS", int(CardReason.MISSING_LOADS), SegmentKind.MISSING_LOADS.text, _RECORDS
        ),
        Reason(
            "CLAIMED_DEBITS",
            int(CardReason.CLAIMED_DEBITS),
            Text("声称缺失扣款", "missing debits, claimed"),
            _STATED,
        ),
        Reason(
            "CLAIMED_LOADS",
            int(CardReason.CLAIMED_LOADS),
            Text("声称缺失充值", "missing loads, claimed"),
            _STATED,
        ),
    ),
    rules=(RulingKind.GAPS_WRITE_OFF,),
    closed_by=frozenset({RulingKind.GAPS_WRITE_OFF}),
)
