"""Initialised chips (初始化芯片): what is the same on every card of a product is there on delivery.

Decides what a completion image (完成映像) is, how it is made from the first chip of a product, the
golden sample (首件), and what another chip gets from it. Leaves the blank chip to
`cardcore.issuing.stock`, and what a card has of its own to `cardcore.issuing.personalisation`.

A maker of chips does not install applications on each of them. He installs them once, over the
secure channel, on a sample of number 0; the sample is read back, every readable file byte by byte
and the rest by its digest; and what installing added to the blank chip is the image that he copies
into all others. Each of those has its own number and its own keys of the channel, and no key of an
application, which is the desk's to bring. An application whose own files are closed once it is
there cannot come so: it stays a package of each card.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from cardcore.chip.card import Card
from cardcore.chip.cardkeys import FID_CHANNEL
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.memory import GENERATION, Memory
from cardcore.chip.package import new_chip
from cardcore.chip.scp03 import CHALLENGE_BYTES
from cardcore.chip.tree import BODY_SLOT
from cardcore.issuing.checking import check_installed, check_listed
from cardcore.issuing.dialogue import Plan, Result, Step, Talk, drive, run
from cardcore.issuing.orders import blank_order, product_applications
from cardcore.issuing.personalisation import install, look
from cardcore.issuing.products import Product
from cardcore.issuing.stock import chip_keys
from cardcore.keys import KeyService
from cardcore.layouts.transit import PublicInformation


class Completion(NamedTuple):
    """What initialising adds to a blank chip, and the files that the chip then has."""

    cells: Mapping[int, bytes]
    files: FileSystem


def initialise(sample: Plan, keys: KeyService, host_challenge: bytes, done: int = 0) -> Talk:
    """Put the applications of a sample onto its blank chip and read everything back.

    Parameters, answers and errors as those of `personalise`.
    """
    applications = [each for each in sample.applications if each.is_common]
    steps = [
        Step("look", partial(look, sample)),
        *(Step(f"install {each.name}", partial(install, each)) for each in applications),
        Step("listed", partial(check_listed, applications)),
        *(Step(f"read {each.name}", partial(check_installed, each)) for each in applications),
    ]
    return run(sample, keys, host_challenge, steps, done)


def complete(
    product: Product, keys: KeyService, label: str, random: Callable[[int], bytes]
) -> Completion:
    """The completion image of a product in the city with this label, from a sample made for it.

    `random` are the dice of sample and maker. Raises `KeyUsageError` as `stock_chip` does.
    """
    order = blank_order(product)
    sample = Plan(product, order, label, product_applications(product, label))
    blank = new_chip(order.public.encode(), chip_keys(order.public, product, keys, label))
    card = Card(Memory(blank), random)
    finished = drive(initialise(sample, keys, random(CHALLENGE_BYTES)), card.transmit)
    assert finished.result is Result.DONE, finished
    card.reset()
    files = FileSystem(card.memory)
    counter = files.child(files.root, FID_CHANNEL)
    assert counter is not None, "every chip counts its channels"
    # How often the sample was spoken to is the sample's own.
    counted = {GENERATION, counter.number << 8 | BODY_SLOT}
    cells = card.memory.cells().items()
    added = {cell: data for cell, data in cells if blank.get(cell) != data and cell not in counted}
    return Completion(added, files)


def initialised_chip(
    public: PublicInformation, product: Product, keys: KeyService, label: str, image: Completion
) -> Memory:
    """The memory of a chip in stock that has the image of its product, and number and keys of its
    own. Raises `KeyUsageError` as `stock_chip` does.
    """
    cells = new_chip(public.encode(), chip_keys(public, product, keys, label))
    cells.update(image.cells)
    return Memory(cells)
