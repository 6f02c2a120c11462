"""The bulk proof of TACs: a column in, one reason a row out.

Decides for every row whether its TAC is the card's, and if not, in which of the documented ways it
fails. Leaves what becomes of a record that is not proven to settlement.

Rows are gathered by the version they name. Each card's key is derived once per version, all cards
of a version in one ECB call; then the CBC-MACs of all rows are taken together. What fails under
the version it names is tried under every other version held, because a record that names the wrong
version and a forged record are told apart by exactly that.

Constant time is not a concern here: the TACs come out of uploaded records, the answer for each row
is made known anyway, and nobody waits for a single row.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from cardcore.crypto import SUITES, pboc_3des
from cardcore.keys import Algorithm, ProofReason, TacColumn
from hsm_sim.bitslice import Words, cbc_last_blocks

#: Below this many rows one call a row is faster than filling planes (docs/keys.md).
BULK_ROWS_MIN = 600

Rows = NDArray[np.intp]
Tacs = NDArray[np.uint32]


class _Column:
    """A `TacColumn` as arrays: the same bytes, seen by row."""

    def __init__(self, column: TacColumn) -> None:
        rows = len(column)
        self.algorithms = np.frombuffer(column.algorithms, np.uint8)
        self.versions = np.frombuffer(column.key_versions, np.uint8)
        self.factors = np.frombuffer(column.factors, ">u8").astype(np.uint64)
        self.messages = np.frombuffer(column.messages, np.uint8).reshape(rows, column.message_bytes)
        self.tacs = np.frombuffer(column.tacs, ">u4").astype(np.uint32)


def card_keys(master: bytes, factors: Words) -> Words:
    """Diversified keys of many cards (JR/T 0025, one level) in one ECB call.

    `factors` is (n,), a factor a word; the answer is (n, 2), left and right half.
    """
    blocks = np.stack((factors, ~factors), axis=1).astype(">u8")
    derived = pboc_3des.encrypt_ecb(master, blocks.tobytes())
    return np.frombuffer(derived, ">u8").astype(np.uint64).reshape(-1, 2)


def _padded(messages: NDArray[np.uint8]) -> Words:
    """Messages of one length as (n, blocks) words, padded as `pboc_3des.pad` does."""
    rows, length = messages.shape
    tail = pboc_3des.pad(bytes(length))[length:]
    blocks = np.empty((rows, length + len(tail)), dtype=np.uint8)
    blocks[:, :length] = messages
    blocks[:, length:] = np.frombuffer(tail, np.uint8)
    return blocks.view(">u8").astype(np.uint64)


def _bulk_tacs(master: bytes, column: _Column, rows: Rows) -> Tacs:
    cards, row_card = np.unique(column.factors[rows], return_inverse=True)
    halves = card_keys(master, cards)
    folded = (halves[:, 0] ^ halves[:, 1])[row_card]
    last = cbc_last_blocks(folded, _padded(column.messages[rows]))
    return (last >> np.uint64(32)).astype(np.uint32)


def _single_tacs(master: bytes, column: _Column, rows: Rows) -> Tacs:
    suite = SUITES[Algorithm.PBOC_3DES]
    tacs = []
    for row in rows:
        card_key = suite.diversify(master, int(column.factors[row]).to_bytes(8, "big"))
        tacs.append(int.from_bytes(suite.tac(card_key, column.messages[row].tobytes()), "big"))
    return np.array(tacs, dtype=np.uint32)


def _wrong(master: bytes, column: _Column, rows: Rows) -> Rows:
    """Those of `rows` whose TAC this master does not prove."""
    tacs_of = _bulk_tacs if len(rows) >= BULK_ROWS_MIN else _single_tacs
    wrong: Rows = rows[tacs_of(master, column, rows) != column.tacs[rows]]
    return wrong


def prove_column(masters: Mapping[int, bytes], column: TacColumn) -> bytes:
    """One `ProofReason` byte a row. `masters` are the TAC master keys held, by version.

    The reasons exclude each other in their own order: an algorithm not known is not looked at
    further, a version not held is not tried under another one.
    """
    rows = _Column(column)
    known = rows.algorithms == Algorithm.PBOC_3DES
    held = np.isin(rows.versions, list(masters))
    reasons = np.full(len(column), ProofReason.UNKNOWN_ALGORITHM, dtype=np.uint8)
    reasons[known & ~held] = ProofReason.UNKNOWN_VERSION
    reasons[known & held] = ProofReason.PROVEN
    for version, master in masters.items():
        wrong = _wrong(master, rows, np.flatnonzero(known & (rows.versions == version)))
        reasons[wrong] = ProofReason.WRONG_VERSION
        for other in masters.keys() - {version}:
            wrong = _wrong(masters[other], rows, wrong)
        reasons[wrong] = ProofReason.WRONG
    return reasons.tobytes()
