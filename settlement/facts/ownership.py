"""Whose card a row names: by issuer and card number, the city under whose keys its card signs.

Decides it for columns of rows, on whatever day: that a number was somebody's for some time only is
judged with the day of the record. Leaves whose numbers are whose to the registry, and proving to
`proof`.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from cardcore.records import record as layout
from settlement.facts.cells import Bytes, card_numbers, cells_of, unsigned
from settlement.registry.placing import OWN, PlacedNumbers, asked_owners

Rows = NDArray[np.intp]


def cards_by_city(
    rows: Bytes, application: int, numbers: Sequence[PlacedNumbers], city: str
) -> Iterator[tuple[str, Rows]]:
    """Cities, and the rows of their cards; rows of nobody's cards are in none. All records are of
    one application; where we have no numbers of it, all that are nobody else's are ours.
    """
    held = [each for each in numbers if each.application == application]
    if not held:
        yield city, np.arange(len(rows))
        return
    cities = sorted({each.city for each in held} | {city})
    has_own = any(each.centre == OWN for each in held)
    whose = np.full(len(rows), -1 if has_own else cities.index(city))
    issuers = unsigned(cells_of(rows, layout.FIELD["issuer"]))
    for issuer in sorted({each.issuer for each in held}):
        of_issuer = np.flatnonzero(issuers == np.uint64(int(issuer, 16)))
        if not len(of_issuer):
            continue
        asked = asked_owners(each for each in held if each.issuer == issuer)
        spans = sorted(asked)
        owners = np.array([cities.index(asked[span][1]) for span in spans])
        named = card_numbers(cells_of(rows[of_issuer], layout.FIELD["card_number"]))
        starts = np.array([first for *_, first, _ in spans], np.uint64)
        place = np.searchsorted(starts, named, "right")
        ends = np.array([last for *_, last in spans], np.uint64)
        within = (place > 0) & (named <= ends[np.maximum(place, 1) - 1])
        whose[of_issuer[within]] = owners[place[within] - 1]
    for number, name in enumerate(cities):
        members = np.flatnonzero(whose == number)
        if len(members):
            yield name, members
