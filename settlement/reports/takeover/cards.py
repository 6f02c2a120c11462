"""Cards taken over as people list them: whose opening is still to be told, which contradict it.

Decides the standings of a card that came from an old centre, and their words. Figures are those of
the last closed day; what a card was opened with is reconciliation's.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from cardcore.money import yuan
from cardcore.records.record import TransactionRecord
from cardcore.text import Text
from settlement.city import City
from settlement.facts import columnar
from settlement.reconciliation.takeover import OPENINGS
from settlement.reports.told import CopyHistory, Step
from settlement.service.computation import bucket_path
from settlement.store.days import load_closed_days

if TYPE_CHECKING:
    from settlement.seal import Sealable


class OpeningStanding(Enum):
    """How a card that came from an old centre stands."""

    UNOPENED = Text("未开户", "unopened")  # in no file, and has stated nothing
    DISPUTED = Text("与老中心所报不符", "contradicts its old centre")
    HANDED = Text("按老中心文件开户", "opened by its old centre's file")
    STATED = Text("按卡片陈述开户", "opened by what it stated")


@dataclass(frozen=True, slots=True)
class OpeningLine:
    """A card that came from an old centre. `amount_fen` is what it was opened with; of one that is
    unopened what it has paid since `since`, of the others the day on which they were opened.
    """

    issuer: str  # 16 hexadecimal digits
    card_number: str
    application: int
    centre: int
    standing: OpeningStanding
    amount_fen: int
    since: date
    as_of: datetime | None

    @property
    def item(self) -> str:
        """How the card's opening is named."""
        return f"opening/{self.issuer}/{self.card_number}/{self.application}"


@dataclass(frozen=True, slots=True)
class TakeoverReport:
    """What is open of a takeover after a day, the oldest first, and what was opened in all."""

    day: date
    lines: tuple[OpeningLine, ...]
    opened_purses: int
    opened_fen: int

    @property
    def due_fen(self) -> int:
        """What the unopened ones have paid."""
        return sum(
            each.amount_fen for each in self.lines if each.standing is OpeningStanding.UNOPENED
        )


_LINES = """
SELECT issuer, card_number, application, centre, is_handed, is_disputed, opening_fen, opened_day,
    due_fen, due_day, as_of
FROM read_parquet($paths)
"""


def read_takeover(city: City) -> TakeoverReport | None:
    """What is open after the last closed day; None when no day is closed."""
    closed = load_closed_days(city.database)
    if not closed:
        return None
    day = closed[-1]
    folder = city.run_folder(day.settlement_day, day.run_id)
    paths = [bucket_path(folder, bucket) / OPENINGS for bucket in range(city.bucket_count)]
    there = [str(each) for each in paths if each.exists()]
    if not there:
        return TakeoverReport(day.settlement_day, (), 0, 0)
    with columnar.connect(city.folder) as connection:
        values = {"paths": there}
        rows = connection.execute(
            f"{_LINES} WHERE due_day IS NOT NULL OR is_disputed "
            "ORDER BY coalesce(due_day, opened_day), card_number, application",
            values,
        ).fetchall()
        ((count, opened_fen),) = connection.execute(
            "SELECT count(opened_day), sum(opening_fen)::BIGINT FROM read_parquet($paths)", values
        ).fetchall()
    return TakeoverReport(day.settlement_day, tuple(map(_line, rows)), count, opened_fen)


def with_opening(
    city: City, copy: CopyHistory, record: TransactionRecord, bucket: int
) -> CopyHistory:
    """The history of a record with a step on what its card was opened with, where the card came
    from an old centre.
    """
    line = _line_of(city, record, bucket) if record.kind.moves_purse else None
    if line is None:
        return copy
    return replace(copy, steps=(*copy.steps, _step(line)))


def _line_of(city: City, record: TransactionRecord, bucket: int) -> OpeningLine | None:
    closed = load_closed_days(city.database)
    if not closed:
        return None
    folder = city.run_folder(closed[-1].settlement_day, closed[-1].run_id)
    path = bucket_path(folder, bucket) / OPENINGS
    if not path.exists():
        return None
    with columnar.connect(city.folder) as connection:
        rows = connection.execute(
            f"{_LINES} WHERE issuer = $issuer AND card_number = $card_number "
            "AND application = $application",
            {
                "paths": [str(path)],
                "issuer": int.from_bytes(record.issuer, "big"),
                "card_number": int(record.card_number),
                "application": record.application,
            },
        ).fetchall()
    return _line(rows[0]) if rows else None


def _line(row: tuple[Any, ...]) -> OpeningLine:
    (issuer, card_number, application, centre, is_handed, is_disputed, opening_fen, opened_day,
     due_fen, due_day, as_of) = row  # fmt: skip
    if due_day is not None:
        standing, amount_fen, since = OpeningStanding.UNOPENED, due_fen, due_day
    else:
        standing = OpeningStanding.HANDED if is_handed else OpeningStanding.STATED
        standing = OpeningStanding.DISPUTED if is_disputed else standing
        amount_fen, since = opening_fen, opened_day
    return OpeningLine(
        f"{issuer:016X}", f"{card_number:020}", application, centre, standing, amount_fen, since,
        as_of,
    )  # fmt: skip


def _step(line: OpeningLine) -> Step:
    amount, centre, since = yuan(line.amount_fen), line.centre, line.since
    said = {
        OpeningStanding.UNOPENED: Text(
            f"此卡未开户：不在老中心 {centre} 的文件中，也未陈述过余额；自 {since} 起共扣 "
            f"{amount}，记在期初待定，待其下次陈述",
            f"the card is unopened: it stands in no file of old centre {centre} and has stated "
            f"nothing; it has paid {amount} since {since}, which stands as opening still to be "
            "told, until it next states what it has",
        ),
        OpeningStanding.HANDED: Text(
            f"此卡按老中心 {centre} 的文件开户：期初 {amount}，截至 {line.as_of}",
            f"the card was opened with {amount} by the file of old centre {centre}, as of "
            f"{line.as_of}",
        ),
        OpeningStanding.STATED: Text(
            f"此卡按其 {since} 清算的陈述开户：期初 {amount}，由老中心 {centre} 承担",
            f"the card was opened with {amount}, owed by old centre {centre}, by what it stated "
            f"on {since}",
        ),
        OpeningStanding.DISPUTED: Text(
            f"此卡与老中心 {centre} 所报期初 {amount} 不符；见 `onecard takeover list`",
            f"the card contradicts the opening of {amount} that old centre {centre} stated; see "
            "`onecard takeover list`",
        ),
    }[line.standing]
    data: dict[str, Sealable] = {
        "standing": line.standing.name.lower(),
        "centre": centre,
        "amount_fen": line.amount_fen,
        "since": since.isoformat(),
    }
    return Step("opening", said, data)
