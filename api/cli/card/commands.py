"""`onecard card`: cards on a reader, a virtual card, published dumps.

Decides what is asked of a card and how it is shown. No command here needs a key, and none prints
a key or a PIN: `terminals.reading.narration` leaves them out of every line.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.card.applications import fields_of, read_in_words
from api.cli.card.files import CardFile, FileNameError, name_file, read_file
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
from api.composition import open_city_keys
from api.output import (
    EXIT_REFUSED,
    EXIT_USAGE,
    JsonOption,
    UnmaskOption,
    amount_table,
    console,
    console_error,
    fen,
    print_json,
    refuse,
    shortened,
)
from api.settings import read_settings
from api.simulation.single_card import issue_card, load_card, sample_plan
from cardcore.apdu import StatusWord, describe
from cardcore.applets import catalogue
from cardcore.dumps.dumps import Application, ParsedCard, parse_card_dump, parse_dump
from cardcore.issuing.products import SHIPPED
from cardcore.layouts.labels import PERSONAL
from cardcore.schemes.catalogue import SCHEMES
from cardcore.text import Text
from terminals.errors import CardRemovedError
from terminals.link.connection import CardConnection, InProcessConnection
from terminals.link.pcsc import CardEvent, ReaderService, open_card
from terminals.link.reader_faults import ReaderError
from terminals.link.vpcd import SLOT_PORTS, VirtualCard, VirtualReaderMissingError
from terminals.reading.card import CardReading, read_card
from terminals.reading.narration import NarratingConnection, show_command, show_status, spaced

SCHEME = SCHEMES["demo"]

app = typer.Typer(help="Cards on a reader. 读卡器上的卡。", no_args_is_help=True)

ReaderOption = Annotated[
    str | None,
    typer.Option(
        "--reader",
        envvar="ONECARD_READER",
        help="Part of the reader's name; the first reader by default. 读卡器名称的一部分。",
    ),
]
_NOTHING_RECOGNISED = Text(
    "其中没有可识别的卡片数据, 可解读的部分见 docs/formats.md",
    "nothing of a card was recognised; the parts that are read stand in docs/formats.md",
)
_EVENTS = {
    CardEvent.INSERTED: "卡已放入",
    CardEvent.REMOVED: "卡已移走",
    CardEvent.UNKNOWN_CARD: "无法识别的卡, 请重新放卡或换卡; turn it over or try another card",
    CardEvent.READER_ADDED: "读卡器已连接",
    CardEvent.READER_REMOVED: "读卡器已断开, 请重新连接; plug it in again",
}


@contextmanager
def _faults_in_words() -> Iterator[None]:
    """A reader or card that fails ends the command with what to do about it."""
    try:
        yield
    except ReaderError as error:
        refuse(str(error))
    except CardRemovedError as error:
        refuse(f"卡已移走或已复位, 请重新放卡 / {error}; put the card back and repeat")


@contextmanager
def _card(reader: str | None) -> Iterator[CardConnection]:
    with _faults_in_words(), open_card(reader) as connection:
        yield connection


@app.command("list")
def list_readers(
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on and tell what happens, until Ctrl-C. 持续监视。")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Readers, and what is on them. 列出读卡器和卡。"""
    if watch and as_json:
        refuse("--watch has no end, so it cannot be one JSON object", EXIT_USAGE)
    with _faults_in_words(), ReaderService() as service:
        if watch:
            _watch(service)
            return
        states = service.states()
    if as_json:
        print_json({"readers": [plain(state) for state in states]})
        return
    table = amount_table("Readers 读卡器", "reader 读卡器", "card 卡", "ATR")
    for state in states:
        found = "unknown card 无法识别" if state.is_mute else "card 有卡"
        if state.is_exclusive:
            found += ", in use elsewhere 被其他程序占用"
        table.add_row(state.reader, found if state.is_present else "–", spaced(state.atr))
    console.print(table)
    if not states:
        console.print("No reader 没有读卡器: plug one in, or install vsmartcard-vpcd", style="dim")


def _watch(service: ReaderService) -> None:
    try:
        for event in service.watch():
            words = f"{event.kind.value} {_EVENTS[event.kind]}"
            console.print(f"{event.reader}: {words} {spaced(event.atr)}".rstrip(), highlight=False)
    except KeyboardInterrupt:
        return


