"""The settlement day (清算日): which one is open, what a run is made of, what closing it stores.

Decides a run's identity from its inputs, and everything a closed day consists of. Leaves
computing runs to the engine and keeping days to the store. One day is open at a time; closed days
never change, so a late record is posted in the open day with its own business day beside it.

Entries are posted at close and not before: a clearing run is a pure function of its inputs that
may be repeated, so a day's result cannot depend on how often it was cleared or on the order in
which its files came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from settlement.intake import StoredFile
from settlement.ledger import ChainEnd, Entry, Position, Sums, chain_end, net_positions, post_day
from settlement.seal import GENESIS, Sealable, canonical_json, digest

FORMAT = 1
#: A sender's business day may run ahead of the office's clock by so much, no more.
BUSINESS_DAY_AHEAD = timedelta(days=1)


class DayAnswer(StrEnum):
    """Why no day was cleared or closed, in order of precedence."""

    DAY_BEFORE_LAST_CLOSED = "day_before_last_closed"  # it was skipped and cannot open any more
    NOTHING_READY = "nothing_ready"  # no day was stated, and no complete file waits

    @property
    def retry_may_help(self) -> bool:
        """Whether the same request may be answered otherwise later."""
        return self is DayAnswer.NOTHING_READY

    @property
    def text_zh(self) -> str:
        """For people, in Chinese."""
        return _TEXTS[self][0]

    @property
    def text_en(self) -> str:
        """For people, in English."""
        return _TEXTS[self][1]


_TEXTS = {
    DayAnswer.DAY_BEFORE_LAST_CLOSED: (
        "该清算日早于已关闭的清算日",
        "this day lies before the last closed one and cannot be opened",
    ),
    DayAnswer.NOTHING_READY: ("没有待清算的文件", "no complete file waits to be cleared"),
}
assert set(_TEXTS) == set(DayAnswer)


@dataclass(frozen=True, slots=True)
class FactFileRow:
    """One fact file of one batch file: its bucket, its rows, the SHA-256 of its bytes, and how many
    of its rows could not be judged for want of a key.
    """

    bucket: int
    row_count: int
    sha256: str
    unjudged_count: int


@dataclass(frozen=True, slots=True)
class FileRow:
    """A kept file as the office holds it."""

    file: StoredFile
    row_hash: str  # as stored; `file.row_hash` is what it should be
    facts: tuple[FactFileRow, ...]
    settlement_day: date | None
    is_ready: bool


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Everything a run's result follows from, with no time and no order in it.

    `previous_run` chains back to every run before it. Files stand by content hash. The review
    (复核), when there is one, names what can be judged now and could not before.
    """

    settlement_day: date
    scheme: str
    bucket_count: int
    previous_run: str | None  # run id of the last closed day
    previous_output_hash: str | None
    registry_sha256: str
    review_sha256: str | None
    files: tuple[FileRow, ...]

    def content(self) -> Sealable:
        """What the run id is the hash of."""
        review = {} if self.review_sha256 is None else {"review_sha256": self.review_sha256}
        return review | {
            "format": FORMAT,
            "settlement_day": self.settlement_day,
            "scheme": self.scheme,
            "bucket_count": self.bucket_count,
            "previous_run": self.previous_run,
            "previous_output_hash": self.previous_output_hash,
            "registry_sha256": self.registry_sha256,
            "files": [
                [row.file.content_hash, [[each.bucket, each.sha256] for each in row.facts]]
                for row in self.files
            ],
        }

    @property
    def run_id(self) -> str:
        """64 hexadecimal digits: the same inputs have the same id."""
        return digest(self.content())

    @property
    def file_hashes(self) -> tuple[str, ...]:
        """Content hashes, sorted."""
        return tuple(row.file.content_hash for row in self.files)


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run as the office keeps it. `outputs` are (path in the run's folder, sha256), sorted."""

    run_id: str
    settlement_day: date
    registry_sha256: str
    review_sha256: str | None
    outputs: tuple[tuple[str, str], ...]
    totals: Mapping[str, Sealable]
    output_hash: str


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A closed day. Its seal covers everything that was stored with it."""

    settlement_day: date
    run_id: str
    output_hash: str
    ledger_root: str
    previous_seal: str
    seal: str
    closed_at: datetime


@dataclass(frozen=True, slots=True)
class GapRow:
    """A hole in a card's chain (缺口) as the day left it, with its price.

    `gap` numbers the holes of a card; no counter is missing when `last` lies before `first`.
    """

    card_number: str
    gap: int
    opened_day: date
    counter_kind: int
    first_counter: int
    last_counter: int
    price_fen: int
    state: int


@dataclass(frozen=True, slots=True)
class DiscountRow:
    """What an operator gave away to one fare class: a report, no money is posted for it."""

    operator: int
    fare_class: str
    record_count: int
    tariff_fen: int
    charged_fen: int

    @property
    def discount_fen(self) -> int:
        """The sum a subsidy claim would start from."""
        return self.tariff_fen - self.charged_fen


@dataclass(frozen=True, slots=True)
class RunReport:
    """What closing needs of a run: both sides' money, gaps and discounts."""

    run: StoredRun
    buckets: Mapping[int, Sums]
    participants: Mapping[int, Sums]
    gaps: tuple[GapRow, ...]
    discounts: tuple[DiscountRow, ...]


@dataclass(frozen=True, slots=True)
class OfficeState:
    """What the store holds at the moment of deciding."""

    last_closed: ClosedDay | None
    ready: tuple[FileRow, ...]
    ledger_end: ChainEnd


@dataclass(frozen=True, slots=True)
class ClosePlan:
    """Everything closing a day stores, in one transaction."""

    day: ClosedDay
    document: Sealable
    files: tuple[FileRow, ...]
    entries: tuple[Entry, ...]
    positions: tuple[Position, ...]
    gaps: tuple[GapRow, ...]
    discounts: tuple[DiscountRow, ...]


def open_day(
    last_closed: date | None,
    ready: Sequence[StoredFile],
    stated: date | None,
    *,
    has_review: bool = False,
) -> date | DayAnswer:
    """The day to clear. A stated day is taken if it can still be opened.

    Otherwise it is the latest business day among the ready files, but after the last closed day.
    A sender whose clock runs ahead does not carry the office's day with it. Records of closed days
    that can be judged now (`has_review`) are reason enough for the day after the last closed one.
    """
    if stated is not None:
        if last_closed is not None and stated <= last_closed:
            return DayAnswer.DAY_BEFORE_LAST_CLOSED
        return stated
    if not ready and has_review and last_closed is not None:
        return last_closed + timedelta(days=1)
    if not ready:
        return DayAnswer.NOTHING_READY
    # A day no clock here has reached yet says nothing about which day is open.
    days = [
        file.business_day
        for file in ready
        if file.business_day <= file.received_at.date() + BUSINESS_DAY_AHEAD
    ]
    latest = max(days or [file.received_at.date() for file in ready])
    return latest if last_closed is None else max(latest, last_closed + timedelta(days=1))


def plan_close(
    report: RunReport,
    inputs: RunInputs,
    previous: ClosedDay | None,
    ledger_end: ChainEnd,
    closed_at: datetime,
) -> ClosePlan:
    """The closed day: entries, positions and the document under its seal."""
    run = report.run
    assert run.run_id == inputs.run_id
    entries = post_day(run.settlement_day, report.buckets, report.participants, ledger_end)
    positions = net_positions(entries)
    root = chain_end(entries, ledger_end).hash
    previous_seal = GENESIS if previous is None else previous.seal
    document: Sealable = {
        "format": FORMAT,
        "settlement_day": run.settlement_day,
        "closed_at": closed_at,
        "previous_seal": previous_seal,
        "run_id": run.run_id,
        "inputs": inputs.content(),
        "file_rows": [[row.file.content_hash, row.row_hash] for row in inputs.files],
        "outputs": [list(each) for each in run.outputs],
        "output_hash": run.output_hash,
        "totals": run.totals,
        "ledger_root": root,
        "positions": [
            [each.account, each.gross_debit_fen, each.gross_credit_fen, each.net_fen]
            for each in positions
        ],
        "gaps": digest([_gap_content(each) for each in report.gaps]),
        "discounts": [
            [each.operator, each.fare_class, each.record_count, each.tariff_fen, each.charged_fen]
            for each in report.discounts
        ],
    }
    day = ClosedDay(
        settlement_day=run.settlement_day,
        run_id=run.run_id,
        output_hash=run.output_hash,
        ledger_root=root,
        previous_seal=previous_seal,
        seal=digest(document),
        closed_at=closed_at,
    )
    return ClosePlan(day, document, inputs.files, entries, positions, report.gaps, report.discounts)


def encode_seal(plan: ClosePlan) -> bytes:
    """The sealed document of a day as the office keeps it beside the database."""
    return canonical_json({"document": plan.document, "seal": plan.day.seal}) + b"\n"


def is_current(inputs: RunInputs, state: OfficeState) -> bool:
    """Whether a run still stands on the last closed day and exactly the files ready now."""
    last_run = None if state.last_closed is None else state.last_closed.run_id
    ready = tuple(row.file.content_hash for row in state.ready)
    return (last_run, ready) == (inputs.previous_run, inputs.file_hashes)


def _gap_content(gap: GapRow) -> Sealable:
    return {name: getattr(gap, name) for name in gap.__slots__}
