"""`onecard clear`, `onecard close` and `onecard rebuild`: a day computed, a day for good, and what
is derived of days made again.

Decides how a day ends on the screen: what became of its records, and who is owed what. Every figure
and every refusal is settlement's.
"""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from api.cli.days import day_document, read_day_argument, seal_document, tell_seal
from api.cli.frame.session import ByOption, EngineOption, WorkersOption, acting, open_to_act
from api.cli.statements import dispositions, figures, positions
from api.composition import EngineName, open_engine
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    complain,
    console_error,
    print_json,
    print_table,
    refuse,
    say,
    status_line,
)
from cardcore.text import Text, shorten, words
from settlement.city import City
from settlement.days.aside import SetAside
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.people.actions import Actor, ActorError
from settlement.reports.days import read_day
from settlement.reports.files import read_set_aside
from settlement.reports.ruling.people import needs_two
from settlement.reports.statement import Statement, read_run_statement, read_statement
from settlement.service.clear import run_clearing
from settlement.service.close import close_day
from settlement.service.healing.rebuilding import Rebuilt
from settlement.service.healing.rebuilding import rebuild as rebuild_city
from settlement.service.review import review_size

DayOption = Annotated[
    str | None,
    typer.Option(
        "--settlement-day",
        help=words(
            "清算日 YYYY-MM-DD，默认为最早的就绪日。",
            "Day YYYY-MM-DD; by default the oldest one ready.",
        ),
    ),
]
#: How the option was called before; whoever still types it is told.
FormerDayOption = Annotated[str | None, typer.Option("--business-day", hidden=True)]
SecondOption = Annotated[
    str | None,
    typer.Option(
        "--second",
        help=words(
            "复核人；超出范围的日须双人办理。", "A second person, where a day is out of bounds."
        ),
    ),
]
_BY_TWO = Text(
    "如确需关闭，请双人办理：`onecard close --by 姓名 --second 姓名`",
    "If it is meant, two people close it: `onecard close --by NAME --second NAME`",
)
_BY_RULING = Text(
    "如确需关闭，须双人裁定：`onecard approvals propose days.close day/YYYY-MM-DD`，批准后再关闭"
    "该日",
    "If it is meant, two people rule so: `onecard approvals propose days.close day/YYYY-MM-DD`; "
    "once it is approved, close that day",
)
#: What to do about each refusal.
_NEXT = {
    DayAnswer.DAY_OUTSIDE_LIFE: Text(
        "`onecard days list` 列出已关闭的日", "`onecard days list` says which days are closed"
    ),
    DayAnswer.DAY_BEFORE_LAST_CLOSED: Text(
        "`onecard days list` 列出已关闭的日", "`onecard days list` says which days are closed"
    ),
    DayAnswer.NOTHING_READY: Text(
        "`onecard files list` 列出等待补传的文件，`onecard files add` 接收文件",
        "`onecard files list` says which files wait for others, `onecard files add` takes some in",
    ),
    DayAnswer.FILES_SET_ASIDE: Text(
        "按上列缘由处理后，以 `onecard files add` 接收重传的文件",
        "do what stands beside each, then take it in again with `onecard files add`",
    ),
    DayAnswer.DAY_BEYOND_TOMORROW: Text(
        "请用 --settlement-day 改写清算日，或省略之",
        "write another day with --settlement-day, or leave it out",
    ),
    DayAnswer.DAY_FAR_FROM_FILES: Text(
        "请用 --settlement-day 改写清算日，或省略之",
        "write another day with --settlement-day, or leave it out",
    ),
    DayAnswer.SEALED_OTHERWISE: Text(
        "`onecard verify` 说明已封存的是哪一日；请由最新的备份恢复城市目录，再执行 `onecard close`",
        "`onecard verify` names the day that is sealed; restore the newest copy of the city, then "
        "`onecard close`",
    ),
}
assert set(_NEXT) == set(DayAnswer)


