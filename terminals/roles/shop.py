"""The shop terminal (POS): one simple purchase, nothing written but the purse and its log.

Decides what a purchase in a shop looks like in the record, and that it takes the purse for small
payments. A city whose cards pay for goods with the purse for rides says so in its scheme.
"""

from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.text import Text
from terminals.partners import PSAM
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

SHOP = DeviceRole(
    name="shop",
    title=Text("商户终端", "shop"),
    applications=("purse",),
    flow=Flow.PURCHASE,
    kind=RecordKind.PURCHASE,
    sector=Sector.MERCHANT,
    transaction_type=TransactionType.PURCHASE,
    partner=PSAM,
)
ROLES = (SHOP,)
