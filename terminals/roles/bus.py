"""The bus terminal (车载机): one composite purchase a ride, with a trip record on the card.

Decides what a bus ride looks like on the card and in the record. Leaves the fare to the scheme.
"""

from cardcore.layouts.transit import Industry, TripType
from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.text import Text
from terminals.partners import PSAM
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

BUS = DeviceRole(
    name="bus",
    title=Text("公交车载机", "bus"),
    applications=("transit",),
    flow=Flow.RIDE,
    kind=RecordKind.PURCHASE,
    sector=Sector.TRANSIT,
    transaction_type=TransactionType.COMPOSITE,
    partner=PSAM,
    trip_type=TripType.SINGLE,
    industry=Industry.BUS,
)
ROLES = (BUS,)
