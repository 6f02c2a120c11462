"""Transport (公交地铁): the scheme's tariff explains a fare, and whoever carried gets all of it, up
to the highest tariff that the scheme knows of that operator.
"""

from cardcore.records.kinds import Sector
from cardcore.schemes import Scheme
from cardcore.text import Text
from settlement.sectors.fares import explain_by_tariff
from settlement.sectors.rules import SectorRule, whole

SECTOR_RULES = (
    SectorRule(
        number=Sector.TRANSIT,
        name="transit",
        title=Text("公交地铁", "transport"),
        explain=explain_by_tariff,
        share=whole,
        known_tariff=Scheme.known_tariff_fen,
    ),
)
