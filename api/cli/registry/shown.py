"""What changes of the registry come to, in words: made, refused, faulty lines, a row's history.

Decides how they are shown. Leaves every answer to settlement.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from api.cli.office.acting import refuse_answer, tell_proposed
from api.output import complain, print_json, print_table, refuse, say
from api.tables import Column, Table
from cardcore.text import Text, words
from settlement.registry.book import BEGINNING, FOREVER, AnyDated, Change, Dated
from settlement.registry.decide import Decided, Refused, days
from settlement.registry.rows import KINDS, Kind
from settlement.registry.sheets import SheetFault, sheet_document
from settlement.rulings import proposals
from settlement.service.ruling.acting import Proposed


def tell_faults(file: Path, faults: Sequence[SheetFault], *, as_json: bool) -> NoReturn:
    """What is wrong with a CSV file, line by line."""
    if as_json:
        print_json({"changed": 0, "faults": [_fault_document(each) for each in faults]})
    for each in faults:
        where = f"{file}:{each.line}" + (f" {each.column}" if each.column else "")
        complain(words(f"{where}：{each.fault}", f"{where}: {each.fault}"))
    refuse(
        words(
            "未作任何更改；改正以上各行后重复此命令。",
            "Nothing was changed; mend these lines and repeat the command.",
        )
    )


def tell(decided: Decided | Refused, *, as_json: bool) -> None:
    """What was changed, or why not."""
    if isinstance(decided, Refused):
        if as_json:
            detail = decided.detail.en
            print_json({"changed": 0, "refusal": decided.refusal.name, "detail": detail})
        refuse(
            words(
                f"{decided.text}。未作任何更改；现有各行见 `onecard registry list`",
                f"{decided.text}. Nothing was changed; `onecard registry list` says what stands "
                "there",
            )
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
            words(
                f"自 {change.valid_from} 起不再登记",
                f"registered no more, from {change.valid_from} on",
            )
            if shown is None
            else f"{said_of(KINDS[change.kind], shown)}  {days(shown)}"
        )
        name = f"{change.kind} {change.subject}"
        say(words(f"{name}：{told}", f"{name}: {told}"))
    if not decided.changes:
        say(words("内容一致，无需更改。", "It reads so already."))
    for note in decided.notes:
        say(f"{note.value}", style="yellow")


def tell_asked(asked: Proposed | Decided | Refused | proposals.Refused, *, as_json: bool) -> None:
    """What became of a change that was to be proposed."""
    match asked:
        case Proposed():
            tell_proposed(asked, as_json=as_json)
        case proposals.Refused():
            refuse_answer(asked)
        case _:
            tell(asked, as_json=as_json)


def show_history(kind: Kind, changes: Sequence[Change], csv: Path | None, *, as_json: bool) -> None:
    """Every change of a row, who made it, when and why."""
    if as_json:
        print_json({"changes": [_change_document(each) for each in changes]})
        return
    table = Table(
        Text(f"变更：{kind.name}", f"history: {kind.name}"),
        [
            Column(Text("编号", "no"), right=True),
            Column(Text("经办", "by")),
            Column(Text("时间（UTC）", "at (UTC)")),
            Column(Text("日期", "days")),
            Column(Text("缘由", "why"), words=True),
            Column(Text("内容", "says"), words=True),
        ],
    )
    for each in changes:
        what = each.what
        shown: AnyDated | None = (
            None if what.row is None else Dated(what.row, what.valid_from, what.valid_to)
        )
        first = "…" if what.valid_from == BEGINNING else what.valid_from
        period = f"{first} - …" if shown is None else days(shown)
        said = "–" if shown is None else said_of(kind, shown)
        at = f"{each.action.at:%Y-%m-%d %H:%M}"
        table.add(str(each.number), each.action.by.name, at, period, each.action.why, said)
    print_table(table, csv)


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


def said_of(kind: Kind, dated: AnyDated) -> str:
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
