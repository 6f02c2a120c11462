"""`onecard takeover`: cards whose opening is still to be told, and an old system's lists taken in.

Decides how they are shown, and the form of the file of what was not taken in; every answer is
settlement's.
"""

import csv
import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.session import ByOption, acting, open_to_act, open_to_read
from api.cli.office.acting import SecretFileOption, reason, show
from api.cli.registry.shown import tell_asked
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    UnmaskOption,
    complain,
    masked,
    print_json,
    print_table,
    refuse,
    say,
)
from api.tables import Column, Count, Fen, Table
from cardcore.errors import system_words
from cardcore.text import Text, words
from settlement.people.actions import Action
from settlement.registry.decide import Decided, Refused
from settlement.registry.takeover import Rejected, lines_by_number
from settlement.reports.ruling.people import needs_two
from settlement.reports.takeover.cards import (
    OpeningLine,
    OpeningStanding,
    TakeoverReport,
    read_takeover,
)
from settlement.rulings import proposals
from settlement.service.ruling.acting import Proposed
from settlement.service.ruling.registry import propose_change
from settlement.service.takeover.importing import OldLists, read_lists, take_in

app = noun(
    Text(
        "接管城市：老中心的卡在新中心开户。",
        "Taking over a city: cards that come from an old centre.",
    )
)
_NOTHING_OPEN = Text("没有待定或不符的卡", "no card is unopened or contradicts its old centre")
#: What the columns of the file of what was not taken in are called, in any language: a program that
#: mends it reads them.
_REJECT_COLUMNS = ("kind", "line", "column", "reason", "row")

#: What became of an import.
Made: TypeAlias = Proposed | Decided | Refused | proposals.Refused


