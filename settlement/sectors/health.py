"""Health (卫生): visits are reported only; what a purse pays is the clinic's."""

from cardcore.records.kinds import Sector
from cardcore.text import Text
from settlement.sectors.rules import SectorRule, no_fare, whole

SECTOR_RULES = (
    SectorRule(
        number=Sector.HEALTH,
        name="health",
        title=Text("卫生", "health"),
        explain=no_fare,
        share=whole,
    ),
)
