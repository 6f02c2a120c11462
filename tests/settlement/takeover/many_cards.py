"""A city of many old cards: taken over on the eve, opened by and by over three days.

Decides what happens in it; `tests` run it small and `benchmarks/takeover.py` with 100,000 cards.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import process_time

from settlement.clearing.proof import FloatFigures
from settlement.reports.takeover.cards import read_takeover
from tests.settlement.device_files import StreetCard
from tests.settlement.takeover.old_centre import opening_file
from tests.settlement.takeover.world import TakenOver

#: One card in so many stands in no file; of these one in four never states anything.
UNOPENED_EVERY, SILENT_EVERY = 20, 4
#: One card in so many rides on a day.
RIDES_EVERY = 50


@dataclass
class Taken:
    """What came of it, and what it took in seconds of the processor."""

    figures: list[FloatFigures] = field(default_factory=list)
    due_fen: list[int] = field(default_factory=list)
    silent: list[StreetCard] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def take_over(world: TakenOver, card_count: int) -> Taken:
    """Hand over, and close three days."""
    taken = Taken()
    cards = [world.old_card(number, 1_000 + number % 9_000) for number in range(1, card_count + 1)]
    absent = cards[::UNOPENED_EVERY]
    handed = [card for n, card in enumerate(cards) if n % UNOPENED_EVERY]
    rows = [world.row(card) for card in handed]
    data = opening_file(rows)
    _timed(taken, "intake", lambda: world.give(data))
    world.handed = {world.purse(card): card.balance_fen for card in handed}
    taken.silent = absent[::SILENT_EVERY]
    stating = [card for n, card in enumerate(absent) if n % SILENT_EVERY]
    days = (
        [card.bus() for card in (*absent, *handed[::RIDES_EVERY])],
        [card.load(1_000) for card in stating[::2]],
        [card.bus() for card in handed[1::RIDES_EVERY]],
    )
    for number, records in enumerate(days, 1):
        for card in stating[1::2] if number == len(days) else ():
            world.ask(card)
        _timed(taken, f"day {number}", partial(world.settle, records))
        taken.figures.append(world.report.figures)
        taken.due_fen.append(world.balances.get("opening_due", 0))
    _timed(taken, "list", lambda: read_takeover(world.city))
    _timed(taken, "float", lambda: world.report)
    return taken


def _timed(taken: Taken, name: str, work: Callable[[], object]) -> None:
    begun = process_time()
    work()
    taken.seconds[name] = process_time() - begun
