"""Changes of the registry by two: what somebody wishes is decided now, and made when approved.

Decides nothing: what may be changed stands in `settlement.registry`. What is proposed are the very
changes, so that the second person approves what stands there, and not what the same command would
come to on another day.
"""

from datetime import datetime
from typing import TypeVar

from settlement.city import City
from settlement.registry.decide import Decided
from settlement.registry.proposed import change_documents, item_of
from settlement.rulings.kinds import RulingKind
from settlement.rulings.proposals import Refused, Request
from settlement.service.registering import Wish
from settlement.service.ruling.acting import Proposed, propose
from settlement.service.ruling.showing import Shown
from settlement.store.registry import read_for_change

_RefusalT = TypeVar("_RefusalT")


def propose_change(
    city: City, wish: Wish[_RefusalT], why: str, shown: Shown, now: datetime
) -> Proposed | Decided | Refused | _RefusalT:
    """Ask for what somebody wishes. It comes back decided when nothing would change by it, and with
    the registry's own refusal when that speaks against it.
    """
    decided = wish(*read_for_change(city.database))
    if not isinstance(decided, Decided) or not decided.changes:
        return decided
    items = tuple(dict.fromkeys(map(item_of, decided.changes)))
    details = change_documents(decided.changes)
    request = Request(RulingKind.REGISTRY_CHANGE, items, why, details)
    return propose(city, request, shown, now)
