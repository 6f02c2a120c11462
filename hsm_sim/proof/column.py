"""A column of TACs in, one reason a row out.

Decides how the rows of a version are handed out to be proven: ordered so that those of a card lie
together, and cut into shares, so each card's key is derived once, and the keys and messages laid
out at one time are bounded. Leaves the reasons to `reasons`, and what becomes of a record that is
not proven to settlement.

Constant time is not a concern here: the TACs come out of uploaded records, the answer for each row
is made known anyway, and nobody waits for a single row.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np

from cardcore.keys import TacColumn
from hsm_sim.proof.reasons import ProofKey, Rows, order_by_factor, reasons_of
from hsm_sim.proof.shares import Mask, Share

#: Rows of a share: at most, which bounds the memory of a proof; at least, where a column is cut
#: for several processes, because lanes want to be filled.
SHARE_ROWS_MAX, SHARE_ROWS_MIN = 524_288, 10_000


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


def _wrong(key: ProofKey, column: _Column, rows: Rows, check: Check, shares: int) -> Rows:
    """Those of `rows` whose TAC this key does not prove."""
    if not len(rows):
        return rows
    by_card = rows[order_by_factor(column.factors[rows])]
    shares = max(min(shares, len(rows) // SHARE_ROWS_MIN), -(-len(rows) // SHARE_ROWS_MAX))
    size = -(-len(rows) // shares)
    parts = [by_card[start : start + size] for start in range(0, len(rows), size)]
    if shares == 1:
        check = check_here
    masks = check(_share(key, column, part) for part in parts)
    return np.concatenate([part[mask] for part, mask in zip(parts, masks, strict=True)])


def _share(key: ProofKey, column: _Column, rows: Rows) -> Share:
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
    keys: Mapping[int, ProofKey], column: TacColumn, check: Check = check_here, shares: int = 1
) -> bytes:
    """One `ProofReason` byte a row, see `reasons_of`. `keys` are the TAC keys in use, by version.

    The rows of a version are cut into about `shares` shares, where there are many; `check` proves
    them.
    """
    rows = _Column(column)

    def wrong(key: ProofKey, suspects: Rows) -> Rows:
        return _wrong(key, rows, suspects, check, shares)

    return reasons_of(keys, rows.algorithms, rows.versions, wrong).tobytes()
