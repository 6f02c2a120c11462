"""What the office answers to a file of opening balances: from whom, of which cards, not twice?

Decides the answer to a proven file. Leaves the proof to `settlement.intake.signed_file`, loading
and keeping to `settlement.service.takeover`, and what an opening balance means to reconciliation.

Only a registered centre hands cards over, and only cards whose numbers are ours. A card and
application is handed over once, whoever does it: two statements of one moment would be two debts.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from cardcore.applets.catalogue import APPLICATIONS
from cardcore.limits import BALANCE_MAX_REGISTERED_FEN
from cardcore.money import yuan
from cardcore.records.openings import (
    OpeningBalance,
    OpeningFile,
    OpeningHeader,
    decode_header,
    row_offset,
)
from cardcore.schemes import Life, ParticipantKind
from cardcore.text import Text
from settlement.intake.answers import Acknowledgement, FileAnswer
from settlement.intake.signed_file import read_head, refuse
from settlement.registry.book import CITY_ZONE
from settlement.registry.placing import OWN, PlacedNumbers
from settlement.registry.rows import ParticipantRow
from settlement.seal import Sealable, canonical_json, digest

#: So many files hand a city over at most: every later one is held against all of them.
FILES_MAX = 256
#: A purse as its keys know it: application, last sixteen digits of the number.
Purse = tuple[int, str]
#: Cards of an issuer (16 hexadecimal digits) and an application.
Scope = tuple[str, int]


@dataclass(frozen=True, slots=True)
class StoredOpenings:
    """The row of a kept file: what its header says, and whose cards are in it."""

    content_hash: str
    sender: int
    key_version: int
    centre: int
    row_count: int
    amount_fen: int
    as_of: datetime
    created_at: datetime
    received_at: datetime
    size_bytes: int
    scopes: tuple[Scope, ...]

    def acknowledgement(self) -> Acknowledgement:
        """The first answer, as it was given."""
        return Acknowledgement(
            answer=FileAnswer.ACCEPTED,
            content_hash=self.content_hash,
            received_at=self.received_at,
            sender=self.sender,
            business_day=self.as_of.date(),
            record_count=self.row_count,
            load_fen=self.amount_fen,
            detail=Text(
                f"原中心 {self.centre} 的期初余额，截至 {self.as_of}",
                f"opening balances of old centre {self.centre} as of {self.as_of}",
            ),
        )

    @property
    def row_hash(self) -> str:
        """Covers every field, so that a changed row shows."""
        return digest({name: self._sealed(name) for name in self.__slots__})

    def _sealed(self, name: str) -> Sealable:
        value = getattr(self, name)
        return encode_scopes(value) if name == "scopes" else value


def encode_scopes(scopes: Iterable[Scope]) -> str:
    """Scopes as the store keeps them.

    >>> encode_scopes((("0000000000005180", 0),))
    '[["0000000000005180",0]]'
    """
    return canonical_json([list(each) for each in scopes]).decode()


def decode_scopes(text: str) -> tuple[Scope, ...]:
    """What `encode_scopes` wrote.

    >>> decode_scopes('[["0000000000005180",0]]')
    (('0000000000005180', 0),)
    """
    return tuple((issuer, application) for issuer, application in json.loads(text))


@dataclass(frozen=True, slots=True)
class OpeningHistory:
    """What the office has that bears on one file: the file itself, how many others, which of them
    (by its content hash) holds which purse, and which centre handed over whose cards; `damaged` is
    one that cannot be read now.
    """

    same_content: StoredOpenings | None = None
    file_count: int = 0
    handed: dict[Purse, str] | None = None
    centres: dict[Scope, int] | None = None
    damaged: str | None = None


@dataclass(frozen=True, slots=True)
class OpeningRules:
    """What a file is held against: who the sender's participant is, which numbers are whose, the
    scheme's life.
    """

    participant: ParticipantRow | None
    numbers: tuple[PlacedNumbers, ...]
    life: Life


def read_opening_claim(data: bytes, now: datetime) -> OpeningHeader | Acknowledgement:
    """What the header claims, not yet proven, or a refusal."""
    return read_head(data, decode_header, now)


def purse_of(balance: OpeningBalance) -> Purse:
    """The purse of a row.

    >>> from datetime import datetime
    >>> day = datetime(2026, 1, 1)
    >>> purse_of(OpeningBalance("0" * 16, "0310" + "0" * 14 + "17", 2, 1, 2, 3, 1, day))
    (2, '0000000000000017')
    """
    return balance.application, balance.card_number[-16:]


def place_openings(
    file: OpeningFile,
    size_bytes: int,
    history: OpeningHistory,
    rules: OpeningRules,
    now: datetime,
) -> StoredOpenings | Acknowledgement:
    """The row to keep for a proven file, or the answer when nothing is to be kept."""
    header = file.header
    if history.same_content is not None:
        first = history.same_content.acknowledgement()
        return replace(first, answer=FileAnswer.ALREADY_RECEIVED, first_answer=first.answer)
    fault = _file_fault(header, history, rules, now) or _row_fault(
        file, history.handed or {}, rules
    )
    if fault is not None:
        return refuse(fault[0], file.content_hash, now, fault[1], header)
    scopes, centres = scopes_of(file), history.centres or {}
    for issuer, application in scopes:
        other = centres.get((issuer, application), header.centre)
        if other != header.centre:
            text = Text(
                f"发卡机构 {issuer} 应用 {application} 的卡由中心 {other} 移交",
                f"cards of issuer {issuer}, application {application}, are handed over by centre "
                f"{other}",
            )
            return refuse(FileAnswer.CARD_HANDED_OVER, file.content_hash, now, text, header)
    return StoredOpenings(
        content_hash=file.content_hash,
        sender=header.sender,
        key_version=header.key_version,
        centre=header.centre,
        row_count=header.row_count,
        amount_fen=header.total_fen,
        as_of=header.as_of,
        created_at=header.created_at,
        received_at=now,
        size_bytes=size_bytes,
        scopes=scopes,
    )


def _file_fault(
    header: OpeningHeader, history: OpeningHistory, rules: OpeningRules, now: datetime
) -> tuple[FileAnswer, Text] | None:
    """Why no file like this is taken in, whatever its rows say."""
    who, centre = rules.participant, header.centre
    if who is None or who.code != centre or who.kind != ParticipantKind.CENTRE:
        text = Text(
            f"采集点 {header.sender} 不属中心 {centre}；登记：`onecard registry add sender`",
            f"sender {header.sender} does not send for a centre {centre}; register it with "
            "`onecard registry add sender`",
        )
        return FileAnswer.SENDER_UNKNOWN, text
    if history.damaged is not None:
        text = Text(
            f"无法比对：文件 {history.damaged} 已损坏，请先重传该文件",
            f"it cannot be held against file {history.damaged}, which is damaged here: send that "
            "one again first",
        )
        return FileAnswer.CARD_HANDED_OVER, text
    if history.file_count >= FILES_MAX:
        text = Text(
            f"期初余额至多 {FILES_MAX} 个文件", f"at most {FILES_MAX} files hand a city over"
        )
        return FileAnswer.TOO_LARGE, text
    if header.as_of > now.astimezone(CITY_ZONE).replace(tzinfo=None):
        text = Text(
            f"截至时点 {header.as_of} 晚于收到时间",
            f"as of {header.as_of}, which is after it was received",
        )
        return FileAnswer.BEYOND_BOUNDS, text
    return None


def scopes_of(file: OpeningFile) -> tuple[Scope, ...]:
    """Whose cards are in a file."""
    return tuple(sorted({(each.issuer.upper(), each.application) for each in file.balances()}))


def _row_fault(
    file: OpeningFile, handed: dict[Purse, str], rules: OpeningRules
) -> tuple[FileAnswer, Text] | None:
    """The first row that cannot be, with its line and byte."""
    ours = _OurNumbers(rules.numbers)
    seen: dict[Purse, int] = {}
    for row, balance in enumerate(file.balances(), 1):
        purse = purse_of(balance)
        if purse in handed:
            text = Text(f"已在文件 {handed[purse]} 中移交", f"file {handed[purse]} handed it over")
            return FileAnswer.CARD_HANDED_OVER, _at(row, "card_number", text)
        if purse in seen:
            text = Text(f"与第 {seen[purse]} 行是同一张卡", f"the same card as row {seen[purse]}")
            return FileAnswer.ROW_WRONG, _at(row, "card_number", text)
        seen[purse] = row
        if balance.balance_fen > BALANCE_MAX_REGISTERED_FEN:
            said = yuan(balance.balance_fen)
            text = Text(f"余额 {said} 超过卡的上限", f"{said} is more than a card may hold")
            return FileAnswer.ROW_WRONG, _at(row, "balance_fen", text)
        if balance.as_of.date() not in rules.life:
            text = Text("时点不在规则有效期内", "its moment lies outside the life of the scheme")
            return FileAnswer.ROW_WRONG, _at(row, "as_of", text)
        if not ours(balance):
            text = Text(
                "不是本市登记的卡号；请以 `onecard registry add card_numbers` 登记",
                "no number of ours; register them with `onecard registry add card_numbers`",
            )
            return FileAnswer.ROW_WRONG, _at(row, "card_number", text)
    return None


_OFFSET = {each.name: each.offset for each in OpeningBalance.FIELDS}


def _at(row: int, field: str, text: Text) -> Text:
    at = row_offset(row) + _OFFSET[field]
    return Text(f"第 {row} 行，字节 {at}：{text.zh}", f"row {row}, byte {at}: {text.en}")


class _OurNumbers:
    """Whether a card is ours on the day of its row, as a run asks it."""

    def __init__(self, numbers: Iterable[PlacedNumbers]) -> None:
        self._spans: dict[Scope, list[PlacedNumbers]] = {}
        for each in sorted(numbers, key=lambda each: (each.first_number, each.valid_from)):
            self._spans.setdefault((each.issuer, each.application), []).append(each)
        self._named = {
            each.application for held in self._spans.values() for each in held if each.centre == OWN
        }

    def __call__(self, balance: OpeningBalance) -> bool:
        if balance.application not in self._named:
            return balance.application in APPLICATIONS
        spans = self._spans.get((balance.issuer.upper(), balance.application), [])
        number, day = int(balance.card_number), balance.as_of.date()
        end = bisect_right(spans, number, key=lambda each: each.first_number)
        return any(_holds(each, number, day) for each in spans[:end])


def _holds(numbers: PlacedNumbers, number: int, day: date) -> bool:
    is_inside = numbers.first_number <= number <= numbers.last_number
    return is_inside and numbers.centre == OWN and numbers.valid_from <= day <= numbers.valid_to
