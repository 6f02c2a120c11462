"""`onecard clear` and `onecard close`: a day computed, and a day for good."""

from datetime import UTC, date, datetime
from typing import Annotated

import typer

from api.cli.session import (
    ByOption,
    EngineName,
    EngineOption,
    WorkersOption,
    acting,
    open_engine,
    open_office,
)
from api.output import (
    DEFAULT_DATA,
    EXIT_USAGE,
    DataOption,
    JsonOption,
    amount_table,
    console,
    fen,
    print_json,
    progress_bar,
    refuse,
)
from settlement.days.opening import DayAnswer
from settlement.service.clear import run_clearing
from settlement.service.close import close_day
from settlement.service.review import review_size
from settlement.store.days import load_run

DayOption = Annotated[
    str | None,
    typer.Option("--business-day", help="Settlement day YYYY-MM-DD; by default the open one."),
]


def clear(
    data: DataOption = DEFAULT_DATA,
    business_day: DayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Clear every complete file into the open day; nothing is posted before `close`. 清分。

    Records that waited for a key or for their terminal's registration are judged again. 复核。
    """
    day = _day(business_day)
    with open_office(data) as office, progress_bar("clearing 清分", 0) as advance:
        result = run_clearing(office.city, day, office.keys.service, open_engine(workers, engine))
        advance()
        if isinstance(result, DayAnswer):
            refuse(f"{result.name}: {result.text}")
        reviewed = review_size(office.city, result.run.review_sha256)
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
    table = amount_table(f"Clearing 清分 {result.run.settlement_day}", "", "")
    for name, value in document.items():
        shown = fen(value) if name.endswith("_fen") and isinstance(value, int) else str(value)
        table.add_row(name, shown)
    console.print(table)
    if not result.is_closed:
        console.print("Provisional until `onecard close`. 日终关闭后方入账。", style="dim")


def close(
    data: DataOption = DEFAULT_DATA,
    business_day: DayOption = None,
    engine: EngineOption = EngineName.LOCAL,
    workers: WorkersOption = 2,
    by: ByOption = None,
    as_json: JsonOption = False,
) -> None:
    """Close the open day: post, net, seal. A closed day never changes. 日终关闭。"""
    day, actor = _day(business_day), acting(by)
    with open_office(data) as office:
        chosen, now = open_engine(workers, engine), datetime.now(UTC)
        closed = close_day(office.city, day, office.keys.service, chosen, now, actor)
        if isinstance(closed, DayAnswer):
            refuse(f"{closed.name}: {closed.text}")
        run = load_run(office.city.database, closed.run_id)
        reviewed = 0 if run is None else review_size(office.city, run.review_sha256)
    if as_json:
        document = {name: getattr(closed, name) for name in closed.__slots__}
        closed_by = None if closed.closed_by is None else closed.closed_by.code
        print_json(document | {"closed_by": closed_by, "reviewed": reviewed})
        return
    if reviewed:
        console.print(f"{reviewed:,} records were judged again 复核.", highlight=False)
    console.print(
        f"Day {closed.settlement_day} is closed 已关闭. Seal 封存 {closed.seal}", highlight=False
    )


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        refuse(f"--business-day {text!r} is not a date YYYY-MM-DD", EXIT_USAGE)
