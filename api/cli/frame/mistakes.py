"""What is wrong with a command line: what, where, what to do, in one language.

Decides by the class of the library's error and by the option or argument it is about, never by the
library's own sentence. Of what was typed it repeats at most a line.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from difflib import get_close_matches

from typer import _click as click
from typer.core import TyperArgument, TyperOption

from cardcore.text import Text, shorten, words

_Parameter = TyperArgument | TyperOption
_DIRECTIVES = {"%Y": "YYYY", "%m": "MM", "%d": "DD", "%H": "HH", "%M": "MM", "%S": "SS"}
_DIRECTIVE = re.compile("|".join(_DIRECTIVES))


class MistakeError(click.exceptions.UsageError):
    """A mistake that is found here, and not by the library."""

    def __init__(self, said: Text, context: click.Context) -> None:
        super().__init__(str(said), context)
        self.said = said


def no_such_command(name: str, known: Sequence[str], context: click.Context) -> MistakeError:
    """With what it may have been."""
    close = get_close_matches(name, known)
    named = shorten(name)
    said = Text(f"没有命令 {named}", f"there is no command {named}")
    return MistakeError(_or_meant(said, close), context)


def too_many_arguments(rest: Sequence[str], context: click.Context) -> MistakeError:
    """More than the command takes."""
    named = shorten(" ".join(rest))
    said = Text(f"多出的参数：{named}", f"more arguments than it takes: {named}")
    return MistakeError(said, context)


def usage_mistake(error: click.ClickException) -> str:
    """What is wrong with a command line, where, and what to do."""
    context = getattr(error, "ctx", None)
    path = "onecard" if context is None else context.command_path
    said = _mistake(error)
    return words(f"{said.zh}。说明：`{path} --help`", f"{said.en}. See: `{path} --help`")


def _mistake(error: click.ClickException) -> Text:
    kinds = click.exceptions
    match error:
        case MistakeError():
            return error.said
        case kinds.NoSuchOption():
            return _no_such_option(error)
        case kinds.BadOptionUsage():
            return _option_usage(error)
        case kinds.MissingParameter():
            return _missing(error)
        case kinds.BadParameter():
            return _bad_value(error)
        case _:
            # Nothing else is said of a noun without a command behind it.
            return Text("缺少命令", "a command is missing")


def _no_such_option(error: click.exceptions.NoSuchOption) -> Text:
    named = shorten(error.option_name)
    said = Text(f"没有选项 {named}", f"there is no option {named}")
    return _or_meant(said, sorted(error.possibilities or ()))


def _or_meant(said: Text, close: Sequence[str]) -> Text:
    if not close:
        return said
    return Text(
        f"{said.zh}，是否指 {'、'.join(close)}", f"{said.en}; did you mean {', '.join(close)}"
    )


def _option_usage(error: click.exceptions.BadOptionUsage) -> Text:
    named = shorten(error.option_name)
    params = [] if error.ctx is None else error.ctx.command.get_params(error.ctx)
    option = next((each for each in params if error.option_name in each.opts), None)
    if isinstance(option, TyperOption) and option.is_flag:
        return Text(f"选项 {named} 不带值", f"option {named} takes no value")
    value = value_name(option) if isinstance(option, TyperOption) else Text("", "")
    return Text(f"选项 {named} 后须有值 {value.zh}", f"option {named} needs a value {value.en}")


def _missing(error: click.exceptions.MissingParameter) -> Text:
    named = where(error.param)
    choices = _choices(error.param)
    also_zh = f"：{'、'.join(choices)} 之一" if choices else ""
    also_en = f": one of {', '.join(choices)}" if choices else ""
    if isinstance(error.param, TyperOption):
        return Text(f"缺少选项 {named}{also_zh}", f"option {named} is missing{also_en}")
    return Text(f"缺少参数 {named}{also_zh}", f"argument {named} is missing{also_en}")


def _bad_value(error: click.exceptions.BadParameter) -> Text:
    named, wanted = where(error.param), _wanted(error.param)
    given = _given(error)
    return Text(f"{named}：{given}{wanted.zh}", f"{named}: {given}{wanted.en}")


def _given(error: click.exceptions.BadParameter) -> str:
    """What was typed, out of what the library was told by whoever read it."""
    told = getattr(error.__cause__, "errors", None)
    found = told() if callable(told) else []
    return f"{shorten(str(found[0]['input']))} " if found else ""


def where(param: click.Parameter | None) -> str:
    """An option by its names, an argument by the one it has in help."""
    if isinstance(param, TyperArgument):
        return argument_name(param)
    return "" if param is None else "/".join(param.opts)


def argument_name(param: TyperArgument) -> str:
    """As help and mistakes call it."""
    return param.metavar or param.name.upper()


def value_name(param: _Parameter) -> Text:
    """What stands behind an option: as it is called there, else its type."""
    if param.metavar is not None:
        return Text(param.metavar, param.metavar)
    kind = param.type_descriptor
    if choices := _choices(param):
        return Text("|".join(choices), "|".join(choices))
    if _element(param) is datetime:
        forms = _forms(param)
        return Text(forms, forms)
    if kind.is_path:
        return Text("路径", "PATH")
    if _element(param) in {int, float}:
        return Text("数", "NUMBER")
    return Text("文字", "TEXT")


def range_of(param: _Parameter) -> Text | None:
    """The least and the most, where a number has them."""
    match param.min, param.max:
        case None, None:
            return None
        case None, most:
            return Text(f"至多 {most} ", f"at most {most}")
        case least, None:
            return Text(f"至少 {least} ", f"at least {least}")
        case least, most:
            return Text(f" {least} 至 {most} ", f"{least} to {most}")


def _wanted(param: click.Parameter | None) -> Text:
    if not isinstance(param, TyperArgument | TyperOption):
        return Text("不合要求", "is not what is wanted")
    if choices := _choices(param):
        return Text(f"不是 {'、'.join(choices)} 之一", f"is none of {', '.join(choices)}")
    element = _element(param)
    if element is datetime:
        return Text(f"不是日期 {_forms(param)}", f"is not a date {_forms(param)}")
    if element in {int, float}:
        number = Text("整数", "whole number") if element is int else Text("数", "number")
        limits = range_of(param)
        if limits is None:
            return Text(f"不是{number.zh}", f"is not a {number.en}")
        return Text(f"不是{limits.zh}的{number.zh}", f"is not a {number.en} that is {limits.en}")
    if param.type_descriptor.is_path:
        return Text("不能作路径", "cannot be a path")
    return Text("不合要求", "is not what is wanted")


def _element(param: _Parameter) -> object:
    """The type of one value, also where many may be given."""
    annotation = param.type_descriptor.annotation
    arguments = getattr(annotation, "__args__", ())
    return arguments[0] if param.type_descriptor.is_list and arguments else annotation


def _choices(param: click.Parameter | None) -> list[str]:
    if not isinstance(param, TyperArgument | TyperOption):
        return []
    return [str(getattr(each, "value", each)) for each in param.type_descriptor.choices or ()]


def _forms(param: _Parameter) -> str:
    formats = param.type_descriptor.parameter_info.formats or ["%Y-%m-%d"]
    return "|".join(_DIRECTIVE.sub(lambda found: _DIRECTIVES[found[0]], each) for each in formats)
