"""The command line `onecard`: one file a noun. See README for the commands.

Read it in this order::

    session.py   opening what a command works on
    city.py      `onecard city`: makes a city, carries its registry, knows its keys
    registry.py  `onecard registry`: dated rows, from a file or one by one
    files.py     `onecard files`
    loads.py     `onecard loads`
    clearing.py  `onecard clear` and `onecard close`
    proof.py     `onecard verify`
    float_proof.py  `onecard float`
    days.py      `onecard days`
    explain.py   `onecard explain`
    taps.py      `onecard replay` and `onecard demo`
    doctor.py    `onecard doctor`
    card/        `onecard card`
    hsm/         `onecard hsm`
"""

import io
import sqlite3
import sys
import warnings
from typing import NoReturn

import typer
from duckdb import InterruptException

from api.bench import commands as bench
from api.cli import (
    city,
    clearing,
    days,
    doctor,
    explain,
    files,
    float_proof,
    loads,
    proof,
    registry,
    taps,
)
from api.cli.card import commands as card
from api.cli.hsm import commands as hsm
from api.output import EXIT_REFUSED, EXIT_USAGE, say_fault
from api.settings import SettingsRefusedError
from cardcore.errors import KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import InsecureKeyServiceWarning
from settlement.errors import SettlementError

app = typer.Typer(
    help="onecard 市民卡: cards, terminals, settlement, keys of a city.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(taps.demo)
app.command()(taps.replay)
app.add_typer(files.app, name="files")
app.command()(clearing.clear)
app.command()(clearing.close)
app.add_typer(days.app, name="days")
app.command("float")(float_proof.float_)
app.add_typer(loads.app, name="loads")
app.command()(explain.explain)
app.command()(proof.verify)
app.add_typer(city.app, name="city")
app.add_typer(registry.app, name="registry")
app.add_typer(card.app, name="card")
app.add_typer(hsm.app, name="hsm")
app.add_typer(bench.app, name="bench")
app.command()(doctor.doctor)


def main() -> None:
    """Entry point: whatever ends a command early is said in a sentence, never as a traceback."""
    for stream in (sys.stdout, sys.stderr):
        # A name that is no text, or a terminal without 中文, must not end a command half-way.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    # Said once in words; a Python warning with a source line helps nobody at a terminal.
    warnings.simplefilter("ignore", InsecureKeyServiceWarning)
    try:
        app()
    except SettingsRefusedError as error:
        _leave(str(error), EXIT_USAGE)
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        _leave(sentence, EXIT_REFUSED)


def _sentence(error: Exception) -> str | None:
    """What to say of a fault of the machine under us; None for one that is ours."""
    if isinstance(error, KeyServiceUnavailableError):
        return f"{error}. Nothing was decided 未作任何判定; repeat the command when it answers."
    if isinstance(error, KeyServiceError):
        return f"The key service refuses 密钥服务拒绝: {error}."
    if isinstance(error, SettlementError):
        return f"{error}. Nothing was changed; `onecard verify` names what is damaged."
    cause = getattr(error, "orig", error)  # the driver's own error inside a database library's
    if _is_interruption(cause):
        return "Interrupted 已中断. The same command again goes on where this one stopped."
    if type(cause) is sqlite3.DatabaseError:  # what is no more than damage has no class of its own
        return f"The database is damaged 数据库已损坏: {cause}. Restore the folder from a copy."
    if isinstance(cause, OSError | sqlite3.OperationalError):
        return f"{cause}. Is the folder writable, and is there room on the disk?"
    return None


def _is_interruption(cause: BaseException) -> bool:
    """Whether a driver was stopped in the middle of a statement."""
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    # For Ctrl-C, DuckDB has no class of its own: this type with these words, and nothing else.
    at_the_keyboard = type(cause) is RuntimeError and str(cause) == "Query interrupted"
    return at_the_keyboard or isinstance(cause, InterruptException)


def _leave(message: str, exit_code: int) -> NoReturn:
    say_fault(message)
    raise SystemExit(exit_code)
