"""`onecard clear` and `onecard close`: a day computed, and a day for good."""

from datetime import UTC, date, datetime
from typing import Annotated, NoReturn

import typer

from api.cli.days import day_document
from api.cli.session import ByOption, EngineOption, WorkersOption, acting, open_to_act
from api.composition import EngineName, open_engine
from api.output import (
    DEFAULT_DATA,
    EXIT_USAGE,
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
from settlement.days.opening import DayAnswer
from settlement.reports.days import read_day
from settlement.service.clear import run_clearing
from settlement.service.close import close_day
from settlement.service.review import review_size

DayOption = Annotated[
    str | None,
    typer.Option("--settlement-day", help="Day YYYY-MM-DD; by default the open one. 清算日。"),
]
#: How the option was called before; whoever still types it is told.
FormerDayOption = Annotated[str | None, typer.Option("--business-day", hidden=True)]


def clear(
    data: DataOption = DEFAULT_DATA,
    settlement_day: DayOption = None,
    business_day: FormerDayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Clear every complete file into the open day; nothing is posted before `close`. 清分。

    Records that waited for a key or for their terminal's registration are judged again. 复核。
    """
    day, actor = _day(settlement_day, business_day), acting(by)
    with open_to_act(data) as opened, progress_bar("clearing 清分", 0) as advance:
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        result = run_clearing(opened.city, day, opened.keys.service, chosen, now, actor)
        advance()
        if isinstance(result, DayAnswer):
            _refuse(result, as_json=as_json)
        reviewed = review_size(opened.city, result.run.review_sha256)
    document = {
        "settlement_day": result.run.settlement_day,
        "run_id": result.run.run_id,
        "is_closed": result.is_closed,
        "files": result.file_count,
        **result.run.totals,
        "reviewed": reviewed,
        "output_hash": result.run.output_hash,
    }
    if as_json:
        print_json(document)
        return
    console.print(figures_table(f"Clearing 清分 {result.run.settlement_day}", document))
    if not result.is_closed:
        console.print("Provisional until `onecard close`. 日终关闭后方入账。", style="dim")


def close(
    data: DataOption = DEFAULT_DATA,
    settlement_day: DayOption = None,
    business_day: FormerDayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close the open day: post, net, seal. A closed day never changes. 日终关闭。"""
    day, actor = _day(settlement_day, business_day), acting(by)
    with open_to_act(data) as opened:
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        closed = close_day(opened.city, day, opened.keys.service, chosen, now, actor)
        if isinstance(closed, DayAnswer):
            _refuse(closed, as_json=as_json)
        report = read_day(opened.city, closed.settlement_day)
    assert report is not None, closed
    if as_json:
        print_json(day_document(closed) | {"reviewed": report.reviewed})
        return
    if report.reviewed:
        say(f"{report.reviewed:,} records were judged again 复核.")
    say(f"Day {closed.settlement_day} is closed 已关闭. Seal 封存 {closed.seal}")


def _refuse(answer: DayAnswer, *, as_json: bool) -> NoReturn:
    if as_json:
        text = answer.text
        print_json({"refusal": answer.name, "text_zh": text.zh, "text_en": text.en})
    refuse(f"{answer.name}: {answer.text}")


def _day(settlement_day: str | None, former: str | None) -> date | None:
    if former is not None:
        console_error.print("--business-day is called --settlement-day now 已改名", style="dim")
    text = former if settlement_day is None else settlement_day
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        refuse(f"--settlement-day {text!r} is not a date YYYY-MM-DD", EXIT_USAGE)
