"""`onecard registry`: rows with days added, changed, ended, listed, taken in from a file.

Decides how rows are written on a command line and shown. Leaves every answer to settlement: the
nouns and their fields are its kinds of rows, so a new kind needs nothing here.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from api.cli.frame.loading import command, noun
from api.cli.frame.pages import (
    PAGE_SIZE,
    PageSizeOption,
    WholeOrPageOption,
    nothing_there,
    page_of,
    tell_page_of,
)
from api.cli.frame.session import ByOption, acting, open_to_act, open_to_read
from api.cli.office.acting import (
    SecretFileOption,
    WhyOption,
    show,
)
from api.cli.registry.shown import said_of, show_history, tell, tell_asked, tell_faults
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    UnmaskOption,
    masked,
    print_json,
    print_table,
    refuse,
    refuse_choice,
)
from api.tables import Column, Table
from cardcore.errors import system_words
from cardcore.text import Text, shorten, words
from settlement.city import City
from settlement.people.actions import Action, ActorError
from settlement.registry.book import FOREVER, AnyDated, Change, Dated, civil_day
from settlement.registry.columns import Value, ValueFaultError
from settlement.registry.decide import Refused, days
from settlement.registry.rows import KINDS, Kind
from settlement.registry.sheets import read_day, read_sheet, sheet_document, write_sheet
from settlement.reports.registry import read_history, read_rows
from settlement.reports.ruling.people import needs_two
from settlement.service.registering import (
    Wish,
    add_row,
    adding,
    change_row,
    changing,
    end_row,
    ending,
    import_sheet,
    importing,
)
from settlement.service.ruling.registry import propose_change

_CARD = "card_number"  # whose rows are named by it, and masked
_NOUNS = ", ".join(f"`{name}`" for name in KINDS)
#: What may be written of each kind; what may be left out stands in brackets.
_FIELDS = "; ".join(
    f"{kind.name}: `"
    + ",".join(
        f"[{each.name}]" if each.optional else each.name for each in kind.columns if not each.is_own
    )
    + "`"
    for kind in KINDS.values()
)
app = noun(
    Text("登记簿：每行有起止日期，只增不改。", "Dated rows of the registry, never overwritten.")
)
NounArgument = Annotated[
    str,
    typer.Argument(metavar="NOUN", help=words(f"种类：{_NOUNS}。", f"One of {_NOUNS}.")),
]
SubjectArgument = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT",
        help=words(
            "行的名称，如 101、7/1 或 line/3。", "What names the row, e.g. 101, 7/1 or line/3."
        ),
    ),
]
FieldsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="FIELD=VALUE...",
        help=words(f"各列取值。{_FIELDS}", f"What the row says. {_FIELDS}"),
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help=words("首日 YYYY-MM-DD，默认今日。", "First day YYYY-MM-DD; by default today."),
    ),
]
ToOption = Annotated[
    str | None,
    typer.Option("--to", help=words("末日，默认无。", "Last day; by default none.")),
]


@command(
    app,
    "add",
    Text(
        "新增一行；该行在这些日期尚不存在。",
        "Add a row on days on which there is none.",
    ),
)
def add(
    noun: NounArgument,
    fields: FieldsArgument,
    why: WhyOption,
    valid_from: FromOption = None,
    valid_to: ToOption = None,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """What stands there already is changed with `change`."""
    kind, action = _kind(noun), _action(by, why)
    values = _values(kind, fields)
    for column in kind.columns:
        if column.name not in values and not column.optional:
            name = column.name
            refuse(
                words(f"缺少 {name}；请写 {name}=…", f"{name} is missing; write {name}=…"),
                EXIT_USAGE,
            )
    row = kind.make(values)
    first = _day("--from", valid_from) or civil_day(action.at)
    offered: AnyDated = Dated(row, first, _day("--to", valid_to) or FOREVER)
    with open_to_act(data) as opened:
        if needs_two(opened.city):
            _propose(opened.city, adding(offered), action, by, secret_file, as_json=as_json)
            return
        decided = add_row(opened.city, offered, action)
    tell(decided, as_json=as_json)


@command(
    app,
    "change",
    Text(
        "自某日起变更一行；此前的内容保留。",
        "Let a row read otherwise from a day on; what it said before stays.",
    ),
)
def change(
    noun: NounArgument,
    subject: SubjectArgument,
    fields: FieldsArgument,
    why: WhyOption,
    valid_from: FromOption = None,
    valid_to: ToOption = None,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Fields that are not named stay as they are."""
    kind, action = _kind(noun), _action(by, why)
    values, last = _values(kind, fields), _day("--to", valid_to)
    first = _day("--from", valid_from) or civil_day(action.at)
    with open_to_act(data) as opened:
        name = kind.name, subject
        if needs_two(opened.city):
            wish = changing(name, values, first, last)
            _propose(opened.city, wish, action, by, secret_file, as_json=as_json)
            return
        decided = change_row(opened.city, name, values, first, last, action)
    tell(decided, as_json=as_json)


