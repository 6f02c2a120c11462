"""`onecard float`: what stands behind the money on all cards, and how strong that is.

Decides how it is shown; every figure, and what is wrong with one, is settlement's.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path

import typer

from api.cli.frame.session import open_to_read
from api.exits import EXIT_REFUSED
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    UnmaskOption,
    masked,
    masked_purses,
    print_json,
    print_table,
    refuse,
    say,
)
from api.tables import Cell, Column, Count, Fen, Table, amounts
from cardcore.text import Text, words
from settlement.clearing.proof import AGE_CLASSES, AgeLine, Contradiction
from settlement.reports.float_proof import FloatReport, read_float_proof

#: One screen: all of them stand in the JSON.
_SHOWN_MAX = 20


def float_(
    data: DataOption = DEFAULT_DATA,
    csv: CsvOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """Added up anew from every purse and held against the ledger; exit 1 names what does not
    agree. The CSV file has what the float is made of, line by line.
    """
    with open_to_read(data) as city:
        report = read_float_proof(city)
    if report is None:
        refuse(
            words(
                "尚无已关闭的清算日；见 `onecard close`",
                "no day is closed yet; see `onecard close`",
            )
        )
    if not unmask:
        report = hide_cards(report)
    if as_json:
        print_json(_document(report))
    else:
        print_float_proof(report, csv)
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


def hide_cards(report: FloatReport) -> FloatReport:
    """The same without the numbers of the cards."""
    return replace(
        report,
        contradictions=tuple(
            replace(each, card_number=masked(each.card_number)) for each in report.contradictions
        ),
        faults=tuple(replace(each, where=masked_purses(each.where)) for each in report.faults),
    )


def print_float_proof(report: FloatReport, csv: Path | None = None) -> None:
    """The proof as tables, with whatever does not agree."""
    print_table(_made_of(report), csv)
    print_table(_since(report))
    if report.contradictions:
        print_table(_named(report.contradictions))
        left = len(report.contradictions) - _SHOWN_MAX
        if left > 0:
            say(words(f"另有 {left:,} 个，见 `--json`", f"and {left:,} more, in `--json`"))
    for fault in report.faults:
        sums = f"{Fen(fault.stated_fen)} / {Fen(fault.found_fen)}"
        place, text = fault.place, fault.text
        say(words(f"✗ {place}：{sums}：{text}", f"✗ {place}: {sums}: {text}"), style="red")
    if report.holds:
        say(
            words(
                "✓ 证明成立：各钱包、其合计与总账相符。",
                "✓ The proof holds: every purse, their sum and the ledger agree.",
            )
        )
    else:
        said = words(
            "✗ 证明不成立；`onecard verify` 指出何处被改动。",
            "✗ The proof FAILS; `onecard verify` says what was changed.",
        )
        say(said, style="red")


_DUE = Text("+ 期初待定", "+ openings still to be told")
_COUNT, _AMOUNT = Text("笔数", "how many"), Text("金额", "amount")


def _made_of(report: FloatReport) -> Table:
    """Line by line to the float."""
    figures = report.figures
    table = amounts(
        Text(f"备付金证明 {report.day}", f"Float, proven {report.day}"),
        Text("组成", "made of"),
        _COUNT,
        _AMOUNT,
    )
    stated = Text("卡签余额", "balances signed by cards")
    table.add(stated, Count(figures.stated_purses), Fen(figures.stated_fen))
    _add_ages(table, figures.stated_by_age)
    if figures.handed_purses:
        handed = Text("  其中仅老中心所报", "  of these by the old centre alone")
        table.add(handed, Count(figures.handed_purses), Fen(figures.handed_fen), style="dim")
    due = ((_DUE, figures.due_purses, figures.due_fen),) if figures.due_purses else ()
    rows = (
        (Text("- 此后扣款", "- debits since"), figures.tail_debits, figures.tail_fen),
        (
            Text("- 未开户卡扣款", "- debits of cards that signed nothing yet"),
            figures.unopened_debits,
            figures.unopened_fen,
        ),
        *due,
        (
            Text("+ 缺失扣款（确数）", "+ missing debits, exact"),
            None,
            figures.missing_debits_fen,
        ),
        (
            Text("- 缺失充值（确数）", "- missing loads, exact"),
            figures.missing_loads,
            figures.missing_loads_fen,
        ),
        (
            Text("+ 矛盾：多出卡", "+ contradictions, left a card"),
            None,
            figures.contradictions_out_fen,
        ),
        (
            Text("- 矛盾：多入卡", "- contradictions, came onto a card"),
            None,
            figures.contradictions_in_fen,
        ),
    )
    for text, count, amount_fen in rows:
        table.add(text, None if count is None else Count(count), Fen(amount_fen))
    before = Text("  其中首次陈述之前", "  of these before first statements")
    table.add(before, Count(figures.openings), Fen(figures.openings_fen), style="dim")
    whole = Text("= 备付金（总账）", "= float, as in the ledger")
    table.add(whole, None, Fen(report.float_fen), style="bold")
    if figures.opened_purses or figures.due_purses:
        opened = Text("  其中接管期初", "  of it openings of cards taken over")
        table.add(opened, Count(figures.opened_purses), Fen(figures.opened_fen), style="dim")
        if figures.disputed_purses:
            disputed = Text("  其中与老中心所报不符", "  of these contradict the old centre")
            table.add(disputed, Count(figures.disputed_purses), None, style="dim")
    return table


def _since(report: FloatReport) -> Table:
    """What nobody signed: it is in no sum above."""
    figures = report.figures
    table = amounts(
        Text("无卡签名，不计入", "Not signed by any card, in no sum"),
        Text("所称", "claimed"),
        _COUNT,
        _AMOUNT,
    )
    table.add(Text("此后所称缺口", "claimed gaps since"), Count(figures.claimed_gaps), None)
    table.add(Text("  扣款", "  debits"), None, Fen(figures.claimed_debits_fen))
    table.add(Text("  充值", "  loads"), None, Fen(figures.claimed_loads_fen))
    claims = Text("未证实主张", "claims that move nothing")
    table.add(claims, Count(figures.claims), Fen(figures.claims_fen))
    _add_ages(table, figures.claims_by_age)
    oldest = Text("最早陈述", "oldest statement")
    table.add(oldest, None, _day(report.oldest_statement), style="dim")
    table.add(Text("最早主张", "oldest claim"), None, _day(report.oldest_claim), style="dim")
    return table


def _add_ages(table: Table, lines: Sequence[AgeLine]) -> None:
    """Every age that there is."""
    for days, line in zip(AGE_CLASSES, lines, strict=True):
        text = Text("  更早", "  older")
        if days is not None:
            text = Text(f"  {days} 天以内", f"  days ≤ {days}")
        if line.count:
            table.add(text, Count(line.count), Fen(line.amount_fen), style="dim")


def _named(contradictions: Sequence[Contradiction]) -> Table:
    table = Table(
        Text("矛盾卡片", "Contradictions by card"),
        [
            Column(Text("卡号 / 应用", "card / application")),
            Column(Text("自", "since")),
            Column(_AMOUNT, right=True),
        ],
    )
    for each in islice(contradictions, _SHOWN_MAX):
        cells: list[Cell] = [str(each.opened_day), Fen(each.price_fen)]
        table.add(f"{each.card_number} / {each.application}", *cells)
    return table


def _day(day: date | None) -> str:
    return "–" if day is None else str(day)
