"""`onecard loads`: loads that were allowed, recorded and stated by the card, matched.

Decides how they are shown; how each stands is settlement's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.days import read_day_argument
from api.cli.frame.loading import command, noun
from api.cli.frame.pages import (
    PAGE_SIZE,
    DescendingOption,
    PageSizeOption,
    WholeOrPageOption,
    nothing_there,
    page_of,
    tell_page_of,
)
from api.cli.frame.session import open_to_read
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    UnmaskOption,
    masked,
    print_json,
    print_table,
    refuse,
    refuse_choice,
    say,
)
from api.tables import Cell, Column, Count, Fen, Table
from cardcore.applets.catalogue import APPLICATIONS
from cardcore.text import Text, words
from settlement.intake.load_log import LogReach
from settlement.loads.ages import LoadLine
from settlement.loads.standings import LoadStanding
from settlement.reports.loads import LoadsReport, read_load, read_loads

app = noun(
    Text(
        "充值：主机授权、代理记录与卡片三方核对。",
        "Loads: log, records and cards matched; list, show.",
    )
)
_ALL_MATCH = Text("全部相符", "everything matches")
_NONE_OF_THESE_DAYS = Text("这些日子没有圈存", "no load is of these days")
_NONE_ASKED_FOR = Text(
    "没有符合所问的；全部：`onecard loads list`",
    "nothing is as you asked for it; all of them: `onecard loads list`",
)
#: By the words of `--standing`.
_STANDINGS = {each.name.lower().replace("_", "-"): each for each in LoadStanding}
#: By the words of `--sort`: what comes first, where two loads differ.
_ORDERS: Mapping[str, Callable[[LoadLine], tuple[int, ...]]] = {
    "agent": lambda line: (line.agent is None, line.agent or 0),
    "age": lambda line: (line.age_days,),
    "amount": lambda line: (line.judged.amount_fen,),
    "standing": lambda line: (line.judged.standing.value,),
}
UnmatchedOption = Annotated[
    bool, typer.Option("--unmatched", help=words("仅列不符者。", "Only what does not match."))
]
StandingOption = Annotated[
    str | None,
    typer.Option(
        "--standing",
        help=words(
            f"只看此状态：{'、'.join(_STANDINGS)}。", f"Only of one of {', '.join(_STANDINGS)}."
        ),
    ),
]
AgentOption = Annotated[
    int | None,
    typer.Option("--agent", help=words("只看此代理的编号。", "Only of the agent of this code.")),
]
SortOption = Annotated[
    str,
    typer.Option(
        "--sort",
        help=words(
            f"排序所按的列：{'、'.join(_ORDERS)}。", f"Sort by one of {', '.join(_ORDERS)}."
        ),
    ),
]
FirstOption = Annotated[
    str | None,
    typer.Option("--from", help=words("起始日 YYYY-MM-DD。", "First day YYYY-MM-DD.")),
]
LastOption = Annotated[
    str | None,
    typer.Option("--to", help=words("截止日 YYYY-MM-DD。", "Last day YYYY-MM-DD.")),
]


@command(
    app,
    "list",
    Text("圈存三方核对，按代理与账龄。", "Loads by agent and age: allowed, recorded, confirmed?"),
)
def list_(
    data: DataOption = DEFAULT_DATA,
    unmatched: UnmatchedOption = False,
    standing: StandingOption = None,
    agent: AgentOption = None,
    first: FirstOption = None,
    last: LastOption = None,
    sort: SortOption = "agent",
    descending: DescendingOption = False,
    page: WholeOrPageOption = None,
    per_page: PageSizeOption = PAGE_SIZE,
    csv: CsvOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """The CSV file has the loads that are shown, one a line; figures are of all of them."""
    if standing is not None and standing not in _STANDINGS:
        refuse_choice("--standing", Text("状态", "standing"), standing, _STANDINGS)
    if sort not in _ORDERS:
        refuse_choice("--sort", Text("列", "column"), sort, _ORDERS)
    days = (
        None if first is None else read_day_argument(Text("--from 起始日", "--from"), first),
        None if last is None else read_day_argument(Text("--to 截止日", "--to"), last),
    )
    with open_to_read(data) as city:
        report = read_loads(city, *days)
    asked = [
        each
        for each in (report.unmatched if unmatched else report.lines)
        if (standing is None or each.judged.standing is _STANDINGS[standing])
        and (agent is None or each.agent == agent)
    ]
    asked.sort(key=_ORDERS[sort], reverse=descending)
    lines = _shown(page_of(asked, page, per_page), unmask=unmask)
    if as_json:
        print_json(_document(report, lines) | {"count": len(asked)})
        return
    for log in report.logs:
        say(_reach(log))
    if not report.logs:
        say(
            words(
                "尚未收到圈存授权日志：`onecard files add FILE.ocl`",
                "no load log was received: `onecard files add FILE.ocl`",
            )
        )
    if report.figures:
        print_table(_figures(report))
    empty = _ALL_MATCH if report.figures else _NONE_OF_THESE_DAYS
    if standing is not None or agent is not None:
        empty = _NONE_ASKED_FOR
    tell_page_of(len(asked), page, per_page)
    _show_lines(lines, report.agents, csv, nothing_there(len(asked), page, empty))
    _legend(lines)
    if lines:
        say(
            words(
                "逐笔查看，按日志编号：`onecard loads show NUMBER`",
                "each of them, by its log entry: `onecard loads show NUMBER`",
            )
        )
    if report.older:
        say(
            words(
                f"{report.first} 之前的 {report.older:,} 笔授权未核对：--from YYYY-MM-DD",
                f"{report.older:,} allowed loads before {report.first} were not looked at: "
                "--from YYYY-MM-DD",
            )
        )


@command(
    app,
    "show",
    Text(
        "一笔授权的结果，及该钱包的前后圈存。",
        "One allowed load, what became of it, and its purse.",
    ),
)
def show(
    number: Annotated[
        int,
        typer.Argument(help=words("日志编号。", "Number in the load log."), min=1),
    ],
    issuer: Annotated[
        str | None,
        typer.Option(help=words("发卡机构，16 位十六进制。", "Whose log, 16 hexadecimal digits.")),
    ] = None,
    data: DataOption = DEFAULT_DATA,
    csv: CsvOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """The CSV file has the loads of the purse."""
    with open_to_read(data) as city:
        report = read_load(city, number, None if issuer is None else issuer.upper())
    if report is None:
        refuse(
            words(
                f"目前完整的日志中没有第 {number} 条；见 `onecard loads list`",
                f"no log that is complete so far has an entry {number}; see `onecard loads list`",
            )
        )
    (line, *purse), agents = _shown([report.line, *report.purse], unmask=unmask), report.agents
    if as_json:
        document = _line(line, agents)
        print_json({**document, "purse": [_line(each, agents) for each in purse]})
        return
    _show_one(line, agents)
    _show_lines(purse, agents, csv)


def _shown(lines: Sequence[LoadLine], *, unmask: bool) -> list[LoadLine]:
    """The same without the numbers of the cards, unless they are asked for."""
    if unmask:
        return list(lines)
    return [
        replace(line, judged=replace(line.judged, card_number=masked(line.judged.card_number)))
        for line in lines
    ]


def _show_one(line: LoadLine, agents: Mapping[int, str]) -> None:
    judged = line.judged
    load = None if judged.logged is None else judged.logged.load
    told = load or judged.recorded
    records = () if judged.recorded is None else judged.recorded.record_ids
    application = APPLICATIONS.get(judged.application)
    code = str(judged.application)
    facts: tuple[tuple[Text, object], ...] = (
        (Text("事项", "item"), _item(line)),
        (Text("状态", "standing"), judged.standing.text),
        (Text("依据", "evidence"), judged.evidence.text),
        (Text("含义", "meaning"), judged.standing.meaning),
        (Text("处理", "to do"), judged.standing.advice),
        (Text("卡号", "card"), judged.card_number),
        (Text("应用", "application"), code if application is None else application.title),
        (Text("联机交易序号", "online counter"), judged.counter),
        (Text("金额", "amount"), None if told is None else Fen(told.amount_fen)),
        (Text("圈存前余额", "before it"), None if load is None else Fen(load.balance_before_fen)),
        (Text("终端", "terminal"), None if told is None else told.terminal),
        (Text("时间", "time"), None if told is None else told.time),
        (Text("代理", "agent"), _agent(line.agent, agents)),
        (Text("账龄（天）", "age in days"), line.age_days),
        (Text("交易记录", "records"), ", ".join(records) or None),
        (Text("按日志计费于", "billed by the log on"), line.billed_on),
    )
    for name, value in facts:
        if value is not None:
            say(words(f"{name}：{value}", f"{name}: {value}"))


def _reach(log: LogReach) -> str:
    text = words(
        f"圈存授权日志 {log.issuer}：1-{log.last_number}",
        f"load log {log.issuer}: 1-{log.last_number}",
    )
    if log.reaches is not None:
        at = f"{log.reaches:%Y-%m-%d %H:%M}"
        text += words(f"，截至 {at}", f", as of {at}")
    if log.missing:
        holes = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in log.missing)
        text += words(f"；等待补传 {holes}", f"; waits for entries {holes}")
    return text


def _figures(report: LoadsReport) -> Table:
    days = "" if report.as_of is None else f" {report.first} - {report.last}"
    table = Table(
        Text(f"圈存核对{days}", f"Loads by agent{days}"),
        [
            Column(Text("代理", "agent")),
            Column(Text("状态", "standing")),
            *(
                Column(each, right=True)
                for each in (
                    Text("笔数", "loads"),
                    Text("金额", "amount"),
                    Text("不符笔数", "unmatched"),
                    Text("不符金额", "unmatched amount"),
                    Text("最长账龄（天）", "oldest, days"),
                )
            ),
        ],
    )
    for each in report.figures:
        oldest = Count(each.oldest_days) if each.unmatched else None
        table.add(
            _agent(each.agent, report.agents), each.standing.text, Count(each.loads),
            Fen(each.amount_fen), Count(each.unmatched), Fen(each.unmatched_fen), oldest,
        )  # fmt: skip
    return table


def _show_lines(
    lines: Sequence[LoadLine],
    agents: Mapping[int, str],
    csv: Path | None,
    empty: Text | None = None,
) -> None:
    table = Table(
        Text("圈存", "Loads"),
        [
            Column(Text("代理", "agent")),
            Column(Text("状态", "standing")),
            Column(Text("账龄（天）", "age, days"), right=True),
            Column(Text("卡号", "card")),
            Column(Text("金额", "amount"), right=True),
            Column(Text("日志编号", "log entry"), right=True),
            Column(Text("按日志计费", "billed by the log")),
        ],
    )
    for each in lines:
        judged = each.judged
        number = None if judged.logged is None else str(judged.logged.load.number)
        billed = None if each.billed_on is None else str(each.billed_on)
        table.add(
            _agent(each.agent, agents), judged.standing.text, Count(each.age_days),
            judged.card_number, _amount(each), number, billed,
            style="red" if judged.standing.is_alarm else "",
        )  # fmt: skip
    print_table(table, csv, empty)


def _amount(line: LoadLine) -> Cell:
    judged = line.judged
    if judged.logged is None and judged.recorded is None:
        return f"{judged.count} x ?"
    return Fen(judged.amount_fen)


def _legend(lines: Sequence[LoadLine]) -> None:
    """What each standing that occurs means, and what to do."""
    occurring = {each.judged.standing for each in lines if not each.judged.is_matched}
    for standing in sorted(occurring, key=lambda each: each.value):
        name, meaning, advice = standing.text, standing.meaning, standing.advice
        say(words(f"{name}：{meaning}。处理：{advice}。", f"{name}: {meaning}. To do: {advice}."))


def _item(line: LoadLine) -> str | None:
    """As a ruling names it; what no log knows is none that two people could release."""
    logged = line.judged.logged
    return None if logged is None else f"load/{logged.issuer}/{logged.load.number}"


def _agent(agent: int | None, agents: Mapping[int, str]) -> Text | str:
    if agent is None:
        return Text("无主", "nobody's")
    return f"{agents.get(agent, '')} {agent}".strip()


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
        "item": _item(line),
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
