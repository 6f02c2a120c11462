"""What two people rule in a world: of what the days before left suspended.

Decides on which records, and how, by the seed alone. On the last day nothing is left unruled (R13).
"""

import hashlib
from collections.abc import Iterator

from tests.settlement.audited.world import SETTLED, World
from tests.support.audit.auditor import Auditor
from tests.support.audit.words import Disposition, Entry, Reason

#: One in so many is ruled on before the last day.
SHARE = 4


def rulings_of(world: World, auditor: Auditor, day: int) -> dict[tuple[int, int], Reason]:
    """Before a day: what two people rule of records that the days before left suspended."""
    return dict(_rulings(world, auditor, day))


def _rulings(world: World, auditor: Auditor, day: int) -> Iterator[tuple[tuple[int, int], Reason]]:
    for entry in auditor.decided.values():
        if entry.reason.disposition is Disposition.SUSPENDED:
            drawn = _draw(world.seed, day, entry)
            if day == SETTLED[-1] or drawn % SHARE == 0:
                # A load lies on the card: somebody owes it, whatever people rule.
                is_returned = drawn // SHARE % 2 and not entry.is_load
                yield entry.key, Reason.RETURNED if is_returned else Reason.RELEASED


def _draw(seed: int, day: int, entry: Entry) -> int:
    data = f"{seed} {day}".encode() + entry.digest
    return int.from_bytes(hashlib.sha256(data).digest()[:8])
