"""`onecard loads`: loads that were allowed, recorded and stated by the card, matched.

Decides how they are shown; how each stands is settlement's.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Any

import typer
from rich.table import Table

from api.cli.frame.session import open_to_read
from api.exits import EXIT_USAGE
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
from cardcore.applets.catalogue import APPLICATIONS
from settlement.intake.load_log import LogReach
from settlement.loads.ages import LoadLine
from settlement.reports.loads import LoadsReport, read_load, read_loads

app = typer.Typer(
    help="Loads: list, show; log, records and cards matched. 圈存核对。", no_args_is_help=True
)
FirstOption = Annotated[str | None, typer.Option("--from", help="First day YYYY-MM-DD. 起始日。")]
LastOption = Annotated[str | None, typer.Option("--to", help="Last day YYYY-MM-DD. 截止日。")]


@app.command("list")
def list_(
    data: DataOption = DEFAULT_DATA,
    unmatched: Annotated[
        bool, typer.Option("--unmatched", help="Only what does not match. 仅列不符。")
    ] = False,
    first: FirstOption = None,
    last: LastOption = None,
    as_json: JsonOption = False,
) -> None:
    """Loads by age and agent: allowed, recorded, confirmed? 圈存三方核对，按账龄与代理。"""
    days = (_day(first), _day(last))
    with open_to_read(data) as city:
        report = read_loads(city, *days)
    lines = report.unmatched if unmatched else report.lines
    if as_json:
        print_json(_document(report, lines))
        return
    for log in report.logs:
        say(_reach(log))
    if not report.logs:
        say("no load log was received 尚未收到圈存授权日志: `onecard files add FILE.ocl`")
    console.print(_figures(report))
    for table in _tables(lines, report.agents):
        console.print(table)
    if unmatched and not lines:
        say("everything matches 全部相符")
    _legend(lines)
    if report.older:
        say(f"{report.older:,} allowed loads before {report.first} were not looked at: --from DAY "
             "此前的授权未核对")  # fmt: skip


@app.command()
def show(
    number: Annotated[int, typer.Argument(help="Number in the load log. 日志编号。", min=1)],
    issuer: Annotated[
        str | None, typer.Option(help="Whose log, 16 hexadecimal digits. 发卡机构。")
    ] = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """One allowed load, what became of it, and its purse. 一笔授权的结果与该钱包的前后圈存。"""
    with open_to_read(data) as city:
        report = read_load(city, number, None if issuer is None else issuer.upper())
    if report is None:
        refuse(f"no log that is complete so far has an entry {number}; see `onecard loads list`")
    line, agents = report.line, report.agents
    document = _line(line, agents)
    if as_json:
        print_json({**document, "purse": [_line(each, agents) for each in report.purse]})
        return
    for name, value in document.items():
        say(f"{name:18} {value}")
    say(f"{'meaning 含义':18} {line.judged.standing.meaning}")
    say(f"{'to do 处理':18} {line.judged.standing.advice}")
    for table in _tables(report.purse, agents):
        console.print(table)


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        refuse(f"{text!r} is not a date YYYY-MM-DD", EXIT_USAGE)


def _reach(log: LogReach) -> str:
    text = f"load log 圈存授权日志 {log.issuer}: 1-{log.last_number}"
    if log.reaches is not None:
        text += f", as of 截至 {log.reaches:%Y-%m-%d %H:%M}"
    if log.missing:
        holes = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in log.missing)
        text += f"; waits for entries 等待补传: {holes}"
    return text


def _figures(report: LoadsReport) -> Table:
    days = "" if report.as_of is None else f" {report.first} - {report.last}"
    table = amount_table(
        f"Loads by agent 圈存核对{days}", "agent 代理, standing 状态", "loads 笔数",
        "amount 金额", "unmatched 不符", "amount 金额", "oldest 账龄",
    )  # fmt: skip
    table.columns[0].overflow = "fold"
    for each in report.figures:
        table.add_row(
            f"{_agent(each.agent, report.agents)}\n{each.standing.text}", f"{each.loads:,}",
            fen(each.amount_fen), f"{each.unmatched:,}", fen(each.unmatched_fen),
            str(each.oldest_days) if each.unmatched else "",
        )  # fmt: skip
    return table


def _tables(lines: Sequence[LoadLine], agents: Mapping[int, str]) -> Iterator[Table]:
    """One table an agent, its oldest loads first. Numbers stand whole, on a narrow screen too."""
    by_agent: dict[int | None, list[LoadLine]] = {}
    for each in lines:
        by_agent.setdefault(each.agent, []).append(each)
    for agent in sorted(by_agent, key=lambda code: (code is None, code or 0)):
        table = amount_table(
            f"Loads 圈存: {_agent(agent, agents)}", "standing 状态", "days 账龄", "card 卡号",
            "amount 金额", "log 日志",
        )  # fmt: skip
        for column in table.columns[1:]:
            column.no_wrap = True
        for each in by_agent[agent]:
            judged = each.judged
            table.add_row(
                _standing(each), str(each.age_days), judged.card_number, _amount(each),
                "" if judged.logged is None else str(judged.logged.load.number),
                style="red" if judged.standing.is_alarm else None,
            )  # fmt: skip
        yield table


def _standing(line: LoadLine) -> str:
    text = str(line.judged.standing.text)
    return text if line.billed_on is None else f"{text}\n按日志计费 by the log {line.billed_on}"


def _amount(line: LoadLine) -> str:
    judged = line.judged
    if judged.logged is None and judged.recorded is None:
        return f"{judged.count} x ?"
    return fen(judged.amount_fen)


def _legend(lines: Sequence[LoadLine]) -> None:
    """What each standing that occurs means, and what to do."""
    occurring = {each.judged.standing for each in lines if not each.judged.is_matched}
    for standing in sorted(occurring, key=lambda each: each.value):
        say(f"{standing.text}: {standing.meaning.zh}。{standing.advice.zh}。")
        say(f"  {standing.meaning.en}. To do: {standing.advice.en}.")


def _agent(agent: int | None, agents: Mapping[int, str]) -> str:
    return "nobody's 无主" if agent is None else f"{agents.get(agent, '')} {agent}".strip()


def _document(report: LoadsReport, lines: Sequence[LoadLine]) -> dict[str, Any]:
    return {
        "as_of": report.as_of,
        "first": report.first,
        "last": report.last,
        "older": report.older,
        "logs": [{name: getattr(each, name) for name in each.__slots__} for each in report.logs],
        "agents": [
            {
                "agent": each.agent,
                "name": None if each.agent is None else report.agents.get(each.agent),
                "standing": each.standing.name.lower(),
                "loads": each.loads,
                "amount_fen": each.amount_fen,
                "unmatched": each.unmatched,
                "unmatched_fen": each.unmatched_fen,
                "oldest_days": each.oldest_days,
            }
            for each in report.figures
        ],
        "loads": [_line(each, report.agents) for each in lines],
    }


def _line(line: LoadLine, agents: Mapping[int, str]) -> dict[str, Any]:
    judged = line.judged
    load = None if judged.logged is None else judged.logged.load
    told = load or judged.recorded
    return {
        "standing": judged.standing.name.lower(),
        "is_matched": judged.is_matched,
        "is_alarm": judged.standing.is_alarm,
        "evidence": judged.evidence.name.lower(),
        "age_days": line.age_days,
        "known_on": judged.known_on,
        "agent": line.agent,
        "agent_name": None if line.agent is None else agents.get(line.agent),
        "card_number": judged.card_number,
        "application": _application(judged.application),
        "online_counter": judged.counter,
        "count": judged.count,
        "amount_fen": None if told is None else told.amount_fen,
        "balance_before_fen": None if load is None else load.balance_before_fen,
        "terminal": None if told is None else told.terminal,
        "time": None if told is None else told.time,
        "issuer": None if judged.logged is None else judged.logged.issuer,
        "number": None if load is None else load.number,
        "funding": None if load is None else load.funding.name.lower(),
        "records": [] if judged.recorded is None else list(judged.recorded.record_ids),
        "is_proven": judged.recorded is not None and judged.recorded.is_proven,
        "billed_by_log_on": line.billed_on,
    }


def _application(code: int) -> str:
    return APPLICATIONS[code].name if code in APPLICATIONS else str(code)
