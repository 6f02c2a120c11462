"""What is told of a record: its copies, what each run made of them, and the steps in words.

Decides nothing; the values between `history`, which finds them out, and `wording`, which says them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from cardcore.keys import ProofReason
from cardcore.records.record import TransactionRecord
from cardcore.text import Text
from settlement.days.closing import ClosedDay
from settlement.dispositions import Disposition, Note, Reason
from settlement.ledger.entries import Entry
from settlement.ledger.positions import Position
from settlement.rulings.ruling import Ruling
from settlement.seal import Sealable


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a history. `data` holds the figures behind the words."""

    name: str
    text: Text
    data: Mapping[str, Sealable]


@dataclass(frozen=True, slots=True)
class Decision:
    """What reconciliation decided of one copy of a record."""

    disposition: Disposition
    reason: Reason
    notes: Note
    late: bool
    fare_class: int
    operator: int  # whom the registry has paid
    sector: int
    excess_fen: int  # charged above a known tariff
    centre: int  # who answers for the card, 0 for us


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one run made of the record, on a closed day or provisionally. `proof` is how its TAC was
    judged then, when that was not so yet as it came in; `ruling` what people ruled of it before.
    """

    decision: Decision
    proof: ProofReason | None
    day: ClosedDay | None
    ruling: Ruling | None = None
    entries: Sequence[Entry] = ()
    positions: Sequence[Position] = ()


@dataclass(frozen=True, slots=True)
class Neighbour:
    """The proven record of the card just before or after, and its balances in fen."""

    record_id: str
    time: datetime
    balance_before_fen: int
    balance_after_fen: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A record among its card's: the neighbours, where there are any. `days_before` and
    `days_after` are how many settled days were looked through, None when there are no more.
    """

    before: Neighbour | None
    after: Neighbour | None
    days_before: int | None
    days_after: int | None

    def joins(self, record: TransactionRecord) -> bool:
        """Whether the record starts from what its neighbour left, and the next one from what it
        left itself. Nothing contradicts a neighbour too far away to be looked for.
        """
        if self.before is not None:
            start_fen = self.before.balance_after_fen
        else:
            start_fen = 0 if self.days_before is None else record.balance_before_fen
        return start_fen == record.balance_before_fen and (
            self.after is None or self.after.balance_before_fen == record.balance_after_fen
        )


@dataclass(frozen=True, slots=True)
class CopyHistory:
    """The history of one copy of a record: the file and row it stands in, and what became of it.

    `record` is None when a field of it is damaged, `decision`, the latest one, while no run has
    seen it.
    """

    content_hash: str
    row: int
    record: TransactionRecord | None
    decision: Decision | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """Everything known of a record id, the accepted copy first; empty when it was never seen."""

    record_id: str
    copies: tuple[CopyHistory, ...]
