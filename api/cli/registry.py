"""`onecard registry`: rows with days added, changed, ended, listed, taken in from a file.

Decides how rows are written on a command line and shown. Leaves every answer to settlement: the
nouns and their fields are its kinds of rows, so a new kind needs nothing here.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.session import ByOption, acting, open_to_act, open_to_read
from api.output import (
    DEFAULT_DATA,
    EXIT_REFUSED,
    EXIT_USAGE,
    DataOption,
    JsonOption,
    amount_table,
    console,
    console_error,
    print_json,
    refuse,
)
from cardcore.text import quoted
from settlement.people.actions import Action, ActorError
from settlement.registry.book import BEGINNING, FOREVER, AnyDated, Change, Dated, civil_day
from settlement.registry.columns import Value, ValueFaultError
from settlement.registry.decide import Decided, Refused, days
from settlement.registry.rows import KINDS, Kind
from settlement.registry.sheets import SheetFault, read_day, sheet_document, write_sheet
from settlement.reports.registry import read_history, read_rows
from settlement.service.registering import add_row, change_row, end_row, import_sheet

_NOUNS = ", ".join(KINDS)
#: What may be written of each kind; what may be left out stands in brackets.
_FIELDS = "FIELDs 各列: " + "; ".join(
    f"{kind.name}: "
    + " ".join(
        f"[{each.name}]" if each.optional else each.name for each in kind.columns if not each.is_own
    )
    for kind in KINDS.values()
)
app = typer.Typer(
    help="Dated rows of the registry, never overwritten. 登记簿：每行有起止日期，只增不改。",
    no_args_is_help=True,
)
NounArgument = Annotated[str, typer.Argument(metavar="NOUN", help=f"种类 One of {_NOUNS}.")]
SubjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT", help="What names the row, e.g. 101, 7/1 or line/3. 行的名称。"
    ),
]
FieldsArgument = Annotated[
    list[str], typer.Argument(metavar="FIELD=VALUE...", help="What the row says. 各列取值。")
]
FromOption = Annotated[
    str | None,
    typer.Option("--from", help="First day YYYY-MM-DD; by default today. 首日，默认今日。"),
]
ToOption = Annotated[
    str | None, typer.Option("--to", help="Last day; by default none. 末日，默认无。")
]
WhyOption = Annotated[str, typer.Option("--why", help="The reason, in a sentence. 缘由。")]


@app.command(epilog=_FIELDS)
def add(
    noun: NounArgument,
    fields: FieldsArgument,
    why: WhyOption,
    valid_from: FromOption = None,
    valid_to: ToOption = None,
    by: ByOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Add a row on days on which there is none. 新增。"""
    kind, action = _kind(noun), _action(by, why)
    values = _values(kind, fields)
    for column in kind.columns:
        if column.name not in values and not column.optional:
            refuse(f"{column.name} is missing 缺少; write {column.name}=…", EXIT_USAGE)
    row = kind.make(values)
    first = _day("--from", valid_from) or civil_day(action.at)
    offered: AnyDated = Dated(row, first, _day("--to", valid_to) or FOREVER)
    with open_to_act(data) as opened:
        decided = add_row(opened.city, offered, action)
    _tell(decided, as_json=as_json)


@app.command(epilog=_FIELDS)
def change(
    noun: NounArgument,
    subject: SubjectArgument,
    fields: FieldsArgument,
    why: WhyOption,
    valid_from: FromOption = None,
    valid_to: ToOption = None,
    by: ByOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Let a row read otherwise from a day on; what it said before stays. 变更。"""
    kind, action = _kind(noun), _action(by, why)
    values, last = _values(kind, fields), _day("--to", valid_to)
    first = _day("--from", valid_from) or civil_day(action.at)
    with open_to_act(data) as opened:
        decided = change_row(opened.city, (kind.name, subject), values, first, last, action)
    _tell(decided, as_json=as_json)


@app.command()
def end(
    noun: NounArgument,
    subject: SubjectArgument,
    why: WhyOption,
    on: Annotated[
        str | None, typer.Option("--on", help="Its last day; by default today. 末日，默认今日。")
    ] = None,
    by: ByOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Let a row hold for the last time on a day. 终止。"""
    kind, action = _kind(noun), _action(by, why)
    last = _day("--on", on) or civil_day(action.at)
    with open_to_act(data) as opened:
        decided = end_row(opened.city, (kind.name, subject), last, action)
    _tell(decided, as_json=as_json)


@app.command("list")
def list_(
    noun: NounArgument,
    subject: Annotated[
        str | None,
        typer.Argument(metavar="[SUBJECT]", help="Show every change of this row. 单行的全部变更。"),
    ] = None,
    on: Annotated[
        str | None, typer.Option("--on", help="Only rows that hold on this day. 该日有效的行。")
    ] = None,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="As a file that `import` takes. 输出 CSV。")
    ] = False,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Rows with their days; of one row, who changed what, when and why. 查询。"""
    kind, day = _kind(noun), _day("--on", on)
    with open_to_read(data) as city:
        if subject is not None:
            history = read_history(city, kind, subject)
            if not history:
                refuse(
                    f"从未登记 / never registered: {kind.name} {subject}; see "
                    f"`onecard registry list {kind.name}`"
                )
            _show_history(kind, history, as_json=as_json)
            return
        rows = read_rows(city, kind, day)
    if as_csv:
        sys.stdout.write(write_sheet(kind, rows))
    elif as_json:
        print_json({"rows": [sheet_document(each) for each in rows]})
    else:
        table = amount_table(f"registry 登记簿: {kind.name}", "", "", "days 日期")
        for each in rows:
            table.add_row(each.subject[1], _said(kind, each), days(each))
        console.print(table)


@app.command("import")
def import_(
    noun: NounArgument,
    file: Annotated[Path, typer.Argument(help="A CSV file with the columns of `list --csv`.")],
    why: WhyOption,
    by: ByOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Take in a CSV file, whole or not at all. 导入 CSV，全部或全不。

    The file says of every row it names all its days; rows it does not name stay as they are.
    """
    kind, action = _kind(noun), _action(by, why)
    try:
        content = file.read_bytes()
    except OSError as error:
        refuse(f"{file}: {error.strerror}", EXIT_USAGE)
    with open_to_act(data) as opened:
        decided = import_sheet(opened.city, kind, content, action)
    if isinstance(decided, Decided):
        _tell(decided, as_json=as_json)
        return
    if as_json:
        print_json({"changed": 0, "faults": [_fault_document(each) for each in decided]})
    for each in decided:
        where = f"{file}:{each.line}" + (f" {each.column}" if each.column else "")
        console_error.print(
            f"{where}: {each.fault.zh} / {each.fault.en}",
            style="red", highlight=False, markup=False, soft_wrap=True,
        )  # fmt: skip
    console_error.print("Nothing was changed 未作任何更改。", highlight=False)
    raise typer.Exit(EXIT_REFUSED)


