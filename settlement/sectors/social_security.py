"""Social security (社保): entitlements are reported only; what a purse pays is the counter's."""

from cardcore.records.kinds import Sector
from cardcore.text import Text
from settlement.sectors.rules import SectorRule, no_fare, whole

SECTOR_RULES = (
    SectorRule(
        number=Sector.SOCIAL_SECURITY,
        name="social_security",
        title=Text("社保", "social security"),
        explain=no_fare,
        share=whole,
    ),
)
