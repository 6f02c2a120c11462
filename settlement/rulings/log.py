"""The audit log (审计日志): every act of a person, signed by them, each behind the one before.

Decides what an entry is, which bytes of it are signed and what its link of the chain covers. The
signature covers the link before, so an act cannot be put elsewhere or said twice; the link covers
the signature. Leaves what the entries come to, and whose key is whose, to `book`.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Self

from settlement.people.signing import SigningKey
from settlement.seal import GENESIS, Sealable, link

NONCE_BYTES = 16
_NONCE = re.compile(f"[0-9a-f]{{{2 * NONCE_BYTES}}}")


class Act(StrEnum):
    """What somebody did."""

    FOUND = "found"  # 创建: one of the first two adds themselves
    PROPOSE = "propose"  # 提请
    APPROVE = "approve"  # 批准
    DECLINE = "decline"  # 否决: by whoever may approve, or by whoever proposed
    RENEW = "renew"  # 更换密语: a secret of their own


@dataclass(frozen=True, slots=True)
class RulingsEnd:
    """Where the audit log ends: how many entries there are, and the last link."""

    count: int = 0
    hash: str = GENESIS

    def content(self) -> Sealable:
        """As it stands in a run's inputs and under a seal."""
        return [self.count, self.hash]


#: Where a log ends in which nobody did anything yet.
LOG_START = RulingsEnd()


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a log begins, as its first entry says: in which city, and a number that nobody drew
    before. Every later signature covers it by the link before, so it holds for this log alone.
    """

    city: str  # the first link of the city's registry
    nonce: str  # 16 random bytes, hexadecimal

    def content(self) -> dict[str, Sealable]:
        """As it stands in the first entry, beside the person."""
        return {"city": self.city, "nonce": self.nonce}

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Self:
        """What `content` made. Raises `ValueError` for anything else."""
        city, nonce = content.get("city"), content.get("nonce")
        if not (isinstance(city, str) and isinstance(nonce, str) and _NONCE.fullmatch(nonce)):
            raise ValueError(content)
        return cls(city, nonce)


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An act before it is signed. `proposal` is the entry that is answered, None where none is."""

    act: Act
    by: str
    at: datetime
    content: Mapping[str, Any]
    proposal: int | None = None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """An act as it is kept."""

    number: int
    what: NewEntry
    signature: str  # 128 hexadecimal digits
    previous_hash: str
    hash: str


def statement_of(number: int, what: NewEntry, previous_hash: str) -> Sealable:
    """What is signed of an act."""
    return {
        "number": number,
        "act": what.act.value,
        "by": what.by,
        "at": what.at.astimezone(UTC),
        "content": what.content,
        "proposal": what.proposal,
        "previous_hash": previous_hash,
    }


def sign_entry(what: NewEntry, key: SigningKey, end: RulingsEnd) -> LogEntry:
    """An act as the next entry of the log, signed."""
    number = end.count + 1
    statement = statement_of(number, what, end.hash)
    signature = key.sign(statement)
    return LogEntry(number, what, signature, end.hash, link(end.hash, [statement, signature]))


def end_of(entry: LogEntry) -> RulingsEnd:
    """Where the log ends behind an entry."""
    return RulingsEnd(entry.number, entry.hash)


def end_at(entries: Sequence[LogEntry], count: int) -> RulingsEnd:
    """Where the log ended when it had so many entries, by the entries as they are now."""
    if not 0 < count <= len(entries):
        return RulingsEnd(count)
    return RulingsEnd(count, entries[count - 1].hash)


def follows(entry: LogEntry, end: RulingsEnd) -> bool:
    """Whether an entry is the next one behind an end, as it was made."""
    statement = statement_of(entry.number, entry.what, entry.previous_hash)
    return (
        entry.number == end.count + 1
        and entry.previous_hash == end.hash
        and entry.hash == link(end.hash, [statement, entry.signature])
    )


def broken_entry(entries: Iterable[LogEntry]) -> int | None:
    """The number of the first entry that does not follow from the one before it; None: none."""
    end = LOG_START
    for each in entries:
        if not follows(each, end):
            return end.count + 1
        end = end_of(each)
    return None
