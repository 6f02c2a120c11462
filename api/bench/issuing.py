"""Many cards personalised one after another, beside the bare cryptography of the same cards.

Decides what is measured, and when: cards are made in small batches, and after each batch the
cryptography of as many cards is done bare, so that both see the same machine. Seconds of the
processor count for both, both ends of the channel in one process.
"""

import time
from collections.abc import Callable, Iterator
from datetime import date
from itertools import islice
from typing import NamedTuple

from api.bench.crypto_floor import recording, repeat
from api.simulation.issuing import STATIONS, Random, make_cards, order_card
from cardcore.issuing.initialisation import complete
from cardcore.issuing.orders import CardOrder
from cardcore.issuing.products import Product
from cardcore.keys import KeyService
from cardcore.schemes import Scheme

#: Cards whose operations are written down, apart from the measured ones: listening costs time.
#: Cards of one product differ in nothing that matters to the cryptography but their bytes.
BATCH_CARDS = STATIONS
_VALID_FROM, _VALID_TO = date(2024, 1, 1), date(2034, 12, 31)


class Figures(NamedTuple):
    """What a run took. `baseline_seconds` are those of the bare cryptography of all its cards;
    `operations` how many such operations one card takes.
    """

    cards: int
    commands: int
    seconds: float
    cpu_seconds: float
    baseline_seconds: float
    operations: int

    @property
    def cards_per_second(self) -> float:
        """Cards made in a second."""
        return self.cards / self.seconds

    @property
    def ratio(self) -> float:
        """Seconds of the processor, to those of the cryptography alone."""
        return self.cpu_seconds / self.baseline_seconds


def personalise_many(
    cards: int,
    product: Product,
    scheme: Scheme,
    keys: KeyService,
    random: Callable[[int], bytes],
) -> Figures:
    """Personalise and check that many cards. Raises `IssuingError` when one does not come right."""
    orders = _orders(product, scheme, BATCH_CARDS + cards)
    with recording() as sampled:
        image = complete(product, keys, scheme.name, random)
    with recording() as operations:
        make_cards(_some(orders, BATCH_CARDS, random), product, scheme, keys, image)
    commands, seconds = 0, 0.0
    # The golden sample is made once; the run that needs it pays for it.
    cpu_started = time.process_time()
    image = complete(product, keys, scheme.name, random)
    bare = time.process_time()
    repeat(sampled)
    cpu_seconds, baseline_seconds = bare - cpu_started, time.process_time() - bare
    for made in range(0, cards, BATCH_CARDS):
        batch = min(BATCH_CARDS, cards - made)
        started, cpu_started = time.perf_counter(), time.process_time()
        wanted = _some(orders, batch, random)
        commands += make_cards(wanted, product, scheme, keys, image)[1]
        seconds += time.perf_counter() - started
        bare = time.process_time()
        cpu_seconds += bare - cpu_started
        repeat(operations)
        baseline_seconds += (time.process_time() - bare) * batch / BATCH_CARDS
    return Figures(
        cards, commands, seconds, cpu_seconds, baseline_seconds, len(operations) // BATCH_CARDS
    )


def _some(
    orders: Iterator[CardOrder], count: int, random: Random
) -> list[tuple[CardOrder, Random]]:
    return [(order, random) for order in islice(orders, count)]


def _orders(product: Product, scheme: Scheme, count: int) -> Iterator[CardOrder]:
    for number in range(1, count + 1):
        card_number = f"0310{scheme.city_code}{number:012}"
        yield order_card(scheme, product, card_number, _VALID_FROM, _VALID_TO)
