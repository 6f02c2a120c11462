"""Card services (卡服务): loads above all, which nobody shares; a fee is the counter's."""

from cardcore.records.kinds import Sector
from cardcore.text import Text
from settlement.sectors.rules import SectorRule, no_fare, whole

SECTOR_RULES = (
    SectorRule(
        number=Sector.CARD_SERVICE,
        name="card_service",
        title=Text("卡服务", "card services"),
        explain=no_fare,
        share=whole,
    ),
)
