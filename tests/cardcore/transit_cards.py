"""Cards and records for tests, each with the fields that do not matter already filled in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime

from cardcore.applets.transit import TransitProfile, personalise
from cardcore.chip.card import Card
from cardcore.keys import Algorithm, Key, KeyUsage
from cardcore.layouts.transit import CardProperties, PublicInformation, TransitRecord, TripRecord
from cardcore.records.kinds import RecordKind
from cardcore.records.record import TransactionRecord
from tests.cardcore.chip.reference_terminal import ReferenceTerminal
from tests.support.records import a_bus_ride

PURCHASE_KEY = bytes.fromhex("11223344556677888877665544332211")
LOAD_KEY = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
TAC_KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
KEYS = {
    KeyUsage.PURCHASE: Key(KeyUsage.PURCHASE, PURCHASE_KEY),
    KeyUsage.LOAD: Key(KeyUsage.LOAD, LOAD_KEY),
    KeyUsage.TAC: Key(KeyUsage.TAC, TAC_KEY),
}
PROFILE = TransitProfile(
    PublicInformation(
        issuer=bytes.fromhex("05845840FFFFFFFF"),
        application_type=2,
        application_version=1,
        card_number="03105840000000000017",
        valid_from=date(2018, 1, 1),
        valid_to=date(2040, 12, 31),
    ),
    properties=CardProperties(province="5800", city="5840"),
)
TRIP = TripRecord(
    trip_type=4,
    terminal="0000112233445566",
    industry=1,
    line=1,
    station=7,
    operator=201,
    amount_fen=380,
    balance_fen=620,
    time=datetime.fromisoformat("2018-09-01T09:42:31"),
    city="5840",
    acquirer=bytes.fromhex("15845840FFFFFFFF"),
)
RIDE = TransitRecord(0x2701, status=1, entry_time=datetime.fromisoformat("2018-09-01T09:12:01"))


def counting_random() -> Callable[[int], bytes]:
    """Fresh bytes that are the same in every run."""
    drawn = 0

    def random(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return drawn.to_bytes(length, "big")

    return random


def an_image(profile: TransitProfile = PROFILE, **changes: object) -> bytes:
    return personalise(
        replace(profile, **changes),  # type: ignore[arg-type]
        KEYS,
        key_version=1,
        algorithm=Algorithm.PBOC_3DES,
        key_index=1,
    )


def a_card(image: bytes | None = None, random: Callable[[int], bytes] | None = None) -> Card:
    return Card.from_image(image or an_image(), random or counting_random())


def a_terminal(card: Card) -> ReferenceTerminal:
    """A terminal that has selected the transit application."""
    terminal = ReferenceTerminal(card.transmit, PURCHASE_KEY, LOAD_KEY, TAC_KEY)
    terminal.select()
    return terminal


def a_record(**changes: object) -> TransactionRecord:
    """A metro exit: it knows where and when its passenger came in."""
    values: dict[str, object] = {
        "kind": RecordKind.EXIT,
        "card_number": "03105840000000000017",
        "balance_before_fen": 10_000,
        "balance_after_fen": 9_620,
        "amount_fen": 380,
        "terminal": "231017343000",
        "psam_sequence": 7,
        "time": datetime.fromisoformat("2018-09-01T09:42:31"),
        "offline_counter": 3,
        "tariff_fen": 400,
        "psam": "00000000000000000042",
        "terminal_serial": 12,
        "operator": 201,
        "station": 7,
        "vehicle": 0,
        "entry_terminal": "231017343001",
        "entry_time": datetime.fromisoformat("2018-09-01T09:12:01"),
        "entry_station": 3,
        "previous_type": 9,
        "previous_counter": 2,
        "previous_terminal": "231017343001",
        "previous_time": datetime.fromisoformat("2018-09-01T09:12:01"),
        "hotlist_version": 9,
        "tac": bytes.fromhex("B3A0D49C"),
    }
    return a_bus_ride(**(values | changes))
