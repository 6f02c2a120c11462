"""Rows of an old system, taken in one by one: what is good comes in, what is not is named (pure).

Decides which lines of a CSV file cannot stand, each with its reason, and the changes that the rest
makes. Leaves forms and days to `sheets`, which takes a file whole or not at all: an old system's
lists are long, and nobody mends all of them before the first day. All lines of a subject stand or
fall together, for they say its days.

The hotlist of an old system says itself when it was told (`published`): its terminals knew.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from settlement.registry.book import Book, NewChange
from settlement.registry.decide import Decided, check_references, notes_of
from settlement.registry.rows import Kind
from settlement.registry.sheets import SheetFault, SheetLine, days_fault, differences, fault_at


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line of the file of a kind that was not taken in."""

    kind: str
    fault: SheetFault


@dataclass(frozen=True, slots=True)
class TakenIn:
    """The changes that the good lines make, and the lines that were not taken in, in order."""

    decided: Decided
    rejected: tuple[Rejected, ...]


def decide_taking_in(
    book: Book,
    sheets: Sequence[tuple[Kind, Sequence[SheetLine]]],
    last_closed: date | None,
) -> TakenIn:
    """What the lines of each kind come to, subject by subject."""
    made: list[NewChange] = []
    rejected: list[Rejected] = []
    for kind, lines in sheets:
        of_subject: dict[str, list[SheetLine]] = {}
        for line in lines:
            of_subject.setdefault(line.dated.subject[1], []).append(line)
        for subject, said in of_subject.items():
            said.sort(key=lambda line: line.dated.valid_from)
            found = _of_subject(book, kind, subject, said)
            if isinstance(found, SheetFault):
                rejected += _rejected(kind, said, found)
            else:
                made += found
    order = tuple(kind.name for kind, _ in sheets)
    rejected.sort(key=lambda each: (order.index(each.kind), each.fault.line))
    return TakenIn(Decided(tuple(made), notes_of(made, last_closed)), tuple(rejected))


def _of_subject(
    book: Book, kind: Kind, subject: str, said: Sequence[SheetLine]
) -> list[NewChange] | SheetFault:
    """The changes of a subject, entered into the book, or what speaks against one of its lines."""
    if fault := days_fault(book, kind, subject, said, may_state_own=True):
        return fault
    changes = differences(book, kind, subject, said, keep_own=True)
    # Nobody of these kinds is named by another row: what is asked does not change by entering.
    for number, change in changes:
        if refused := check_references(book, change, [each for _, each in changes]):
            return fault_at(number, refused)
    for _, change in changes:
        book.enter(change)
    return [change for _, change in changes]


def _rejected(kind: Kind, said: Sequence[SheetLine], fault: SheetFault) -> list[Rejected]:
    """The line at fault, and with it the other lines of its subject."""
    return [
        Rejected(
            kind.name,
            fault if each.number == fault.line else SheetFault(each.number, "", fault.fault),
        )
        for each in said
    ]


def lines_by_number(data: bytes) -> Mapping[int, str]:
    r"""What stands on each line of a file, for whoever writes down what was not taken in.

    >>> lines_by_number(b"card_number,version\n0,1\n")[2]
    '0,1'
    """
    text = data.decode("utf-8-sig", "replace")
    return dict(enumerate(text.splitlines(), 1))
