"""What was refused: whether the audit still counts every refused file.

Decides whether a refusal was taken out of the audit, by their numbers, and whether each can be
read. Nobody signs or seals what they say: the last ones, taken out, leave no gap.
"""

from cardcore.text import Text
from settlement.city import City
from settlement.store.files import load_refusals
from settlement.verification.findings import Findings, Invariant, numbered_row


def verify_refusals(city: City, findings: Findings) -> int:
    """Look for numbers that are not there; returns how many refusals there are."""
    numbers = [each.number for each in load_refusals(city.database)]
    for number in sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers)):
        text = Text("已缺失：有拒收记录被删", "is gone: a refusal was taken out of the audit")
        findings.add(Invariant.I8, numbered_row("refusals", number), text)
    return len(numbers)
