"""`onecard float`: what stands behind the money on all cards, and how strong that is.

Decides how it is shown; every figure, and what is wrong with one, is settlement's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from itertools import islice

import typer
from rich.table import Table

from api.cli.frame.session import open_to_read
from api.exits import EXIT_REFUSED
from api.output import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    amount_table,
    console,
    fen,
    print_json,
    refuse,
    say,
)
from settlement.clearing.proof import AGE_CLASSES, AgeLine, Contradiction
from settlement.reports.float_proof import FloatReport, read_float_proof

#: One screen: all of them stand in the JSON.
_SHOWN_MAX = 20


def float_(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """How strong the float is: what cards signed, what is missing, what cannot be. 备付金证明。

    Added up anew from every purse and held against the ledger; exit 1 names what does not agree.
    """
    with open_to_read(data) as city:
        report = read_float_proof(city)
    if report is None:
        refuse("no day is closed yet 尚无已关闭的清算日; see `onecard close`")
    if as_json:
        print_json(_document(report))
    else:
        print_float_proof(report)
    if not report.holds:
        raise typer.Exit(EXIT_REFUSED)


def _document(report: FloatReport) -> dict[str, object]:
    return {
        "settlement_day": report.day,
        "holds": report.holds,
        "float_fen": report.float_fen,
        **report.figures.document(),
        "oldest_statement": report.oldest_statement,
        "oldest_claim": report.oldest_claim,
        "named_contradictions": [
            {
                **asdict(each),
                "left_time": _iso(each.left_time),
                "right_time": _iso(each.right_time),
            }
            for each in report.contradictions
        ],
        "faults": [
            {
                "where": each.where,
                "stated_fen": each.stated_fen,
                "found_fen": each.found_fen,
                "text_zh": each.text.zh,
                "text_en": each.text.en,
            }
            for each in report.faults
        ],
    }


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def print_float_proof(report: FloatReport) -> None:
    """The proof as tables, with whatever does not agree."""
    console.print(_made_of(report))
    console.print(_since(report))
    if report.contradictions:
        console.print(_named(report.contradictions))
        left = len(report.contradictions) - _SHOWN_MAX
        if left > 0:
            say(f"and {left:,} more, in --json 其余见 --json")
    for fault in report.faults:
        say(
            f"✗ {fault.where}: {fen(fault.stated_fen)} / {fen(fault.found_fen)}: {fault.text}",
            style="red",
        )
    if report.holds:
        say("✓ The proof holds: every purse, their sum and the ledger agree. 证明成立，账卡相符。")
    else:
        say("✗ The proof FAILS; `onecard verify` says what was changed. 证明不成立。", style="red")


def _made_of(report: FloatReport) -> Table:
    """Line by line to the float."""
    figures = report.figures
    table = amount_table(
        f"Float, proven 备付金证明 {report.day}", "", "how many 笔数", "amount 金额"
    )  # fmt: skip
    table.columns[0].overflow = "fold"
    table.add_row(
        "balances signed by cards 卡签余额", f"{figures.stated_purses:,}", fen(figures.stated_fen)
    )
    for text, line in _ages(figures.stated_by_age):
        table.add_row(f"  {text}", f"{line.count:,}", fen(line.amount_fen), style="dim")
    rows = (
        ("- debits since 此后扣款", figures.tail_debits, figures.tail_fen),
        (
            "- debits of cards that signed nothing yet 未开户卡扣款",
            figures.unopened_debits,
            figures.unopened_fen,
        ),
        ("+ missing debits, exact 缺失扣款（确数）", None, figures.missing_debits_fen),
        (
            "- missing loads, exact 缺失充值（确数）",
            figures.missing_loads,
            figures.missing_loads_fen,
        ),
        ("+ contradictions, left a card 矛盾：多出卡", None, figures.contradictions_out_fen),
        ("- contradictions, came onto a card 矛盾：多入卡", None, figures.contradictions_in_fen),
    )
    for text, count, amount_fen in rows:
        table.add_row(text, "" if count is None else f"{count:,}", fen(amount_fen))
    table.add_row(
        "  of these before first statements 其中首次陈述之前",
        f"{figures.openings:,}",
        fen(figures.openings_fen),
        style="dim",
    )
    table.add_row(
        "= float, as in the ledger 备付金（总账）", "", fen(report.float_fen), style="bold"
    )
    return table


def _since(report: FloatReport) -> Table:
    """What nobody signed: it is in no sum above."""
    figures = report.figures
    table = amount_table(
        "Not signed by any card 无卡签名，不计入", "", "how many 笔数", "amount 金额"
    )
    table.columns[0].overflow = "fold"
    table.add_row("claimed gaps since 此后所称缺口", f"{figures.claimed_gaps:,}", "")
    table.add_row("  debits 扣款", "", fen(figures.claimed_debits_fen))
    table.add_row("  loads 充值", "", fen(figures.claimed_loads_fen))
    table.add_row(
        "claims that move nothing 未证实主张", f"{figures.claims:,}", fen(figures.claims_fen)
    )
    for text, line in _ages(figures.claims_by_age):
        table.add_row(f"  {text}", f"{line.count:,}", fen(line.amount_fen), style="dim")
    table.add_row("oldest statement 最早陈述", "", _day(report.oldest_statement), style="dim")
    table.add_row("oldest claim 最早主张", "", _day(report.oldest_claim), style="dim")
    return table


def _ages(lines: Sequence[AgeLine]) -> Iterator[tuple[str, AgeLine]]:
    """Every age that there is."""
    for days, line in zip(AGE_CLASSES, lines, strict=True):
        text = "older 更早" if days is None else f"days ≤ {days} 天数"
        if line.count:
            yield text, line


def _named(contradictions: Sequence[Contradiction]) -> Table:
    table = amount_table("Contradictions by card 矛盾卡片", "card 卡号", "since 起", "amount 金额")
    for each in islice(contradictions, _SHOWN_MAX):
        table.add_row(
            f"{each.card_number} / {each.application}", str(each.opened_day), fen(each.price_fen)
        )
    return table


def _day(day: date | None) -> str:
    return "–" if day is None else str(day)
