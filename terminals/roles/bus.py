"""The bus terminal (车载机): one composite purchase a ride, with a trip record on the card.

Decides what a bus ride looks like on the card and in the record. Leaves the fare to the scheme.
"""

from cardcore.layouts.transit import Industry, TripType
from cardcore.records.record import RecordKind, Sector, TransactionType
from terminals.tap.flow import Flow, Role

BUS = Role(
    name="bus",
    flow=Flow.RIDE,
    kind=RecordKind.PURCHASE,
    sector=Sector.TRANSIT,
    transaction_type=TransactionType.COMPOSITE,
    trip_type=TripType.SINGLE,
    industry=Industry.BUS,
)
