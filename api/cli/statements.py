"""The tables of a statement: dispositions, figures, positions.

Decides how the totals of runs are shown, alike by whoever ends a day: `demo`, `replay`, `clear`,
`close` and `days`. Every figure is settlement's.
"""

from collections.abc import Mapping
from typing import Any

from api.tables import Cell, Column, Count, Fen, Table, amounts
from cardcore.text import Text
from settlement.dispositions import Disposition, Note
from settlement.ledger.accounts import parse_account
from settlement.reports.days import DayReport
from settlement.reports.statement import Statement

_COUNT, _AMOUNT = Text("笔数", "count"), Text("金额", "amount")
#: Dispositions by the name that totals have for them.
_DISPOSITIONS = {
    "accepted": Disposition.ACCEPTED,
    "duplicates": Disposition.DUPLICATE,
    "suspended": Disposition.SUSPENDED,
    "claims": Disposition.CLAIM,
    "rejected": Disposition.REJECTED,
}


def dispositions(totals: Mapping[str, Any]) -> Table:
    """What became of the records, and what is worth a look in those that were accepted."""
    table = amounts(Text("交易记录", "Records"), Text("处理结果", "disposition"), _COUNT, _AMOUNT)
    claimed = Fen(totals["claims_fen"]) if totals["claims"] else None
    for name, disposition in _DISPOSITIONS.items():
        amount = claimed if disposition is Disposition.CLAIM else None
        table.add(disposition.text, Count(totals[name]), amount)
    table.add(Text("合计", "in all"), Count(totals["records"]), None, style="bold")
    if totals["late"]:
        table.add(Text("其中迟到", "of these, late"), Count(totals["late"]), None, style="dim")
    for name, count in totals["notes"].items():
        if count:
            said = Note[name.upper()].text
            note = Text(f"备注：{said.zh}", f"note: {said.en}")
            table.add(note, Count(count), None, style="dim")
    if totals["loads_by_log"]:
        by_log = Text("按日志计费的圈存", "loads by the log alone")
        table.add(by_log, Count(totals["loads_by_log"]), Fen(totals["loads_by_log_fen"]))
    return table


def figures(totals: Mapping[str, Any]) -> Table:
    """The money of the records, and the float as they tell it."""
    table = amounts(
        Text("备付金（按记录）", "The float, as records tell it"), Text("项目", "figure"), _AMOUNT
    )
    apart_fen = totals["openings_apart_fen"]
    apart = Text("+ 未入链的接管期初", "+ openings outside chains")
    for said, amount_fen in (
        (Text("票价合计", "tariffs"), totals["tariff_fen"]),
        (Text("实收合计", "charged"), totals["charged_fen"]),
        (Text("备付金余额", "float"), totals["float_fen"]),
        (Text("= 卡内余额", "= card balances"), totals["card_balance_fen"]),
        (Text("+ 未补断号", "+ open gaps"), totals["open_gap_fen"]),
        *([(apart, apart_fen)] if apart_fen else []),
        (Text("轧差合计", "sum of nets"), totals["net_sum_fen"]),
    ):
        table.add(said, Fen(amount_fen))
    return table


def positions(statement: Statement) -> Table:
    """Who is owed what; with the float all of it sums to zero."""
    table = amounts(
        Text("清分头寸", "Positions"),
        Text("参与方", "participant"),
        Text("笔数", "taps"),
        Text("票价", "tariff"),
        Text("实收", "charged"),
        Text("应付", "owed to it"),
    )
    for name, line in statement.operators.items():
        charged = Fen(line.charged_fen)
        table.add(name, Count(line.taps), Fen(line.tariff_fen), charged, charged)
    for name, amount_fen in statement.loads.items():
        said = Text(f"{name}（充值）", f"{name} (loads)")
        table.add(said, None, None, Fen(amount_fen), Fen(-amount_fen))
    for name, amount_fen in statement.suspense.items():
        said = Text(f"{name}（挂账）", f"{name} (held)")
        table.add(said, None, None, None, Fen(amount_fen))
    for name, amount_fen in statement.centres.items():
        said = Text(f"{name}（其发卡）", f"{name} (cards of its own)")
        table.add(said, None, None, None, Fen(-amount_fen))
    if statement.holder_due_fen:
        said = Text("应退持卡人", "held for holders")
        table.add(said, None, None, None, Fen(statement.holder_due_fen))
    cards = Text("全部卡：备付金", "all cards: the float")
    table.add(cards, None, None, None, Fen(statement.totals["float_fen"]))
    return table


def account_text(account: str) -> Text:
    """An account in words, and as it is written."""
    said = parse_account(account).kind.text
    return Text(f"{said.zh}（{account}）", f"{said.en} ({account})")


def ledger_positions(report: DayReport) -> Table:
    """The positions of a closed day, account by account."""
    table = Table(
        Text("轧差", "Positions"),
        [
            Column(Text("账户", "account")),
            Column(Text("参与方", "owner")),
            *(
                Column(each, right=True)
                for each in (Text("借", "debit"), Text("贷", "credit"), Text("净额", "net"))
            ),
        ],
    )
    for each in report.positions:
        sums: list[Cell] = [
            Fen(each.gross_debit_fen),
            Fen(each.gross_credit_fen),
            Fen(each.net_fen),
        ]
        table.add(account_text(each.account), each.owner, *sums)
    return table
