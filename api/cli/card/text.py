"""A card that was read, for people and as JSON. Decides the words and the keys; nothing is read
or decoded here.

Keys of one card: `name family card_number serial issuer city valid_from valid_to balance_fen
available_fen overdraft_limit_fen applications log trips rides composites properties problems
remarks unread`.
`card_number` has the digits as the card stores them, `serial` those printed on it. Amounts are
fen, dates and times ISO 8601, bytes hexadecimal; what a card does not say is null.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from datetime import date, datetime
from typing import Any

from rich.table import Table

from api.cli.card.applications import FileInWords
from api.output import amount_table, console, fen, masked, say, shortened
from cardcore.apdu import StatusWord, describe
from cardcore.dumps.dumps import ParsedCard
from cardcore.dumps.public import Public
from cardcore.layouts.labels import PERSONAL, label
from cardcore.layouts.transit import LogRecord, TripRecord, TripType
from cardcore.records.kinds import TransactionType
from cardcore.text import Text

_CLOSED = Text("未开放, 须先认证", "closed to whoever has not shown himself")
_EMPTY = Text("无记录", "nothing is written")
_UNREADABLE = Text("无法解读", "cannot be read")
_CLOSED_WORDS = frozenset({StatusWord.SECURITY_NOT_SATISFIED, StatusWord.CONDITIONS_NOT_SATISFIED})
#: Of the parts of a dump that nobody could read.
_UNREAD_SHOWN_MAX = 6
_TRANSACTIONS: dict[int, str] = {
    TransactionType.LOAD: "load 充值",
    TransactionType.PURCHASE: "purchase 消费",
    TransactionType.COMPOSITE: "composite 复合消费",
    0x01: "ED load 存折圈存",
    0x03: "unload 圈提",
    0x04: "cash 取现",
    0x05: "ED purchase 存折消费",
    0x07: "overdraft limit 修改透支限额",
}
_TRIPS: dict[int, str] = {
    TripType.LOAD: "load or single 充值或单次",
    TripType.ENTRY: "entry 进站",
    TripType.EXIT: "exit 出站",
    TripType.SINGLE: "single 单次消费",
    TripType.SUPPLEMENT: "supplement 补票",
}


def plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    r"""A value as JSON can hold it.

    >>> plain({"at": date(2026, 9, 1), "bytes": b"\x01"})
    {'at': '2026-09-01', 'bytes': '01'}
    """
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def mask_card(card: ParsedCard) -> ParsedCard:
    """The card with its number masked."""
    number, printed = card.public.card_number, card.public.printed_number
    public = card.public._replace(
        card_number=number and masked(number), printed_number=printed and masked(printed)
    )
    return replace(card, public=public)


def card_document(card: ParsedCard) -> dict[str, Any]:
    """One card as a JSON object."""
    return {
        "name": card.name,
        "family": str(card.public.family),
        "card_number": card.public.card_number,
        "serial": card.public.printed_number,
        "issuer": card.public.issuer,
        "city": card.public.city,
        "valid_from": plain(card.public.valid_from),
        "valid_to": plain(card.public.valid_to),
        **{
            name: plain(getattr(card, name))
            for name in (
                *("balance_fen", "available_fen", "overdraft_limit_fen", "applications", "log"),
                *("trips", "rides", "composites", "properties", "problems", "remarks"),
                "unread",
            )
        },
    }


def says_something(card: ParsedCard) -> bool:
    """Whether anything in a dump was recognised; a part that could not be read is nothing yet."""
    return replace(card, problems=(), unread=()) != ParsedCard(card.name, Public())


def show_card(card: ParsedCard) -> None:
    """One card for a person; what it does not say is left out."""
    public = card.public
    # A published name may be longer than the table under it is wide.
    say(card.name or "Card 卡片", style="italic")
    table = amount_table("", "", "")
    available, limit = card.available_fen, card.overdraft_limit_fen
    rows = (
        ("family 卡种", str(public.family)),
        ("card number 卡号", public.printed_number),
        ("valid 有效期", _period(public.valid_from, public.valid_to)),
        ("balance 余额", None if card.balance_fen is None else fen(card.balance_fen)),
        ("may be spent 可用", fen(available) if limit and available is not None else None),
        ("overdraft limit 透支限额", fen(limit) if limit else None),
    )
    for name, value in rows:
        if value is not None:
            table.add_row(name, value)
    for application in card.applications:
        table.add_row(f"application 应用 {application.label}", application.aid)
    console.print(table)
    if card.log:
        console.print(_log(card.log))
    if card.trips:
        console.print(_trips(card.trips))
    for problem in card.problems:
        console.print(f"✗ {problem.part}: {problem.reason}", style="red", highlight=False)
    for remark in card.remarks:
        console.print(f"  {remark}", style="dim", highlight=False)
    if card.unread:
        say(str(not_read(card.unread)), style="yellow")


def shown_fields(fields: Mapping[str, Any], *, unmask: bool) -> dict[str, Any]:
    """The fields of a file as they are shown: numbers of a person masked unless asked for."""
    return {
        name: masked(str(value)) if name in PERSONAL and value and not unmask else value
        for name, value in plain(dict(fields)).items()
    }


def show_fields(fields: Mapping[str, Any]) -> None:
    """One record of a file, a field a line."""
    for name, value in fields.items():
        if value not in {"", None}:
            say(f"  {label(name)}: {value}", style="dim")


def words_document(files: Iterable[FileInWords], *, unmask: bool) -> list[dict[str, Any]]:
    """The files of an application as JSON."""
    return [
        {
            "title_zh": file.title.zh,
            "title_en": file.title.en,
            "sw": f"{file.sw:04X}",
            "records": [shown_fields(each, unmask=unmask) for each in file.records],
            "problem": file.problem,
        }
        for file in files
    ]


def show_files(title: Text, files: Iterable[FileInWords], *, unmask: bool) -> None:
    """The files of an application for a person."""
    say(str(title), style="bold")
    for file in files:
        say(f" {file.title}")
        if file.problem:
            say(f"  {_UNREADABLE}: {file.problem}", style="red")
        elif file.sw in _CLOSED_WORDS:
            say(f"  {_CLOSED}", style="dim")
        elif file.sw != StatusWord.OK:
            say(f"  {file.sw:04X} {describe(file.sw)}", style="dim")
        elif not file.records:
            say(f"  {_EMPTY}", style="dim")
        for record in file.records:
            show_fields(shown_fields(record, unmask=unmask))


def not_read(paths: Sequence[str]) -> Text:
    """That bytes stand in a dump which no rule here reads, and where.

    >>> not_read(("tag",)).en
    'not read: tag'
    """
    shown = ", ".join(shortened(path) for path in paths[:_UNREAD_SHOWN_MAX])
    if more := len(paths) - _UNREAD_SHOWN_MAX:
        shown += f", … (+{more})" if more > 0 else ""
    return Text(f"未解读: {shown}", f"not read: {shown}")


def _log(records: Sequence[LogRecord]) -> Table:
    table = amount_table("Log 交易明细", "time 时间", "counter 序号", "type 类型", "amount 金额",
                         "terminal 终端")  # fmt: skip
    for each in records:
        kind = _TRANSACTIONS.get(each.transaction_type, f"{each.transaction_type:02X}")
        table.add_row(
            _moment(each.time), str(each.counter), kind, fen(each.amount_fen), each.terminal
        )
    return table


def _trips(records: Sequence[TripRecord]) -> Table:
    table = amount_table("Trips 乘车记录", "time 时间", "type 类型", "city 城市", "line 线路",
                         "station 站点", "amount 金额", "balance 余额")  # fmt: skip
    for each in records:
        table.add_row(
            _moment(each.time),
            _TRIPS.get(each.trip_type, f"{each.trip_type:02X}"),
            each.city,
            str(each.line),
            str(each.station),
            fen(each.amount_fen),
            fen(each.balance_fen),
        )
    return table


def _moment(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(" ")


def _period(first: date | None, last: date | None) -> str | None:
    if first is None and last is None:
        return None
    return f"{first or '?'} – {last or '?'}"
