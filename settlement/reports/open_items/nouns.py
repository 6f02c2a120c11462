"""Every state that things are in, by its name."""

from collections.abc import Mapping

from settlement.reports.open_items.cards import GAPS
from settlement.reports.open_items.office import CASES, POSITIONS, REFUSALS
from settlement.reports.open_items.records import ALARMS, CLAIMS, RECORDS
from settlement.reports.open_items.terminals import REGISTERS, SERIALS
from settlement.reports.open_items.values import Noun

NOUNS: Mapping[str, Noun] = {
    each.name: each
    for each in (
        RECORDS, CLAIMS, GAPS, SERIALS, REGISTERS, REFUSALS, ALARMS, POSITIONS, CASES,
    )
}  # fmt: skip
