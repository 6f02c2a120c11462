"""The gate of a swimming pool and its desk, as a file of `terminals.roles`."""

from cardcore.records.kinds import RecordKind, TransactionType
from cardcore.text import Text
from terminals.partners import PSAM
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

SWIMMING = 88
GATE = DeviceRole(
    name="pool-gate",
    title=Text("泳池闸机", "pool gate"),
    applications=("swimming",),
    flow=Flow.PURCHASE,
    kind=RecordKind.PURCHASE,
    sector=SWIMMING,
    transaction_type=TransactionType.PURCHASE,
    partner=PSAM,
)
DESK = DeviceRole(
    name="pool-desk",
    title=Text("泳池前台", "pool desk"),
    applications=("swimming",),
    flow=Flow.LOAD,
    kind=RecordKind.LOAD,
    sector=SWIMMING,
    transaction_type=TransactionType.LOAD,
    partner="swimming-club",
)
ROLES = (GATE, DESK)
