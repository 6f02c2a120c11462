"""What an application says of itself to whoever makes cards: its section of a product file.

Decides the shape of an entry. An applet whose package needs nothing of a card but its number and
dates offers `SECTIONS`, and every product file may then name it. What needs more of the order (a
holder, a reader number) stands in `cardcore.issuing.orders`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cardcore.chip.keyfile import KeySlot
from cardcore.chip.package import Package
from cardcore.layouts.transit import PublicInformation


@dataclass(frozen=True, slots=True)
class Section:
    """One application in product files. `name` is the application's in the catalogue.

    `settings` is a dataclass of whole numbers and texts: every entry the section must have. `make`
    is given one, and number and dates of the card; `keys` come later, one by one.
    """

    name: str
    settings: type[Any]
    keys: tuple[KeySlot, ...]
    make: Callable[[Any, PublicInformation], Package]
