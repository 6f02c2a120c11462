"""A scheme's file read and checked: nothing is guessed, and every fault is named with its line.

Decides what a scheme's file may say. Leaves what the rules mean to the scheme, and where the file
comes from to the caller. Faults are a wrong form, a missing or unknown entry, a wrong type, a value
out of its range, an unknown word, the same code twice, prices that overlap or leave a hole.
"""

import re
import tomllib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, NoReturn, TypeVar

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.concession import Concession
from cardcore.errors import CardcoreError
from cardcore.key_labels import chip_label, load_host_label, maintenance_label
from cardcore.records.kinds import RecordKind, Sector
from cardcore.schemes import (
    HOTLIST_GRACE_DAYS_DEFAULT,
    LATE_DAYS_DEFAULT,
    LIFE_DEFAULT,
    PROPOSAL_DAYS_DEFAULT,
    CardNumbers,
    FareClass,
    Life,
    Participant,
    ParticipantKind,
    Scheme,
)
from cardcore.schemes.lines import Way, entry_lines
from cardcore.schemes.pricing import RIDES, Band, Prices
from cardcore.text import Text, shorten

CODE_MAX = 2**32 - 1
TARIFF_VERSION_MAX = 2**16 - 1
SECTOR_MAX = 0xFF
#: Labels of keys begin with the name of the scheme.
NAME = re.compile(r"[a-z][a-z0-9-]{0,23}")
ISSUER = re.compile(r"[0-9A-F]{16}")
CITY_CODE = re.compile(r"[0-9]{4}")
PREFIX = re.compile(r"[0-9]{1,20}")
#: Names of participants become rows of the registry, which have no more room.
LINE = re.compile(r"\S(.{0,126}\S)?")
#: As `key_labels.indexed_label` ends.
_INDEX_ENDING = re.compile(r"-[0-9a-f]{2}$")
_CLASSES = {
    each.name: each
    for each in (
        FareClass(concession, transfer=transfer)
        for transfer in (False, True)
        for concession in Concession
    )
}
#: A scheme is a page or a hundred of text. What is larger, or has a key with so many dots, is
#: refused unread: what reads it takes memory and time by the square of the dots.
SCHEME_BYTES_MAX = 1 << 20
_KEY = r"(?:[A-Za-z0-9_-]++|\"[^\"\n]*+\"|'[^'\n]*+')"
_DEEP_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{_KEY}[ \t]*+\.[ \t]*+){{32}}")
_TOML_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_ValueT = TypeVar("_ValueT")


class SchemeError(CardcoreError):
    """A scheme's file says something that no scheme can be; `line` counts from 1."""

    def __init__(self, file: str, line: int, fault: Text) -> None:
        super().__init__(Text(f"{file}:{line}：{fault.zh}", f"{file}:{line}: {fault.en}"))
        self.file = file
        self.line = line
        self.fault = fault


def read_scheme(data: bytes, file: str) -> Scheme:
    """The scheme that a TOML file gives. `SchemeError` names it as `file`, and the line."""
    if len(data) > SCHEME_BYTES_MAX:
        zh, en = (
            f"{len(data)} 字节，至多 {SCHEME_BYTES_MAX}",
            f"{len(data)} bytes, at most {SCHEME_BYTES_MAX}",
        )
        raise SchemeError(file, 1, Text(zh, en))
    try:
        # What some editors put in front of a text is no fault of the text.
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + data.count(b"\n", 0, error.start)
        raise SchemeError(file, line, Text("不是 UTF-8 文本", "is no text in UTF-8")) from error
    document = _read_toml(text, file)
    top = _Table(file, entry_lines(text), (), document)
    top.only(
        ("name", "issuer", "city_code", "cutover_hour", "tariff", "price", "card_numbers",
         "participant"),
        optional=("life", "purses", "hotlist_grace_days", "late_days", "proposal_days",
                  "known_tariff"),
    )  # fmt: skip
    tariff = top.table("tariff")
    tariff.only(
        ("version", "transfer_discount_fen", "transfer_window_minutes", "unmarked", "marked")
    )
    participants = _participants(top)
    return Scheme(
        name=_city_name(top),
        issuer=bytes.fromhex(top.text("issuer", ISSUER)),
        city_code=top.text("city_code", CITY_CODE),
        cutover_hour=top.number("cutover_hour", 0, 23),
        participants=participants,
        tariff_version=tariff.number("version", 1, TARIFF_VERSION_MAX),
        prices=Prices(
            _bands(top),
            tariff.number("transfer_discount_fen", 0, CODE_MAX),
            tariff.number("transfer_window_minutes", 0, 24 * 60),
        ),
        classes={False: _classes(tariff, "unmarked"), True: _classes(tariff, "marked")},
        card_numbers=_card_numbers(top),
        life=_life(top),
        hotlist_grace_days=_days(top, "hotlist_grace_days", HOTLIST_GRACE_DAYS_DEFAULT),
        late_days=_days(top, "late_days", LATE_DAYS_DEFAULT),
        proposal_days=_days(top, "proposal_days", PROPOSAL_DAYS_DEFAULT, least=1),
        purses=_purses(top),
        known_tariffs=_known_tariffs(top, participants),
    )