@app.command()
def info(
    reader: ReaderOption = None, unmask: UnmaskOption = False, as_json: JsonOption = False
) -> None:
    """Every application of a card in words: number, balance, log, trips, what it says freely of its
    holder. 卡片信息。
    """
    with _card(reader) as connection:
        reading = read_card(connection)
        words = {
            each.name: (each.title, files)
            for each in catalogue.APPLICATIONS.values()
            if each.name != "transit" and (files := list(read_in_words(connection, each.name)))
        }
    card = _parsed(reading)
    if not unmask:
        card = mask_card(card)
    if as_json:
        print_json(
            card_document(card)
            | {
                "in_words": {
                    name: words_document(files, unmask=unmask) for name, (_, files) in words.items()
                }
            }
        )
    else:
        show_card(card)
        for title, files in words.values():
            show_files(title, files, unmask=unmask)
    if card.public.card_number is None:
        refuse(
            "未知的卡: 没有可识别的钱包应用 / unknown card: no purse known here answered; "
            "`onecard card apdu` speaks to it all the same"
        )


def _parsed(reading: CardReading) -> ParsedCard:
    listed = (Application(each.aid.hex().upper(), each.label) for each in reading.applications)
    return replace(parse_card_dump(reading.document), applications=tuple(listed))


@app.command()
def read(
    file: Annotated[
        str | None,
        typer.Argument(
            help="A name (public holder properties log transit trips), a short id of two "
            "hexadecimal digits, or a file id of four; without one, the whole application in "
            "words. 文件名、短文件标识或文件标识；不填则读出整个应用。"
        ),
    ] = None,
    application: Annotated[
        str, typer.Option(help="Whose file: a name, or an AID in hexadecimal. 应用。")
    ] = "transit",
    record: Annotated[
        int | None, typer.Option(min=1, max=254, help="Only this record. 只读一条记录。")
    ] = None,
    reader: ReaderOption = None,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """One file of a card in hexadecimal and in words, or an application in words. 读文件。"""
    if file is None:
        _read_application(application, reader, unmask=unmask, as_json=as_json)
        return
    try:
        wanted = name_file(file, application)
    except FileNameError as error:
        refuse(str(error), EXIT_USAGE)
    with _card(reader) as connection:
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
            console.print(show_status(content.sw), style="red", highlight=False)
    if content.sw != StatusWord.OK:
        raise typer.Exit(EXIT_REFUSED)


def _read_application(name: str, reader: str | None, *, unmask: bool, as_json: bool) -> None:
    known = {each.name: each for each in catalogue.APPLICATIONS.values()}
    application = known.get(name.casefold().replace("-", "_"))
    if application is None:
        names = ", ".join(each.replace("_", "-") for each in known)
        refuse(
            str(
                Text(
                    f"没有应用 {shortened(name)}; 可读出的应用: {names}",
                    f"no application {shortened(name)} is read in words; there are {names}",
                )
            ),
            EXIT_USAGE,
        )
    with _card(reader) as connection:
        files = list(read_in_words(connection, application.name))
    if as_json:
        document = {"application": application.name}
        print_json(document | {"files": words_document(files, unmask=unmask)})
    elif files:
        show_files(application.title, files, unmask=unmask)
    if not files:
        title = application.title
        refuse(str(Text(f"卡上没有{title.zh}应用", f"the card has no application {title.en}")))


def _show_file(
    file: CardFile, parts: Sequence[bytes], fields: Sequence[Mapping[str, Any]], *, hidden: bool
) -> None:
    if len(fields) > len(parts) or (fields and len(fields) < len(parts)) or hidden:
        # One set of fields out of many records, or bytes that would show a number.
        console.print(file.title, style="bold", highlight=False)
        for part in () if hidden else parts:
            console.print(spaced(part), highlight=False, soft_wrap=True)
        for each in fields:
            show_fields(each)
        return
    for number, part in enumerate(parts):
        head = f"{file.title} #{number + 1}" if len(parts) > 1 else file.title
        console.print(head, style="bold", highlight=False)
        console.print(spaced(part), highlight=False, soft_wrap=True)
        if fields:
            show_fields(fields[number])


@app.command()
def apdu(
    commands: Annotated[
        list[str],
        typer.Argument(help="APDUs in hexadecimal; `-` reads them from standard input. 指令。"),
    ],
    reader: ReaderOption = None,
    as_json: JsonOption = False,
) -> None:
    """Send APDUs as they are and say what the card answers. 发送原始指令。"""
    parsed = _commands(sys.stdin if commands == ["-"] else commands)
    exchanges: list[dict[str, Any]] = []
    worst = StatusWord.OK.value
    with _card(reader) as connection:
        speaking = connection if as_json else NarratingConnection(connection, _tell)
        for command in parsed:
            response = speaking.transmit(command)
            sw = int.from_bytes(response[-2:], "big")
            worst = worst if sw == StatusWord.OK else sw
            exchanges.append(
                {
                    "command": show_command(command),
                    "data": response[:-2].hex().upper(),
                    "sw": f"{sw:04X}",
                    "text_en": describe(sw).en,
                    "text_zh": describe(sw).zh,
                }
            )
    if as_json:
        print_json({"exchanges": exchanges})
    if worst != StatusWord.OK:
        raise typer.Exit(EXIT_REFUSED)


@app.command()
def trace(
    script: Annotated[
        Path | None,
        typer.Argument(help="APDUs in hexadecimal, one a line, # begins a comment. 指令脚本。"),
    ] = None,
    reader: ReaderOption = None,
) -> None:
    """Every APDU of a reading of the card, or of a script, in words. 跟踪指令。"""
    parsed = None
    if script is not None:
        try:
            parsed = _commands(script.read_text(encoding="utf-8").splitlines())
        except OSError as error:
            refuse(f"{script}: {error.strerror}", EXIT_USAGE)
    with _card(reader) as connection:
        speaking = NarratingConnection(connection, _tell)
        if parsed is None:
            read_card(speaking)
        for command in parsed or ():
            speaking.transmit(command)


def _tell(line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


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
            refuse(f"APDU {number} is not hexadecimal 不是十六进制", EXIT_USAGE)
        if len(command) < 4:
            refuse(f"APDU {number} is shorter than its four-byte header 指令过短", EXIT_USAGE)
        commands.append(command)
    return commands


@app.command()
def parse(
    file: Annotated[Path, typer.Argument(help="A published card dump (JSON). 卡片数据文件。")],
    as_json: JsonOption = False,
) -> None:
    """What published dumps say: number, validity, balance, log, trips. 解析已公布的卡片数据。"""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        refuse(f"{file}: {error.strerror}", EXIT_USAGE)
    except (ValueError, RecursionError) as error:
        refuse(f"{file}: no JSON document: {shortened(str(error))}", EXIT_USAGE)
    if not isinstance(document, dict):
        refuse(f"{file}: a dump is a JSON object", EXIT_USAGE)
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
        refuse(f"{file}: {_NOTHING_RECOGNISED}{rest}")


@app.command()
def serve(
    vpcd: Annotated[
        bool,
        typer.Option("--vpcd", help="Into the virtual reader of vsmartcard-vpcd. 虚拟读卡器。"),
    ] = False,
    product: Annotated[
        str, typer.Option(help=f"Which product 卡产品: {', '.join(SHIPPED)}")
    ] = "citizen",
    balance: Annotated[
        int, typer.Option("--balance", min=0, help="Fen to load before. 预先充值, 分。")
    ] = 10_000,
    port: Annotated[
        int, typer.Option(min=1, max=65_535, help="35963 is slot 0, 35964 slot 1. 端口。")
    ] = SLOT_PORTS[0],
) -> None:
    """Put a personalised card into a virtual reader until Ctrl-C. 虚拟卡。"""
    if not vpcd:
        refuse("where to? say --vpcd, the virtual reader 请指定 --vpcd", EXIT_USAGE)
    if product not in SHIPPED:
        refuse(f"no product {product!r}; there are {', '.join(SHIPPED)}", EXIT_USAGE)
    keys = open_city_keys(read_settings(), SCHEME)
    card = issue_card(keys, sample_plan(SCHEME, product))
    if balance:
        # The city's wall clock, as every terminal has it.
        outcome = load_card(
            InProcessConnection(card),
            keys,
            SCHEME,
            balance,
            datetime.now(),  # noqa: DTZ005
        )
        if not outcome.done:
            refuse(f"a {product} card cannot take {fen(balance)}: {outcome.name}")
    try:
        virtual = VirtualCard(card, card.atr, port)
    except VirtualReaderMissingError as error:
        refuse(str(error))
    console_error.print(
        f"{product} card with {fen(balance)} in the virtual reader 虚拟卡已放入. "
        "Try: onecard card info. Ctrl-C takes it out.",
        highlight=False,
    )
    try:
        virtual.serve()
    except KeyboardInterrupt:
        return
    refuse("读卡器已断开 / the reader went away; start pcscd and repeat")
