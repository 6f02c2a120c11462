"""Which rulings (裁定) a day applies, and what they say of single records. Pure.

Decides that every ruling on suspended money, or on money held for holders, is applied by one day
and no other: by the first that is closed after two people made it, and in their order. One whose
file is not whole on the disk waits alone. What has moved by itself meanwhile is left alone: a
ruling is on what still waits. Leaves making rulings to `settlement.rulings`, and what they move to
reconciliation.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from settlement.dispositions import Verdict
from settlement.rulings.kinds import RulingKind
from settlement.rulings.ruling import Ruling
from settlement.rulings.subjects import CONTRADICTION, Subject
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
    """One that a day applies: its number in the audit log, the digest of what it says, and what is
    paid out to holders by it.
    """

    number: int
    digest: str
    paid_out_fen: int

    def content(self) -> Sealable:
        """As it stands in the inputs of a run."""
        return [self.number, self.digest, self.paid_out_fen]


def to_apply(rulings: Iterable[Ruling], is_whole: Callable[[int], bool]) -> tuple[Ruling, ...]:
    """Those that the next run applies of the rulings that no closed day has applied, by number.
    One whose file (by its number) is not whole on the disk waits until it is there again.
    """
    return tuple(
        each
        for each in filter(_is_read, rulings)
        if each.kind not in _VERDICTS or all(is_whole(file) for file, _ in ruled_records(each))
    )


def applied(
    rulings: Iterable[Ruling], paid_out_fen: Mapping[int, int]
) -> tuple[AppliedRuling, ...]:
    """As a run names them, those that a run reads; with what each pays out, by its number."""
    return tuple(
        AppliedRuling(each.number, _digest(each), paid_out_fen.get(each.number, 0))
        for each in filter(_is_read, rulings)
    )


def verdicts_of(rulings: Iterable[Ruling]) -> Verdicts:
    """What rulings say of records; of two on one record the later one."""
    return {
        record: _VERDICTS[each.kind]
        for each in rulings
        if each.kind in _VERDICTS
        for record in ruled_records(each)
    }


def ruled_records(ruling: Ruling) -> tuple[tuple[int, int], ...]:
    """The records that a ruling is about, also where it is about the money held of them."""
    parts = (Subject.parse(each).parts for each in ruling.subjects)
    named = (each[-2:] for each in parts if each[0] != CONTRADICTION)
    return tuple((int(file, 16), int(row)) for file, row in named)


def _is_read(ruling: Ruling) -> bool:
    return ruling.kind in _VERDICTS or ruling.kind is RulingKind.CASES_SETTLE


def _digest(ruling: Ruling) -> str:
    return digest([ruling.number, ruling.kind.value, list(ruling.subjects), ruling.sum_fen])
