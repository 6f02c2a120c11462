"""A question put to a state of the city: filtered, sorted and paged where the rows are.

Decides that a page never loses or doubles a row: whatever is asked for, the item's name breaks
ties. Leaves where the rows come from to the nouns. Rows are never all read here: counts, sums and
one page are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import duckdb

from cardcore.text import Text
from settlement.city import City
from settlement.facts import columnar
from settlement.reports.open_items.values import (
    Cell,
    FieldKind,
    Figure,
    Line,
    Noun,
    Page,
    Question,
    Reason,
    Relation,
    Shown,
)
from settlement.reports.registry import read_participant_names
from settlement.rulings.book import RulingBook
from settlement.rulings.proposals import Request
from settlement.service.ruling.standings import read_standing
from settlement.store.days import load_newest_seal
from settlement.store.rulings import load_book

#: So many days are looked at where nobody says which, of what no file of a run carries on.
DAYS_SHOWN = 31
_ROWS = """
SELECT *, greatest(date_diff('day', day, $as_of::DATE), 0) AS age_days
FROM ({query}) ANTI JOIN closed USING (item)
"""


def ask(city: City, noun: Noun, question: Question) -> Page:
    """The page that a question is about. A page behind the last one is empty."""
    newest = load_newest_seal(city.database, city.scheme.name)
    closed_day = None if newest is None else newest.settlement_day
    if closed_day is None and not noun.before_any_day:
        return Page(page=question.page)
    since = None
    if noun.is_windowed and question.item is None and question.first is None:
        assert closed_day is not None, noun
        since = (question.last or closed_day) - timedelta(days=DAYS_SHOWN - 1)
        question = replace(question, first=since)
    page = Page(page=question.page, as_of=closed_day, since=since)
    relation = noun.relate(city, closed_day, question)
    if relation is None:
        return page
    book = load_book(city.database)
    closed = [] if question.with_ruled else _closed(noun, book)
    with columnar.connect(city.folder) as connection:
        _prepare(connection, city, relation, closed)
        values = {**relation.values, "as_of": closed_day}
        return _read(city, connection, noun, question, _Asked(relation, values, book, page))


def show(city: City, noun: Noun, item: str, now: datetime) -> Shown | None:
    """One item, whenever it stood open and whatever was ruled of it; None where there is none."""
    page = ask(city, noun, Question(item=item, with_ruled=True, page_size=1))
    if not page.lines:
        return None
    (line,) = page.lines
    book = load_book(city.database)
    waiting = tuple(
        each
        for each in book.open_proposals(now)
        if item in each.subjects and each.kind in noun.rules
    )
    may, hindered = [], []
    for kind in noun.rules:
        if any(each.kind is kind for each in waiting):
            continue
        hinders = read_standing(city, book, Request(kind, (item,), "")).hinders
        if hinders is None:
            may.append(kind)
        else:
            hindered.append(Text(f"{kind.text.zh}：{hinders.zh}", f"{kind.text.en}: {hinders.en}"))
    return Shown(line, tuple(may), waiting, tuple(hindered), book.needs_two, page.names)


class _Asked(NamedTuple):
    """A relation with what it is asked by, and the page that answers it as far as it is known."""

    relation: Relation
    values: Mapping[str, object]
    book: RulingBook
    page: Page


def _prepare(
    connection: duckdb.DuckDBPyConnection, city: City, relation: Relation, closed: list[str]
) -> None:
    columnar.define_words(connection)
    columnar.set_variables(connection, cutover_hour=city.scheme.cutover_hour)
    connection.execute("CREATE TABLE closed (item VARCHAR)")
    columnar.insert(connection, "closed", [(each,) for each in closed])
    if relation.columns:
        connection.execute(f"CREATE TABLE held ({relation.columns})")
        columnar.insert(connection, "held", relation.rows)


def _read(
    city: City,
    connection: duckdb.DuckDBPyConnection,
    noun: Noun,
    question: Question,
    asked: _Asked,
) -> Page:
    conditions, stated = _conditions(noun, question)
    rows = f"({_ROWS.format(query=asked.relation.query)}) WHERE {conditions}"
    values = {**asked.values, **stated}
    every = "grouping sets ((), (reason))"
    summed = connection.execute(
        f"SELECT grouping(reason), reason, count(*), coalesce(sum(amount_fen), 0)::BIGINT "  # noqa: S608 - texts of ours
        f"FROM {rows} GROUP BY {every} ORDER BY ALL",
        values,
    ).fetchall()
    ((_, _, count, sum_fen),) = [each for each in summed if each[0] == 1]
    sums = {reason: (n, fen) for is_all, reason, n, fen in summed if not is_all}
    order = f"{_sort_of(noun, question)} NULLS LAST, item"
    skipped = (question.page - 1) * question.page_size
    found = connection.execute(
        f"FROM {rows} ORDER BY {order} LIMIT $page_size OFFSET $skipped",
        {**values, "page_size": question.page_size, "skipped": skipped},
    )
    names = [name for name, *_ in found.description]
    shown = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    lines = tuple(_line(noun, row, asked.book) for row in shown)
    return replace(
        asked.page,
        lines=lines,
        count=count,
        sum_fen=sum_fen,
        figures=_figures(noun, sums),
        pages=-(-count // question.page_size),
        names=_names(city, noun, lines),
    )


def _sort_of(noun: Noun, question: Question) -> str:
    """The column to sort by; never a text of somebody's."""
    sort = question.sort or noun.sort
    assert sort in {each.name for each in noun.fields}, sort
    return f"{sort} {'DESC' if question.descending else 'ASC'}"


