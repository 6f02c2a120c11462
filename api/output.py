"""How the command line speaks: one JSON object, or tables and sentences for people.

With `--json` standard output carries one object and nothing else. Progress bars go to standard
error and only to a terminal. Exit codes: 0 done, 1 refused or failed check, 2 usage.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from cardcore.money import yuan
from cardcore.text import QUOTED_CHARACTERS_MAX

EXIT_REFUSED = 1
EXIT_USAGE = 2
#: No sentence of ours is longer; what is, holds somebody's input.
_MESSAGE_CHARACTERS_MAX = 1_000
#: Digits of a number that stay when it is masked.
_UNMASKED = 4
console = Console()
console_error = Console(stderr=True)

DataOption = Annotated[
    Path, typer.Option("--data", help="Folder of one city. 一座城市的数据目录。")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
UnmaskOption = Annotated[
    bool,
    typer.Option("--unmask", help="Show numbers of cards and persons whole. 显示完整号码。"),
]
DEFAULT_DATA = Path("onecard-data")


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON object on standard output."""
    json.dump(document, sys.stdout, ensure_ascii=False, indent=2, default=_as_text)
    sys.stdout.write("\n")


def _as_text(value: object) -> str:
    """The text of a value that JSON has no form for; of others it is a mistake to ask."""
    if isinstance(value, date | Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def say(text: str, style: str | None = None) -> None:
    """A sentence for people, on one line: whoever reads through a pipe can search for it."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def shortened(text: str) -> str:
    r"""Somebody's input as a message quotes it: control characters escaped, and not more than a
    glance; a whole line of it helps nobody.

    >>> shortened("x" * 100), shortened("a\x1bb")
    ('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…', 'a\\x1bb')
    """
    shown = "".join(
        each if each.isprintable() else repr(each)[1:-1] for each in text[:QUOTED_CHARACTERS_MAX]
    )
    return shown if len(text) <= QUOTED_CHARACTERS_MAX else shown + "…"


def masked(number: str) -> str:
    """A number of a person as it is shown to whoever has no need of it: its last four digits.

    >>> masked("03104770040067442802"), masked("123")
    ('****************2802', '***')
    """
    return (
        "*" * (len(number) - _UNMASKED) + number[-_UNMASKED:]
        if len(number) > _UNMASKED
        else ("*" * len(number))
    )


def say_fault(message: str) -> None:
    """What went wrong, on standard error; a message that grew by what somebody put in is cut."""
    if len(message) > _MESSAGE_CHARACTERS_MAX:
        message = message[:_MESSAGE_CHARACTERS_MAX] + "…"
    console_error.print(message, style="red", highlight=False, markup=False, soft_wrap=True)


def refuse(message: str, exit_code: int = EXIT_REFUSED) -> NoReturn:
    """Say what is wrong on standard error and leave."""
    say_fault(message)
    raise typer.Exit(exit_code)


class Advance(Protocol):
    """Called with how many steps were done."""

    def __call__(self, steps: int = 1) -> None:
        """Count steps."""
        ...


@contextmanager
def progress_bar(label: str, total: int) -> Iterator[Advance]:
    """A progress bar on standard error; silent when that is not a terminal."""
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console_error,
        disable=not console_error.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task(label, total=total)

        def advance(steps: int = 1) -> None:
            progress.advance(task, steps)

        yield advance


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """One changing line on standard error; silent when that is not a terminal."""
    if not console_error.is_terminal:
        yield lambda _: None
        return
    with console_error.status("") as status:
        yield status.update


def amount_table(title: str, *columns: str) -> Table:
    """A table whose first column is text and whose others are right-aligned."""
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index == 0 else "right")
    return table


def figures_table(title: str, figures: Mapping[str, object]) -> Table:
    """Figures by name, one a row; of a group of counts those that counted something."""
    table = amount_table(title, "", "")
    for name, value in figures.items():
        if isinstance(value, Mapping):
            shown = ", ".join(f"{each} {count:,}" for each, count in value.items() if count) or "–"
        elif isinstance(value, int) and name.endswith("_fen"):
            shown = fen(value)
        else:
            shown = str(value)
        table.add_row(name, shown)
    return table


def fen(amount_fen: int) -> str:
    """An amount for a table."""
    return yuan(amount_fen)
