"""The metro gate (闸机): entry and exit by composite purchase, with transit and trip record.

Decides what an entry and an exit look like. An entry moves no money but uses up a counter and is
signed like a purchase; the exit charges. The two exempt roles are the same gates on a day when the
station has switched to 进出次序免检, because entries or exits were let through unread.
"""

from dataclasses import replace

from cardcore.layouts.transit import Industry, TripType
from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.text import Text
from terminals.partners import PSAM
from terminals.tap.flow import Flow
from terminals.tap.role import DeviceRole

ENTRY = DeviceRole(
    name="gate-entry",
    title=Text("进站闸机", "metro entry"),
    applications=("transit",),
    flow=Flow.GATE,
    kind=RecordKind.ENTRY,
    sector=Sector.TRANSIT,
    transaction_type=TransactionType.COMPOSITE,
    partner=PSAM,
    trip_type=TripType.ENTRY,
    industry=Industry.METRO,
)
EXIT = replace(
    ENTRY,
    name="gate-exit",
    title=Text("出站闸机", "metro exit"),
    kind=RecordKind.EXIT,
    trip_type=TripType.EXIT,
)
ENTRY_EXEMPT = replace(
    ENTRY,
    name="gate-entry-exempt",
    title=Text("进站闸机，免检", "metro entry, order not checked"),
    sequence_exempt=True,
    mode_of=ENTRY.name,
)
EXIT_EXEMPT = replace(
    EXIT,
    name="gate-exit-exempt",
    title=Text("出站闸机，免检", "metro exit, order not checked"),
    sequence_exempt=True,
    mode_of=EXIT.name,
)
ROLES = (ENTRY, EXIT, ENTRY_EXEMPT, EXIT_EXEMPT)
