"""`onecard card list`: readers, what is on them, and what happens there."""

from typing import Annotated

import typer

from api.cli.card.reader import faults_in_words
from api.cli.card.text import plain
from api.cli.frame.stopping import standing
from api.exits import EXIT_USAGE
from api.output import JsonOption, print_json, print_table, refuse, say
from api.tables import Column, Table
from cardcore.text import Text, words
from terminals.link.pcsc import CardEvent, ReaderService, ReaderState
from terminals.reading.narration import spaced

_EVENTS = {
    CardEvent.INSERTED: Text("卡已放入", "a card was put there"),
    CardEvent.REMOVED: Text("卡已移走", "the card was taken away"),
    CardEvent.UNKNOWN_CARD: Text(
        "无法识别的卡：请重新放卡或换卡", "an unknown card: turn it over or try another one"
    ),
    CardEvent.READER_ADDED: Text("读卡器已连接", "the reader was plugged in"),
    CardEvent.READER_REMOVED: Text(
        "读卡器已断开：请重新连接", "the reader was unplugged: plug it in again"
    ),
}
assert set(_EVENTS) == set(CardEvent)
_WATCHED = Text("已停止监视；未作任何更改。", "Watching has ended; nothing was changed.")
_NO_READER = Text(
    "没有读卡器：请连接一台，或安装虚拟读卡器 `sudo apt install pcscd vsmartcard-vpcd`",
    "there is no reader: plug one in, or install virtual ones, `sudo apt install pcscd "
    "vsmartcard-vpcd`",
)


def list_readers(
    watch: Annotated[
        bool,
        typer.Option(
            "--watch",
            help=words(
                "持续报告发生的事，直至 Ctrl-C。", "Go on and tell what happens, until Ctrl-C."
            ),
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Once, or for as long as somebody watches."""
    if watch and as_json:
        refuse(
            words(
                "--watch 没有终点，不能是一个 JSON 对象；请去掉其中之一",
                "--watch has no end, so it cannot be one JSON object; leave one of the two out",
            ),
            EXIT_USAGE,
        )
    with faults_in_words(), ReaderService() as service:
        if watch:
            with standing(_WATCHED):
                for event in service.watch():
                    said = _EVENTS[event.kind]
                    line = words(f"{event.reader}：{said.zh}", f"{event.reader}: {said.en}")
                    say(f"{line} {spaced(event.atr)}".rstrip())
            return
        states = service.states()
    if as_json:
        print_json({"readers": [plain(state) for state in states]})
        return
    if not states:
        say(str(_NO_READER))
        return
    table = Table(
        Text("读卡器", "Readers"),
        [Column(Text("读卡器", "reader")), Column(Text("卡", "card")), Column(Text("ATR", "ATR"))],
    )
    for state in states:
        table.add(state.reader, _found(state), spaced(state.atr))
    print_table(table)


def _found(state: ReaderState) -> Text:
    if not state.is_present:
        return Text("无", "none")
    found = Text("无法识别", "unknown") if state.is_mute else Text("有卡", "there")
    if state.is_exclusive:
        return Text(f"{found.zh}，被其他程序占用", f"{found.en}, in use by another program")
    return found
