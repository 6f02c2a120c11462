"""A seed makes a world: the same one on every machine, whatever other seeds are made beside it."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from tests.settlement.audited.lies import Delivery, Scene, deliver, deliver_of_guest, disguise
from tests.settlement.audited.lives import Street, Tap, invite, live, new_world, visit
from tests.settlement.audited.world import DAYS, Part, World


def make_world(seed: int) -> World:
    """The world of a seed, what arrives of it in the order of days."""
    dice = Random(seed)
    world = new_world(seed, dice)
    street = Street(world, dice)
    taps = live(street)
    deliveries: list[Delivery] = []
    for tap in taps:
        deliveries += deliver(Scene(world, tap, dice))
    world.parts = [_parts(_of_day(deliveries, day), dice) for day in range(DAYS)]
    _receive_guests(street, taps)
    return world


def _receive_guests(street: Street, taps: Sequence[Tap]) -> None:
    """To every third world guests come, whose dice are their own: all else is as if there were
    none.
    """
    world = street.world
    dice = Random(f"guests {world.seed}")
    if dice.random() >= 1 / 3:
        return
    world.guests = invite(world, dice)
    deliveries: list[Delivery] = []
    for tap in visit(replace(street, dice=dice), world.guests):
        deliveries += deliver_of_guest(Scene(world, tap, dice))
    for tap in taps:
        deliveries += disguise(Scene(world, tap, dice))
    for day in range(DAYS):
        world.parts[day] += _parts(_of_day(deliveries, day), dice)


def _of_day(deliveries: Sequence[Delivery], day: int) -> list[Delivery]:
    return [each for each in deliveries if min(each.day, DAYS - 1) == day]


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
