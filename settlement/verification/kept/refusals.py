"""What was refused: whether the audit still has every refused file.

Decides whether a refusal was taken out of the audit, by their numbers and by the closed days, which
say how many there were. That they say what they said under a day's seal is found in `days`, where
the sealed document is made again. The last ones since then, taken out, leave no gap.
"""

from cardcore.text import Text
from settlement.city import City
from settlement.store.days import load_closed_days
from settlement.store.files import load_refusals
from settlement.verification.findings import Findings, Invariant, numbered_row


def verify_refusals(city: City, findings: Findings) -> int:
    """Look for numbers that are not there; returns how many refusals there are."""
    numbers = [each.number for each in load_refusals(city.database)]
    for number in sorted(set(range(1, max(numbers, default=0) + 1)) - set(numbers)):
        text = Text("已缺失：有拒收记录被删", "is gone: a refusal was taken out of the audit")
        findings.add(Invariant.I8, numbered_row("refusals", number), text)
    for day in load_closed_days(city.database):
        if (day.refused_files or 0) > len(numbers):
            where = Text(f"{day.settlement_day} 的拒收", f"refusals by day {day.settlement_day}")
            text = Text(
                f"关闭时有 {day.refused_files} 项，现存 {len(numbers)} 项",
                f"{day.refused_files} were there when it was closed, {len(numbers)} are left",
            )
            findings.add(Invariant.I8, where, text)
    return len(numbers)
