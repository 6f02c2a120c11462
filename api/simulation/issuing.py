"""Many cards personalised one after another, in process, and where the time goes.

Decides the people and numbers of a measured run, all made up. Leaves every command to
`cardcore.issuing.personalisation`; the chips are real ones of `cardcore.chip.card` and go through
SCP03.
"""

import cProfile
import pstats
import time
from collections.abc import Callable, Iterator
from datetime import date
from typing import NamedTuple

from cardcore.chip.card import Card
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.personalisation import Result, drive, make_plan, personalise
from cardcore.issuing.products import Product
from cardcore.issuing.stock import stock_chip
from cardcore.keys import KeyService
from cardcore.layouts.transit import CardProperties, HolderInformation, PublicInformation
from cardcore.schemes import Scheme

#: Cards of the run that are profiled, apart from the measured ones: profiling slows them down.
_PROFILED_CARDS = 5
#: Functions that are cryptography and call no other of these.
_CRYPTOGRAPHY = frozenset(
    {
        ("scp03.py", "cmac"),
        ("scp03.py", "_finish"),
        ("scp03.py", "encipher"),
        ("scp03.py", "decipher"),
        ("scp03.py", "wrap_key"),
        ("scp03.py", "unwrap_key"),
        ("scp03.py", "check_value"),
        ("pboc_3des.py", "encrypt_ecb"),
        ("pboc_3des.py", "decrypt_ecb"),
        ("block_suites.py", "cmac"),
        ("block_suites.py", "encipher"),
        ("block_suites.py", "decipher"),
    }
)
_VALID_FROM, _VALID_TO = date(2024, 1, 1), date(2034, 12, 31)


class Figures(NamedTuple):
    """What a run took. `crypto_share` is between 0 and 1, of both ends of the channel."""

    cards: int
    commands: int
    seconds: float
    crypto_share: float

    @property
    def cards_per_second(self) -> float:
        """Cards made in a second."""
        return self.cards / self.seconds


def personalise_many(
    cards: int,
    product: Product,
    scheme: Scheme,
    keys: KeyService,
    random: Callable[[int], bytes],
) -> Figures:
    """Personalise and check that many cards. Raises `RuntimeError` when one does not come right."""
    profile = cProfile.Profile()
    profile.enable()
    for order in _orders(product, scheme, _PROFILED_CARDS):
        _issue(order, product, scheme, keys, random)
    profile.disable()
    started, commands = time.perf_counter(), 0
    for order in _orders(product, scheme, cards):
        commands += _issue(order, product, scheme, keys, random)
    return Figures(cards, commands, time.perf_counter() - started, _crypto_share(profile))


def _issue(
    order: CardOrder,
    product: Product,
    scheme: Scheme,
    keys: KeyService,
    random: Callable[[int], bytes],
) -> int:
    """One card from stock to its check; returns how many commands it took."""
    card = Card.from_image(stock_chip(order.public, product, keys, scheme.name), random)
    commands = 0

    def transmit(command: bytes) -> bytes:
        nonlocal commands
        commands += 1
        return card.transmit(command)

    plan = make_plan(product, order, scheme.name)
    finished = drive(personalise(plan, keys, random(8)), transmit)
    if finished.result is not Result.DONE:
        raise RuntimeError(f"card {order.public.card_number}: {finished}")
    return commands


def _orders(product: Product, scheme: Scheme, count: int) -> Iterator[CardOrder]:
    wants_pin = any(hasattr(each, "pin_tries") for each in product.applications.values())
    for number in range(1, count + 1):
        holder = HolderInformation()
        if product.is_named:
            holder = HolderInformation(name="测试", id_number=f"11010119900307{number:04}")
        yield CardOrder(
            PublicInformation(
                scheme.issuer, 2, 1, f"0310{scheme.city_code}{number:012}", _VALID_FROM, _VALID_TO
            ),
            CardProperties(city=scheme.city_code),
            holder,
            reader_number=f"{number:012}",
            pin=bytes.fromhex("123456") if wants_pin else b"",
        )


def _crypto_share(profile: cProfile.Profile) -> float:
    """The part of the profiled time in `_CRYPTOGRAPHY`, what it calls included."""
    stats = pstats.Stats(profile)
    total: float = stats.total_tt  # type: ignore[attr-defined]
    spent = sum(
        row[3]
        for (path, _, name), row in stats.stats.items()  # type: ignore[attr-defined]
        if (path.rpartition("/")[2], name) in _CRYPTOGRAPHY
    )
    return float(spent) / total
