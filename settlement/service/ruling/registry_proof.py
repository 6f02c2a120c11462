"""Every change of the registry since two people are enrolled, held against what they ruled.

Decides which change nobody can be shown to have agreed to. The place in the chain says what was
before the founding, not the time that a row names, nor what kind of actor: what the first day
closed since the founding had sealed was there before, and time never goes back in the chain.
"""

from collections.abc import Sequence
from typing import Any

from cardcore.text import Text
from settlement.city import City
from settlement.registry.book import Change, NewChange
from settlement.registry.proposed import read_changes
from settlement.rulings.book import PEOPLE_MIN, RulingBook
from settlement.rulings.kinds import RulingKind
from settlement.service.proving import SHOWN
from settlement.store.days import load_closed_days
from settlement.store.registry import load_changes
from settlement.store.rulings import load_book


def lone_changes(city: City, book: RulingBook | None = None) -> tuple[Change, ...]:
    """The changes without a ruling, in order. A key that records showed is registered by whoever
    had them looked at, and stands by them.
    """
    book = load_book(city.database) if book is None else book
    if not book.needs_two:
        return ()
    ruled = list(_ruled(book))
    lone = []
    for each in _since_founding(city, book, load_changes(city.database)):
        made = (each.action.by.name, each.action.at, each.what)
        if made in ruled:
            ruled.remove(made)
        elif (each.what.kind, each.action.why) != ("tac_key", SHOWN):
            lone.append(each)
    return tuple(lone)


def changed_alone(change: Change) -> Text:
    """What is wrong with such a change, for people."""
    name, what = change.action.by.name, change.what
    return Text(
        f"{what.kind} {what.subject}：{name} 一人所改，没有裁定",
        f"{what.kind} {what.subject}: {name} changed it alone, without a ruling",
    )


def _ruled(book: RulingBook) -> Sequence[tuple[str, Any, NewChange]]:
    return [
        (proposal.proposed_by, answered.at, what)
        for proposal, answered in book.approved(RulingKind.REGISTRY_CHANGE)
        for what in read_changes(_documents(proposal.details))
    ]


def _documents(details: object) -> list[dict[str, object]]:
    assert isinstance(details, list), details
    return details


def _since_founding(city: City, book: RulingBook, changes: Sequence[Change]) -> Sequence[Change]:
    """Those that stand behind the founding: behind what the last day before it sealed, and behind
    the first that is dated after it or that no seal so far had.
    """
    days = load_closed_days(city.database)
    before = [day for day in days if (day.audit_entries or 0) < PEOPLE_MIN]
    since = [day for day in days if (day.audit_entries or 0) >= PEOPLE_MIN]
    free = max((day.registry_changes or 0 for day in before), default=0)
    sealed = since[0].registry_changes if since else None
    assert book.two_since is not None
    for place, each in enumerate(changes):
        if each.number <= free:
            continue
        is_behind_seal = sealed is not None and each.number > sealed
        if is_behind_seal or each.action.at > book.two_since:
            return changes[place:]
    return ()
