"""One card outside any city folder: made from a product with public test keys, and loaded.

Decides whose card it is. Leaves making it to `cardcore.issuing.personalisation`, over the same
secure channel as at an issuing desk, and the load to the kiosk: the money comes onto the card by
the same commands, and through the same load host, as in the street.
"""

import secrets
import tempfile
from datetime import date, datetime
from pathlib import Path

from api.composition import PSAM_KEY_INDEX, CityKeys, refuse_real_keys
from cardcore.chip.card import Card
from cardcore.issuing.dialogue import Plan, Result, drive
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.personalisation import make_plan, personalise
from cardcore.issuing.products import SHIPPED, shipped
from cardcore.issuing.stock import stock_chip
from cardcore.layouts.transit import CardProperties, HolderInformation, PublicInformation
from cardcore.schemes import Scheme
from terminals.device import NO_PSAM
from terminals.journal.journal import Journal
from terminals.journal.load_log import LoadLog
from terminals.link.connection import CardConnection
from terminals.partners.load_host import LoadHost
from terminals.roles.load_kiosk import KIOSK
from terminals.tap.terminal import Identity, Terminal, make_device
from terminals.taps import Fare, Hotlist, Place, TapOutcome, TapRequest

KIOSK_TERMINAL = "000901000001"
_KIOSK_PARTICIPANT = 901
_PURSE_ONLY = 2  # EF15: 电子钱包
_VALID_FROM, _VALID_TO = date(2026, 1, 1), date(2035, 12, 31)
#: Sample holders; nobody is called so, and the PIN is no secret.
_HOLDERS = {
    "citizen": HolderInformation(name="张示例", id_number="000000200001010017"),
    "student": HolderInformation(name="李示例", id_number="000000201001010025"),
}
_SAMPLE_PIN = bytes.fromhex("123456")
_HOST_CHALLENGE_BYTES = 8


def sample_plan(scheme: Scheme, name: str) -> Plan:
    """What the sample card of a shipped product contains."""
    holder = _HOLDERS.get(name, HolderInformation())
    product = shipped(name)
    has_pin = any(hasattr(each, "pin_tries") for each in product.applications.values())
    order = CardOrder(
        PublicInformation(
            issuer=scheme.issuer,
            application_type=_PURSE_ONLY,
            application_version=1,
            card_number=f"0310{scheme.city_code}{SHIPPED.index(name) + 1:012d}",
            valid_from=_VALID_FROM,
            valid_to=_VALID_TO,
        ),
        CardProperties(province=scheme.province_code, city=scheme.city_code),
        holder,
        reader_number="R0000001" if "library" in product.applications else "",
        home_library="L01",
        pin=_SAMPLE_PIN if has_pin else b"",
    )
    return make_plan(product, order, scheme.name)


def stock_card(keys: CityKeys, plan: Plan) -> Card:
    """The chip of a plan as it comes from the factory: its number and its channel's keys."""
    refuse_real_keys(keys.service)
    image = stock_chip(plan.order.public, plan.product, keys.service, plan.label)
    return Card.from_image(image, secrets.token_bytes)


def issue_card(keys: CityKeys, plan: Plan) -> Card:
    """A ready card with empty purses."""
    card = stock_card(keys, plan)
    challenge = secrets.token_bytes(_HOST_CHALLENGE_BYTES)
    finished = drive(personalise(plan, keys.service, challenge), card.transmit)
    assert finished.result is Result.DONE, finished
    return card


def load_card(
    connection: CardConnection, keys: CityKeys, scheme: Scheme, amount_fen: int, now: datetime
) -> TapOutcome:
    """Load a card at a kiosk whose journal lasts as long as the load."""
    device = make_device(
        Identity(KIOSK_TERMINAL, NO_PSAM, PSAM_KEY_INDEX), scheme, _KIOSK_PARTICIPANT, Hotlist()
    )
    request = TapRequest("load", Fare(amount_fen, amount_fen), Place(), now.date())
    with (
        tempfile.TemporaryDirectory(prefix="onecard-load-") as folder,
        Journal.open(Path(folder) / "kiosk.sqlite", sender=_KIOSK_PARTICIPANT) as journal,
        LoadLog.open(Path(folder) / "loads.sqlite", issuer=scheme.issuer) as log,
    ):
        host = LoadHost(keys.service, scheme.name, log)
        kiosk = Terminal(KIOSK, device, journal, host)
        return kiosk.tap(connection, request, now).outcome
