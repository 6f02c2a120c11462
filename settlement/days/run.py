"""What a clearing run is made of, and what is kept of it.

Decides a run's identity from its inputs. Leaves computing it to `settlement.service`. A run is a
pure function of its inputs that may be repeated, so a day's result cannot depend on how often it
was cleared or on the order in which its files came.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from settlement.clearing.tally import DiscountRow
from settlement.days.load_log import LogEnd
from settlement.days.rulings import AppliedRuling
from settlement.intake.answers import FileRow
from settlement.ledger.movements import Sums
from settlement.seal import Sealable, digest

#: Since 2 the moments of receipt are part of a run: clocks are held against them. Since 3 only what
#: cards signed is believed. Since 4 cards of other issuers are proven where their keys are held.
#: Since 5 what a list, a PSAM's count and a card's statements say holds across days.
#: Since 6 a PSAM's count is its own, as far as record MACs tell PSAMs apart. Since 7 a review says
#: what people ruled.
FORMAT = 7


@dataclass(frozen=True, slots=True)
class RunInputs:
    """Everything a run's result follows from, with no time of its own and no order in it.

    `previous_run` chains back to every run before it. Files stand by content hash. The review
    (复核), when there is one, names what can be judged now and could not before. Of the load hosts'
    logs a run reads what lies between where the run before it stopped and `load_logs`. `rulings`
    are those that it applies: all that people made since the run before it, and that move money.
    """

    settlement_day: date
    scheme: str
    scheme_sha256: str | None  # of a city's own scheme; None for one that ships
    bucket_count: int
    previous_run: str | None  # run id of the last closed day
    previous_output_hash: str | None
    registry_sha256: str
    review_sha256: str | None
    files: tuple[FileRow, ...]
    load_logs: tuple[LogEnd, ...] = ()
    rulings: tuple[AppliedRuling, ...] = ()

    def content(self) -> Sealable:
        """What the run id is the hash of."""
        review = {} if self.review_sha256 is None else {"review_sha256": self.review_sha256}
        own = {} if self.scheme_sha256 is None else {"scheme_sha256": self.scheme_sha256}
        logs = {"load_logs": [each.content() for each in self.load_logs]} if self.load_logs else {}
        rulings = {"rulings": [each.content() for each in self.rulings]} if self.rulings else {}
        return (
            review
            | own
            | logs
            | rulings
            | {
                "format": FORMAT,
                "settlement_day": self.settlement_day,
                "scheme": self.scheme,
                "bucket_count": self.bucket_count,
                "previous_run": self.previous_run,
                "previous_output_hash": self.previous_output_hash,
                "registry_sha256": self.registry_sha256,
                "files": [
                    [
                        row.file.content_hash,
                        row.file.received_at,
                        [[each.bucket, each.sha256] for each in row.facts],
                    ]
                    for row in self.files
                ],
            }
        )

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
    load_logs: tuple[LogEnd, ...] = ()
    rulings: tuple[AppliedRuling, ...] = ()


@dataclass(frozen=True, slots=True)
class GapRow:
    """A hole in a card's chain (缺口) as the day left it, with its price.

    `gap` numbers the holes of a card; no counter is missing when `last` lies before `first`.
    """

    issuer: str  # 16 hexadecimal digits
    card_number: str
    application: int
    gap: int
    opened_day: date
    counter_kind: int
    first_counter: int
    last_counter: int
    price_fen: int
    state: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What closing needs of a run: both sides' money, gaps and discounts."""

    run: StoredRun
    buckets: Mapping[int, Sums]
    participants: Mapping[int, Sums]
    gaps: tuple[GapRow, ...]
    discounts: tuple[DiscountRow, ...]
