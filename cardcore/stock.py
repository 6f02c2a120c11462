"""A chip in stock (白卡): it has a number, its own keys, and nothing else.

Decides what the chip's maker puts in before a city has anything to do with it. Leaves everything
a holder would notice to `cardcore.personalisation`.
"""

from cardcore.cardkeys import CardKey
from cardcore.keys import KeyService
from cardcore.layout import PublicInformation
from cardcore.package import new_chip
from cardcore.products import CHIP_KEYS, Product


def stock_chip(public: PublicInformation, product: Product, keys: KeyService, label: str) -> bytes:
    """The image of a new chip with this number, whose keys are made from those of the city.

    Key bytes pass here on their way into the chip, as they do in the secured room of its maker.
    """
    settings = product.keys
    chip_keys = [
        CardKey(
            slot.index,
            settings.version,
            settings.algorithm,
            keys.derive_card_key(slot.ref(label + settings.chip, settings.version), public.factor),
            slot.tries_max,
        )
        for slot in CHIP_KEYS
    ]
    return new_chip(public.encode(), chip_keys)
