"""Cards of a virtual city made as at a desk: whole products, over SCP03, in process.

Decides whose cards they are: people nobody is, by numbers that say so. Leaves every command to
`cardcore.issuing.personalisation`; the chips are real ones of `cardcore.chip.card`, delivered with
the image of their product (`cardcore.issuing.initialisation`).
"""

from collections.abc import Callable, Sequence
from datetime import date, datetime

from cardcore.chip.card import Card
from cardcore.chip.scp03 import CHALLENGE_BYTES
from cardcore.issuing.dialogue import Result, Transmit, drive_together
from cardcore.issuing.initialisation import Completion, initialised_chip
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.personalisation import make_plan, personalise
from cardcore.issuing.products import Product
from cardcore.keys import KeyService
from cardcore.layouts.transit import CardProperties, HolderInformation, PublicInformation
from cardcore.schemes import Scheme
from cardcore.text import Text

#: The PIN of every sample card; no secret.
SAMPLE_PIN = bytes.fromhex("123456")
#: Cards that are made side by side: one after another, every one would meet the processor's caches
#: filled by all that the one before went through.
STATIONS = 20
#: Identity numbers of a region there is not, so that they are nobody's.
_NOBODY = "000000"
_PURSE_ONLY = 2  # EF15: 电子钱包

Random = Callable[[int], bytes]


class IssuingError(Exception):
    """A card did not come right; the message names card, step and answer."""


def order_card(
    scheme: Scheme,
    product: Product,
    number: str,
    valid_from: date,
    valid_to: date,
    inside_since: datetime | None = None,
) -> CardOrder:
    """The order of one invented card of the city. `number` has 20 digits."""
    holder = HolderInformation()
    if product.is_named:
        holder = HolderInformation(name=f"市民{number[-6:]}", id_number=_NOBODY + number[-12:])
    has_pin = any(hasattr(each, "pin_tries") for each in product.applications.values())
    return CardOrder(
        PublicInformation(
            issuer=scheme.issuer,
            application_type=_PURSE_ONLY,
            application_version=1,
            card_number=number,
            valid_from=valid_from,
            valid_to=valid_to,
        ),
        CardProperties(province=scheme.province_code, city=scheme.city_code),
        holder,
        reader_number=number[-12:] if "library" in product.applications else "",
        inside_since=inside_since,
        pin=SAMPLE_PIN if has_pin else b"",
    )


def make_cards(
    orders: Sequence[tuple[CardOrder, Random]],
    product: Product,
    scheme: Scheme,
    keys: KeyService,
    image: Completion,
) -> tuple[list[Card], int]:
    """Cards side by side (at most `STATIONS` are worth it), from chips initialised with the image
    of their product to their check, and how many commands they took. With each order come the dice
    of its card and desk. Raises `IssuingError`.
    """
    commands = 0

    def station(card: Card) -> Transmit:
        def transmit(command: bytes) -> bytes:
            nonlocal commands
            commands += 1
            return card.transmit(command)

        return transmit

    label = scheme.name
    cards = [
        Card(initialised_chip(order.public, product, keys, label, image), random, image.files)
        for order, random in orders
    ]
    plans = [make_plan(product, order, label) for order, _ in orders]
    talks = [
        personalise(plan, keys, random(CHALLENGE_BYTES))
        for plan, (_, random) in zip(plans, orders, strict=True)
    ]
    ends = drive_together(list(zip(talks, map(station, cards), strict=True)))
    for plan, finished in zip(plans, ends, strict=True):
        if finished.result is not Result.DONE:
            number, why = plan.order.public.card_number, f"{finished.step}: {finished.detail}"
            raise IssuingError(
                Text(f"{number} 号卡没有制成：{why}", f"card {number} did not come right: {why}")
            )
    return cards, commands
