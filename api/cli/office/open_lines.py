"""What stands open, as tables, sentences and documents.

Decides how one line and one item read; a table, its CSV file and JSON have the same lines. What
stands open, why, and what may be done about it is settlement's.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any

from api.output import masked, print_table, say
from api.tables import Cell as Printed
from api.tables import Column, Count, Fen, Table
from cardcore.text import Text, words
from settlement.reports.open_items.values import Cell, Field, FieldKind, Line, Noun, Page, Shown
from settlement.rulings.book import Proposal
from settlement.rulings.kinds import RulingKind
from settlement.rulings.ruling import Ruling

_RIGHT = frozenset({FieldKind.COUNT, FieldKind.AMOUNT})


def tell_page(
    about: Noun, page: Page, csv: Path | None, *, unmask: bool, is_filtered: bool
) -> None:
    """Count and sum of everything that was asked for, by reason, then the lines of the page."""
    if page.count:
        say(_total(about, page))
        print_table(_figures(about, page))
    print_table(_table(about, page, unmask=unmask), csv, _nothing(about, page, is_filtered))
    if page.since is not None:
        say(
            words(
                f"只看 {page.since} 起的清算日；更早的：--from YYYY-MM-DD",
                f"settlement days since {page.since} were looked at; earlier ones: "
                "--from YYYY-MM-DD",
            )
        )
    if page.lines:
        say(
            words(
                f"逐项查看，及可办之事：`onecard {about.name} show ITEM`",
                f"each of them, and what may be done: `onecard {about.name} show ITEM`",
            )
        )


def tell_item(about: Noun, shown: Shown, *, unmask: bool) -> None:
    """One item: what it is, why it stands, what clears it up by itself, and what may be done."""
    line = shown.line
    for field in about.fields:
        value = _cell(field, line.cells[field.name], shown.names, unmask=unmask)
        if value is not None:
            say(words(f"{field.title.zh}：{value}", f"{field.title.en}: {value}"))
    say(words(f"含义：{about.meaning}", f"meaning: {about.meaning}"))
    for reason in line.reasons:
        said, clears = reason.text, reason.clears
        say(
            words(
                f"何以自行消失（{said.zh}）：{clears.zh}",
                f"what clears it up by itself ({said.en}): {clears.en}",
            )
        )
    look = about.look(line)
    if look is not None:
        say(words(f"细看：`{look}`", f"look at it: `{look}`"))
    for ruling in line.rulings:
        say(_ruled(ruling))
    for said in _to_do(shown):
        say(str(said))


def page_document(about: Noun, page: Page, *, unmask: bool) -> dict[str, Any]:
    """A page for machines."""
    return {
        "count": page.count,
        "sum_fen": page.sum_fen,
        "by_reason": [
            {"reason": each.reason.name, "count": each.count, "sum_fen": each.sum_fen}
            for each in page.figures
        ],
        "page": page.page,
        "pages": page.pages,
        "as_of": page.as_of,
        "since": page.since,
        about.name: [_line(about, each, page.names, unmask=unmask) for each in page.lines],
    }


def item_document(about: Noun, shown: Shown, *, unmask: bool) -> dict[str, Any]:
    """One item for machines."""
    line = shown.line
    return _line(about, line, shown.names, unmask=unmask) | {
        "meaning": about.meaning,
        "clears": [each.clears for each in line.reasons],
        "waiting_proposals": [each.number for each in shown.waiting],
        "actions": [_propose(kind, line.item) for kind in shown.may_propose],
    }


def _total(about: Noun, page: Page) -> str:
    of, total = page.count, Fen(page.sum_fen)
    zh, en = f"共 {of:,} 项", f"{of:,} in all"
    if about.has_money:
        zh, en = f"{zh}，合计 {total}", f"{en}, together {total}"
    if page.pages > 1:
        zh, en = f"{zh}；第 {page.page}/{page.pages} 页", f"{en}; page {page.page} of {page.pages}"
    return words(zh, en)


def _figures(about: Noun, page: Page) -> Table:
    heads = [
        Column(_titled(about, "reason")),
        Column(Text("项数", "count"), right=True),
        *([Column(_titled(about, "amount_fen"), right=True)] if about.has_money else []),
        Column(Text("何以自行消失", "what clears it up by itself"), words=True),
    ]
    table = Table(Text(f"{about.title.zh}（汇总）", f"{about.title.en}, summed up"), heads)
    for each in page.figures:
        money = [Fen(each.sum_fen)] if about.has_money else []
        table.add(each.reason.text, Count(each.count), *money, each.reason.clears)
    return table


def _titled(about: Noun, name: str) -> Text:
    """What the column of this name is called; of an amount that is in no column, an amount."""
    found = [each.title for each in about.fields if each.name == name]
    return found[0] if found else Text("金额", "amount")


def _nothing(about: Noun, page: Page, is_filtered: bool) -> Text:
    if page.count:
        return Text(
            f"没有第 {page.page} 页：共 {page.pages} 页",
            f"there is no page {page.page}: there are {page.pages}",
        )
    if is_filtered:
        return Text(
            f"没有符合所问的；全部：`onecard {about.name} list`",
            f"nothing that was asked for; all of them: `onecard {about.name} list`",
        )
    return about.empty


def _table(about: Noun, page: Page, *, unmask: bool) -> Table:
    fields = [each for each in about.fields if not each.is_detail]
    columns = [
        Column(each.title, right=each.kind in _RIGHT, words=each.kind is FieldKind.WORDS)
        for each in fields
    ]
    # Rulings have a column where they are shown, as every other fact of a line.
    are_ruled = any(each.rulings for each in page.lines)
    if are_ruled:
        columns.append(Column(Text("裁定", "ruled"), words=True))
    table = Table(about.title, columns)
    for line in page.lines:
        cells = [_cell(each, line.cells[each.name], page.names, unmask=unmask) for each in fields]
        if are_ruled:
            cells.append("\n".join(map(_ruled, line.rulings)))
        table.add(*cells)
    return table


def _cell(field: Field, value: Cell, names: Mapping[int, str], *, unmask: bool) -> Printed:
    match value:
        case None | Text():
            return value
        case datetime():
            return f"{value:%Y-%m-%d %H:%M:%S}"
        case date():
            return str(value)
    match field.kind:
        case FieldKind.AMOUNT:
            return Fen(int(value))
        case FieldKind.COUNT:
            return Count(int(value))
        case FieldKind.CARD:
            return str(value) if unmask else masked(str(value))
        case FieldKind.PARTICIPANT:
            return f"{names.get(int(value), '')} {value}".strip()
    return str(value)


def _line(about: Noun, line: Line, names: Mapping[int, str], *, unmask: bool) -> dict[str, Any]:
    found: dict[str, Any] = {"reasons": [each.name for each in line.reasons]}
    for field in about.fields:
        value = line.cells[field.name]
        if field.kind is FieldKind.CARD and value is not None and not unmask:
            value = masked(str(value))
        found[field.name] = value
        if field.kind is FieldKind.PARTICIPANT:
            found[f"{field.name}_name"] = names.get(value) if isinstance(value, int) else None
    rulings = [
        {
            "number": each.number,
            "kind": each.kind.value,
            "proposed_by": each.proposed_by,
            "approved_by": each.approved_by,
            "why": each.why,
        }
        for each in line.rulings
    ]
    return found | {"rulings": rulings}


def _ruled(ruling: Ruling) -> str:
    number, kind, why = ruling.number, ruling.kind.text, ruling.why
    first, second = ruling.proposed_by, ruling.approved_by
    return words(
        f"裁定第 {number} 号：{kind.zh}，{first} 提请，{second} 批准：{why}",
        f"ruling {number}: {kind.en}, proposed by {first}, approved by {second}: {why}",
    )


def _to_do(shown: Shown) -> Iterator[Text]:
    """What may be done now, as commands to type."""
    for each in shown.waiting:
        yield _waits(each)
    for kind in shown.may_propose:
        said, typed = kind.text, _propose(kind, shown.line.item)
        yield Text(f"可办：{said.zh}：`{typed}`", f"may be done: {said.en}: `{typed}`")
    for why in shown.hindered:
        yield Text(f"不可办：{why.zh}", f"not to be done: {why.en}")
    if shown.may_propose and not shown.has_people:
        yield Text(
            "办理须有两人：`onecard people add NAME --role ROLE --founding`",
            "it takes two people: `onecard people add NAME --role ROLE --founding`",
        )
    elif shown.may_propose:
        yield Text(
            "由一人提请，另一人批准；人员见 `onecard people list`",
            "one person proposes it and another approves; who may: `onecard people list`",
        )


def _waits(proposal: Proposal) -> Text:
    kind, typed = proposal.kind.text, f"onecard approvals show {proposal.number}"
    return Text(f"待批：{kind.zh}：`{typed}`", f"waits for approval: {kind.en}: `{typed}`")


def _propose(kind: RulingKind, item: str) -> str:
    return f"onecard approvals propose {kind.value} {item} --why REASON --by NAME"