@command(app, "end", Text("一行于某日最后有效。", "Let a row hold for the last time on a day."))
def end(
    noun: NounArgument,
    subject: SubjectArgument,
    why: WhyOption,
    on: Annotated[
        str | None,
        typer.Option("--on", help=words("末日，默认今日。", "Its last day; by default today.")),
    ] = None,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """It goes on standing in the registry, up to that day."""
    kind, action = _kind(noun), _action(by, why)
    last = _day("--on", on) or civil_day(action.at)
    with open_to_act(data) as opened:
        name = kind.name, subject
        if needs_two(opened.city):
            wish = ending(name, last)
            _propose(opened.city, wish, action, by, secret_file, as_json=as_json)
            return
        decided = end_row(opened.city, name, last, action)
    tell(decided, as_json=as_json)


@command(
    app,
    "list",
    Text(
        "各行及其日期；指明一行时，列出谁何时为何作何变更。",
        "Rows with their days; of one row, who changed what, when and why.",
    ),
)
def list_(
    noun: NounArgument,
    subject: Annotated[
        str | None,
        typer.Argument(
            metavar="[SUBJECT]",
            help=words("列出此行的全部变更。", "Show every change of this row."),
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option("--on", help=words("只列该日有效的行。", "Only rows that hold on this day.")),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            help=words(
                "另写一个 `import` 可读入的 CSV 文件（UTF-8，带 BOM）。",
                "Write a CSV file as well that `import` takes (UTF-8 with BOM).",
            ),
        ),
    ] = None,
    page: WholeOrPageOption = None,
    per_page: PageSizeOption = PAGE_SIZE,
    data: DataOption = DEFAULT_DATA,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """The CSV file is whole, in any language: columns and numbers as they stand in the registry."""
    kind, day = _kind(noun), _day("--on", on)
    hides = not unmask and kind.columns[0].name == _CARD
    with open_to_read(data) as city:
        if subject is not None:
            show_history(kind, _history(city, kind, subject), csv, as_json=as_json)
            return
        rows = read_rows(city, kind, day)
    if csv is not None:
        csv.write_text(write_sheet(kind, rows), "utf-8-sig", newline="")
    on_page = page_of(rows, page, per_page)
    if as_json:
        shown = [dict(sheet_document(each)) for each in on_page]
        for document in shown if hides else ():
            document[_CARD] = masked(str(document[_CARD]))
        print_json({"count": len(rows), "rows": shown})
    else:
        table = Table(
            Text(f"登记簿：{kind.name}", f"registry: {kind.name}"),
            [
                Column(Text("名称", "subject")),
                Column(Text("日期", "days")),
                Column(Text("内容", "says"), words=True),
            ],
        )
        for each in on_page:
            name = each.subject[1]
            hidden = masked(name) if hides else name
            table.add(hidden, days(each), said_of(kind, each))
        add = f"`onecard registry add {kind.name}`"
        none = Text(f"没有这样的行；新增：{add}", f"no such row; add one: {add}")
        tell_page_of(len(rows), page, per_page)
        print_table(table, empty=nothing_there(len(rows), page, none))


@command(
    app,
    "import",
    Text("导入 CSV 文件，全部或全不。", "Take in a CSV file, whole or not at all."),
)
def import_(
    noun: NounArgument,
    file: Annotated[
        Path,
        typer.Argument(
            help=words(
                "CSV 文件，列同 `list --csv` 所写。", "A CSV file with the columns of `list --csv`."
            )
        ),
    ],
    why: WhyOption,
    by: ByOption = None,
    secret_file: SecretFileOption = None,
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """The file says of every row it names all its days; rows it does not name stay as they are."""
    kind, action = _kind(noun), _action(by, why)
    try:
        content = file.read_bytes()
    except OSError as error:
        fault = system_words(error)
        refuse(
            words(
                f"{file}：{fault}；此类文件由 `onecard registry list {kind.name} --csv FILE` 写出",
                f"{file}: {fault}; `onecard registry list {kind.name} --csv FILE` writes "
                "such a file",
            ),
            EXIT_USAGE,
        )
    with open_to_act(data) as opened:
        if needs_two(opened.city):
            lines, faults = read_sheet(kind, content)
            if faults:
                tell_faults(file, faults, as_json=as_json)
            shown = show(opened.city, by, secret_file, action.at)
            asked = propose_change(opened.city, importing(kind, lines), why, shown, action.at)
            if isinstance(asked, list):
                tell_faults(file, asked, as_json=as_json)
            tell_asked(asked, as_json=as_json)
            return
        decided = import_sheet(opened.city, kind, content, action)
    if isinstance(decided, list):
        tell_faults(file, decided, as_json=as_json)
    tell(decided, as_json=as_json)


def _propose(
    city: City,
    wish: Wish[Refused],
    action: Action,
    by: str | None,
    secret_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Where two people are enrolled, a change waits for another one."""
    shown = show(city, by, secret_file, action.at)
    asked = propose_change(city, wish, action.why, shown, action.at)
    tell_asked(asked, as_json=as_json)


def _history(city: City, kind: Kind, subject: str) -> tuple[Change, ...]:
    history = read_history(city, kind, subject)
    if not history:
        said = shorten(subject)
        refuse(
            words(
                f"从未登记：{kind.name} {said}；见 `onecard registry list {kind.name}`",
                f"never registered: {kind.name} {said}; see `onecard registry list {kind.name}`",
            )
        )
    return history


def _kind(noun: str) -> Kind:
    name = noun.replace("-", "_")
    if name not in KINDS:
        refuse_choice("NOUN", Text("登记簿种类", "kind of rows"), noun, KINDS)
    return KINDS[name]


def _action(by: str | None, why: str) -> Action:
    try:
        action = Action(acting(by), datetime.now(UTC), why)
    except ActorError as error:
        refuse(words(f"--why 缘由：{error}", f"--why: {error}"), EXIT_USAGE)
    if not why:
        refuse(
            words("--why 缘由：请用一句话写明", "--why: a reason is needed, in a sentence"),
            EXIT_USAGE,
        )
    return action


def _day(option: str, text: str | None) -> date | None:
    try:
        return read_day(text or "")
    except ValueFaultError as error:
        refuse(words(f"{option}：{error}", f"{option}: {error}"), EXIT_USAGE)


def _values(kind: Kind, fields: Sequence[str]) -> dict[str, Value]:
    """What was written as FIELD=VALUE, read."""
    columns = {each.name: each for each in kind.columns if not each.is_own}
    values: dict[str, Value] = {}
    for field in fields:
        name, sign, text = field.partition("=")
        if not sign or name not in columns or name in values:
            known = " ".join(f"{each}=…" for each in columns)
            said = shorten(field)
            refuse(
                words(f"{said}：每列只写一次：{known}", f"{said}: write each field once: {known}"),
                EXIT_USAGE,
            )
        try:
            values[name] = columns[name].read(text)
        except ValueFaultError as error:
            refuse(words(f"{name}：{error}", f"{name}: {error}"), EXIT_USAGE)
    return values