def clear(
    data: DataOption = DEFAULT_DATA,
    settlement_day: DayOption = None,
    business_day: FormerDayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """Records that waited for a key or for their terminal's registration are judged again. The CSV
    file has the positions.
    """
    day, actor = _day(settlement_day, business_day), acting(by)
    with open_to_act(data) as opened, status_line() as tell:
        tell(words("清分中", "clearing"))
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        result = run_clearing(opened.city, day, opened.keys.service, chosen, now, actor)
        if isinstance(result, DayAnswer):
            _refuse(opened.city, result, as_json=as_json)
        reviewed = review_size(opened.city, result.run.review_sha256)
        statement = read_run_statement(opened.city, [result.run])
    if as_json:
        document = {
            "settlement_day": result.run.settlement_day,
            "run_id": result.run.run_id,
            "is_closed": result.is_closed,
            "files": result.file_count,
            "set_aside": _aside(result.set_aside),
            **result.run.totals,
            "reviewed": reviewed,
            "output_hash": result.run.output_hash,
        }
        print_json(document | seal_document(statement.newest_seal))
        return
    cleared, files = result.run.settlement_day, result.file_count
    say(
        words(f"清分 {cleared}：{files:,} 个文件", f"Day {cleared}, cleared: {files:,} files"),
        style="bold",
    )
    _show(statement, reviewed, csv)
    _name_aside(result.set_aside)
    if not result.is_closed:
        provisional = words(
            "以上为预算：`onecard close` 关闭该日时方入账。",
            "Provisional: posted when `onecard close` closes the day.",
        )
        say(provisional, style="dim")


def close(
    data: DataOption = DEFAULT_DATA,
    settlement_day: DayOption = None,
    business_day: FormerDayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    second: SecondOption = None,
    csv: CsvOption = None,
    as_json: JsonOption = False,
) -> None:
    """A day beyond tomorrow, or far from the files that wait, is closed only by two. The CSV file
    has the positions.
    """
    day, actor = _day(settlement_day, business_day), acting(by)
    other = _second(actor, second)
    with open_to_act(data) as opened:
        by_two = _by_two(opened.city, other)
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        closed = close_day(opened.city, day, opened.keys.service, chosen, now, actor, second=other)
        if isinstance(closed, DayAnswer):
            _refuse(opened.city, closed, by_two=by_two, as_json=as_json)
        report = read_day(opened.city, closed.settlement_day)
        statement = read_statement(opened.city, [closed.settlement_day])
    assert report is not None, closed
    if as_json:
        document = day_document(closed) | {"reviewed": report.reviewed}
        print_json(document | seal_document(statement.newest_seal))
        return
    _show(statement, report.reviewed, csv)
    _name_aside(closed.set_aside)
    say(
        words(
            f"清算日 {closed.settlement_day} 已关闭。封存 {closed.seal}",
            f"Day {closed.settlement_day} is closed. Seal {closed.seal}",
        )
    )
    if closed.closed_at != now:
        _tell_begun(closed)
    tell_seal(statement.newest_seal)


def _tell_begun(closed: ClosedDay) -> None:
    """Whose close it was, where it is not this one: one that was cut off, or done before."""
    by = "" if closed.closed_by is None else closed.closed_by.name
    at = f"{closed.closed_at:%Y-%m-%d %H:%M}"
    say(
        words(
            f"此日由 {by} 于 {at}（UTC）关闭：其时的文件即为该日的全部",
            f"It was closed by {by} at {at} UTC, over the files of that moment",
        )
    )


def _show(statement: Statement, reviewed: int, csv: Path | None) -> None:
    """What became of the records, and who is owed what."""
    print_table(dispositions(statement.totals))
    print_table(positions(statement), csv)
    print_table(figures(statement.totals))
    if reviewed:
        say(words(f"复核 {reviewed:,} 条记录。", f"Records judged again: {reviewed:,}."))


def _by_two(city: City, second: Actor | None) -> Text:
    """How two people may close a day that is out of bounds; a name alone is refused where people
    have secrets.
    """
    if not needs_two(city):
        return _BY_TWO
    if second is not None:
        refuse(
            words(
                f"--second 复核人：本城不凭姓名。{_BY_RULING}",
                f"--second: in this city a name is not enough. {_BY_RULING}",
            ),
            EXIT_USAGE,
        )
    return _BY_RULING


def _refuse(
    city: City, answer: DayAnswer, *, as_json: bool, by_two: Text | None = None
) -> NoReturn:
    """`by_two` says how two people may have it done all the same."""
    set_aside = read_set_aside(city) if answer is DayAnswer.FILES_SET_ASIDE else ()
    if as_json:
        text = answer.text
        refusal = {"refusal": answer.name, "text_zh": text.zh, "text_en": text.en}
        print_json(refusal | ({"set_aside": _aside(set_aside)} if set_aside else {}))
    _name_aside(set_aside)
    todo = _NEXT[answer]
    said = words(
        f"{answer.text}。未作任何更改；{todo}", f"{answer.text}. Nothing was changed; {todo}"
    )
    if by_two is not None and answer.two_may_say_so:
        said = words(f"{said}。{by_two}", f"{said}. {by_two}")
    refuse(said)


def _aside(files: Sequence[SetAside]) -> list[dict[str, str | int]]:
    return [asdict(each) for each in files]


def _name_aside(files: Sequence[SetAside]) -> None:
    for each in files:
        name, why = each.content_hash[:12], each.why.text
        complain(
            words(
                f"搁置：发送方 {each.sender}，序号 {each.sequence}，文件 {name}：{why}",
                f"Set aside: sender {each.sender}, sequence {each.sequence}, file {name}: {why}",
            ),
            style="yellow",
        )


def _second(first: Actor, name: str | None) -> Actor | None:
    if name is None:
        return None
    try:
        other = Actor(name)
    except ActorError as error:
        refuse(words(f"--second 复核人：{error}", f"--second: {error}"), EXIT_USAGE)
    if other == first:
        said = shorten(name)
        refuse(
            words(
                f"--second 复核人：{said} 已是经办人，须另有一人",
                f"--second: {said} acts already; a second person is needed",
            ),
            EXIT_USAGE,
        )
    return other


def _day(settlement_day: str | None, former: str | None) -> date | None:
    if former is not None:
        told = words(
            "--business-day 现名 --settlement-day", "--business-day is called --settlement-day now"
        )
        console_error.print(told, style="dim", highlight=False)
    text = former if settlement_day is None else settlement_day
    if text is None:
        return None
    option = Text("--settlement-day 清算日", "--settlement-day")
    return read_day_argument(option, text)


def rebuild(
    data: DataOption = DEFAULT_DATA,
    workers: WorkersOption = 2,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Exit 1 names what could not be made again."""
    actor = acting(by)
    with open_to_act(data) as opened, status_line() as tell:
        found = rebuild_city(
            opened.city,
            opened.keys.service,
            open_engine(workers),
            datetime.now(UTC),
            actor,
            lambda done, total: tell(words(f"文件 {done}/{total}", f"files {done}/{total}")),
        )
    if as_json:
        print_json(
            {
                "looked_at": found.looked_at,
                "made_again": [str(each) for each in found.made_again],
                "removed": [str(each) for each in found.removed],
                "asked_for": [
                    {
                        "sender": each.sender,
                        "sequence": each.sequence,
                        "content_hash": each.content_hash,
                        "why": each.why.value,
                    }
                    for each in found.asked_for
                ],
                "lost": [{"path": str(each.path), "why": each.why.en} for each in found.lost],
            }
        )
    else:
        _tell(found)
    if found.asked_for or found.lost:
        raise typer.Exit(EXIT_REFUSED)


def _tell(found: Rebuilt) -> None:
    for path in found.made_again:
        say(words(f"已重建 {path}，逐字节相同", f"made again, the same bytes: {path}"))
    for path in found.removed:
        say(words(f"已移除 {path}：不属于任何已关闭的日", f"removed, of no closed day: {path}"))
    for file in found.asked_for:
        name, why = f"{file.sender:08}-{file.sequence:08}", file.why.text
        complain(words(f"文件 {name}：{why}；`onecard files add`",
                       f"file {name}: {why}; `onecard files add` takes it in"))  # fmt: skip
    for each in found.lost:
        complain(words(f"{each.path}：{each.why}", f"{each.path}: {each.why}"))
    looked, made = f"{found.looked_at:,}", f"{len(found.made_again):,}"
    said = words(
        f"已查看派生文件 {looked} 个，重建 {made} 个",
        f"Derived files looked at: {looked}, made again: {made}",
    )
    if found.asked_for or found.lost:
        rest = f"{len(found.asked_for) + len(found.lost):,}"
        complain(
            words(
                f"✗ {said}，未能重建 {rest} 个。请照上列办理，然后重复 `onecard rebuild`",
                f"✗ {said}, not made again: {rest}. Do what stands beside each, then repeat "
                "`onecard rebuild`",
            )
        )
    else:
        say(words(f"✓ {said}。`onecard verify` 证明一切", f"✓ {said}. `onecard verify` proves all"))
