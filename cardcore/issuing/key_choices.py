"""Which master keys new cards are made from: the newest that are active.

Decides version and algorithm of every key a product needs, from what a key service says of its
keys. Leaves the making of cards to `cardcore.issuing.personalisation`. A product file names one
version; a city whose keys have been rotated makes its new cards from the newest ones, label by
label and use by use.

Keys that are shown as one go by one version and one algorithm: the purse's (INITIALIZE shows one
for the card, and the record carries both for its TAC), and those of the secure channel.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cardcore.crypto import suite_algorithm
from cardcore.errors import KeyStateError
from cardcore.issuing.products import KeyChoice, Product, key_slots
from cardcore.keys import Algorithm, KeyDescription, KeyState, KeyUsage
from cardcore.text import Text

PURSE_USAGES = (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC)
_CHANNEL_USAGES = (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK)
_Held = Mapping[tuple[KeyUsage, str], set[tuple[int, Algorithm]]]


def with_newest_keys(product: Product, label: str, described: Iterable[KeyDescription]) -> Product:
    """The product as cards of it are made today in the city with this label.

    Raises `KeyStateError` when a key it needs has no active version, or keys that are shown as one
    have none in common.
    """
    held: dict[tuple[KeyUsage, str], set[tuple[int, Algorithm]]] = {}
    for each in described:
        if each.state is KeyState.ACTIVE:
            kept = held.setdefault((each.ref.usage, each.ref.label), set())
            kept.add((each.ref.version, each.algorithm))
    names = {
        (slot.usage, slot.ref(key_label, 0).label) for key_label, slot in key_slots(product, label)
    }
    chosen: dict[tuple[KeyUsage, str], KeyChoice] = {}
    for usage, key_label in sorted(names):
        group = _shown_as_one(usage, key_label, names)
        version, algorithm = newest_of(held, group, key_label)
        shown = product.keys.algorithm
        if usage not in _CHANNEL_USAGES and suite_algorithm(shown) is not algorithm:
            shown = int(algorithm)
        chosen[usage, key_label] = KeyChoice(version, shown)
    return replace(product, chosen=chosen)


def _shown_as_one(
    usage: KeyUsage, key_label: str, names: Iterable[tuple[KeyUsage, str]]
) -> tuple[KeyUsage, ...]:
    """The keys that go by one version with this one, itself among them."""
    for group in (PURSE_USAGES, _CHANNEL_USAGES):
        if usage in group and all((each, key_label) in names for each in group):
            return group
    return (usage,)


def newest_of(held: _Held, usages: tuple[KeyUsage, ...], key_label: str) -> tuple[int, Algorithm]:
    """The newest version of which keys of all these uses are active and of one algorithm.

    Raises `KeyStateError` when there is none.
    """
    common = set.intersection(*(set(held.get((usage, key_label), ())) for usage in usages))
    if common:
        return max(common)
    if len(usages) == 1:
        name = f"{usages[0]}/{key_label}"
        raise KeyStateError(
            Text(f"{name}：没有启用的版本", f"{name}: no version is active"),
        )
    zh, en = ("、".join(each.use.zh for each in usages), ", ".join(usages))
    raise KeyStateError(
        Text(
            f"{key_label}：没有一个版本的{zh}密钥均已启用且同一算法；三者须一起轮换",
            f"{key_label}: no version has active keys of one algorithm for {en}; rotate the three "
            "together",
        )
    )