def _read_toml(text: str, file: str) -> dict[str, Any]:
    deep = Text("层次过深", "is nested too deep")
    if found := _DEEP_KEY.search(text):
        raise SchemeError(file, 1 + text.count("\n", 0, found.start()), deep)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise SchemeError(file, 1, deep) from error
    except ValueError as error:  # a number of thousands of digits is no TOMLDecodeError
        at = _TOML_LINE.search(str(error))
        line = int(at[1]) if at else 1 + text.count("\n")
        if not isinstance(error, tomllib.TOMLDecodeError):
            line = 1
        raise SchemeError(
            file, line, Text(f"不是 TOML：{error}", f"is no TOML: {error}")
        ) from error


class _Table:
    """One table of the file, and where it stands."""

    def __init__(self, file: str, lines: Mapping[Way, int], way: Way, content: object) -> None:
        self._file = file
        self._lines = lines
        self._way = way
        if not isinstance(content, dict):
            said = shorten(content)
            self.fail("", f"应为表，而不是 {said}", f"a table is needed, not {said}")
        self.content: Mapping[str, Any] = content

    def line(self, *way: str | int) -> int:
        """The line of an entry, or of the nearest thing around it."""
        whole = (*self._way, *way)
        while whole not in self._lines:
            whole = whole[:-1]
        return self._lines[whole]

    def fail(self, name: str, zh: str, en: str, *way: str | int) -> NoReturn:
        """Say what is wrong with an entry."""
        line = self.line(*((name, *way) if name else ()))
        said = Text(f"{name}：{zh}", f"{name}: {en}") if name else Text(zh, en)
        raise SchemeError(self._file, line, said)

    def only(self, names: Sequence[str], optional: Sequence[str] = ()) -> None:
        """Every one of these entries, and no other."""
        for name in self.content:
            if name not in names and name not in optional:
                known = ", ".join((*names, *optional))
                self.fail(name, f"未知项，可用 {known}", f"is unknown; there are {known}")
        for name in names:
            if name not in self.content:
                self.fail("", f"缺少 {name}", f"{name} is missing")

    def text(self, name: str, form: re.Pattern[str] | None = None) -> str:
        """A text of that form; without one, a line that can be read."""
        value = self._of(name, str, "文本", "a text")
        if form is not None and not form.fullmatch(value):
            self.fail(
                name,
                f"{shorten(value)} 不符合 {form.pattern}",
                f"{shorten(value)} is not of the form {form.pattern}",
            )
        if not value.strip() or not value.isprintable():
            self.fail(name, "应为一行可读文本", "one line that can be read is needed")
        return value

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number between two."""
        value = self._of(name, int, "整数", "a whole number")
        if not least <= value <= most:
            zh, en = (
                f"{value} 不在 {least} 至 {most} 之间",
                f"{value} is not from {least} to {most}",
            )
            self.fail(name, zh, en)
        return value

    def day(self, name: str) -> date:
        """A day, written without quotes."""
        return self._of(name, date, "日期", "a day")

    def word(self, name: str, words: Mapping[str, _ValueT]) -> _ValueT:
        """What one of these words means."""
        value = self.text(name)
        if value not in words:
            self._unknown(name, value, words)
        return words[value]

    def word_or_number(self, name: str, words: Mapping[str, int], most: int) -> int:
        """What one of these words means, or a number that has no word here."""
        if isinstance(self.content[name], str):
            return self.word(name, words)
        return self.number(name, 0, most)

    def words(self, name: str, words: Mapping[str, _ValueT]) -> list[_ValueT]:
        """What these words mean, each used once and at least one."""
        values = self._of(name, list, "列表", "a list")
        if not values:
            self.fail(name, "至少要有一项", "at least one is needed")
        for number, value in enumerate(values):
            if not isinstance(value, str) or value not in words:
                self._unknown(name, value, words, number)
            if value in values[:number]:
                self.fail(name, f"{shorten(value)} 重复", f"{shorten(value)} stands twice", number)
        return [words[value] for value in values]

    def codes(self, name: str) -> tuple[int, ...]:
        """Codes, as many as there are."""
        values = self._of(name, list, "列表", "a list")
        for number, value in enumerate(values):
            if type(value) is not int or not 1 <= value <= CODE_MAX:
                said = shorten(value)
                self.fail(name, f"{said} 不是代码", f"{said} is no code", number)
        return tuple(values)

    def table(self, name: str) -> "_Table":
        """A table inside."""
        return _Table(self._file, self._lines, (*self._way, name), self.content[name])

    def tables(self, name: str) -> list["_Table"]:
        """Tables inside, at least one."""
        values = self._of(name, list, "表的列表", "a list of tables")
        if not values:
            self.fail(name, "至少要有一项", "at least one is needed")
        return [
            _Table(self._file, self._lines, (*self._way, name, number), value)
            for number, value in enumerate(values)
        ]

    def _of(self, name: str, kind: type[_ValueT], zh: str, en: str) -> _ValueT:
        value = self.content[name]
        if type(value) is not kind:  # true is no whole number
            self.fail(
                name, f"应为{zh}，而不是 {shorten(value)}", f"{en} is needed, not {shorten(value)}"
            )
        return value

    def _unknown(self, name: str, value: object, words: Collection[str], *way: int) -> NoReturn:
        known = ", ".join(words)
        self.fail(
            name,
            f"未知的词 {shorten(value)}，可用 {known}",
            f"{shorten(value)} is none of {known}",
            *way,
        )


def _city_name(top: _Table) -> str:
    """The name, which is also the label of the city's keys: one that ends as the labels of parts of
    a city do would be the label of a part of another city.
    """
    name = top.text("name", NAME)
    endings = (
        *(each.key_ending for each in APPLICATIONS.values() if each.key_ending),
        *(label("") for label in (chip_label, maintenance_label, load_host_label)),
    )
    ending = next((each for each in endings if name.endswith(each)), None) or (
        found[0] if (found := _INDEX_ENDING.search(name)) else None
    )
    if ending is not None:
        zh = f"{shorten(name)} 以 {ending} 结尾，会与另一城市的密钥标签相同"
        top.fail(
            "name", zh, f"{shorten(name)} ends with {ending}, as labels of another city's keys may"
        )
    return name


def _participants(top: _Table) -> tuple[Participant, ...]:
    kinds = {each.name.lower(): each for each in ParticipantKind}
    sectors = {each.name.lower(): each for each in Sector}
    found: list[Participant] = []
    taken: dict[tuple[str, object], int] = {}
    for table in top.tables("participant"):
        table.only(("code", "name", "kind", "sector", "senders"))
        participant = Participant(
            table.number("code", 1, CODE_MAX),
            table.text("name", LINE),
            table.word("kind", kinds),
            table.word_or_number("sector", sectors, SECTOR_MAX),
            table.codes("senders"),
        )
        _once(table, "code", participant.code, taken)
        _once(table, "name", participant.name, taken)
        for sender in participant.senders:
            _once(table, "senders", sender, taken)
        found.append(participant)
    return tuple(found)


def _once(table: _Table, name: str, value: object, taken: dict[tuple[str, object], int]) -> None:
    """Refuse a value that stands in an earlier entry of the same name."""
    if (name, value) in taken:
        line = taken[name, value]
        table.fail(name, f"{value} 已用于第 {line} 行", f"{value} is taken by line {line}")
    taken[name, value] = table.line(name)


def _bands(top: _Table) -> dict[tuple[RecordKind, Concession], tuple[Band, ...]]:
    """The price of every kind of ride for every concession: one, not two and not none."""
    concessions = {each.name.lower(): each for each in Concession}
    words = {(ride, concession): f"{name} {other}" for name, ride in RIDES.items()
             for other, concession in concessions.items()}  # fmt: skip
    found: dict[tuple[RecordKind, Concession], tuple[Band, ...]] = {}
    for table in top.tables("price"):
        table.only(("rides", "concessions", "bands"))
        bands = _price(table)
        for ride in table.words("rides", RIDES):
            for concession in table.words("concessions", concessions):
                if (ride, concession) in found:
                    said = words[ride, concession]
                    table.fail("rides", f"{said} 的价格重叠", f"{said} has another price already")
                found[ride, concession] = bands
    for pair, said in words.items():
        if pair not in found:
            top.fail("price", f"{said} 没有价格", f"no price for {said}: a hole")
    return found


def _price(table: _Table) -> tuple[Band, ...]:
    parts = table.tables("bands")
    bands: list[Band] = []
    for number, part in enumerate(parts, 1):
        is_last = number == len(parts)
        part.only(("percent",) if is_last else ("to_fen", "percent"), optional=("to_fen",))
        if is_last and "to_fen" in part.content:
            part.fail(
                "to_fen",
                "最后一段须无上限，否则以上没有价格",
                "the last band has no end, else a hole is above it",
            )
        to_fen = None if is_last else part.number("to_fen", 1, CODE_MAX)
        if to_fen is not None and bands and to_fen <= (bands[-1].to_fen or 0):
            zh, en = (
                f"与前一段重叠至 {bands[-1].to_fen}",
                f"overlaps the band to {bands[-1].to_fen}",
            )
            part.fail("to_fen", zh, en)
        bands.append(Band(to_fen, part.number("percent", 0, 100)))
    return tuple(bands)


def _classes(tariff: _Table, name: str) -> tuple[FareClass, ...]:
    classes = tuple(tariff.words(name, _CLASSES))
    for concession in Concession:
        if FareClass(concession, transfer=False) not in classes:
            said = concession.name.lower()
            tariff.fail(
                name, f"缺少 {said}", f"{said} is missing: its fares would stay unexplained"
            )
    return classes


def _card_numbers(top: _Table) -> tuple[CardNumbers, ...]:
    names = {each.name: each.name for each in APPLICATIONS.values()}
    found: list[CardNumbers] = []
    #: Every beginning of a prefix that stands further up, and that prefix.
    beginnings: dict[tuple[str, str], str] = {}
    for table in top.tables("card_numbers"):
        table.only(("application", "prefix", "issuer"))
        numbers = CardNumbers(
            table.word("application", names),
            table.text("prefix", PREFIX),
            bytes.fromhex(table.text("issuer", ISSUER)),
        )
        own = [(numbers.application, numbers.prefix[:end]) for end in range(1, 21)]
        others = (each for each in own if beginnings.get(each) == each[1])
        if other := beginnings.get(own[-1]) or next((prefix for _, prefix in others), None):
            table.fail("prefix", f"与 {other} 重叠", f"overlaps {other}")
        beginnings |= dict.fromkeys(own, numbers.prefix)
        found.append(numbers)
    return tuple(found)


def _purses(top: _Table) -> dict[str, tuple[str, ...]]:
    if "purses" not in top.content:
        return {}
    table = top.table("purses")
    names = {each.name: each.name for each in APPLICATIONS.values() if each.has_purse}
    return {role: tuple(table.words(role, names)) for role in table.content}


def _known_tariffs(
    top: _Table, participants: Sequence[Participant]
) -> dict[tuple[int, RecordKind], int]:
    """Of each operator and kind of ride at most one: a code that nobody has would bind nobody."""
    if "known_tariff" not in top.content:
        return {}
    operators = {each.code for each in participants if each.kind is ParticipantKind.OPERATOR}
    found: dict[tuple[int, RecordKind], int] = {}
    for table in top.tables("known_tariff"):
        table.only(("participant", "rides", "amount_fen"))
        code = table.number("participant", 1, CODE_MAX)
        if code not in operators:
            table.fail("participant", f"{code} 不是运营商", f"{code} is no operator of the scheme")
        amount_fen = table.number("amount_fen", 1, CODE_MAX)
        for ride in table.words("rides", RIDES):
            if (code, ride) in found:
                table.fail("rides", f"{code} 的票价重复", f"{code} has another tariff already")
            found[code, ride] = amount_fen
    return found


def _days(top: _Table, name: str, default: int, least: int = 0) -> int:
    """A number of days that a scheme need not state."""
    return top.number(name, least, 366) if name in top.content else default


def _life(top: _Table) -> Life:
    if "life" not in top.content:
        return LIFE_DEFAULT
    table = top.table("life")
    table.only(("first_day", "last_day"))
    life = Life(table.day("first_day"), table.day("last_day"))
    if life.last_day < life.first_day:
        zh, en = f"早于 {life.first_day}", f"lies before {life.first_day}"
        table.fail("last_day", zh, en)
    return life
