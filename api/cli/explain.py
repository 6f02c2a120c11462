"""`onecard explain`: one tap's whole story, from its first APDU to the position it changed."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from api.cli.session import open_office
from api.output import (
    DEFAULT_DATA,
    EXIT_USAGE,
    DataOption,
    JsonOption,
    console,
    print_json,
    refuse,
)
from api.simulation.virtual_city import journal_path
from settlement.reports.history import explain as explain_record
from settlement.reports.history import parse_record_id
from settlement.reports.wording import Story
from terminals.journal.journal import Journal
from terminals.link.connection import decode_trace
from terminals.reading.narration import show_command, show_response


def explain(
    record: Annotated[str, typer.Argument(help="Terminal and serial, e.g. 000231017240-00000017.")],
    data: DataOption = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Where one record came from and where its money went, step by step. 一笔交易的来龙去脉。"""
    try:
        terminal, serial = parse_record_id(record)
    except ValueError as error:
        refuse(str(error), EXIT_USAGE)
    with open_office(data) as office:
        story = explain_record(office.city, record)
    if not story.tellings:
        refuse(f"no file that was received holds a record {story.record_id}")
    apdus = _apdus(data, story, terminal, serial)
    if as_json:
        print_json(
            {
                "record": story.record_id,
                "apdus": apdus,
                "tellings": [
                    {
                        "file": telling.content_hash,
                        "row": telling.row,
                        "steps": [asdict(step) for step in telling.steps],
                    }
                    for telling in story.tellings
                ],
            }
        )
        return
    console.print(f"Record 交易记录 {story.record_id}", style="bold", highlight=False)
    if apdus:
        console.print("At the terminal 终端侧", style="bold cyan")
        for number, line in enumerate(apdus, start=1):
            _say(f"{number:3}  {line}")
    for copy, telling in enumerate(story.tellings, start=1):
        title = "In the back office 清算侧"
        if len(story.tellings) > 1:
            title += f", copy 第 {copy} 份 / {len(story.tellings)}"
        console.print(title, style="bold cyan")
        for number, step in enumerate(telling.steps, start=1):
            _say(f"{number:3}  {step.text_zh}")
            _say(f"     {step.text_en}", style="dim")


def _say(text: str, style: str | None = None) -> None:
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def _apdus(data: Path, story: Story, terminal: str, serial: int) -> list[str]:
    """The exchanges of the tap, when the journal of its collector is at hand."""
    record = story.tellings[0].record
    if record is None or not journal_path(data, record.operator).exists():
        return []
    with Journal.open(journal_path(data, record.operator), sender=record.operator) as journal:
        try:
            trace = journal.trace(terminal, serial)
        except KeyError:
            return []
    return [
        f"{exchange.peer.name}  > {show_command(exchange.command)}  "
        f"< {show_response(exchange.response)}"
        for exchange in decode_trace(trace)
    ]
