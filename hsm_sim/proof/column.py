"""A column of TACs in, one reason a row out.

Decides for every row whether its TAC is the card's, and if not, in which of the documented ways it
fails. Leaves what becomes of a record that is not proven to settlement, and where master keys lie
to whoever hands in `TacKey`s.

Rows are gathered by the version they name; the version says which suite proves them. Each card's
key is derived once a version, all cards of a version in one call; then the MACs of its rows are
taken together, by lanes, in runs that bound the memory. What fails under the version it names is
tried under every other version held, because a record that names the wrong version and a forged
record are told apart by exactly that.

Constant time is not a concern here: the TACs come out of uploaded records, the answer for each row
is made known anyway, and nobody waits for a single row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cardcore.crypto import SUITES, pboc_3des
from cardcore.keys import Algorithm, ProofReason, TacColumn
from hsm_sim.proof.bitslice import LANES_MAX, Words, cbc_last_blocks

#: Below this many rows one call a row is faster than filling lanes (docs/keys.md).
BULK_ROWS_MIN = 600

Rows = NDArray[np.intp]
Tacs = NDArray[np.uint32]
Messages = NDArray[np.uint8]


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


def _padded(messages: Messages) -> Words:
    """Messages of one length as (n, blocks) words, padded as `pboc_3des.pad` does."""
    rows, length = messages.shape
    tail = pboc_3des.pad(bytes(length))[length:]
    blocks = np.empty((rows, length + len(tail)), dtype=np.uint8)
    blocks[:, :length] = messages
    blocks[:, length:] = np.frombuffer(tail, np.uint8)
    return blocks.view(">u8").astype(np.uint64)


def pboc_3des_tacs(card_keys: Words, messages: Messages) -> Tacs:
    """TACs of JR/T 0025: CBC-MAC under the folded key."""
    last = cbc_last_blocks(card_keys[:, 0] ^ card_keys[:, 1], _padded(messages))
    return (last >> np.uint64(32)).astype(np.uint32)


#: How the TACs of a suite are taken by lanes: (n, 2) card keys and (n, bytes) messages.
LANES: Mapping[Algorithm, Callable[[Words, Messages], Tacs]] = {
    Algorithm.PBOC_3DES: pboc_3des_tacs,
}


def single_tacs(algorithm: Algorithm, card_keys: Words, messages: Messages) -> Tacs:
    """The same by one call of the suite a row."""
    suite = SUITES[algorithm]
    keys = card_keys.astype(">u8").tobytes()
    tacs = [
        suite.tac(keys[16 * row : 16 * row + 16], message.tobytes())
        for row, message in enumerate(messages)
    ]
    return np.frombuffer(b"".join(tacs), ">u4").astype(np.uint32)


def _wrong(key: TacKey, column: _Column, rows: Rows) -> Rows:
    """Those of `rows` whose TAC this key does not prove."""
    cards, row_card = np.unique(column.factors[rows], return_inverse=True)
    keys = key.card_keys(cards) if len(cards) else np.empty((0, 2), np.uint64)
    found: list[Rows] = []
    for start in range(0, len(rows), LANES_MAX):
        part = rows[start : start + LANES_MAX]
        part_keys, messages = keys[row_card[start : start + LANES_MAX]], column.messages[part]
        if len(rows) >= BULK_ROWS_MIN:
            tacs = LANES[key.algorithm](part_keys, messages)
        else:
            tacs = single_tacs(key.algorithm, part_keys, messages)
        found.append(part[tacs != column.tacs[part]])
    return np.concatenate(found) if found else rows


def prove_column(keys: Mapping[int, TacKey], column: TacColumn) -> bytes:
    """One `ProofReason` byte a row. `keys` are the TAC keys in use, by version.

    The reasons exclude each other in their own order: an algorithm not known is not looked at
    further, a version not held is not tried under another one. A row that names a version held,
    but not of the suite it names, cannot be proven under it; it is tried under all of them.
    """
    rows = _Column(column)
    known = np.isin(rows.algorithms, [int(algorithm) for algorithm in SUITES])
    held = np.isin(rows.versions, list(keys))
    reasons = np.full(len(column), ProofReason.UNKNOWN_ALGORITHM, dtype=np.uint8)
    reasons[known & ~held] = ProofReason.UNKNOWN_VERSION
    reasons[known & held] = ProofReason.PROVEN
    for version, key in keys.items():
        named = known & (rows.versions == version)
        agreed = named & (rows.algorithms == key.algorithm)
        suspects = np.concatenate(
            (_wrong(key, rows, np.flatnonzero(agreed)), np.flatnonzero(named & ~agreed))
        )
        reasons[suspects] = ProofReason.WRONG_VERSION
        for other, other_key in keys.items():
            if other != version:
                suspects = _wrong(other_key, rows, suspects)
        # A row of another suite than its version's may be right under that very version.
        lied = rows.algorithms[suspects] != key.algorithm
        still = _wrong(key, rows, suspects[lied])
        reasons[still] = ProofReason.WRONG
        reasons[suspects[~lied]] = ProofReason.WRONG
    return reasons.tobytes()
