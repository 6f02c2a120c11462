"""A chip with all five applications on it, installed one after another, and a plain reader."""

from collections.abc import Iterable
from datetime import date

from cardcore.applets import health, library, purse, social_security, transit
from cardcore.chip.card import Card
from cardcore.chip.cardkeys import CardKey, Pin, Secret
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.keyfile import KeySlot
from cardcore.chip.memory import Memory
from cardcore.chip.package import Package, new_chip
from cardcore.crypto.pboc_3des import encrypt_ecb
from cardcore.keys import Key, KeyUsage
from cardcore.layouts.city_transit import RECORD_BICYCLE, ConcessionRecord, HireRecord
from cardcore.layouts.library import DepositState, LoanRecord, ReaderInformation
from cardcore.layouts.transit import (
    RECORD_BUS,
    RECORD_METRO,
    CardProperties,
    HolderInformation,
    PublicInformation,
    TransitRecord,
)
from tests.cardcore.transit_cards import counting_random

PUBLIC = PublicInformation(
    issuer=bytes.fromhex("05845840FFFFFFFF"),
    application_type=2,
    application_version=1,
    card_number="03105840000000000017",
    valid_from=date(2024, 1, 1),
    valid_to=date(2034, 12, 31),
)
PIN = bytes.fromhex("123456")
ISSUE: dict[str, str | bytes] = {
    "card_id": bytes.fromhex("330000D15600000501234567FFFFFFFF"),
    "card_class": "3",
    "version": "3.00",
    "organisation": bytes.fromhex("330000FFFFFFFFFFFFFFFFFF"),
    "issued_on": "20240101",
    "valid_to": "20340101",
    "card_number": "A12345678",
}
HOLDER: dict[str, str | bytes] = {
    "social_security_number": "110101199003070011",
    "name": "张三",
    "sex": "1",
    "nation": b"\x01",
    "birthplace": "330100",
    "birth_date": "19900307",
}
SOCIAL = social_security.SocialSecurityProfile(
    {**ISSUE, "version": "2.00"},
    HOLDER,
    residence={"residence_address": "杭州市西湖区"},
    insurance=[(0x41, b"\x01\x02")],
)
HEALTH = health.HealthProfile(
    {"name": "张三", "resident_id": "110101199003070011", "blood_abo": b"\x02", "phone_1": "138"},
    photo=b"\xff\xd8",
)
LIBRARY = library.LibraryProfile(
    ReaderInformation(
        "HZ0000123456",
        "HZLIB01",
        1,
        10,
        30,
        DepositState.PAID,
        10_000,
        date(2024, 1, 1),
        date(2034, 12, 31),
    ),
    (LoanRecord("0440012345678", "HZLIB02", date(2024, 3, 1), date(2024, 3, 31)),),
)
PURSE = purse.PurseProfile(PUBLIC, 100_000, 5_000, 12_000)
TRANSIT = transit.TransitProfile(
    PUBLIC,
    HolderInformation(name="张三", id_number="110101199003070011"),
    CardProperties(province="5800", city="5840"),
    rides=(
        TransitRecord(RECORD_METRO),
        TransitRecord(RECORD_BUS),
        HireRecord(RECORD_BICYCLE),
        ConcessionRecord(),
    ),
)


def key_value(usage: KeyUsage, index: int) -> bytes:
    """Any 16 bytes that are not those of another key."""
    return encrypt_ecb(bytes(range(16)), f"{usage:.14}{index:02x}".encode().ljust(16)[:16])


def secrets(slots: Iterable[KeySlot], pin: bytes | None = None) -> list[Secret]:
    """A key for every slot, and the PIN."""
    keys: list[Secret] = [
        CardKey(
            slot.index, 1, 1, Key(slot.usage, key_value(slot.usage, slot.index)), slot.tries_max
        )
        for slot in slots
    ]
    return keys if pin is None else [*keys, Pin.fresh(pin)]


def packages() -> list[Package]:
    return [
        transit.package(TRANSIT, secrets(transit.KEYS)),
        social_security.package(SOCIAL, secrets(social_security.KEYS, PIN)),
        health.package(HEALTH, secrets(health.KEYS)),
        library.package(LIBRARY, secrets(library.KEYS, PIN)),
        purse.package(PURSE, secrets(purse.KEYS)),
    ]


def chip(*applications: Package) -> Card:
    """A chip with these applications, or with all five."""
    chip_keys = [
        CardKey(1, 1, 1, Key(usage, key_value(usage, 1)))
        for usage in (KeyUsage.FILE_MAINTENANCE, KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC)
    ]
    memory = Memory(new_chip(PUBLIC.encode(), chip_keys))
    for application in applications or packages():
        changes = application.install(FileSystem(memory))
        assert isinstance(changes, dict), changes
        memory.commit(changes)
    return Card(memory, counting_random())


class Reader:
    """Sends hexadecimal commands and shows data and status word."""

    def __init__(self, card: Card) -> None:
        self.card = card

    def send(self, command: str) -> tuple[bytes, str]:
        answer = self.card.transmit(bytes.fromhex(command))
        return answer[:-2], answer[-2:].hex().upper()

    def data(self, command: str) -> bytes:
        answer, word = self.send(command)
        assert word == "9000", (command, word)
        return answer

    def select(self, name: bytes) -> bytes:
        return self.data(f"00A40400{len(name):02X}{name.hex()}")

    def internal(self, key_id: int) -> bytes:
        return self.data(f"008800{key_id:02X}08{bytes(8).hex()}")

    def external(self, key_id: int, value: bytes | None = None) -> str:
        challenge = self.data("0084000008")
        key = value or key_value(KeyUsage.EXTERNAL_AUTHENTICATION, key_id)
        return self.send(f"008200{key_id:02X}08{encrypt_ecb(key, challenge).hex()}")[1]
