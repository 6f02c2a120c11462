"""`onecard clear` and `onecard close`: a day computed, and a day for good."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Annotated, NoReturn

import typer

from api.cli.days import day_document
from api.cli.frame.session import ByOption, EngineOption, WorkersOption, acting, open_to_act
from api.composition import EngineName, open_engine
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    console,
    console_error,
    figures_table,
    print_json,
    progress_bar,
    refuse,
    say,
)
from settlement.city import City
from settlement.days.aside import SetAside
from settlement.days.opening import DayAnswer
from settlement.people.actions import Actor, ActorError
from settlement.reports.days import read_day
from settlement.reports.files import read_set_aside
from settlement.service.clear import run_clearing
from settlement.service.close import close_day
from settlement.service.review import review_size

DayOption = Annotated[
    str | None,
    typer.Option(
        "--settlement-day", help="Day YYYY-MM-DD; by default the oldest one ready. 清算日。"
    ),
]
#: How the option was called before; whoever still types it is told.
FormerDayOption = Annotated[str | None, typer.Option("--business-day", hidden=True)]
SecondOption = Annotated[
    str | None,
    typer.Option(
        "--second",
        help="A second person, where a day is out of bounds. 复核人，超出范围的日须双人。",
    ),
]
_BY_TWO = (
    "Nothing was changed. If it is meant, two people close it: --by NAME --second NAME "
    "如确需关闭，请双人办理"
)


def clear(
    data: DataOption = DEFAULT_DATA,
    settlement_day: DayOption = None,
    business_day: FormerDayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clear the oldest ready day over its complete files; nothing is posted before `close`. 清分。

    Records that waited for a key or for their terminal's registration are judged again. 复核。
    """
    day, actor = _day(settlement_day, business_day), acting(by)
    with open_to_act(data) as opened, progress_bar("clearing 清分", 0) as advance:
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        result = run_clearing(opened.city, day, opened.keys.service, chosen, now, actor)
        advance()
        if isinstance(result, DayAnswer):
            _refuse(opened.city, result, as_json=as_json)
        reviewed = review_size(opened.city, result.run.review_sha256)
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
    if as_json:
        print_json(document)
        return
    console.print(
        figures_table(
            f"Clearing 清分 {result.run.settlement_day}",
            document | {"set_aside": len(result.set_aside), "float_proof": "onecard float"},
        )
    )
    _name_aside(result.set_aside)
    if not result.is_closed:
        console.print("Provisional until `onecard close`. 日终关闭后方入账。", style="dim")


def close(
    data: DataOption = DEFAULT_DATA,
    settlement_day: DayOption = None,
    business_day: FormerDayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    second: SecondOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close the oldest ready day: post, net, seal. A closed day never changes. 日终关闭。

    A day beyond tomorrow, or far from the files that wait, is closed only by two. 须双人。
    """
    day, actor = _day(settlement_day, business_day), acting(by)
    other = _second(actor, second)
    with open_to_act(data) as opened:
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        closed = close_day(opened.city, day, opened.keys.service, chosen, now, actor, second=other)
        if isinstance(closed, DayAnswer):
            _refuse(opened.city, closed, _BY_TWO, as_json=as_json)
        report = read_day(opened.city, closed.settlement_day)
    assert report is not None, closed
    if as_json:
        print_json(day_document(closed) | {"reviewed": report.reviewed})
        return
    _name_aside(closed.set_aside)
    if report.reviewed:
        say(f"{report.reviewed:,} records were judged again 复核.")
    say(f"Day {closed.settlement_day} is closed 已关闭. Seal 封存 {closed.seal}")


def _refuse(city: City, answer: DayAnswer, by_two: str = "", *, as_json: bool) -> NoReturn:
    """`by_two` says how two people have it done all the same."""
    set_aside = read_set_aside(city) if answer is DayAnswer.FILES_SET_ASIDE else ()
    if as_json:
        text = answer.text
        refusal = {"refusal": answer.name, "text_zh": text.zh, "text_en": text.en}
        print_json(refusal | ({"set_aside": _aside(set_aside)} if set_aside else {}))
    _name_aside(set_aside)
    todo = f". {by_two}" if by_two and answer.two_may_say_so else ""
    refuse(f"{answer.name}: {answer.text}{todo}")


def _aside(files: Sequence[SetAside]) -> list[dict[str, str | int]]:
    return [asdict(each) for each in files]


def _name_aside(files: Sequence[SetAside]) -> None:
    for each in files:
        console_error.print(
            f"Set aside 搁置: sender {each.sender}, sequence {each.sequence}, "
            f"file {each.content_hash[:12]}: {each.why.text}",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )


def _second(first: Actor, name: str | None) -> Actor | None:
    if name is None:
        return None
    try:
        other = Actor(name)
    except ActorError as error:
        refuse(f"--second 复核人: {error}", EXIT_USAGE)
    if other == first:
        refuse(f"--second 复核人: {name} acts already; a second person is needed", EXIT_USAGE)
    return other


def _day(settlement_day: str | None, former: str | None) -> date | None:
    if former is not None:
        console_error.print("--business-day is called --settlement-day now 已改名", style="dim")
    text = former if settlement_day is None else settlement_day
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        refuse(f"--settlement-day {text!r} is not a date YYYY-MM-DD", EXIT_USAGE)
