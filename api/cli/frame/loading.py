"""The frame around commands: loaded when they are asked for.

Decides where a command is found. Leaves commands to their modules, what they refuse to them, and
help to `help`.
"""

import gc
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, TypeVar

import typer
from typer import _click as click
from typer.core import TyperGroup

from api.cli.frame.help import Command, Group
from cardcore.text import Text

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Entry:
    """A command, or a noun with commands of its own: where it is, and what it does."""

    module: str
    name: str
    help: Text


def lazy_group(entries: Mapping[str, Entry]) -> type[TyperGroup]:
    """A group that knows what its commands are called, and loads one when it is asked for."""

    class Lazy(Group):
        """Loads what is asked for."""

        table: ClassVar[Mapping[str, Entry]] = entries

        def list_commands(self, ctx: click.Context) -> list[str]:
            """In the order of the table."""
            del ctx
            return list(self.table)

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
            """The command, loaded."""
            del ctx
            entry = self.table.get(cmd_name)
            return None if entry is None else load(cmd_name, entry)

        def command_rows(self, ctx: click.Context) -> list[tuple[str, str]]:
            """From the table: help loads nothing."""
            del ctx
            return [(name, str(each.help)) for name, each in self.table.items()]

    return Lazy


def load(name: str, entry: Entry) -> click.Command:
    """What stands in a module under a name: a noun, or the function of one command."""
    # NumPy starts threads for linear algebra, of which there is none here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # What is imported lives as long as the process: there is no garbage to be searched for.
    gc.disable()
    try:
        found: typer.Typer | Callable[..., Any] = getattr(import_module(entry.module), entry.name)
    finally:
        gc.enable()
    if not isinstance(found, typer.Typer):
        function = found
        found = typer.Typer(add_completion=False, rich_markup_mode=None)
        found.command(name, cls=Command, help=str(entry.help))(function)
    command = typer.main.get_command(found)
    command.name = name
    return command


def noun(help: Text) -> typer.Typer:  # noqa: A002 - as typer calls it
    """A noun of the command line, which has commands of its own."""
    return typer.Typer(
        cls=Group,
        help=str(help),
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
    )


def command(app: typer.Typer, name: str, help: Text) -> Callable[[_Function], _Function]:  # noqa: A002 - as typer calls it
    """Make a function a command of a noun."""
    return app.command(name, cls=Command, help=str(help))
