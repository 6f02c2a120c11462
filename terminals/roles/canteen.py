"""The canteen terminal (食堂消费机): a meal is a simple purchase from the purse for small payments.

Decides what a meal looks like in the record. Leaves its price to the till.
"""

from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.text import Text
from terminals.partners import PSAM
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

CANTEEN = DeviceRole(
    name="canteen",
    title=Text("食堂消费机", "canteen"),
    applications=("purse",),
    flow=Flow.PURCHASE,
    kind=RecordKind.PURCHASE,
    sector=Sector.MERCHANT,
    transaction_type=TransactionType.PURCHASE,
    partner=PSAM,
)
ROLES = (CANTEEN,)
