"""Commands and nouns as people see them: their help and their mistakes, in one language.

Decides how help is laid out and that nothing in it is cut. Leaves what a mistake says to
`mistakes`, and which commands there are to `loading`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum

from rich.cells import cell_len
from typer import _click as click
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from api.cli.frame.mistakes import (
    argument_name,
    no_such_command,
    range_of,
    too_many_arguments,
    value_name,
)
from api.lines import wrap
from cardcore.text import Text, words

_FIRST_COLUMN_MAX = 30
_GAP = 2
_Row = tuple[str, str]


class _Formatter(click.HelpFormatter):
    """Lays out in cells of a terminal, of which a Chinese character takes two."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        """The line that says how a command is written."""
        head = f"{prefix or words('用法：', 'Usage: ')}{prog} "
        self._write_beside(head, args, cell_len(head))

    def write_heading(self, heading: str) -> None:
        """A heading of a section."""
        self.write(f"{' ' * self.current_indent}{heading}{words('：', ':')}\n")

    def write_text(self, text: str) -> None:
        """Paragraphs, with an empty line between two."""
        paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
        self.write("\n".join(self._indented(each) for each in paragraphs))

    def write_dl(
        self,
        rows: Sequence[_Row],
        col_max: int = _FIRST_COLUMN_MAX,
        col_spacing: int = _GAP,
    ) -> None:
        """Names in the first column, what they are in the second."""
        widest = max((cell_len(name) for name, _ in rows), default=0)
        column = self.current_indent + min(widest, col_max) + col_spacing
        for name, said in rows:
            self._write_beside(f"{' ' * self.current_indent}{name}", said, column)

    def _write_beside(self, head: str, said: str, column: int) -> None:
        lines = wrap(said, max(self.width - column, 10))
        if cell_len(head) > column:
            self.write(f"{head}\n")
            head = ""
        for line in lines:
            self.write(f"{head}{' ' * (column - cell_len(head))}{line}".rstrip() + "\n")
            head = ""

    def _indented(self, paragraph: str) -> str:
        room = " " * self.current_indent
        return "".join(f"{room}{line}\n" for line in wrap(paragraph, self.width - len(room)))


class Command(TyperCommand):
    """A command in one language."""

    def get_help(self, ctx: click.Context) -> str:
        """All of it."""
        return _help(self, ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands behind its name."""
        return _usage(self, ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Arguments and options."""
        _write_parameters(self, ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """What is too much is said here: the library says it in English alone."""
        with _located(ctx):
            ctx.allow_extra_args = True
            rest = super().parse_args(ctx, args)
            if rest and not ctx.resilient_parsing:
                raise too_many_arguments(rest, ctx)
        return rest


class Group(TyperGroup):
    """A noun in one language."""

    def get_help(self, ctx: click.Context) -> str:
        """All of it."""
        return _help(self, ctx)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """What stands behind its name."""
        return [*_usage(self, ctx), words("命令 [参数]...", "COMMAND [ARGS]...")]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Options, and the commands."""
        _write_parameters(self, ctx, formatter)
        with formatter.section(words("命令", "Commands")):
            formatter.write_dl(self.command_rows(ctx))

    def command_rows(self, ctx: click.Context) -> list[_Row]:
        """Every command with all that it says of itself."""
        found = ((name, self.get_command(ctx, name)) for name in self.list_commands(ctx))
        return [(name, " ".join((each.help or "").split())) for name, each in found if each]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `Command`."""
        with _located(ctx):
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named."""
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise no_such_command(args[0], self.list_commands(ctx), ctx)
        return super().resolve_command(ctx, args)


@contextmanager
def _located(ctx: click.Context) -> Iterator[None]:
    """Some of the library's errors do not know which command they are about."""
    try:
        yield
    except click.exceptions.UsageError as error:
        error.ctx = error.ctx or ctx
        raise


def _help(command: click.Command, ctx: click.Context) -> str:
    formatter = _Formatter(width=ctx.terminal_width, max_width=ctx.max_content_width)
    command.format_help(ctx, formatter)
    return formatter.getvalue().rstrip("\n")


def _usage(command: click.Command, ctx: click.Context) -> list[str]:
    arguments = [each for each in command.get_params(ctx) if isinstance(each, TyperArgument)]
    return [words("[选项]", "[OPTIONS]"), *map(_usage_name, arguments)]


def _usage_name(argument: TyperArgument) -> str:
    name = argument_name(argument)
    if argument.nargs != 1 and not name.endswith("..."):
        name += "..."
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _write_parameters(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    params = command.get_params(ctx)
    arguments = [each for each in params if isinstance(each, TyperArgument) and not each.hidden]
    options = [each for each in params if isinstance(each, TyperOption) and not each.hidden]
    if arguments:
        with formatter.section(words("参数", "Arguments")):
            formatter.write_dl([(argument_name(each), _said(each, ctx)) for each in arguments])
    of_help = command.get_help_option(ctx)
    with formatter.section(words("选项", "Options")):
        formatter.write_dl(
            [
                (_option_names(each), words("显示本说明后退出。", "Show this and leave."))
                if each is of_help
                else (_option_names(each), _said(each, ctx))
                for each in options
            ]
        )


def _option_names(option: TyperOption) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {value_name(option)}"


def _said(param: TyperArgument | TyperOption, ctx: click.Context) -> str:
    extras = [
        Text(f"环境变量：{param.envvar}", f"environment: {param.envvar}") if param.envvar else None,
        _default(param, ctx),
        range_of(param),
        Text("必填", "required") if param.required else None,
    ]
    told = [each for each in extras if each is not None]
    if not told:
        return param.help or ""
    bracket = words("；", "; ").join(str(each).strip() for each in told)
    return f"{param.help or ''}  [{bracket}]".strip()


def _default(param: TyperArgument | TyperOption, ctx: click.Context) -> Text | None:
    value = param.get_default(ctx, call=False)
    if value is None or isinstance(value, bool) or callable(value) or not param.show_default:
        return None
    values = value if isinstance(value, list | tuple) else [value]
    shown = ", ".join(str(each.value if isinstance(each, Enum) else each) for each in values)
    return Text(f"默认：{shown}", f"default: {shown}") if shown else None
