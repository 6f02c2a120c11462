"""`onecard days`: closed days, read back.

Decides how they are shown; every figure is settlement's.
"""

from dataclasses import asdict
from datetime import date
from typing import Annotated

import typer

from api.cli.frame.session import open_to_read
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    amount_table,
    console,
    fen,
    figures_table,
    print_json,
    refuse,
)
from settlement.days.closing import ClosedDay
from settlement.reports.days import DayReport, read_balances, read_closed_days, read_day

app = typer.Typer(help="Closed days: list, show. 已关闭的清算日。", no_args_is_help=True)


@app.command("list")
def list_(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """Every closed day, and the balances they left. 已关闭的清算日与账户余额。"""
    with open_to_read(data) as city:
        days, balances = read_closed_days(city), read_balances(city)
    if as_json:
        print_json({"days": [day_document(each) for each in days], "balances": balances})
        return
    table = amount_table("Days 清算日", "day 清算日", "closed at 关闭时间", "seal 封存")
    for each in days:
        closed_at = f"{each.closed_at:%Y-%m-%d %H:%M} UTC"
        table.add_row(str(each.settlement_day), closed_at, each.seal[:12])
    accounts = amount_table("Balances 账户余额, debit positive 借方为正", "account 账户", "")
    for account, amount_fen in balances.items():
        accounts.add_row(account, fen(amount_fen))
    console.print(table)
    console.print(accounts)


@app.command()
def show(
    day: Annotated[str, typer.Argument(help="Settlement day YYYY-MM-DD. 清算日。")],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """One closed day: totals and positions. 一个清算日的合计与轧差。"""
    try:
        settlement_day = date.fromisoformat(day)
    except ValueError:
        refuse(f"{day!r} is not a date YYYY-MM-DD", EXIT_USAGE)
    with open_to_read(data) as city:
        report = read_day(city, settlement_day)
    if report is None:
        refuse(f"{settlement_day} is not closed; see `onecard days list`")
    if as_json:
        print_json(_document(report))
        return
    closed_by = day_document(report.day)["closed_by"]
    totals = figures_table(
        f"Day 清算日 {settlement_day}",
        {**report.totals, "float_proof": "onecard float", "closed_by": closed_by or "–"},
    )
    positions = amount_table(
        "Positions 轧差", "account 账户", "owner 参与方", "debit 借", "credit 贷", "net 净额"
    )
    for each in report.positions:
        positions.add_row(
            each.account, each.owner, fen(each.gross_debit_fen), fen(each.gross_credit_fen),
            fen(each.net_fen),
        )  # fmt: skip
    console.print(totals)
    console.print(positions)


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
