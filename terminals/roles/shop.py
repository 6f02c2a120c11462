"""The shop terminal (POS): one simple purchase, nothing written but the purse and its log.

Decides what a purchase in a shop looks like in the record.
"""

from cardcore.records.record import RecordKind, Sector, TransactionType
from terminals.tap.flow import Flow, Role

SHOP = Role(
    name="shop",
    flow=Flow.PURCHASE,
    kind=RecordKind.PURCHASE,
    sector=Sector.MERCHANT,
    transaction_type=TransactionType.PURCHASE,
)
