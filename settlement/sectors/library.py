"""Libraries (图书馆): loans and returns are reported only; what a purse pays is the library's."""

from cardcore.records.kinds import Sector
from cardcore.text import Text
from settlement.sectors.rules import SectorRule, no_fare, whole

SECTOR_RULES = (
    SectorRule(
        number=Sector.LIBRARY,
        name="library",
        title=Text("图书馆", "library"),
        explain=no_fare,
        share=whole,
    ),
)
