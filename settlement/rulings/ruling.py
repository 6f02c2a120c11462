"""A ruling (裁定): a proposal that a second person approved.

Decides what is known of one. Leaves what follows from it to whoever reads it: money and history
move by following entries only, in the next clearing run.
"""

from dataclasses import dataclass
from datetime import datetime

from settlement.rulings.kinds import RulingKind


@dataclass(frozen=True, slots=True)
class Ruling:
    """What two people decided. `number` is that of the audit log's entry that approved it."""

    number: int
    kind: RulingKind
    subjects: tuple[str, ...]
    proposed_by: str
    approved_by: str
    why: str
    approved_at: datetime
    sum_fen: int  # the money of its subjects, as both saw it