def _kind(noun: str) -> Kind:
    name = noun.replace("-", "_")
    if name not in KINDS:
        refuse(f"{quoted(noun)} is none of 未知种类 {_NOUNS}", EXIT_USAGE)
    return KINDS[name]


def _action(by: str | None, why: str) -> Action:
    try:
        action = Action(acting(by), datetime.now(UTC), why)
    except ActorError as error:
        refuse(f"--why 缘由: {error}", EXIT_USAGE)
    if not why:
        refuse("--why 缘由: a reason is needed, in a sentence", EXIT_USAGE)
    return action


def _day(option: str, text: str | None) -> date | None:
    try:
        return read_day(text or "")
    except ValueFaultError as error:
        refuse(f"{option}: {error}", EXIT_USAGE)


def _values(kind: Kind, fields: Sequence[str]) -> dict[str, Value]:
    """What was written as FIELD=VALUE, read."""
    columns = {each.name: each for each in kind.columns if not each.is_own}
    values: dict[str, Value] = {}
    for field in fields:
        name, sign, text = field.partition("=")
        if not sign or name not in columns or name in values:
            known = " ".join(f"{each}=…" for each in columns)
            refuse(f"{quoted(field)}: write each field once 每列一次, {known}", EXIT_USAGE)
        try:
            values[name] = columns[name].read(text)
        except ValueFaultError as error:
            refuse(f"{name}: {error}", EXIT_USAGE)
    return values


def _tell(decided: Decided | Refused, *, as_json: bool) -> None:
    """What was changed, or why not."""
    if isinstance(decided, Refused):
        if as_json:
            print_json({"changed": 0, "refusal": decided.refusal.name, "detail": decided.detail})
        refuse(
            f"{decided.refusal.name}  {decided.text.zh} / {decided.text.en}. "
            "Nothing was changed 未作任何更改。"
        )
    notes = [each.name for each in decided.notes]
    if as_json:
        changed = [f"{each.kind} {each.subject}" for each in decided.changes]
        print_json({"changed": len(changed), "rows": changed, "notes": notes})
        return
    for change in decided.changes:
        shown: AnyDated | None = (
            None if change.row is None else Dated(change.row, change.valid_from, change.valid_to)
        )
        told = (
            f"registered no more 不再登记, from 自 {change.valid_from}"
            if shown is None
            else f"{_said(KINDS[change.kind], shown)}  {days(shown)}"
        )
        console.print(f"{change.kind} {change.subject}: {told}", highlight=False, markup=False)
    if not decided.changes:
        console.print("It reads so already 内容一致，无需更改。", highlight=False)
    for note in decided.notes:
        console.print(f"{note.value.zh} / {note.value.en}", style="yellow", highlight=False)


def _show_history(kind: Kind, changes: Sequence[Change], *, as_json: bool) -> None:
    if as_json:
        print_json({"changes": [_change_document(each) for each in changes]})
        return
    table = amount_table(
        f"history 变更: {kind.name}", "no", "by 经办", "at UTC", "why 缘由", "", "days"
    )
    for each in changes:
        what = each.what
        shown: AnyDated | None = (
            None if what.row is None else Dated(what.row, what.valid_from, what.valid_to)
        )
        first = "…" if what.valid_from == BEGINNING else what.valid_from
        said = ("–", f"{first} - …") if shown is None else (_said(kind, shown), days(shown))
        at = f"{each.action.at:%Y-%m-%d %H:%M}"
        table.add_row(str(each.number), each.action.by.code, at, each.action.why, *said)
    console.print(table)


def _change_document(change: Change) -> dict[str, Any]:
    what = change.what
    return {
        "number": change.number,
        "by": change.action.by.code,
        "at": change.action.at,
        "why": change.action.why,
        "valid_from": None if what.valid_from == BEGINNING else what.valid_from,
        "valid_to": None if what.valid_to == FOREVER else what.valid_to,
        "row": None if what.row is None else sheet_document(Dated(what.row)),
        "hash": change.hash,
    }


def _said(kind: Kind, dated: AnyDated) -> str:
    """The columns of a row that do not name it."""
    document = sheet_document(dated)
    columns = kind.columns[kind.subject :]
    return ", ".join(
        f"{each.name}={document[each.name]}" for each in columns if document[each.name]
    )


def _fault_document(fault: SheetFault) -> dict[str, Any]:
    return {
        "line": fault.line,
        "column": fault.column,
        "text_zh": fault.fault.zh,
        "text_en": fault.fault.en,
    }