def _closed(noun: Noun, book: RulingBook) -> list[str]:
    ruled = (each for each in book.rulings() if each.kind in noun.closed_by)
    return sorted({item for each in ruled for item in each.subjects})


def _conditions(noun: Noun, question: Question) -> tuple[str, dict[str, Any]]:
    """What must hold of a row, as SQL over named values."""
    texts = ["true"]
    values: dict[str, Any] = {}
    for text, value in _stated(noun, question):
        name = f"stated_{len(values)}"
        texts.append(text.replace("?", f"${name}"))
        values[name] = value
    return " AND ".join(texts), values


def _stated(noun: Noun, question: Question) -> Iterator[tuple[str, object]]:
    if question.item is not None:
        yield "item = ?", question.item
    if question.reason is not None:
        reason = noun.reason_named(question.reason)
        assert reason is not None, question
        yield "reason & ? <> 0" if noun.reasons_are_bits else "reason = ?", reason.value
    if question.terminal is not None:
        yield "terminal = ?", question.terminal
    if question.participant is not None:
        yield "participant = ?", question.participant
    if question.card_number is not None:
        yield "card_number = ?", question.card_number
    if question.first is not None:
        yield "day >= ?", question.first
    if question.last is not None:
        yield "day <= ?", question.last
    if question.age_min_days is not None:
        yield "age_days > ?", question.age_min_days


def _figures(noun: Noun, sums: Mapping[Any, tuple[int, int]]) -> tuple[Figure, ...]:
    """Added up by reason, in the order of the noun's; of several in one item, in each."""
    figures = []
    for reason in noun.reasons:
        mine = [sums[value] for value in sums if _is_among(noun, reason, value)]
        if mine:
            figures.append(
                Figure(reason, sum(count for count, _ in mine), sum(fen for _, fen in mine))
            )
    return tuple(figures)


def _is_among(noun: Noun, reason: Reason, value: Any) -> bool:  # noqa: ANN401 - a cell of SQL
    if noun.reasons_are_bits:
        return bool(value & reason.value)
    return bool(value == reason.value)


def _line(noun: Noun, row: Mapping[str, Any], book: RulingBook) -> Line:
    reasons = tuple(each for each in noun.reasons if _is_among(noun, each, row["reason"]))
    cells: dict[str, Cell] = {}
    for each in noun.fields:
        if each.name == "reason":
            cells["reason"] = _joined([reason.text for reason in reasons])
        else:
            read = noun.read.get(each.name)
            cells[each.name] = row[each.name] if read is None else read(row[each.name])
    item = str(row["item"])
    kinds = {*noun.rules, *noun.closed_by}
    return Line(
        item, cells, reasons, tuple(each for each in book.about(item) if each.kind in kinds)
    )


def _joined(texts: Sequence[Text]) -> Text:
    return Text("、".join(each.zh for each in texts), "; ".join(each.en for each in texts))


def _names(city: City, noun: Noun, lines: tuple[Line, ...]) -> dict[int, str]:
    fields = [each.name for each in noun.fields if each.kind is FieldKind.PARTICIPANT]
    cells = (line.cells[name] for line in lines for name in fields)
    return read_participant_names(city, {each for each in cells if isinstance(each, int)})
