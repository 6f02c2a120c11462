"""Records of transactions for tests: the one place that writes all of their fields.

What a test is about it says itself; the rest is a bus ride of 2 yuan at 1.60, the card's first.
"""

from dataclasses import replace
from datetime import date, datetime

from cardcore.concession import Concession
from cardcore.keys import Algorithm
from cardcore.records.kinds import RecordFlag, RecordKind, Sector, TransactionType
from cardcore.records.record import COUNTER_NOT_READ, TransactionRecord

DAY = date(2018, 9, 1)
BUS_TERMINAL, KIOSK = "0000000000b1", "0000000000c1"
BUS_OPERATOR, LOAD_AGENT = 101, 900
_BUS_RIDE = TransactionRecord(
    kind=RecordKind.PURCHASE,
    sector=Sector.TRANSIT,
    flags=RecordFlag(0),
    issuer=bytes.fromhex("05845840FFFFFFFF"),
    card_number="03104870000000000001",
    card_kind=1,
    concession=Concession.ADULT,
    balance_before_fen=1000,
    balance_after_fen=840,
    online_counter=COUNTER_NOT_READ,
    amount_fen=160,
    transaction_type=TransactionType.COMPOSITE,
    terminal=BUS_TERMINAL,
    psam_sequence=1,
    time=datetime.fromisoformat("2018-09-01T08:00"),
    offline_counter=0,
    tariff_fen=200,
    psam="1" * 20,
    terminal_serial=1,
    operator=BUS_OPERATOR,
    line=1,
    station=1,
    vehicle=1,
    business_day=DAY,
    entry_terminal="0" * 12,
    entry_time=None,
    entry_station=0,
    previous_type=0,
    previous_counter=0,
    previous_amount_fen=0,
    previous_terminal="0" * 12,
    previous_time=None,
    tariff_version=1,
    hotlist_version=5,
    algorithm=Algorithm.PBOC_3DES,
    key_version=1,
    key_index=1,
    tac=bytes.fromhex("01020304"),
)


def a_bus_ride(**changes: object) -> TransactionRecord:
    """The ride; any field can be told otherwise."""
    return replace(_BUS_RIDE, **changes)  # type: ignore[arg-type] # the caller names fields


def a_load(**changes: object) -> TransactionRecord:
    """The card's first load, 10 yuan; any field can be told otherwise."""
    values: dict[str, object] = {
        "kind": RecordKind.LOAD,
        "sector": Sector.CARD_SERVICE,
        "balance_before_fen": 0,
        "balance_after_fen": 1000,
        "online_counter": 0,
        "offline_counter": COUNTER_NOT_READ,
        "amount_fen": 1000,
        "tariff_fen": 0,
        "transaction_type": TransactionType.LOAD,
        "terminal": KIOSK,
        "operator": LOAD_AGENT,
        "time": datetime.fromisoformat("2018-09-01T07:00"),
    }
    return a_bus_ride(**(values | changes))