@command(
    app,
    "list",
    Text(
        "期初待定的卡、与老中心所报不符的卡，由久至新。",
        "Cards still to be opened, and cards that contradict their old centre, the oldest first.",
    ),
)
def list_(
    data: DataOption = DEFAULT_DATA,
    csv: CsvOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """After the last closed day. What an unopened card has paid is its amount."""
    with open_to_read(data) as city:
        report = read_takeover(city)
    if report is None:
        refuse(
            words(
                "尚无已关闭的清算日；见 `onecard close`",
                "no day is closed yet; see `onecard close`",
            )
        )
    if as_json:
        print_json(_document(report, unmask=unmask))
        return
    print_table(_lines(report, unmask=unmask), csv, _NOTHING_OPEN)
    opened, due = Fen(report.opened_fen), Fen(report.due_fen)
    count = Count(report.opened_purses)
    say(
        words(
            f"已开户 {count} 张，期初合计 {opened}；期初待定 {due}",
            f"{count} cards opened with {opened}; openings still to be told: {due}",
        )
    )


def _lines(report: TakeoverReport, *, unmask: bool) -> Table:
    table = Table(
        Text(f"接管的卡 {report.day}", f"Cards taken over, {report.day}"),
        [
            Column(Text("卡号 / 应用", "card / application")),
            Column(Text("老中心", "old centre"), right=True),
            Column(Text("金额", "amount"), right=True),
            Column(Text("自", "since")),
            Column(Text("天数", "days"), right=True),
            Column(Text("状态", "standing"), words=True),
        ],
    )
    for each in report.lines:
        number = each.card_number if unmask else masked(each.card_number)
        table.add(
            f"{number} / {each.application}", str(each.centre), Fen(each.amount_fen),
            str(each.since), Count(_age(report.day, each)), each.standing.value,
            style="" if each.standing is OpeningStanding.UNOPENED else "red",
        )  # fmt: skip
    return table


def _age(day: date, line: OpeningLine) -> int:
    return (day - line.since).days


def _document(report: TakeoverReport, *, unmask: bool) -> dict[str, Any]:
    return {
        "settlement_day": report.day,
        "opened_purses": report.opened_purses,
        "opened_fen": report.opened_fen,
        "due_fen": report.due_fen,
        "cards": [
            {
                "item": each.item if unmask else None,
                "card_number": each.card_number if unmask else masked(each.card_number),
                "application": each.application,
                "issuer": each.issuer,
                "centre": each.centre,
                "standing": each.standing.name.lower(),
                "amount_fen": each.amount_fen,
                "since": each.since,
                "age_days": _age(report.day, each),
            }
            for each in report.lines
        ],
    }


RejectsOption = Annotated[
    Path,
    typer.Option(
        "--rejects",
        help=words("未导入的行写入此 CSV。", "CSV file for the lines that were not taken in."),
    ),
]
WhyOption = Annotated[
    str, typer.Option("--why", help=words("缘由，一句话。", "The reason, in a sentence."))
]
CardsOption = Annotated[
    Path | None,
    typer.Option(
        "--cards",
        help=words(
            "老卡 CSV：`card_number`、`key_version`、[`valid_from`]、[`valid_to`]；"
            "再次发放须用更高版本。",
            "Old cards: `card_number`, `key_version`, [`valid_from`], [`valid_to`]; a number is "
            "given out again only under a higher version.",
        ),
    ),
]
HotlistOption = Annotated[
    Path | None,
    typer.Option(
        "--hotlist",
        help=words(
            "黑名单 CSV：`card_number`、`version`、[`published`]、[`valid_from`]、[`valid_to`]。",
            "Hotlist: `card_number`, `version`, [`published`], [`valid_from`], [`valid_to`].",
        ),
    ),
]
TerminalsOption = Annotated[
    Path | None,
    typer.Option(
        "--terminals",
        help=words(
            "终端 CSV：`terminal`、`participant`、`role`、[`collector`]、[`sector`]、"
            "[`valid_from`]、[`valid_to`]。",
            "Terminals: `terminal`, `participant`, `role`, [`collector`], [`sector`], "
            "[`valid_from`], [`valid_to`].",
        ),
    ),
]


@command(
    app,
    "import",
    Text(
        "导入老系统的清单：合格的行入登记簿，不合格的行连同缘由写入另一文件。",
        "Take in an old system's lists: good lines are registered, the others are written to a "
        "file, each with its reason.",
    ),
)
def import_(
    rejects: RejectsOption,
    why: WhyOption,
    cards: CardsOption = None,
    hotlist: HotlistOption = None,
    terminals: TerminalsOption = None,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """The same files again change nothing. Exit 1 when a line was not taken in."""
    named = {"terminal": terminals, "hotlist": hotlist, "card": cards}
    sheets = {name: _read(path) for name, path in named.items() if path is not None}
    if not sheets:
        refuse(
            words(
                "请指明 --cards、--hotlist 或 --terminals",
                "name a file: --cards, --hotlist or --terminals",
            ),
            EXIT_USAGE,
        )
    why, now, lists = reason(why), datetime.now(UTC), read_lists(sheets)
    with open_to_act(data) as opened:
        if needs_two(opened.city):
            shown = show(opened.city, by, secret_file, now)
            made: Made = propose_change(opened.city, lists.wish, why, shown, now)
        else:
            made = take_in(opened.city, lists, Action(acting(by), now, why))
    _write_rejects(rejects, sheets, lists)
    if not isinstance(made, Decided):
        tell_asked(made, as_json=as_json)
        _tell_rejected(lists, rejects)
        return
    if as_json:
        _print_document(made, lists)
    else:
        changed = Count(len(made.changes))
        say(words(f"登记簿变更 {changed} 项", f"{changed} changes of the registry"))
        for note in made.notes:
            say(f"{note.value}", style="yellow")
    _tell_rejected(lists, rejects)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        fault = system_words(error)
        refuse(
            words(
                f"{path}：{fault}；各列见 `onecard takeover import --help`",
                f"{path}: {fault}; `onecard takeover import --help` says its columns",
            ),
            EXIT_USAGE,
        )


def _write_rejects(rejects: Path, sheets: Mapping[str, bytes], lists: OldLists) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_REJECT_COLUMNS)
    rows = {name: lines_by_number(data) for name, data in sheets.items()}
    for each in lists.rejected:
        fault = each.fault
        row = rows[each.kind].get(fault.line, "")
        writer.writerow([each.kind, fault.line, fault.column, str(fault.fault), row])
    try:
        rejects.write_text(out.getvalue(), "utf-8-sig", newline="")
    except OSError as error:
        fault_said = system_words(error)
        refuse(
            words(
                f"{rejects}：{fault_said}；请以 --rejects 另指文件，重复此命令",
                f"{rejects}: {fault_said}; repeat the command and name another file with --rejects",
            )
        )


def _tell_rejected(lists: OldLists, rejects: Path) -> None:
    lines = {(each.kind, each.fault.line) for each in lists.rejected}
    if not lines:
        return
    count = Count(len(lines))
    complain(
        words(
            f"{count} 行未导入，缘由见 {rejects}；改正后以 `onecard takeover import` 重新导入",
            f"{count} lines were not taken in; {rejects} says why of each: mend them and repeat "
            "`onecard takeover import`",
        )
    )
    raise typer.Exit(EXIT_REFUSED)


def _print_document(made: Decided, lists: OldLists) -> None:
    print_json(
        {
            "changed": len(made.changes),
            "rejected": len({(each.kind, each.fault.line) for each in lists.rejected}),
            "faults": [_fault_document(each) for each in lists.rejected],
        }
    )


def _fault_document(each: Rejected) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "line": each.fault.line,
        "column": each.fault.column,
        "text_zh": each.fault.fault.zh,
        "text_en": each.fault.fault.en,
    }
