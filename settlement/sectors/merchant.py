"""Shops and canteens (小额消费): goods cost what they cost, and the shop gets all of it."""

from cardcore.records.kinds import Sector
from cardcore.text import Text
from settlement.sectors.rules import SectorRule, no_fare, whole

SECTOR_RULES = (
    SectorRule(
        number=Sector.MERCHANT,
        name="merchant",
        title=Text("小额消费", "small payments"),
        explain=no_fare,
        share=whole,
    ),
)
