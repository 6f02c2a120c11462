"""Which batch files are ready: every sequence of their sender before their own is there.

A question, never a mark. What two people ruled of files is part of it: a sequence that was lost
holds nothing open, and a file that was set aside is not ready, while those behind it are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import Connection, RowMapping, or_, select

from settlement.intake.answers import FileAnswer
from settlement.rulings.kinds import RulingKind
from settlement.rulings.subjects import Subject
from settlement.store.database import Database
from settlement.store.rulings import read_rulings
from settlement.store.tables import FILES

_FILE_KINDS = (RulingKind.FILES_SKIP, RulingKind.FILES_SET_ASIDE, RulingKind.FILES_TAKE_BACK)


class SequenceStanding(Enum):
    """What a sequence of a sender is."""

    THERE = auto()  # 已收到
    HOLE = auto()  # 缺失: files behind it wait
    BEYOND = auto()  # 尚未用到: nothing is behind it


@dataclass(frozen=True, slots=True)
class Readiness:
    """Files that are ready, and files that two people set aside; by content hash."""

    ready: frozenset[str]
    aside: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Ruled:
    """What stands ruled of files: lost sequences by sender, and content hashes set aside."""

    skipped: frozenset[tuple[int, int]] = frozenset()
    aside: frozenset[str] = frozenset()


_NOTHING_RULED = _Ruled()


def judge_files(connection: Connection, rows: Sequence[RowMapping]) -> Readiness:
    """Which of these files are ready, and which are set aside. Settled ones were ready, and need
    not be looked at again.
    """
    waiting = {row["sender"] for row in rows if row["settlement_day"] is None}
    ruled = _ruled_files(connection) if waiting else _NOTHING_RULED
    ends = {sender: _whole_until(connection, sender, ruled) for sender in waiting}
    ready, aside = set(), set()
    for row in rows:
        content_hash = row["content_hash"]
        if row["settlement_day"] is not None:
            ready.add(content_hash)
        elif content_hash in ruled.aside:
            aside.add(content_hash)
        elif row["sequence"] <= ends[row["sender"]]:
            ready.add(content_hash)
    return Readiness(frozenset(ready), frozenset(aside))


def look_at_sequence(database: Database, sender: int, sequence: int) -> SequenceStanding:
    """Whether a sequence of a sender is there, missing, or not used yet."""
    of_sender = select(FILES.c.sequence).where(FILES.c.sender == sender)
    with database.read() as connection:
        if connection.execute(of_sender.where(FILES.c.sequence == sequence)).first():
            return SequenceStanding.THERE
        behind = connection.execute(of_sender.where(FILES.c.sequence > sequence).limit(1)).first()
    is_one = sequence >= 1  # sequences count from 1
    return SequenceStanding.HOLE if behind and is_one else SequenceStanding.BEYOND


def _whole_until(connection: Connection, sender: int, ruled: _Ruled) -> int:
    """How far a sender's sequences are all there, or ruled to be lost. No file is ever removed, so
    what was in sequence when it came, or was settled, still is: only what came early since is
    looked at.
    """
    of_sender = select(FILES.c.sequence).where(FILES.c.sender == sender)
    was_ready = or_(FILES.c.answer == FileAnswer.ACCEPTED, FILES.c.settlement_day.is_not(None))
    newest = of_sender.where(was_ready).order_by(FILES.c.sequence.desc()).limit(1)
    whole = connection.execute(newest).scalar_one_or_none() or 0
    early = of_sender.where(FILES.c.sequence > whole).order_by(FILES.c.sequence)
    for sequence in connection.execute(early).scalars():
        while (sender, whole + 1) in ruled.skipped:
            whole += 1
        if sequence > whole + 1:
            break
        whole = max(whole, sequence)
    return whole


def _ruled_files(connection: Connection) -> _Ruled:
    skipped: set[tuple[int, int]] = set()
    aside: set[str] = set()
    for ruling in read_rulings(connection, _FILE_KINDS):
        for subject in map(Subject.parse, ruling.subjects):
            match ruling.kind:
                case RulingKind.FILES_SKIP:
                    sender, sequence = subject.parts
                    skipped.add((int(sender), int(sequence)))
                case RulingKind.FILES_SET_ASIDE:
                    aside.add(subject.parts[0])
                case _:
                    aside.discard(subject.parts[0])
    return _Ruled(frozenset(skipped), frozenset(aside))
