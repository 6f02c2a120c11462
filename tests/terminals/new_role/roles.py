"""The door of a cinema and its box office, as a file of `terminals.roles`."""

from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.text import Text
from terminals.partners import PSAM
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

DOOR = DeviceRole(
    name="cinema-door",
    title=Text("影院检票机", "cinema door"),
    applications=("cinema",),
    flow=Flow.PURCHASE,
    kind=RecordKind.PURCHASE,
    sector=Sector.MERCHANT,
    transaction_type=TransactionType.PURCHASE,
    partner=PSAM,
)
BOX_OFFICE = DeviceRole(
    name="box-office",
    title=Text("影院售票处", "box office"),
    applications=("cinema",),
    flow=Flow.LOAD,
    kind=RecordKind.LOAD,
    sector=Sector.CARD_SERVICE,
    transaction_type=TransactionType.LOAD,
    partner="cinema-chain",
)
ROLES = (DOOR, BOX_OFFICE)
