"""The card on a reader that a command speaks to, and what is said when there is none.

Decides which reader is meant and what a fault of reader or card ends a command with. Leaves what is
asked of the card to the commands.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from api.output import refuse
from cardcore.text import text_of, words
from terminals.errors import CardRemovedError
from terminals.link.connection import CardConnection
from terminals.link.pcsc import open_card
from terminals.link.reader_faults import ReaderError

ReaderOption = Annotated[
    str | None,
    typer.Option(
        "--reader",
        envvar="ONECARD_READER",
        help=words(
            "读卡器名称的一部分；默认为第一个读卡器。",
            "Part of the reader's name; the first reader by default.",
        ),
    ),
]


@contextmanager
def faults_in_words() -> Iterator[None]:
    """A reader or card that fails ends the command with what to do about it."""
    try:
        yield
    except ReaderError as error:
        refuse(
            words(
                f"{error}。`onecard doctor` 检查本机，`onecard card list` 列出读卡器",
                f"{error}. `onecard doctor` examines this machine, `onecard card list` lists "
                "readers",
            )
        )
    except CardRemovedError as error:
        said = text_of(error)
        refuse(
            words(
                f"卡已移走或已复位（{said.zh}）；请重新放卡，再执行同一命令",
                f"the card is gone or was reset ({said.en}); put it back and repeat the command",
            )
        )


@contextmanager
def card_on(reader: str | None) -> Iterator[CardConnection]:
    """The card, for one visit."""
    with faults_in_words(), open_card(reader) as connection:
        yield connection
