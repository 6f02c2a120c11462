"""A column of TACs in, one reason a row out.

Decides for every row whether its TAC is the card's, and if not, in which of the documented ways it
fails. Leaves what becomes of a record that is not proven to settlement, and where master keys lie
to whoever hands in `TacKey`s.

Rows are gathered by the version they name; the version says which suite proves them. The rows of
a version are ordered so that those of a card lie together, and cut into shares: each card's key is
derived once, and the keys and messages laid out at one time are bounded. What fails under the
version it names is tried under every other version held, because a record that names the wrong
version and a forged record are told apart by exactly that.

Constant time is not a concern here: the TACs come out of uploaded records, the answer for each row
is made known anyway, and nobody waits for a single row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, ProofReason, TacColumn
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.shares import Mask, Share

#: 2^64 by the golden ratio: spreads serials that differ in their last digits over all bits.
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
#: Rows of a share: at most, which bounds the memory of a proof; at least, where a column is cut
#: for several processes, because lanes want to be filled.
SHARE_ROWS_MAX, SHARE_ROWS_MIN = 524_288, 10_000

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class TacKey:
    """A TAC master key as a proof needs it: its suite, and card keys for a column of factors."""

    algorithm: Algorithm
    card_keys: Callable[[Words], Words]  # (n,) factors to (n, 2) halves


class _Column:
    """A `TacColumn` as arrays: the same bytes, seen by row."""

    def __init__(self, column: TacColumn) -> None:
        rows = len(column)
        self.algorithms = np.frombuffer(column.algorithms, np.uint8)
        self.versions = np.frombuffer(column.key_versions, np.uint8)
        self.factors = np.frombuffer(column.factors, ">u8").astype(np.uint64)
        self.messages = np.frombuffer(column.messages, np.uint8).reshape(rows, column.message_bytes)
        self.tacs = np.frombuffer(column.tacs, ">u4").astype(np.uint32)


#: Proves shares, wherever: one mask each, in their order.
Check = Callable[[Iterable[Share]], Iterator[Mask]]


def check_here(shares: Iterable[Share]) -> Iterator[Mask]:
    """One share after the other, in this thread."""
    return (share.wrong() for share in shares)


def _wrong(key: TacKey, column: _Column, rows: Rows, check: Check, shares: int) -> Rows:
    """Those of `rows` whose TAC this key does not prove."""
    if not len(rows):
        return rows
    by_card = rows[_order_by_card(column.factors[rows])]
    shares = max(min(shares, len(rows) // SHARE_ROWS_MIN), -(-len(rows) // SHARE_ROWS_MAX))
    size = -(-len(rows) // shares)
    parts = [by_card[start : start + size] for start in range(0, len(rows), size)]
    if shares == 1:
        check = check_here
    masks = check(_share(key, column, part) for part in parts)
    return np.concatenate([part[mask] for part, mask in zip(parts, masks, strict=True)])


def _order_by_card(factors: Words) -> Rows:
    """An order in which the rows of a card lie together.

    Rows are put in order of 32 bits of a hash, 16 at a time, which NumPy sorts by radix: four times
    as fast as by the factors themselves. Two cards of one hash may lie among each other; a key is
    then derived more than once, and nothing else changes.
    """
    hashes = factors * _GOLDEN
    low = (hashes >> np.uint64(32)).astype(np.uint16)
    order = np.argsort(low, kind="stable")
    high = (hashes >> np.uint64(48)).astype(np.uint16)
    return order[np.argsort(high[order], kind="stable")]


def _share(key: TacKey, column: _Column, rows: Rows) -> Share:
    """The rows of a card lie together."""
    factors = column.factors[rows]
    is_new = np.concatenate(([True], factors[1:] != factors[:-1]))
    return Share(
        key.algorithm,
        key.card_keys(factors[is_new]),
        np.cumsum(is_new, dtype=np.uint32) - np.uint32(1),
        column.messages.take(rows, axis=0),
        column.tacs[rows],
    )


def prove_column(
    keys: Mapping[int, TacKey], column: TacColumn, check: Check = check_here, shares: int = 1
) -> bytes:
    """One `ProofReason` byte a row. `keys` are the TAC keys in use, by version.

    The reasons exclude each other in their own order: an algorithm not known is not looked at
    further, a version not held is not tried under another one. A row that names a version held,
    but not of the suite it names, cannot be proven under it; it is tried under all of them.

    The rows of a version are cut into about `shares` shares, where there are many; `check` proves
    them.
    """
    rows = _Column(column)
    known = np.isin(rows.algorithms, [int(algorithm) for algorithm in SUITES])
    held = np.isin(rows.versions, list(keys))
    reasons = np.full(len(column), ProofReason.UNKNOWN_ALGORITHM, dtype=np.uint8)
    reasons[known & ~held] = ProofReason.UNKNOWN_VERSION
    reasons[known & held] = ProofReason.PROVEN

    def wrong(key: TacKey, suspects: Rows) -> Rows:
        return _wrong(key, rows, suspects, check, shares)

    for version, key in keys.items():
        named = known & (rows.versions == version)
        agreed = named & (rows.algorithms == key.algorithm)
        suspects = np.concatenate(
            (wrong(key, np.flatnonzero(agreed)), np.flatnonzero(named & ~agreed))
        )
        reasons[suspects] = ProofReason.WRONG_VERSION
        for other, other_key in keys.items():
            if other != version:
                suspects = wrong(other_key, suspects)
        # A row of another suite than its version's may be right under that very version.
        lied = rows.algorithms[suspects] != key.algorithm
        still = wrong(key, suspects[lied])
        reasons[still] = ProofReason.WRONG
        reasons[suspects[~lied]] = ProofReason.WRONG
    return reasons.tobytes()
