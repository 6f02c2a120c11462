"""How the command line speaks: one JSON object, or tables and sentences for people.

With `--json` standard output carries one object and nothing else. Progress bars go to standard
error and only to a terminal. Exit codes: 0 done, 1 refused or failed check, 2 usage.
"""

import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated, Any, NoReturn, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.lines import wrap
from api.tables import Table, as_csv, show
from cardcore.text import Text, shorten, words

#: No sentence of ours is longer; what is, holds somebody's input.
_MESSAGE_CHARACTERS_MAX = 1_000
#: Digits of a number that stay when it is masked.
_UNMASKED = 4
#: A purse as it is named in sentences: card number and application.
_PURSE = re.compile(r"\b\d{20}(?=/)")
# A name like `a:smile:b` is somebody's data and stays as it is.
console = Console(emoji=False)
console_error = Console(stderr=True, emoji=False)

DataOption = Annotated[
    Path, typer.Option("--data", help=words("一座城市的数据目录。", "Folder of one city."))
]
JsonOption = Annotated[
    bool,
    typer.Option(
        "--json", help=words("只打印一个 JSON 对象。", "Print one JSON object and nothing else.")
    ),
]
CsvOption = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        help=words(
            "另写一个 CSV 文件（UTF-8，带 BOM）。", "Write a CSV file as well (UTF-8 with BOM)."
        ),
    ),
]
UnmaskOption = Annotated[
    bool,
    typer.Option(
        "--unmask",
        help=words("显示完整的卡号与个人号码。", "Show numbers of cards and persons whole."),
    ),
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
    if isinstance(value, Text):
        return value.en  # documents are the same in every language
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def say(text: str, style: str | None = None, hang: int = 0) -> None:
    """A sentence for people. On a terminal it goes on between words, so far in as `hang` says; in a
    pipe it is one line: whoever reads there can search for it.
    """
    _print(console, text, style, hang)


def _print(to: Console, text: str, style: str | None, hang: int = 0) -> None:
    if to.is_terminal:
        further = "\n" + " " * hang
        lines = (further.join(wrap(line, to.width - hang)) for line in text.split("\n"))
        text = "\n".join(lines)
    to.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def masked(number: str) -> str:
    """A number of a person as it is shown to whoever has no need of it: its last four digits.

    >>> masked("03104770040067442802"), masked("123")
    ('****************2802', '***')
    """
    shown = number[-_UNMASKED:] if len(number) > _UNMASKED else ""
    return shown.rjust(len(number), "*")


def masked_purses(text: str) -> str:
    """The card numbers of purses that a sentence names are masked.

    >>> masked_purses("purse 03104770040067442802/1 on 2026-09-01")
    'purse ****************2802/1 on 2026-09-01'
    """
    return _PURSE.sub(lambda found: masked(found[0]), text)


def complain(message: str, style: str = "red") -> None:
    """Say what is wrong on standard error; what grew by somebody's input is cut."""
    if len(message) > _MESSAGE_CHARACTERS_MAX:
        message = f"{message[:_MESSAGE_CHARACTERS_MAX]}…"
    _print(console_error, message, style)


def refuse(message: str, exit_code: int = EXIT_REFUSED) -> NoReturn:
    """Say what is wrong on standard error and leave."""
    complain(message)
    raise typer.Exit(exit_code)


def refuse_choice(option: str, what: Text, given: str, known: Iterable[str]) -> NoReturn:
    """What was given with an option is none of the things there are."""
    said, there = shorten(given, 40), list(known)
    refuse(
        words(
            f"{option}：没有{what.zh} {said}；有 {'、'.join(there)}",
            f"{option}: there is no {what.en} {said}; there are {', '.join(there)}",
        ),
        EXIT_USAGE,
    )


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


def print_table(table: Table, csv: Path | None = None, empty: Text | None = None) -> None:
    """A table on standard output, and into a CSV file where one is asked for. `empty` is said where
    a table without rows would tell nothing.
    """
    if table.rows or empty is None:
        show(table, console)
    else:
        say(str(empty))
    if csv is not None:
        csv.write_text(as_csv(table), "utf-8-sig", newline="")
