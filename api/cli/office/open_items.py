"""`onecard records|claims|gaps|serials|registers|refusals|alarms|positions|cases`: what is open.

Decides which options each noun has, and what a mistaken one is told. All nouns are one list with
columns of their own; how it reads stands in `open_lines`, what stands open is settlement's.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.days import read_day_argument
from api.cli.frame.loading import command, noun
from api.cli.frame.pages import PAGE_SIZE, DescendingOption, PageSizeOption
from api.cli.frame.session import open_to_read
from api.cli.office.open_lines import item_document, page_document, tell_item, tell_page
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    CsvOption,
    DataOption,
    JsonOption,
    UnmaskOption,
    print_json,
    refuse,
    refuse_choice,
)
from cardcore.text import Text, shorten, words
from settlement.reports.open_items.asking import ask, show
from settlement.reports.open_items.nouns import NOUNS
from settlement.reports.open_items.values import Filter, Noun, Question

_CARD_DIGITS = 20
_NO_QUESTION = Question()


@dataclass(frozen=True, slots=True)
class _Option:
    """One option of a list: its name in Python, its type, its default."""

    name: str
    type: Any
    default: Any = None


def _option(name: str, *spellings: str, help: Text, of: Any = str) -> _Option:  # noqa: A002, ANN401 - as typer calls it
    return _Option(name, Annotated[of | None, typer.Option(*spellings, help=str(help))])


def _choice(name: str, what: Text, among: Sequence[str]) -> _Option:
    """An option that takes one of a few words."""
    said = Text(f"{what.zh}：{'、'.join(among)}。", f"{what.en} {', '.join(among)}.")
    return _option(name, f"--{name}", help=said)


#: By what a noun can be asked for, beside a reason.
_FILTERS: Mapping[Filter, tuple[_Option, ...]] = {
    Filter.TERMINAL: (
        _option("terminal", "--terminal", help=Text("只看此终端。", "Only of this terminal.")),
    ),
    Filter.PARTICIPANT: (
        _option(
            "participant",
            "--participant",
            help=Text("只看此参与方的编号。", "Only of the participant of this code."),
            of=int,
        ),
    ),
    Filter.CARD: (
        _option("card", "--card", help=Text("只看此卡号。", "Only of this card number.")),
    ),
    Filter.DAYS: (
        _option("first", "--from", help=Text("起始日 YYYY-MM-DD。", "First day YYYY-MM-DD.")),
        _option("last", "--to", help=Text("截止日 YYYY-MM-DD。", "Last day YYYY-MM-DD.")),
    ),
    Filter.AGE: (
        _option(
            "older_than",
            "--older-than",
            help=Text("只看超过这么多天的。", "Only what is older than so many days."),
            of=int,
        ),
    ),
}
_ALWAYS = (
    _Option("descending", DescendingOption, default=False),
    _Option(
        "everything",
        Annotated[
            bool,
            typer.Option(
                "--all", help=words("也列出已裁定的。", "What people have ruled on, too.")
            ),
        ],
        default=False,
    ),
    _Option(
        "page",
        Annotated[int, typer.Option("--page", min=1, help=words("第几页。", "Which page."))],
        default=1,
    ),
    _Option("per_page", PageSizeOption, default=PAGE_SIZE),
    _Option("data", DataOption, DEFAULT_DATA),
    _Option("csv", CsvOption),
    _Option("unmask", UnmaskOption, default=False),
    _Option("as_json", JsonOption, default=False),
)


def _make(about: Noun) -> typer.Typer:
    """The commands of one noun."""
    app = noun(Text(f"{about.title.zh}：列出、查看。", f"{about.title.en}: list, show."))
    options = [each for name, group in _FILTERS.items() if name in about.filters for each in group]
    if Filter.REASON in about.filters:
        options.insert(0, _choice("reason", Text("只看此缘由", "Only of one of"), _reasons(about)))
    options.append(_choice("sort", Text("排序所按的列", "Sort by one of"), _columns(about)))
    made = _with_options(lambda **given: _list(about, **given), [*options, *_ALWAYS])
    command(app, "list", Text("未决的一览。", "What stands open."))(made)

    def show(
        item: Annotated[
            str, typer.Argument(help=words("照清单“事项”栏写。", "As the list shows it."))
        ],
        data: DataOption = DEFAULT_DATA,
        unmask: UnmaskOption = False,
        as_json: JsonOption = False,
    ) -> None:
        _show(about, item, data, unmask=unmask, as_json=as_json)

    command(app, "show", Text("一项，及可作的裁定。", "One, and what may be ruled of it."))(show)
    return app


def _with_options(function: Callable[..., None], options: list[_Option]) -> Callable[..., None]:
    """A function that typer reads these options from."""

    def made(**given: Any) -> None:  # noqa: ANN401 - as the options say
        function(**given)

    parameters = [
        inspect.Parameter(
            each.name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=each.type
        )
        for each in options
    ]
    made.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    made.__annotations__ = {each.name: each.type for each in options}
    return made


def _list(
    about: Noun,
    *,
    data: Path,
    csv: Path | None,
    unmask: bool,
    as_json: bool,
    **given: Any,  # noqa: ANN401 - as the options say
) -> None:
    question = _question(about, **given)
    with open_to_read(data) as city:
        page = ask(city, about, question)
    if as_json:
        print_json(page_document(about, page, unmask=unmask))
    else:
        tell_page(about, page, csv, unmask=unmask, is_filtered=_is_filtered(question))


def _reasons(about: Noun) -> list[str]:
    return [each.name for each in about.reasons]


def _columns(about: Noun) -> list[str]:
    return [each.name for each in about.fields]


def _is_filtered(question: Question) -> bool:
    """Whether less than everything was asked for."""
    filters = ("reason", "terminal", "participant", "card_number", "first", "last", "age_min_days")
    return any(getattr(question, name) != getattr(_NO_QUESTION, name) for name in filters)


def _show(about: Noun, item: str, data: Path, *, unmask: bool, as_json: bool) -> None:
    with open_to_read(data) as city:
        shown = show(city, about, item, datetime.now(UTC))
    if shown is None:
        said = shorten(item)
        refuse(
            words(
                f"没有 {said}；事项照 `onecard {about.name} list` 的“事项”栏写",
                f"there is no {said}; write it as `onecard {about.name} list` does, in its column "
                "`item`",
            )
        )
    if as_json:
        print_json(item_document(about, shown, unmask=unmask))
    else:
        tell_item(about, shown, unmask=unmask)


def _question(
    about: Noun,
    *,
    sort: str | None,
    descending: bool,
    everything: bool,
    page: int,
    per_page: int,
    reason: str | None = None,
    terminal: str | None = None,
    participant: int | None = None,
    card: str | None = None,
    first: str | None = None,
    last: str | None = None,
    older_than: int | None = None,
) -> Question:
    """What is asked for; an option that says nothing ends the command with usage."""
    if sort is not None and sort not in _columns(about):
        refuse_choice("--sort", Text("列", "column"), sort, _columns(about))
    if reason is not None and reason.upper() not in _reasons(about):
        refuse_choice("--reason", Text("缘由", "reason"), reason, _reasons(about))
    days = (
        None if first is None else read_day_argument(Text("--from 起始日", "--from"), first),
        None if last is None else read_day_argument(Text("--to 截止日", "--to"), last),
    )
    if card is not None and not (card.isascii() and card.isdigit() and len(card) <= _CARD_DIGITS):
        refuse(
            words(
                f"--card：{shorten(card)} 不是卡号；写 20 位数字",
                f"--card: {shorten(card)} is no card number; write its 20 digits",
            ),
            EXIT_USAGE,
        )
    return Question(
        reason=None if reason is None else reason.upper(),
        terminal=None if terminal is None else terminal.lower(),
        participant=participant,
        card_number=None if card is None else card.rjust(_CARD_DIGITS, "0"),
        first=days[0],
        last=days[1],
        age_min_days=older_than,
        with_ruled=everything,
        sort=sort,
        descending=descending,
        page=page,
        page_size=per_page,
    )


records, claims, gaps = (_make(NOUNS[name]) for name in ("records", "claims", "gaps"))
serials, registers = _make(NOUNS["serials"]), _make(NOUNS["registers"])
refusals, alarms = _make(NOUNS["refusals"]), _make(NOUNS["alarms"])
positions, cases = _make(NOUNS["positions"]), _make(NOUNS["cases"])
