"""What a list of open items is made of: its fields, what is asked of it, a page of its lines.

Decides nothing; every list of the office is one of these, and so are its pages and files.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum, auto
from typing import Any

from cardcore.text import Text
from settlement.city import City
from settlement.rulings.book import Proposal
from settlement.rulings.kinds import RulingKind
from settlement.rulings.ruling import Ruling

#: A value of a line. People read the words of a `Text`, machines the name behind it.
Cell = str | int | date | datetime | Text | None


class FieldKind(Enum):
    """How a value is shown."""

    TEXT = auto()  # 文字
    WORDS = auto()  # 语句: may go on in a next line
    COUNT = auto()  # 数
    AMOUNT = auto()  # 金额: in fen
    CARD = auto()  # 卡号: masked unless it is asked for whole
    PARTICIPANT = auto()  # 参与方: by its code


@dataclass(frozen=True, slots=True)
class Field:
    """One column, by the name that JSON, `--sort` and the relation have for it. `is_detail`: told
    of one item and in JSON, and not in the table.
    """

    name: str
    title: Text
    kind: FieldKind = FieldKind.TEXT
    is_detail: bool = False


ITEM = Field("item", Text("事项", "item"))
REASON = Field("reason", Text("缘由", "why"), FieldKind.WORDS)
AMOUNT = Field("amount_fen", Text("金额", "amount"), FieldKind.AMOUNT)
CARD = Field("card_number", Text("卡号", "card"), FieldKind.CARD)
TERMINAL = Field("terminal", Text("终端", "terminal"))
DAY = Field("day", Text("清算日", "settled on"))
AGE = Field("age_days", Text("账龄（天）", "age, days"), FieldKind.COUNT)


class Filter(Enum):
    """What a list can be asked for beside a page and an order."""

    REASON = auto()  # 缘由
    TERMINAL = auto()  # 终端
    PARTICIPANT = auto()  # 参与方
    CARD = auto()  # 卡号
    DAYS = auto()  # 清算日
    AGE = auto()  # 账龄


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason why something stands open: the word for `--reason` and JSON, what it is in the
    column `reason` of a relation, what it says, and what clears it up by itself.
    """

    name: str
    value: object
    text: Text
    clears: Text


@dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to see: rows of which all that is stated holds, in an order, a page of
    them. Ages count days to the last closed one. Items that two people closed are left out unless
    `with_ruled`.
    """

    item: str | None = None
    reason: str | None = None
    terminal: str | None = None
    participant: int | None = None
    card_number: str | None = None
    first: date | None = None
    last: date | None = None
    age_min_days: int | None = None
    with_ruled: bool = False
    sort: str | None = None
    descending: bool = False
    page: int = 1
    page_size: int = 50


@dataclass(frozen=True, slots=True)
class Line:
    """One item: its cells by field, why it stands, and what was ruled of it."""

    item: str
    cells: Mapping[str, Cell]
    reasons: tuple[Reason, ...]
    rulings: tuple[Ruling, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """How many items stand for one reason, and their money."""

    reason: Reason
    count: int
    sum_fen: int


@dataclass(frozen=True, slots=True)
class Page:
    """Lines of one page. `count`, `sum_fen` and `figures` are of everything that was asked for;
    an item with two reasons is in two figures. `since` is the first day that was looked at where it
    is not all of them, `names` are those of the participants of these lines.
    """

    lines: tuple[Line, ...] = ()
    count: int = 0
    sum_fen: int = 0
    figures: tuple[Figure, ...] = ()
    page: int = 1
    pages: int = 0
    as_of: date | None = None  # the last closed day
    since: date | None = None
    names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relation:
    """Rows that a question is put to: a query that gives `item`, `reason`, `day`, `amount_fen` and
    every field, and its parameters. What lies in no file of a run is handed over as `rows` of a
    table `held` with these `columns`.
    """

    query: str
    values: Mapping[str, object] = field(default_factory=dict)
    columns: str = ""
    rows: Sequence[Sequence[object]] = ()


@dataclass(frozen=True, slots=True)
class Noun:
    """A state that things are in: what it is called and means, its columns, where its rows come
    from, and what people may rule of one.

    `closed_by` are the kinds of rulings behind which an item is open no more. `read` makes the
    value of a field out of what SQL has of it. `look` is where more is told of a line, as a command
    to type.
    """

    name: str
    title: Text
    meaning: Text
    empty: Text
    fields: tuple[Field, ...]
    relate: Callable[[City, date | None, Question], Relation | None]
    filters: frozenset[Filter]
    sort: str
    reasons: tuple[Reason, ...]
    reasons_are_bits: bool = False  # one item may have several
    has_money: bool = True
    #: Whether nothing older than `DAYS_SHOWN` is looked at where nobody asks for it.
    is_windowed: bool = False
    before_any_day: bool = False  # it may stand though no day was ever closed
    rules: tuple[RulingKind, ...] = ()
    closed_by: frozenset[RulingKind] = frozenset()
    read: Mapping[str, Callable[[Any], Cell]] = field(default_factory=dict)
    look: Callable[[Line], str | None] = lambda line: None  # noqa: ARG005 - most have none

    def reason_named(self, name: str) -> Reason | None:
        """The reason with this name."""
        return next((each for each in self.reasons if each.name == name), None)


@dataclass(frozen=True, slots=True)
class Shown:
    """One item, and what may be done about it now: kinds that may be proposed, proposals that wait
    for a second person, and why others cannot be asked for.
    """

    line: Line
    may_propose: tuple[RulingKind, ...]
    waiting: tuple[Proposal, ...]
    hindered: tuple[Text, ...]
    has_people: bool  # two, so that anything can be ruled at all
    names: Mapping[int, str]
