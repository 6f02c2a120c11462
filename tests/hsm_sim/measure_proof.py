"""Times four ways to prove the same column of TACs in one run.

To run it: `python -m tests.hsm_sim.measure_proof`. Every way derives the cards' keys and takes
the CBC-MAC of each record; all four must agree. `docs/keys.md` has the figures it printed.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from unittest import mock

import numpy as np

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, TacColumn
from hsm_sim.proof import bitslice
from hsm_sim.proof import column as proof
from hsm_sim.proof.derivation import card_key_column
from tests.hsm_sim import table_des

MASTER = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
MESSAGE_BYTES = 22


def random_column(rows: int, cards: int) -> TacColumn:
    """Debits of random cards; the TACs are not looked at here."""
    random = np.random.default_rng(1)
    factors = random.integers(0, 2**64, cards, np.uint64)
    owners = random.permutation(rows) % cards
    return TacColumn(
        bytes((Algorithm.PBOC_3DES,)) * rows,
        bytes((1,)) * rows,
        factors[owners].astype(">u8").tobytes(),
        os.urandom(MESSAGE_BYTES * rows),
        MESSAGE_BYTES,
        bytes(4 * rows),
    )


def one_call_a_record(column: TacColumn) -> proof.Tacs:
    """The baseline: the suite, three contexts of `cryptography` a record."""
    suite, tacs = SUITES[Algorithm.PBOC_3DES], []
    for row in range(len(column)):
        factor = column.factors[8 * row : 8 * row + 8]
        message = column.messages[MESSAGE_BYTES * row : MESSAGE_BYTES * (row + 1)]
        tacs.append(suite.tac(suite.diversify(MASTER, factor), message))
    return np.frombuffer(b"".join(tacs), ">u4").astype(np.uint32)


def keys_in_bulk_then_one_call_a_record(column: TacColumn) -> proof.Tacs:
    """Derivation in one ECB call, then a context of `cryptography` a record."""
    suite = SUITES[Algorithm.PBOC_3DES]
    factors = np.frombuffer(column.factors, ">u8").astype(np.uint64)
    keys = card_key_column(Algorithm.PBOC_3DES, MASTER, factors).astype(">u8").tobytes()
    tacs = [
        suite.tac(
            keys[16 * row : 16 * row + 16],
            column.messages[MESSAGE_BYTES * row : MESSAGE_BYTES * (row + 1)],
        )
        for row in range(len(column))
    ]
    return np.frombuffer(b"".join(tacs), ">u4").astype(np.uint32)


def by_tables(column: TacColumn) -> proof.Tacs:
    """Look-up tables over columns, cut to the length at which they are fastest."""
    with mock.patch("hsm_sim.proof.column.cbc_last_blocks", _tables_in_chunks):
        return by_planes(column)


def _tables_in_chunks(keys: bitslice.Words, messages: bitslice.Words) -> bitslice.Words:
    cuts = [slice(start, start + 16_384) for start in range(0, len(keys), 16_384)]
    return np.concatenate([table_des.cbc_last_blocks(keys[cut], messages[cut]) for cut in cuts])


def by_planes(column: TacColumn) -> proof.Tacs:
    """The way that is kept: bit planes."""
    rows = proof._Column(column)
    cards, row_card = np.unique(rows.factors, return_inverse=True)
    keys = card_key_column(Algorithm.PBOC_3DES, MASTER, cards)
    return proof.pboc_3des_tacs(keys[row_card], rows.messages)


WAYS: dict[str, tuple[Callable[[TacColumn], proof.Tacs], int]] = {
    "one call a record": (one_call_a_record, 100_000),
    "keys in bulk, one call a record": (keys_in_bulk_then_one_call_a_record, 100_000),
    "tables over columns": (by_tables, 300_000),
    "bit planes": (by_planes, 1_000_000),
}


def report() -> Iterator[str]:
    """Records a second of each way with one and with three records a card, then short columns."""
    small = random_column(20_000, 7_000)
    first, *others = [way(small) for way, _ in WAYS.values()]
    assert all(np.array_equal(first, other) for other in others)
    for records_per_card in (1, 3):
        baseline = 0.0
        for name, (way, rows) in WAYS.items():
            column = random_column(rows, rows // records_per_card)
            rate = rows / min(seconds(way, column) for _ in range(3))
            baseline = baseline or rate
            yield f"{records_per_card} a card  {name:32} {rate:12,.0f} /s  {rate / baseline:5.1f}x"
    for rows in (100, 300, 500, 1_000, 2_000):
        column = random_column(rows, rows // 2)
        single, bulk = (1e3 * seconds(way, column) for way in (one_call_a_record, by_planes))
        yield f"{rows:5} rows  one by one {single:6.1f} ms  bit planes {bulk:6.1f} ms"
    yield f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB"


def seconds(way: Callable[[TacColumn], proof.Tacs], column: TacColumn) -> float:
    """How long one way takes once."""
    start = time.perf_counter()
    way(column)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in report())
