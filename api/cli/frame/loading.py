"""The frame around commands: loaded when they are asked for, explained in one language.

Decides how help and mistakes in a command line read. Leaves commands to their modules, and what
they refuse to them.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, TypeVar

import typer
from typer import _click as click
from typer.core import TyperCommand, TyperGroup

from cardcore.text import Language, Text, shorten, spoken_language, words

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

        def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            """From the table: help loads nothing."""
            del ctx
            with formatter.section("Commands"):
                formatter.write_dl([(name, str(each.help)) for name, each in self.table.items()])

    return Lazy


def load(name: str, entry: Entry) -> click.Command:
    """What stands in a module under a name: a noun, or the function of one command."""
    found: typer.Typer | Callable[..., Any] = getattr(import_module(entry.module), entry.name)
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


class Command(TyperCommand):
    """A command whose help is in one language."""

    def get_help(self, ctx: click.Context) -> str:
        """All of it."""
        return _in_words(super().get_help(ctx))


class Group(TyperGroup):
    """A noun whose help is in one language."""

    def get_help(self, ctx: click.Context) -> str:
        """All of it."""
        return _in_words(super().get_help(ctx))


#: What the library says by itself, at the beginning of a line or in brackets.
_FRAME = (
    (re.compile(r"^Usage: ", re.MULTILINE), "用法："),
    (re.compile(r"^Options:", re.MULTILINE), "选项："),
    (re.compile(r"^Arguments:", re.MULTILINE), "参数："),
    (re.compile(r"^Commands:", re.MULTILINE), "命令："),
    (re.compile(r"Show this message and exit\."), "显示本说明后退出。"),
    (re.compile(r"\[default: "), "[默认："),
    (re.compile(r"; default: "), "；默认："),
    (re.compile(r"\[env var: "), "[环境变量："),
    (re.compile(r"\[required\]"), "[必填]"),
    (re.compile(r"; required\]"), "；必填]"),
)


def _in_words(text: str) -> str:
    if spoken_language() is Language.ZH:
        for pattern, said in _FRAME:
            text = pattern.sub(said, text)
    return text


def usage_mistake(error: click.ClickException) -> str:
    """What is wrong with a command line, where, and what to do."""
    context = getattr(error, "ctx", None)
    path = "onecard" if context is None else context.command_path
    return f"{_mistake(error)}{words(f'。说明：{path} --help', f'. See: {path} --help')}"


def _mistake(error: click.ClickException) -> str:
    kinds = click.exceptions
    hint = getattr(error, "param_hint", None) or _hint(error)
    if isinstance(error, kinds.MissingParameter):
        return words(f"缺少 {hint}", f"{hint} is missing")
    if isinstance(error, kinds.NoSuchOption):
        close = ", ".join(sorted(error.possibilities or ()))
        also = words(f"，是否指 {close}", f"; did you mean {close}") if close else ""
        name = shorten(error.option_name)
        return words(f"没有选项 {name}", f"there is no option {name}") + also
    message = shorten(error.format_message().rstrip("."))
    if isinstance(error, kinds.BadParameter):
        return words(f"{hint} 的值不对：{message}", f"{hint}: {shorten(error.message)}")
    return words(f"命令有误：{message}", message)


def _hint(error: click.ClickException) -> str:
    param = getattr(error, "param", None)
    return "" if param is None else str(param.get_error_hint())
