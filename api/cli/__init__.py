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

import gc
import io
import os
import sqlite3
import sys
import warnings
from importlib import import_module
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup
from typer.main import get_command

from api.output import EXIT_REFUSED, EXIT_USAGE, say_fault
from api.settings import SettingsRefusedError
from cardcore.errors import KeyServiceError, KeyServiceUnavailableError
from cardcore.keys import InsecureKeyServiceWarning
from settlement.errors import SettlementError

#: Module and name of every command, in the order of the help.
_COMMANDS = {
    "demo": ("api.cli.taps", "demo"),
    "replay": ("api.cli.taps", "replay"),
    "files": ("api.cli.files", "app"),
    "clear": ("api.cli.clearing", "clear"),
    "close": ("api.cli.clearing", "close"),
    "days": ("api.cli.days", "app"),
    "float": ("api.cli.float_proof", "float_"),
    "loads": ("api.cli.loads", "app"),
    "explain": ("api.cli.explain", "explain"),
    "verify": ("api.cli.proof", "verify"),
    "city": ("api.cli.city", "app"),
    "registry": ("api.cli.registry", "app"),
    "card": ("api.cli.card.commands", "app"),
    "hsm": ("api.cli.hsm.commands", "app"),
    "bench": ("api.bench.commands", "app"),
    "doctor": ("api.cli.doctor", "doctor"),
}


class _Commands(TyperGroup):
    """Commands whose modules are imported when they are asked for: one needs few of the others'."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - as Typer has it
        """Every name there is."""
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - as Typer has it
        """The command of a name, None when there is none."""
        return _load(cmd_name) if cmd_name in _COMMANDS else None


def _load(name: str) -> Any:  # noqa: ANN401 - a command as Typer has it
    module, attribute = _COMMANDS[name]
    # NumPy starts threads for linear algebra, of which there is none here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported lives as long as the process: there is no garbage to be searched for.
    gc.disable()
    try:
        found = getattr(import_module(module), attribute)
    finally:
        gc.enable()
    holder = typer.Typer(cls=TyperGroup, add_completion=False, rich_markup_mode=None)
    holder.callback()(_onecard)
    if isinstance(found, typer.Typer):
        holder.add_typer(found, name=name)
    else:
        holder.command(name)(found)
    group = get_command(holder)
    assert isinstance(group, TyperGroup)
    return group.commands[name]


def _onecard() -> None:
    pass


app = typer.Typer(
    cls=_Commands,
    help="onecard 市民卡: cards, terminals, settlement, keys of a city.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.callback()(_onecard)


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
    if type(cause) is RuntimeError:
        return str(cause) == "Query interrupted"
    duckdb = sys.modules.get("duckdb")  # where it is not imported, nothing of it was stopped
    return duckdb is not None and isinstance(cause, duckdb.InterruptException)


def _leave(message: str, exit_code: int) -> NoReturn:
    say_fault(message)
    raise SystemExit(exit_code)
