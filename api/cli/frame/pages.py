"""Pages of a list: the options that ask for one, its rows, and where in the whole it lies.

Decides that a page counts its rows from the first in the order of the list, so that pages after
one another show every row once. Leaves filters and orders to each list.
"""

from collections.abc import Sequence
from typing import Annotated, TypeVar

import typer

from api.output import say
from cardcore.text import Text, words

Row = TypeVar("Row")
#: Rows of a page where nobody says how many.
PAGE_SIZE = 50
#: As many as people or a sheet can take; whoever wants more turns pages.
PAGE_SIZE_MAX = 10_000
PageSizeOption = Annotated[
    int,
    typer.Option(
        "--per-page", min=1, max=PAGE_SIZE_MAX, help=words("每页行数。", "Rows of a page.")
    ),
]
DescendingOption = Annotated[
    bool, typer.Option("--descending", help=words("大者在前。", "The greatest first."))
]
#: For a list that is shown whole where nobody asks for a page of it.
WholeOrPageOption = Annotated[
    int | None,
    typer.Option("--page", min=1, help=words("只列第几页。", "One page of the list only.")),
]


def page_of(rows: Sequence[Row], page: int | None, page_size: int) -> Sequence[Row]:
    """The rows of one page; all of them where none is asked for; none behind the last.

    >>> page_of("abcde", 2, 2), page_of("abcde", None, 2), page_of("abcde", 4, 2)
    ('cd', 'abcde', '')
    """
    if page is None:
        return rows
    skipped = (page - 1) * page_size
    return rows[skipped : skipped + page_size]


def tell_page_of(count: int, page: int | None, page_size: int) -> None:
    """Which page this is of how many rows; nothing where the list is whole."""
    if page is not None and count:
        pages = -(-count // page_size)
        say(
            words(
                f"共 {count:,} 行；第 {page}/{pages} 页",
                f"{count:,} rows in all; page {page} of {pages}",
            )
        )


def nothing_there(count: int, page: int | None, otherwise: Text) -> Text:
    """Why a page shows nothing: it lies behind the last, or there is nothing at all."""
    if page is None or not count:
        return otherwise
    return Text(f"没有第 {page} 页", f"there is no page {page}")
