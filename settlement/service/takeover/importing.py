"""Take in the lists of an old system: one transaction, its only commit point.

Decides nothing: which lines can stand is decided in `settlement.registry.takeover`, under the write
lock. Where two people are enrolled, the changes are proposed like any other of the registry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from settlement.city import City
from settlement.people.actions import Action
from settlement.registry.book import Book
from settlement.registry.decide import Decided, Refused
from settlement.registry.rows import KINDS, Kind
from settlement.registry.sheets import SheetLine, read_sheet
from settlement.registry.takeover import Rejected, decide_taking_in
from settlement.service.registering import carry_out


@dataclass
class OldLists:
    """CSV files of an old system by the kind of their rows, read. `rejected` are the lines that
    were not taken in when it was last decided, in their order.
    """

    lines: Sequence[tuple[Kind, Sequence[SheetLine]]]
    unread: Sequence[Rejected]
    rejected: tuple[Rejected, ...] = field(default=())

    def wish(self, book: Book, last_closed: date | None) -> Decided:
        """The changes that the good lines make."""
        found = decide_taking_in(book, self.lines, last_closed)
        order = [kind.name for kind, _ in self.lines]
        self.rejected = tuple(
            sorted(
                [*self.unread, *found.rejected],
                key=lambda each: (order.index(each.kind), each.fault.line, each.fault.column),
            )
        )
        return found.decided


def read_lists(sheets: Mapping[str, bytes]) -> OldLists:
    """What stands in the files, and the lines that cannot even be read."""
    lines: list[tuple[Kind, Sequence[SheetLine]]] = []
    unread: list[Rejected] = []
    for name, data in sheets.items():
        read, faults = read_sheet(KINDS[name], data, faults_max=len(data))
        lines.append((KINDS[name], read))
        unread += [Rejected(name, fault) for fault in faults]
    return OldLists(lines, unread)


def take_in(city: City, lists: OldLists, action: Action) -> Decided | Refused:
    """The good lines, at once and alone. The same files again change nothing."""
    return carry_out(city, lists.wish, action)
