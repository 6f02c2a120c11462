"""A seed makes a world: the same one on every machine, whatever other seeds are made beside it."""

from random import Random

from tests.settlement.audited.lies import Delivery, Scene, deliver
from tests.settlement.audited.lives import live, new_world
from tests.settlement.audited.world import DAYS, Part, World


def make_world(seed: int) -> World:
    """The world of a seed, what arrives of it in the order of days."""
    dice = Random(seed)
    world = new_world(seed, dice)
    deliveries: list[Delivery] = []
    for tap in live(world, dice):
        deliveries += deliver(Scene(world, tap, dice))
    for day in range(DAYS):
        of_day = [each for each in deliveries if min(each.day, DAYS - 1) == day]
        world.parts.append(_parts(of_day, dice))
    return world


def _parts(deliveries: list[Delivery], dice: Random) -> list[Part]:
    """A file or two of each sender, records in any order."""
    parts = []
    for sender in sorted({each.sender for each in deliveries}):
        records = [each.data for each in deliveries if each.sender == sender]
        dice.shuffle(records)
        cut = dice.randint(0, len(records)) if dice.random() < 0.3 else 0
        halves = (records[:cut], records[cut:])
        parts += [Part(sender, half, tuple(each)) for half, each in enumerate(halves) if each]
    return parts
