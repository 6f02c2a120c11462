"""What two people rule of what the days before left suspended.

Decides on which records, and how, by the seed alone. In the end nothing is left unruled (R13).
"""

import hashlib
from collections.abc import Iterator

from tests.support.audit.auditor import Auditor
from tests.support.audit.words import Disposition, Entry, Reason

#: One in so many is ruled on before the last day.
SHARE = 4


def rulings_of(
    seed: int, auditor: Auditor, day: int, *, is_last: bool
) -> dict[tuple[int, int], Reason]:
    """Before a day: what two people rule, in the world of a seed."""
    return dict(_rulings(seed, auditor, day, is_last=is_last))


def _rulings(
    seed: int, auditor: Auditor, day: int, *, is_last: bool
) -> Iterator[tuple[tuple[int, int], Reason]]:
    for entry in auditor.decided.values():
        if entry.reason.disposition is Disposition.SUSPENDED:
            drawn = _draw(seed, day, entry)
            if is_last or drawn % SHARE == 0:
                # A load lies on the card: somebody owes it, whatever people rule.
                is_returned = drawn // SHARE % 2 and not entry.is_load
                yield entry.key, Reason.RETURNED if is_returned else Reason.RELEASED


def _draw(seed: int, day: int, entry: Entry) -> int:
    data = f"{seed} {day}".encode() + entry.digest
    return int.from_bytes(hashlib.sha256(data).digest()[:8])
