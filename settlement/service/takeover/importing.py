"""Take in the lists of an old system: one transaction, its only commit point.

Decides nothing: which lines can stand is decided in `settlement.registry.takeover`, under the write
lock.
"""

from collections.abc import Mapping
from datetime import date

from settlement.city import City
from settlement.people.actions import Action
from settlement.registry.book import Book
from settlement.registry.decide import Decided
from settlement.registry.rows import KINDS
from settlement.registry.sheets import SheetLine, read_sheet
from settlement.registry.takeover import Rejected, TakenIn, decide_taking_in
from settlement.store.registry import change_registry


def take_in(city: City, sheets: Mapping[str, bytes], action: Action) -> TakenIn:
    """The good lines of CSV files, each by the kind of its rows, and the lines that were not taken
    in. The same files again change nothing.
    """
    read: list[tuple[str, list[SheetLine]]] = []
    unread: list[Rejected] = []
    for name, data in sheets.items():
        lines, faults = read_sheet(KINDS[name], data, faults_max=len(data))
        read.append((name, lines))
        unread += [Rejected(name, fault) for fault in faults]

    decided_last: list[TakenIn] = []

    def decide(book: Book, last_closed: date | None) -> Decided:
        found = decide_taking_in(book, [(KINDS[name], lines) for name, lines in read], last_closed)
        decided_last.append(found)
        return found.decided

    change_registry(city.database, decide, action)
    found, order = decided_last[-1], list(sheets)
    every = [*unread, *found.rejected]
    every.sort(key=lambda each: (order.index(each.kind), each.fault.line, each.fault.column))
    return TakenIn(found.decided, tuple(every))
