"""`onecard card info`, `read` and `parse`: what a card, or a published dump of one, says.

Decides what is asked of a card, and what counts as nothing read. Leaves the words to
`api.cli.card.text`, and which files there are to `api.cli.card.applications`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.card.applications import fields_of, read_in_words
from api.cli.card.files import CardFile, FileNameError, name_file, read_file
from api.cli.card.reader import ReaderOption, card_on
from api.cli.card.text import (
    card_document,
    mask_card,
    not_read,
    plain,
    says_something,
    show_card,
    show_fields,
    show_files,
    shown_fields,
    words_document,
)
from api.exits import EXIT_REFUSED, EXIT_USAGE
from api.output import JsonOption, UnmaskOption, complain, print_json, refuse, say
from cardcore.apdu import StatusWord
from cardcore.applets import catalogue
from cardcore.dumps.dumps import Application, ParsedCard, parse_card_dump, parse_dump
from cardcore.errors import placed_system_words
from cardcore.layouts.labels import PERSONAL
from cardcore.text import Text, shorten, words
from terminals.reading.card import CardReading, read_card
from terminals.reading.narration import show_status, spaced

_DUMP = Text("可解读的文件见 docs/formats.md", "docs/formats.md says what a dump is")
_NOTHING_RECOGNISED = Text(
    "其中没有可识别的卡片数据；可解读的部分见 docs/formats.md",
    "nothing of a card was recognised; the parts that are read stand in docs/formats.md",
)


def info(
    reader: ReaderOption = None, unmask: UnmaskOption = False, as_json: JsonOption = False
) -> None:
    """A card without a purse that is known here is shown as far as it goes, and exit 1."""
    with card_on(reader) as connection:
        found = read_card(connection)
        further = {
            each.name: (each.title, files)
            for each in catalogue.APPLICATIONS.values()
            if each.name != "transit" and (files := list(read_in_words(connection, each.name)))
        }
    card = _parsed(found)
    if not unmask:
        card = mask_card(card)
    if as_json:
        in_words = {
            name: words_document(files, unmask=unmask) for name, (_, files) in further.items()
        }
        print_json(card_document(card) | {"in_words": in_words})
    else:
        show_card(card)
        for title, files in further.values():
            show_files(title, files, unmask=unmask)
    if card.public.card_number is None:
        refuse(
            words(
                "未知的卡：没有可识别的钱包应用应答；`onecard card apdu` 仍可与之对话",
                "unknown card: no purse known here answered; `onecard card apdu` speaks to it all "
                "the same",
            )
        )


def _parsed(found: CardReading) -> ParsedCard:
    listed = (Application(each.aid.hex().upper(), each.label) for each in found.applications)
    return replace(parse_card_dump(found.document), applications=tuple(listed))


def read(
    file: Annotated[
        str | None,
        typer.Argument(
            help=words(
                "文件名（public、holder、properties、log、transit、trips）、两位十六进制的短文件标识或四"
                "位的文件标识；不填则读出整个应用。",
                "A name (public holder properties log transit trips), a short id of two "
                "hexadecimal digits, or a file id of four; without one, the whole application.",
            )
        ),
    ] = None,
    application: Annotated[
        str,
        typer.Option(
            help=words("哪个应用：名称，或十六进制 AID。", "Whose file: a name, or an AID.")
        ),
    ] = "transit",
    record: Annotated[
        int | None,
        typer.Option(min=1, max=254, help=words("只读这一条记录。", "Only this record.")),
    ] = None,
    reader: ReaderOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """Bytes that hold a number of a person are shown only when asked for."""
    if file is None:
        _read_application(application, reader, unmask=unmask, as_json=as_json)
        return
    try:
        wanted = name_file(file, application)
    except FileNameError as error:
        refuse(str(error), EXIT_USAGE)
    with card_on(reader) as connection:
        content = read_file(connection, wanted, record)
    decoded = [plain(each) for each in content.decoded]
    decoded = decoded or fields_of(application, wanted.sfi, content.parts)
    fields = [shown_fields(each, unmask=unmask) for each in decoded]
    # The bytes would show what the words leave out.
    hidden = not unmask and any(PERSONAL & each.keys() for each in fields)
    if as_json:
        print_json(
            {
                "file": file,
                "application": wanted.application.hex().upper(),
                "sw": f"{content.sw:04X}",
                "content": [] if hidden else [each.hex().upper() for each in content.parts],
                "fields": fields,
            }
        )
    else:
        _show_file(wanted, content.parts, fields, hidden=hidden)
        if content.sw != StatusWord.OK:
            complain(str(show_status(content.sw)))
    if content.sw != StatusWord.OK:
        raise typer.Exit(EXIT_REFUSED)


def _read_application(name: str, reader: str | None, *, unmask: bool, as_json: bool) -> None:
    known = {each.name: each for each in catalogue.APPLICATIONS.values()}
    application = known.get(name.casefold().replace("-", "_"))
    if application is None:
        names = [each.replace("_", "-") for each in known]
        given = shorten(name, 40)
        refuse(
            words(
                f"--application：没有应用 {given}；可读出的应用：{'、'.join(names)}",
                f"--application: no application {given} is read in words; there are "
                f"{', '.join(names)}",
            ),
            EXIT_USAGE,
        )
    with card_on(reader) as connection:
        files = list(read_in_words(connection, application.name))
    if as_json:
        document = {"application": application.name}
        print_json(document | {"files": words_document(files, unmask=unmask)})
    elif files:
        show_files(application.title, files, unmask=unmask)
    if not files:
        title = application.title
        refuse(
            words(
                f"卡上没有“{title.zh}”应用；`onecard card info` 列出卡上有的",
                f"the card has no application {title.en}; `onecard card info` lists those it has",
            )
        )


def _show_file(
    file: CardFile, parts: Sequence[bytes], fields: Sequence[Mapping[str, Any]], *, hidden: bool
) -> None:
    if len(fields) > len(parts) or (fields and len(fields) < len(parts)) or hidden:
        # One set of fields out of many records, or bytes that would show a number.
        say(file.title, style="bold")
        for part in () if hidden else parts:
            say(spaced(part))
        for each in fields:
            show_fields(each)
        return
    for number, part in enumerate(parts):
        say(f"{file.title} #{number + 1}" if len(parts) > 1 else file.title, style="bold")
        say(spaced(part))
        if fields:
            show_fields(fields[number])


def parse(
    file: Annotated[
        Path,
        typer.Argument(
            help=words("已公布的卡片数据文件（JSON）。", "A published card dump (JSON).")
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """A dump in which nothing of a card is recognised is exit 1."""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        said = placed_system_words(error)
        refuse(words(f"{said.zh}；{_DUMP.zh}", f"{said.en}; {_DUMP.en}"), EXIT_USAGE)
    except (ValueError, RecursionError) as error:
        said = _no_json(file, error)
        refuse(words(f"{said.zh}；{_DUMP.zh}", f"{said.en}; {_DUMP.en}"), EXIT_USAGE)
    if not isinstance(document, dict):
        refuse(
            words(
                f"{file}：卡片数据应为一个 JSON 对象；{_DUMP.zh}",
                f"{file}: a dump is a JSON object; {_DUMP.en}",
            ),
            EXIT_USAGE,
        )
    cards = parse_dump(document)
    found = [card for card in cards if says_something(card)]
    if as_json:
        print_json({"cards": [card_document(card) for card in cards]})
    else:
        for card in cards:
            if card in found or card.problems:
                show_card(card)
    if not found:
        unread = [path for card in cards for path in card.unread]
        rest = f"; {not_read(unread)}" if unread else ""
        refuse(
            words(
                f"{file}：{_NOTHING_RECOGNISED.zh}{rest.replace('; ', '；')}",
                f"{file}: {_NOTHING_RECOGNISED.en}{rest}",
            )
        )


def _no_json(file: Path, error: Exception) -> Text:
    if isinstance(error, json.JSONDecodeError):
        at = Text(
            f"第 {error.lineno} 行第 {error.colno} 列", f"line {error.lineno}, column {error.colno}"
        )
        return Text(f"{file}：{at.zh}起不是 JSON", f"{file}: no JSON from {at.en} on")
    if isinstance(error, UnicodeDecodeError):
        return Text(f"{file}：不是 UTF-8 文字", f"{file}: is no UTF-8 text")
    return Text(f"{file}：不是可读的 JSON", f"{file}: no JSON that can be read")
