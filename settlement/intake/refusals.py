"""Refused files (拒收) as the audit remembers them, and what a day's seal covers of them.

Decides what one refusal says, in order behind those before it: a day seals their number and one
digest of them all. Leaves keeping them to the store.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from settlement.intake.answers import Acknowledgement, encode_detail
from settlement.seal import GENESIS, Sealable, link


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refused file, by its place among all that were refused."""

    number: int
    acknowledgement: Acknowledgement
    is_alarm: bool

    def content(self) -> Sealable:
        """All that is kept of it."""
        said = self.acknowledgement
        return [
            self.number,
            said.content_hash,
            said.sender,
            said.sequence,
            int(said.answer),
            encode_detail(said.detail),
            self.is_alarm,
            said.received_at,
        ]


@dataclass(frozen=True, slots=True)
class RefusalsEnd:
    """How many files were refused, and the digest of all refusals."""

    count: int = 0
    hash: str = GENESIS

    def content(self) -> Sealable:
        """As it stands under a day's seal."""
        return [self.count, self.hash]


def refusals_end(refusals: Iterable[Refusal]) -> RefusalsEnd:
    """Where they end, by their numbers."""
    end = RefusalsEnd()
    for each in refusals:
        end = RefusalsEnd(end.count + 1, link(end.hash, each.content()))
    return end
