"""Which rulings (裁定) a day applies, and what they say of single records. Pure.

Decides that every ruling on suspended money is applied by one day and no other: by the first that
is closed after two people made it. They are applied in the order in which they were made, so that
one number says which are done. What has moved by itself meanwhile is left alone: a ruling is on
what still waits. Leaves making rulings to `settlement.rulings`, and what they move to
reconciliation.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from settlement.dispositions import Verdict
from settlement.rulings.kinds import RulingKind
from settlement.rulings.ruling import Ruling
from settlement.rulings.subjects import Subject
from settlement.seal import Sealable, digest

#: What people ruled of records: by the number of the file and the row in it.
Verdicts: TypeAlias = Mapping[tuple[int, int], Verdict]

#: The kinds that a clearing run reads.
_VERDICTS = {
    RulingKind.RECORDS_RELEASE: Verdict.RELEASE,
    RulingKind.RECORDS_RETURN: Verdict.RETURN,
}


@dataclass(frozen=True, slots=True)
class AppliedRuling:
    """One that a run applies: its number in the audit log, and the digest of what it says."""

    number: int
    digest: str

    def content(self) -> Sealable:
        """As it stands in the inputs of a run."""
        return [self.number, self.digest]


def to_apply(rulings: Iterable[Ruling], is_whole: Callable[[int], bool]) -> tuple[Ruling, ...]:
    """Those that the next run applies of the rulings that no closed day has applied, by number.
    Nothing behind one whose file (by its number) is not whole on the disk: it waits until the file
    is there again.
    """
    found: list[Ruling] = []
    for each in filter(_is_read, rulings):
        if not all(is_whole(file) for file, _ in _records(each)):
            break
        found.append(each)
    return tuple(found)


def applied(rulings: Iterable[Ruling]) -> tuple[AppliedRuling, ...]:
    """As a run names them, those that a run reads."""
    return tuple(AppliedRuling(each.number, _digest(each)) for each in filter(_is_read, rulings))


def verdicts_of(rulings: Iterable[Ruling]) -> Verdicts:
    """What rulings say of records; of two on one record the later one."""
    return {
        record: _VERDICTS[each.kind]
        for each in filter(_is_read, rulings)
        for record in _records(each)
    }


def _is_read(ruling: Ruling) -> bool:
    return ruling.kind in _VERDICTS


def _records(ruling: Ruling) -> tuple[tuple[int, int], ...]:
    parts = (Subject.parse(each).parts for each in ruling.subjects)
    return tuple((int(file, 16), int(row)) for file, row in parts)


def _digest(ruling: Ruling) -> str:
    return digest([ruling.number, ruling.kind.value, list(ruling.subjects)])
