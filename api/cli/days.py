"""`onecard days`: closed days, read back.

Decides how they are shown; every figure is settlement's.
"""

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.session import open_to_read
from api.cli.statements import account_text, dispositions, figures, ledger_positions
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    print_json,
    print_table,
    refuse,
    say,
)
from api.tables import Column, Fen, Table, amounts
from cardcore.text import Text, shorten, words
from settlement.day_seals import SignedSeal
from settlement.days.closing import ClosedDay, signed_seal
from settlement.people.actions import Actor
from settlement.reports.days import DayReport, read_balances, read_closed_days, read_day

app = noun(Text("已关闭的清算日：列出、查看。", "Closed days: list, show."))
_NONE_CLOSED = Text("尚无已关闭的清算日：`onecard close`", "no day is closed yet: `onecard close`")


@command(
    app,
    "list",
    Text("已关闭的清算日，及其留下的余额。", "Every closed day, and the balances they left."),
)
def list_(
    data: DataOption = DEFAULT_DATA, csv: CsvOption = None, as_json: JsonOption = False
) -> None:
    """The CSV file has the days."""
    with open_to_read(data) as city:
        days, balances = read_closed_days(city), read_balances(city)
    newest = signed_seal(city.scheme.name, days[-1]) if days else None
    if as_json:
        document = {"days": [day_document(each) for each in days], "balances": balances}
        print_json(document | seal_document(newest))
        return
    table = Table(
        Text("清算日", "Days"),
        [
            Column(Text("序号", "no"), right=True),
            Column(Text("清算日", "day")),
            Column(Text("关闭时间（UTC）", "closed at (UTC)")),
            Column(Text("经办", "closed by")),
            Column(Text("复核", "confirmed by")),
            Column(Text("封存", "seal")),
        ],
    )
    for each in days:
        table.add(
            str(each.number),
            str(each.settlement_day),
            f"{each.closed_at:%Y-%m-%d %H:%M}",
            _name(each.closed_by),
            _name(each.confirmed_by),
            each.seal,
        )
    print_table(table, csv, _NONE_CLOSED)
    if not days:
        return
    accounts = amounts(
        Text("账户余额，借方为正", "Balances, debit positive"),
        Text("账户", "account"),
        Text("余额", "balance"),
    )
    for account, amount_fen in balances.items():
        accounts.add(account_text(account), Fen(amount_fen))
    print_table(accounts)
    tell_seal(newest)


@command(app, "show", Text("一个清算日的合计与轧差。", "One closed day: totals and positions."))
def show(
    day: Annotated[
        str,
        typer.Argument(help=words("清算日 YYYY-MM-DD。", "Settlement day YYYY-MM-DD.")),
    ],
    data: DataOption = DEFAULT_DATA,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """The CSV file has the positions."""
    settlement_day = read_day_argument(Text("清算日", "the day"), day)
    with open_to_read(data) as city:
        report = read_day(city, settlement_day)
    if report is None:
        refuse(
            words(
                f"{settlement_day} 未关闭；见 `onecard days list`",
                f"{settlement_day} is not closed; see `onecard days list`",
            )
        )
    closed = report.day
    signed = signed_seal(city.scheme.name, closed)
    if as_json:
        print_json(_document(report) | {"signed": signed.document()})
        return
    at = f"{closed.closed_at:%Y-%m-%d %H:%M} UTC"
    by = [name for each in (closed.closed_by, closed.confirmed_by) if (name := _name(each))]
    said = words(f"{settlement_day} 于 {at} 关闭", f"Day {settlement_day}, closed at {at}")
    say(said + (words("，经办：", " by ") + words("、", " and ").join(by) if by else ""), "bold")
    for each in (dispositions(report.totals), figures(report.totals)):
        print_table(each)
    print_table(ledger_positions(report), csv)
    if report.reviewed:
        say(words(f"复核 {report.reviewed:,} 条", f"{report.reviewed:,} records judged again"))
    say(words(f"封存 {closed.seal}", f"seal {closed.seal}"))
    tell_seal(signed)
    say(words("备付金证明：`onecard float`", "The proof of the float: `onecard float`"), "dim")


def read_day_argument(where: Text, text: str) -> date:
    """A day of a command line; one that is none ends the command with usage."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        said = shorten(text)
        refuse(
            words(
                f"{where}：{said} 不是日期；写作 YYYY-MM-DD",
                f"{where}: {said} is not a date; write YYYY-MM-DD",
            ),
            EXIT_USAGE,
        )


def tell_seal(seal: SignedSeal | None) -> None:
    """A seal as people write it down."""
    if seal is not None:
        day, written = seal.settlement_day, seal.written
        say(
            words(
                f"第 {seal.number} 日（{day}）的封存，请抄下保存：{written}"
                "（核对：`onecard verify --expect-seal`）",
                f"Seal of day number {seal.number} ({day}), to be written down: {written} "
                "(held against the city by `onecard verify --expect-seal`)",
            )
        )


def seal_document(seal: SignedSeal | None) -> dict[str, object]:
    """The newest seal as every answer and statement carries it; null before the first."""
    return {"newest_seal": None if seal is None else seal.document()}


def _name(actor: Actor | None) -> str:
    return "" if actor is None else actor.name


def day_document(day: ClosedDay) -> dict[str, object]:
    """A closed day as a JSON object."""
    actors = {"closed_by": day.closed_by, "confirmed_by": day.confirmed_by}
    return {
        **{name: getattr(day, name) for name in day.__slots__},
        **{name: None if each is None else each.code for name, each in actors.items()},
        "set_aside": [asdict(each) for each in day.set_aside],
    }


def _document(report: DayReport) -> dict[str, object]:
    return {
        **day_document(report.day),
        "totals": dict(report.totals),
        "reviewed": report.reviewed,
        "positions": [
            {name: getattr(each, name) for name in each.__slots__} for each in report.positions
        ],
    }
