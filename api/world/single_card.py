"""One card outside any city folder: issued with public test keys, loaded, ready to be served.

Decides what such a card is. Leaves the load to the kiosk: the money comes onto the card by the
same commands, and through the same load host, as in the street.
"""

import secrets
import tempfile
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from api.composition import KEY_VERSION, PSAM_KEY_INDEX, KeyRoom
from cardcore.applets.transit import TransitProfile, personalise
from cardcore.card import Card
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from cardcore.layout import CardKind, CardProperties, HolderInformation, PublicInformation
from cardcore.schemes import Scheme
from terminals.connection import CardConnection
from terminals.journal import Journal
from terminals.roles.kiosk import KIOSK, LoadHost
from terminals.taps import Fare, Hotlist, Place, TapOutcome, TapRequest
from terminals.terminal import NO_PSAM, Identity, Terminal, make_device

KIOSK_TERMINAL = "000901000001"
_KIOSK_PARTICIPANT = 901
_PURSE_ONLY = 2  # EF15: 电子钱包
_VALID_FROM, _VALID_TO = date(2026, 1, 1), date(2035, 12, 31)


@dataclass(frozen=True, slots=True)
class Product:
    """What a kind of card starts with beside its number."""

    serial: int
    properties_kind: CardKind
    holder: HolderInformation


#: Sample holders; nobody is called so.
PRODUCTS = {
    "citizen": Product(
        1, CardKind.NORMAL, HolderInformation(1, 0, "张示例", "000000200001010017", 0)
    ),
    "anonymous": Product(2, CardKind.NORMAL, HolderInformation()),
    "student": Product(
        3, CardKind.STUDENT, HolderInformation(1, 0, "李示例", "000000201001010025", 0)
    ),
}


def issue_card(keys: KeyRoom, scheme: Scheme, product: Product) -> Card:
    """A ready card of the scheme with an empty purse, its keys derived from the city's."""
    public = PublicInformation(
        issuer=scheme.issuer,
        application_type=_PURSE_ONLY,
        application_version=1,
        card_number=f"0310{scheme.city_code}{product.serial:012d}",
        valid_from=_VALID_FROM,
        valid_to=_VALID_TO,
    )
    image = personalise(
        TransitProfile(
            public,
            product.holder,
            CardProperties(city=scheme.city_code, card_kind=product.properties_kind),
        ),
        {
            usage: keys.service.derive_card_key(
                KeyRef(usage, scheme.name, KEY_VERSION), public.factor
            )
            for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
        },
        key_version=KEY_VERSION,
        algorithm=Algorithm.PBOC_3DES,
        key_index=PSAM_KEY_INDEX,
    )
    return Card.from_image(image, secrets.token_bytes)


def load_card(
    connection: CardConnection, keys: KeyRoom, scheme: Scheme, amount_fen: int, now: datetime
) -> TapOutcome:
    """Load a card at a kiosk whose journal lasts as long as the load."""
    device = make_device(
        Identity(KIOSK_TERMINAL, NO_PSAM, PSAM_KEY_INDEX), scheme, _KIOSK_PARTICIPANT, Hotlist()
    )
    request = TapRequest("load", Fare(amount_fen, amount_fen), Place(), now.date())
    with (
        tempfile.TemporaryDirectory(prefix="onecard-load-") as folder,
        Journal.open(Path(folder) / "kiosk.sqlite", sender=_KIOSK_PARTICIPANT) as journal,
    ):
        kiosk = Terminal(KIOSK, device, journal, LoadHost(keys.service, scheme.name))
        return kiosk.tap(connection, request, now).outcome
