"""`onecard explain`: one tap's whole history, from its first APDU to the position it changed."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from api.cli.frame.session import open_to_read
from api.exits import EXIT_USAGE
from api.output import (
    DEFAULT_DATA,
    DataOption,
    JsonOption,
    UnmaskOption,
    complain,
    print_json,
    refuse,
    say,
)
from api.simulation.virtual_city import journal_path
from cardcore.errors import DecodeError
from cardcore.text import Text, words
from settlement.errors import reason_of
from settlement.reports.history import explain as explain_record
from settlement.reports.history import parse_record_id
from settlement.reports.told import RecordHistory, Step
from terminals.errors import JournalError
from terminals.journal.journal import Journal
from terminals.link.connection import Exchange, Peer, decode_trace
from terminals.reading.narration import show_command, show_response

#: Digits of a card number that every form of it has, and that stay when it is masked.
_SERIAL_DIGITS, _DIGITS_SHOWN = 16, 4
_PEERS = {Peer.CARD: Text("卡片", "card"), Peer.PSAM: Text("PSAM", "PSAM")}
#: A step goes on under its words, behind its number.
_HANG = 5


def explain(
    record: Annotated[
        str,
        typer.Argument(
            help=words(
                "终端号-流水号，如 000231017240-00000017。",
                "Terminal and serial, e.g. 000231017240-00000017.",
            )
        ),
    ],
    data: DataOption = DEFAULT_DATA,
    unmask: UnmaskOption = False,
    as_json: JsonOption = False,
) -> None:
    """Where one record came from and where its money went, step by step."""
    try:
        terminal, serial = parse_record_id(record)
    except ValueError as error:
        refuse(
            words(
                f"{error}；`onecard files list` 列出已收文件",
                f"{error}; `onecard files list` says what came",
            ),
            EXIT_USAGE,
        )
    with open_to_read(data) as city:
        history = explain_record(city, record)
    if not history.copies:
        refuse(
            words(
                f"{data} 已收的文件中没有记录 {history.record_id}：可能仍在终端，或在被拒收的文件"
                "中；见 `onecard files list`",
                f"no file that {data} received holds a record {history.record_id}: it may still "
                "be at its terminal, or in a file that was refused; `onecard files list` says what "
                "came",
            )
        )
    numbers = {each.record.card_number for each in history.copies if each.record is not None}
    hide = _hiding(() if unmask else numbers)
    apdus = _apdus(data, history, terminal, serial)
    if as_json:
        print_json(
            {
                "record": history.record_id,
                "apdus": [hide(line.en) for line in apdus],
                "copies": [
                    {
                        "file": copy.content_hash,
                        "row": copy.row,
                        "steps": [_step(step, hide) for step in copy.steps],
                    }
                    for copy in history.copies
                ],
            }
        )
        return
    name = history.record_id
    say(words(f"交易记录 {name}", f"Record {name}"), style="bold")
    if apdus:
        say(words("终端侧", "At the terminal"), style="bold cyan")
        for number, line in enumerate(apdus, start=1):
            say(f"{number:3}  {hide(str(line))}", hang=_HANG)
    for which, copy in enumerate(history.copies, start=1):
        title, count = words("清算侧", "In the back office"), len(history.copies)
        if count > 1:
            title += words(f"，{count} 份中的第 {which} 份", f", copy {which} of {count}")
        say(title, style="bold cyan")
        for number, step in enumerate(copy.steps, start=1):
            say(f"{number:3}  {hide(str(step.text))}", hang=_HANG)


def _step(step: Step, hide: Callable[[str], str]) -> dict[str, Any]:
    text = {"text_zh": hide(step.text.zh), "text_en": hide(step.text.en)}
    return {"name": step.name, **text, "data": _hidden_in(dict(step.data), hide)}


def _hidden_in(value: Any, hide: Callable[[str], str]) -> Any:  # noqa: ANN401 - figures of any shape
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {name: _hidden_in(each, hide) for name, each in value.items()}
    return [_hidden_in(each, hide) for each in value] if isinstance(value, list | tuple) else value


def _hiding(numbers: Iterable[str]) -> Callable[[str], str]:
    """What masks these card numbers in a line: as digits, and as the bytes of an APDU; of the
    twenty digits the first ones are not everywhere.
    """
    forms = (
        r"\s?".join(f"(?:{digit})?" for digit in number[:-_SERIAL_DIGITS])
        + r"\s?"
        + r"\s?".join(number[-_SERIAL_DIGITS:])
        for number in numbers
    )
    pattern = "|".join(forms)
    if not pattern:
        return lambda line: line

    def hidden(found: re.Match[str]) -> str:
        text = found[0]
        digits_left = sum(each.isdigit() for each in text)
        shown = []
        for each in text:
            shown.append("*" if each.isdigit() and digits_left > _DIGITS_SHOWN else each)
            digits_left -= each.isdigit()
        return "".join(shown)

    return lambda line: re.sub(pattern, hidden, line)


def _apdus(data: Path, history: RecordHistory, terminal: str, serial: int) -> list[Text]:
    """The exchanges of the tap, when the journal of its collector is at hand."""
    record = history.copies[0].record
    if record is None or not journal_path(data, record.operator).exists():
        return []
    try:
        with Journal.open_to_read(journal_path(data, record.operator)) as journal:
            exchanges = decode_trace(journal.trace(terminal, serial))
    except (JournalError, DecodeError) as error:
        why = reason_of(error)
        complain(
            words(
                f"采集点流水无法读取：{why}；终端侧从略",
                f"The journal of the collector cannot be read: {why}; its part is left out",
            )
        )
        return []
    return [_shown(exchange) for exchange in exchanges]


def _shown(exchange: Exchange) -> Text:
    peer = _PEERS[exchange.peer]
    command, response = show_command(exchange.command), show_response(exchange.response)
    return Text(
        f"{peer.zh}  > {command.zh}  < {response.zh}", f"{peer.en}  > {command.en}  < {response.en}"
    )
