"""The load kiosk (充值机): takes money and puts it on the card, with the load host's consent.

Decides what a load looks like. The kiosk holds no key: the load host (`partners.load_host`) does
both halves. It loads either purse, and the request says which one.
"""

from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.text import Text
from terminals.partners.load_host import LOAD_HOST
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

KIOSK = DeviceRole(
    name="kiosk",
    title=Text("充值机", "load kiosk"),
    applications=("transit", "purse"),
    flow=Flow.LOAD,
    kind=RecordKind.LOAD,
    sector=Sector.CARD_SERVICE,
    transaction_type=TransactionType.LOAD,
    partner=LOAD_HOST,
)
ROLES = (KIOSK,)
