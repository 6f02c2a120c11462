"""`onecard replay` and `onecard demo`: whole days from the first tap to the sealed books."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from api.cli.output import (
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
from api.cli.session import open_or_create_office
from api.world.demonstration import plan_demonstration
from api.world.drive import TAPS, Driven, drive, read_outcome
from api.world.plan import Plan
from api.world.published import plan_published
from api.world.taps import TapsFileError, read_taps_file
from api.world.virtual_city import PlanDiffersError
from cardcore.schemes.catalogue import SCHEMES
from settlement.engine.local import LocalEngine
from settlement.errors import SettlementError

#: The first business day of the demonstration city; fixed, so that the same seed is the same city.
DEMO_FIRST_DAY = date(2026, 9, 1)

WorkersOption = Annotated[int, typer.Option(min=1, max=64, help="Processes of the engine.")]
OptionalData = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of one city (default ./onecard-data). 数据目录。"),
]


def replay(
    taps: Annotated[Path, typer.Argument(help="A published tap file (CSV).")],
    scheme: Annotated[str, typer.Option(help="Whose rules: " + ", ".join(SCHEMES))] = "shenzhen",
    data: OptionalData = None,
    workers: WorkersOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Drive published taps through real card and PSAM commands, then settle them. 真实刷卡回放。"""
    if scheme not in SCHEMES:
        refuse(f"no scheme {scheme!r}; there are {', '.join(SCHEMES)}", EXIT_USAGE)
    if not taps.is_file():
        refuse(f"{taps}: no such file", EXIT_USAGE)
    try:
        file = read_taps_file(taps, SCHEMES[scheme])
        plan = plan_published(file, SCHEMES[scheme])
    except TapsFileError as error:
        refuse(f"{taps}: {error}. Nothing was done.", EXIT_USAGE)
    folder = data or _free_folder(plan, file.content_hash)
    document = _drive(folder, plan, workers, rows=file.rows)
    if as_json:
        print_json(document)
    else:
        _show(document, folder)


def demo(
    seed: Annotated[int, typer.Option(help="The same seed makes the same city.")] = 1,
    cards: Annotated[int, typer.Option(min=1, max=100_000, help="Citizens. 卡数。")] = 300,
    days: Annotated[int, typer.Option(min=1, max=366, help="Business days. 营运日数。")] = 2,
    data: OptionalData = None,
    workers: WorkersOption = 2,
    headless: Annotated[
        bool, typer.Option(help="Print the result and end; no page is served. 不打开页面。")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a small city, drive every kind of terminal, close the days. 演示城市。"""
    plan = plan_demonstration(seed, cards, days, DEMO_FIRST_DAY)
    folder = data or _free_folder(plan, plan.fingerprint)
    document = _drive(folder, plan, workers)
    if as_json:
        print_json(document)
    else:
        _show(document, folder)
