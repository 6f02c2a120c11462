"""Cards with more than the transit purse, made over the secure channel, and the terminals of the
purse for small payments.
"""

from datetime import date
from functools import cache

from cardcore.apdu import CommandApdu
from cardcore.applets.catalogue import application_named
from cardcore.applets.transit import TransitProfile, personalise
from cardcore.chip.card import Card
from cardcore.digits import encode_bcd
from cardcore.issuing import dialogue, personalisation
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.products import shipped
from cardcore.issuing.stock import stock_chip
from cardcore.key_labels import application_label
from cardcore.keys import KeyRef, KeyUsage, ProofReason, TacColumn
from cardcore.layouts.city_union import CityPublicInformation
from cardcore.layouts.transit import (
    RECORD_METRO,
    CardProperties,
    HolderInformation,
    PublicInformation,
    TransitRecord,
)
from cardcore.records.record import TransactionRecord, encode_record
from cardcore.records.tac import tac_message
from hsm_sim.psam import Psam, PsamProfile, make_psam
from terminals.journal.journal import Journal
from terminals.roles.canteen import CANTEEN
from terminals.tap.role import DeviceRole
from terminals.tap.terminal import Terminal, make_device, read_psam
from terminals.taps import Hotlist
from tests.terminals.equipment import ALGORITHMS, KEYS, LABEL, SCHEME, VAULT, counting_random

CITIZEN = shipped("citizen")
CANTEEN_TERMINAL = "584000000006"
_HOLDER = HolderInformation(name="张示例", id_number="000000200001010017")


@cache
def _citizen_image(number: int) -> bytes:
    public = PublicInformation(
        issuer=SCHEME.issuer,
        application_type=2,
        application_version=1,
        card_number=f"0310584{number:013d}",
        valid_from=date(2015, 1, 1),
        valid_to=date(2030, 12, 31),
    )
    order = CardOrder(
        public,
        CardProperties(city="5840"),
        _HOLDER,
        reader_number="R0000001",
        home_library="L01",
        pin=bytes.fromhex("123456"),
    )
    plan = personalisation.make_plan(CITIZEN, order, LABEL)
    card = Card.from_image(stock_chip(public, CITIZEN, KEYS, LABEL), counting_random)
    talk = personalisation.personalise(plan, KEYS, bytes(8))
    finished = dialogue.drive(talk, card.transmit)
    assert finished.result is dialogue.Result.DONE, finished
    return card.image()


def a_citizen(number: int = 1) -> Card:
    """A named card with every application: both purses, library, health, social security."""
    return Card.from_image(_citizen_image(number), counting_random)


def a_city_union_card(
    number: int = 1, *, issuer: str = "0584", interoperable: bool = False
) -> Card:
    """A card of CJ/T 166 with the keys of the city; its number has 16 digits."""
    public = CityPublicInformation(
        issuer=issuer,
        city="5840",
        card_number=f"5840{number:012d}",
        valid_from=date(2015, 1, 1),
        valid_to=date(2030, 12, 31),
        interoperable=interoperable,
    )
    keys = {
        usage: KEYS.derive_card_key(KeyRef(usage, LABEL, 1), public.factor)
        for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
    }
    profile = TransitProfile(public, rides=(TransitRecord(RECORD_METRO),))
    algorithm = ALGORITHMS[1]
    image = personalise(profile, keys, key_version=1, algorithm=algorithm, key_index=1)
    return Card.from_image(image, counting_random)


def label_of(application: str) -> str:
    return application_label(LABEL, application_named(application).key_ending)


def a_purse_psam(terminal: str, number: int, application: str = "purse") -> Psam:
    """A PSAM with the purchase keys of one purse."""
    profile = PsamProfile(
        terminal=terminal,
        number=f"{number:020d}",
        issuer=SCHEME.issuer,
        valid_from=date(2015, 1, 1),
        valid_to=date(2030, 12, 31),
        key_index=1,
        key_label=label_of(application),
    )
    return make_psam(profile, VAULT)


def a_canteen(journal: Journal, role: DeviceRole = CANTEEN) -> Terminal:
    psam = a_purse_psam(CANTEEN_TERMINAL, 6)
    device = make_device(read_psam(psam), SCHEME, 106, Hotlist(3))
    return Terminal(role, device, journal, psam)


def balance_of(card: Card, application: str) -> int:
    """What the purse of one application holds, by the card's own word."""
    card.reset()
    for aid in application_named(application).aids:
        answer = card.transmit(CommandApdu(0x00, 0xA4, 0x04, 0x00, aid, le=256).encode())
        if answer[-2:] == b"\x90\x00":
            break
    answer = card.transmit(CommandApdu(0x80, 0x5C, 0x03, 0x02, le=4).encode())
    assert answer[-2:] == b"\x90\x00", answer.hex()
    return int.from_bytes(answer[:4], "big")


def proof_under(record: TransactionRecord, application: str) -> ProofReason:
    """What the key service says of a record's TAC under the keys of one application."""
    message = tac_message(encode_record(record))
    column = TacColumn(
        algorithms=bytes((record.algorithm,)),
        key_versions=bytes((record.key_version,)),
        factors=encode_bcd(record.card_number[-16:], 8),
        messages=message,
        message_bytes=len(message),
        tacs=record.tac,
    )
    return ProofReason(KEYS.prove_tacs(label_of(application), column)[0])
