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

from api.cli.card.applications import FileInWords
from api.output import masked, print_table, say
from api.tables import Cell, Column, Fen, Table
from cardcore.apdu import StatusWord, describe
from cardcore.dumps.dumps import ParsedCard
from cardcore.dumps.public import CardFamily, Public
from cardcore.layouts.labels import PERSONAL, label
from cardcore.layouts.transit import LogRecord, TripRecord, TripType
from cardcore.records.kinds import TransactionType
from cardcore.text import Text, shorten, words

_NO_HEAD = Text("", "")
_CLOSED = Text("未开放，须先认证", "closed to whoever has not shown himself")
_EMPTY = Text("无记录", "nothing is written")
_UNREADABLE = Text("无法解读", "cannot be read")
_CLOSED_WORDS = frozenset({StatusWord.SECURITY_NOT_SATISFIED, StatusWord.CONDITIONS_NOT_SATISFIED})
#: Of the parts of a dump that nobody could read.
_UNREAD_SHOWN_MAX = 6
#: No published name is longer: what a dump calls itself is shown whole, on one line.
_NAME_CHARACTERS_MAX = 500
_FAMILIES = {
    CardFamily.T_UNION: Text("交通联合", "T-Union"),
    CardFamily.CITY_UNION: Text("城市一卡通", "City Union"),
    CardFamily.PBOC: Text("普通金融钱包", "plain PBOC purse"),
    CardFamily.BEIJING: Text("北京市政交通一卡通", "Beijing"),
    CardFamily.LINGNAN: Text("岭南通", "Lingnan"),
    CardFamily.SHENZHEN: Text("深圳通", "Shenzhen"),
    CardFamily.UNKNOWN: Text("未知", "unknown"),
}
assert set(_FAMILIES) == set(CardFamily)
_TRANSACTIONS: dict[int, Text] = {
    TransactionType.LOAD: Text("充值", "load"),
    TransactionType.PURCHASE: Text("消费", "purchase"),
    TransactionType.COMPOSITE: Text("复合消费", "composite"),
    0x01: Text("存折圈存", "load of the ED"),
    0x03: Text("圈提", "unload"),
    0x04: Text("取现", "cash"),
    0x05: Text("存折消费", "purchase from the ED"),
    0x07: Text("修改透支限额", "overdraft limit"),
}
_TRIPS: dict[int, Text] = {
    TripType.LOAD: Text("充值或单次", "load or single"),
    TripType.ENTRY: Text("进站", "entry"),
    TripType.EXIT: Text("出站", "exit"),
    TripType.SINGLE: Text("单次消费", "single"),
    TripType.SUPPLEMENT: Text("补票", "supplement"),
}
#: Fields whose numbers have words.
_CODED: dict[str, dict[int, Text]] = {"transaction_type": _TRANSACTIONS, "trip_type": _TRIPS}


def plain(value: object) -> Any:  # noqa: ANN401 - JSON has no narrower type
    r"""A value as JSON can hold it.

    >>> plain({"at": date(2026, 9, 1), "bytes": b"\x01"})
    {'at': '2026-09-01', 'bytes': '01'}
    """
    if isinstance(value, bytes):
        return value.hex().upper()
    if isinstance(value, Text):
        return value.en  # JSON is the same in every language
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
    called = shorten(card.name, _NAME_CHARACTERS_MAX)
    title = Text(called, called) if called else Text("卡片", "Card")
    available, limit = card.available_fen, card.overdraft_limit_fen
    rows: tuple[tuple[Text, Cell], ...] = (
        (Text("卡种", "family"), _FAMILIES[public.family]),
        (Text("卡号", "card number"), public.printed_number),
        (Text("有效期", "valid"), _period(public.valid_from, public.valid_to)),
        (Text("余额", "balance"), None if card.balance_fen is None else Fen(card.balance_fen)),
        (Text("可用", "may be spent"), Fen(available) if limit and available is not None else None),
        (Text("透支限额", "overdraft limit"), Fen(limit) if limit else None),
        *(
            (Text(f"应用 {each.label}", f"application {each.label}"), each.aid)
            for each in card.applications
        ),
    )
    facts = Table(title, [Column(_NO_HEAD), Column(_NO_HEAD)])
    for name, value in rows:
        if value is not None:
            facts.add(name, value)
    print_table(facts)
    if card.log:
        print_table(_log(card.log))
    if card.trips:
        print_table(_trips(card.trips))
    for problem in card.problems:
        why = problem.reason
        said = words(f"✗ {problem.part}：{why.zh}", f"✗ {problem.part}: {why.en}")
        say(said, style="red")
    for remark in card.remarks:
        say(f"  {remark}", style="dim")
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
            named, shown = label(name), _shown(name, value)
            say(words(f"  {named.zh}：{shown}", f"  {named.en}: {shown}"), style="dim")


