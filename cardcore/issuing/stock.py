"""A blank chip in stock (白卡): it has a number, its own keys, and nothing else.

Decides what the chip's maker puts in before a city has anything to do with it. Leaves what is the
same on every card of a product to `cardcore.issuing.initialisation`, and everything a holder would
notice to `cardcore.issuing.personalisation`.
"""

from functools import lru_cache

from cardcore.chip.cardkeys import CardKey
from cardcore.chip.keyfile import KeySlot
from cardcore.chip.memory import Memory
from cardcore.chip.package import new_chip
from cardcore.errors import KeyUsageError
from cardcore.issuing.products import CHIP_KEYS, Product
from cardcore.key_labels import chip_label
from cardcore.keys import KeyRef, KeyService
from cardcore.layouts.transit import PublicInformation

#: Products of a city.
_PRODUCTS_KEPT = 64


def stock_chip(public: PublicInformation, product: Product, keys: KeyService, label: str) -> bytes:
    """The image of a new chip with this number, whose keys are made from those of the city.

    Raises `KeyUsageError` when a key is of another algorithm than the product says.
    """
    return Memory(new_chip(public.encode(), chip_keys(public, product, keys, label))).image()


def chip_keys(
    public: PublicInformation, product: Product, keys: KeyService, label: str
) -> list[CardKey]:
    """The keys of the chip with this number.

    Key bytes pass here on their way into the chip, as they do in the secured room of its maker.
    Raises `KeyUsageError` when a key is of another algorithm than the product says.
    """
    made, factor = [], public.factor
    for slot, ref, algorithm in _chip_slots(product, label):
        value = keys.derive_card_key(ref, factor)
        key = CardKey(slot.index, ref.version, algorithm, value, slot.tries_max)
        if key.check_value() != keys.check_value(ref, factor):
            wanted = f"algorithm {algorithm:02X} that product {product.name} names"
            raise KeyUsageError(f"{ref}: is not of the {wanted}")
        made.append(key)
    return made


@lru_cache(maxsize=_PRODUCTS_KEPT)
def _chip_slots(product: Product, label: str) -> tuple[tuple[KeySlot, KeyRef, int], ...]:
    """Each key of a chip of this product, its master, and the algorithm shown of it."""
    return tuple((slot, *product.key(slot, chip_label(label))) for slot in CHIP_KEYS)
