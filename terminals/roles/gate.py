"""The metro gate (闸机): entry and exit by composite purchase, with transit and trip record.

Decides what an entry and an exit look like. An entry moves no money but uses up a counter and is
signed like a purchase; the exit charges. The two exempt roles are the same gates on a day when the
station has switched to 进出次序免检, because entries or exits were let through unread.
"""

from dataclasses import replace

from cardcore.layouts.transit import Industry, TripType
from cardcore.records.record import RecordKind, Sector, TransactionType
from terminals.tap.flow import Flow, Role

ENTRY = Role(
    name="gate-entry",
    flow=Flow.GATE,
    kind=RecordKind.ENTRY,
    sector=Sector.TRANSIT,
    transaction_type=TransactionType.COMPOSITE,
    trip_type=TripType.ENTRY,
    industry=Industry.METRO,
)
EXIT = replace(ENTRY, name="gate-exit", kind=RecordKind.EXIT, trip_type=TripType.EXIT)
ENTRY_EXEMPT = replace(ENTRY, sequence_exempt=True)
EXIT_EXEMPT = replace(EXIT, sequence_exempt=True)