def _shown(name: str, value: Any) -> str:  # noqa: ANN401 - figures of any shape
    if isinstance(value, bool):
        return words("是", "yes") if value else words("否", "no")
    coded = _CODED.get(name, {}).get(value) if isinstance(value, int) else None
    return str(value) if coded is None else words(f"{value}（{coded.zh}）", f"{value} ({coded.en})")


def words_document(files: Iterable[FileInWords], *, unmask: bool) -> list[dict[str, Any]]:
    """The files of an application as JSON."""
    return [
        {
            "title_zh": file.title.zh,
            "title_en": file.title.en,
            "sw": f"{file.sw:04X}",
            "records": [shown_fields(each, unmask=unmask) for each in file.records],
            "problem": "" if file.problem is None else file.problem.en,
        }
        for file in files
    ]


def show_files(title: Text, files: Iterable[FileInWords], *, unmask: bool) -> None:
    """The files of an application for a person."""
    say(str(title), style="bold")
    for file in files:
        say(f" {file.title}")
        if file.problem:
            why = file.problem
            say(
                words(f"  {_UNREADABLE.zh}：{why.zh}", f"  {_UNREADABLE.en}: {why.en}"), style="red"
            )
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
    shown = [shorten(path, 40) for path in paths[:_UNREAD_SHOWN_MAX]]
    more = len(paths) - len(shown)
    zh, en = "、".join(shown), ", ".join(shown)
    if more:
        zh, en = f"{zh}，另有 {more} 处", f"{en}, and {more} more"
    return Text(f"未解读：{zh}", f"not read: {en}")


def _log(records: Sequence[LogRecord]) -> Table:
    table = Table(
        Text("交易明细", "Log"),
        [
            Column(Text("时间", "time")),
            Column(Text("序号", "counter"), right=True),
            Column(Text("类型", "type")),
            Column(Text("金额", "amount"), right=True),
            Column(Text("终端", "terminal")),
        ],
    )
    for each in records:
        kind = _TRANSACTIONS.get(each.transaction_type, f"{each.transaction_type:02X}")
        amount = Fen(each.amount_fen)
        table.add(_moment(each.time), str(each.counter), kind, amount, each.terminal)
    return table


def _trips(records: Sequence[TripRecord]) -> Table:
    table = Table(
        Text("乘车记录", "Trips"),
        [
            Column(Text("时间", "time")),
            Column(Text("类型", "type")),
            Column(Text("城市", "city")),
            Column(Text("线路", "line"), right=True),
            Column(Text("站点", "station"), right=True),
            Column(Text("金额", "amount"), right=True),
            Column(Text("余额", "balance"), right=True),
        ],
    )
    for each in records:
        table.add(
            _moment(each.time),
            _TRIPS.get(each.trip_type, f"{each.trip_type:02X}"),
            each.city,
            str(each.line),
            str(each.station),
            Fen(each.amount_fen),
            Fen(each.balance_fen),
        )
    return table


def _moment(time: datetime | None) -> str:
    return "" if time is None else time.isoformat(" ")


def _period(first: date | None, last: date | None) -> str | None:
    if first is None and last is None:
        return None
    return f"{first or '?'} – {last or '?'}"
