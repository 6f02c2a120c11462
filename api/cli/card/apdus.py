"""`onecard card apdu` and `onecard card trace`: what is said to a card, word by word.

Decides what is sent and how an exchange is told. No line is cut, and none holds a key or a PIN:
`terminals.reading.narration` leaves them out.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.card.reader import ReaderOption, card_on
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import JsonOption, print_json, refuse, say
from cardcore.apdu import StatusWord, describe
from cardcore.errors import placed_system_words
from cardcore.text import Text, words
from terminals.link.connection import (
    CardConnection,
    Exchange,
    Peer,
    RecordingConnection,
    Trace,
    decode_trace,
)
from terminals.reading.card import read_card
from terminals.reading.narration import NarratingConnection, show_command

_HEADER_BYTES = 4
_OK = StatusWord.OK.to_bytes(2, "big")
_SCRIPT = Text("脚本的写法：`onecard card trace --help`", "a script: `onecard card trace --help`")
_EXAMPLE = Text(
    "例如 `onecard card apdu 00A4040008A000000632010105`",
    "for example `onecard card apdu 00A4040008A000000632010105`",
)


def apdu(
    commands: Annotated[
        list[str],
        typer.Argument(
            help=words(
                "十六进制指令；`-` 从标准输入读取。",
                "APDUs in hexadecimal; `-` reads them from standard input.",
            )
        ),
    ],
    reader: ReaderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Whatever the card answers is told; another word than 9000 is exit 1."""
    parsed = _commands(sys.stdin if commands == ["-"] else commands)
    with card_on(reader) as connection, _speaking(connection, as_json=as_json) as speaking:
        answers = [speaking.transmit(command)[-2:] for command in parsed]
    if any(each != _OK for each in answers):
        raise typer.Exit(EXIT_REFUSED)


def trace(
    script: Annotated[
        Path | None,
        typer.Argument(
            help=words(
                "指令脚本：每行一条十六进制指令，# 起为注释；不填则读一遍卡。",
                "APDUs in hexadecimal, one a line, # begins a comment; without a script the card "
                "is read.",
            )
        ),
    ] = None,
    reader: ReaderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Every exchange, as it happens; as JSON, all of them at the end."""
    parsed = None
    if script is not None:
        try:
            parsed = _commands(script.read_text(encoding="utf-8").splitlines())
        except OSError as error:
            said = placed_system_words(error)
            refuse(words(f"{said.zh}；{_SCRIPT.zh}", f"{said.en}; {_SCRIPT.en}"), EXIT_USAGE)
        except UnicodeDecodeError:
            refuse(
                words(
                    f"{script}：不是 UTF-8 文字；{_SCRIPT.zh}",
                    f"{script}: is no UTF-8 text; {_SCRIPT.en}",
                ),
                EXIT_USAGE,
            )
    with card_on(reader) as connection, _speaking(connection, as_json=as_json) as speaking:
        if parsed is None:
            read_card(speaking)
        for command in parsed or ():
            speaking.transmit(command)


@contextmanager
def _speaking(connection: CardConnection, *, as_json: bool) -> Iterator[CardConnection]:
    """A connection that tells every exchange, or as JSON all of them when they are over."""
    if not as_json:
        yield NarratingConnection(connection, say)
        return
    trace = Trace()
    yield RecordingConnection(connection, Peer.CARD, trace)
    print_json({"exchanges": [_document(each) for each in decode_trace(trace.take())]})


def _document(exchange: Exchange) -> dict[str, Any]:
    sw = int.from_bytes(exchange.response[-2:], "big")
    return {
        "command": show_command(exchange.command).en,
        "data": exchange.response[:-2].hex().upper(),
        "sw": f"{sw:04X}",
        "text_en": describe(sw).en,
        "text_zh": describe(sw).zh,
    }


def _commands(lines: Iterable[str]) -> list[bytes]:
    """APDUs out of lines of hexadecimal digits. A line that is none is not repeated to the
    screen: it may hold a PIN.
    """
    commands = []
    for number, line in enumerate(lines, 1):
        text = line.split("#", 1)[0].strip()
        if not text:
            continue
        try:
            command = bytes.fromhex(text)
        except ValueError:
            refuse(
                words(
                    f"第 {number} 条指令不是十六进制数字；{_EXAMPLE.zh}",
                    f"APDU {number} is not hexadecimal; {_EXAMPLE.en}",
                ),
                EXIT_USAGE,
            )
        if len(command) < _HEADER_BYTES:
            refuse(
                words(
                    f"第 {number} 条指令短于四字节的指令头；{_EXAMPLE.zh}",
                    f"APDU {number} is shorter than its header of four bytes; {_EXAMPLE.en}",
                ),
                EXIT_USAGE,
            )
        commands.append(command)
    return commands
