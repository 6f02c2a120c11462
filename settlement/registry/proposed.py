"""Changes of the registry that somebody proposes: as they stand in the proposal, until two agree.

Decides their form, and whether they can still be made. What is approved is exactly what was
proposed, and not what the same command would decide later.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

from settlement.registry.book import BEGINNING, FOREVER, Book, NewChange
from settlement.registry.decide import Refused, check_references
from settlement.registry.rows import KINDS, content_of
from settlement.seal import Sealable


def change_documents(changes: Iterable[NewChange]) -> list[Sealable]:
    """Changes as they stand in a proposal."""
    return [_document(each) for each in changes]


def read_changes(documents: Iterable[Mapping[str, Any]]) -> tuple[NewChange, ...]:
    """What `change_documents` made."""
    return tuple(_change(each) for each in documents)


def item_of(change: NewChange) -> str:
    """What a change is about, as lists print it."""
    return f"registry/{change.kind}/{change.subject}"


def check_changes(book: Book, changes: Sequence[NewChange]) -> Refused | None:
    """Whether everybody whom the changes name, and everybody who names what they take away, still
    agrees. The book has entered them then.
    """
    for each in changes:
        if refused := check_references(book, each):
            return refused
        book.enter(each)
    return None


def _document(change: NewChange) -> Sealable:
    first, last = change.valid_from, change.valid_to
    return {
        "kind": change.kind,
        "subject": change.subject,
        "content": None if change.row is None else content_of(change.row),
        "valid_from": None if first == BEGINNING else first.isoformat(),
        "valid_to": None if last == FOREVER else last.isoformat(),
    }


def _change(document: Mapping[str, Any]) -> NewChange:
    kind, content = KINDS[document["kind"]], document["content"]
    first, last = document["valid_from"], document["valid_to"]
    return NewChange(
        kind.name,
        str(document["subject"]),
        None if content is None else kind.make(content),
        BEGINNING if first is None else date.fromisoformat(first),
        FOREVER if last is None else date.fromisoformat(last),
    )
