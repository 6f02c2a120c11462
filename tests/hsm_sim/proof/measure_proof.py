"""Times every way to prove a column of TACs that was tried, in one run; `docs/keys.md` has figures.

To run it: `python -m tests.hsm_sim.proof.measure_proof`. Every way derives the cards' keys and
takes the TAC of each record, and all must agree. `onecard bench tac` measures the way that is kept;
this is why it was kept.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from api.bench.keys import make_tacs
from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, TacColumn
from hsm_sim.proof import column as column_module
from hsm_sim.proof import lanes
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.column import prove_column
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.reasons import ProofKey, order_by_factor
from hsm_sim.proof.shares import Share
from hsm_sim.proof.workers import ProofWorkers
from tests.hsm_sim.proof import table_des, table_sm4

MASTER = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
MESSAGE_BYTES = 22
_TABLE_ROWS = 16_384  # the run of rows at which look-ups are fastest
Way = Callable[[TacColumn], bytes]


def honest_column(algorithm: Algorithm, rows: int, cards: int) -> TacColumn:
    """Debits of random cards, all of them true."""
    random = np.random.default_rng(1)
    factors = random.integers(0, 2**64, cards, np.uint64)[random.permutation(rows) % cards]
    serials, messages = factors.astype(">u8").tobytes(), os.urandom(MESSAGE_BYTES * rows)
    tacs = make_tacs(algorithm, MASTER, serials, messages, MESSAGE_BYTES)
    return TacColumn(
        bytes((algorithm,)) * rows, bytes((1,)) * rows, serials, messages, MESSAGE_BYTES, tacs
    )


def one_call_a_record(column: TacColumn) -> bytes:
    """The baseline: every key and every TAC by a call of `cryptography` of its own."""
    suite, wrong = SUITES[Algorithm(column.algorithms[0])], bytearray(len(column))
    for row in range(len(column)):
        key = suite.diversify(MASTER, column.factors[8 * row : 8 * row + 8])
        message = column.messages[MESSAGE_BYTES * row : MESSAGE_BYTES * (row + 1)]
        wrong[row] = suite.tac(key, message) != column.tacs[4 * row : 4 * row + 4]
    return bytes(wrong)


def by_share(tacs: Callable[[Share, Words], lanes.Tacs], column: TacColumn) -> bytes:
    """Keys of all cards in one call, then the TACs of all rows in some way."""
    key, rows = tac_key(Algorithm(column.algorithms[0]))[1], column_module._Column(column)
    share = column_module._share(key, rows, order_by_factor(rows.factors))
    keys = share.card_keys.take(share.row_cards, axis=0)
    return np.not_equal(tacs(share, keys), share.tacs).tobytes()


def tac_key(algorithm: Algorithm) -> dict[int, ProofKey]:
    return {1: ProofKey(algorithm, partial(card_key_column, algorithm, MASTER))}


def singly(share: Share, keys: Words) -> lanes.Tacs:
    return lanes.single_tacs(share.algorithm, keys, share.messages)


def by_tables(share: Share, keys: Words) -> lanes.Tacs:
    """Look-up tables over columns."""
    made = []
    for start in range(0, len(keys), _TABLE_ROWS):
        run = slice(start, start + _TABLE_ROWS)
        if share.algorithm is Algorithm.SM4:
            blocks = lanes._blocks(share.messages[run], 32)
            made.append(table_sm4.cmac_words(keys[run], blocks))
        else:
            blocks = lanes._blocks(share.messages[run], 24)
            folded = keys[run, 0] ^ keys[run, 1]
            made.append(table_des.cbc_last_blocks(folded, blocks))
    return lanes._leftmost(np.concatenate(made))


def by_planes(column: TacColumn) -> bytes:
    return prove_column(tac_key(Algorithm(column.algorithms[0])), column)


def by_planes_on_two_threads(column: TacColumn) -> bytes:
    middle = len(column) // 2
    halves = column.part(0, middle), column.part(middle, len(column))
    with ThreadPoolExecutor(2) as threads:
        return b"".join(threads.map(by_planes, halves))


def ways(workers: ProofWorkers) -> Iterator[tuple[str, Way, int, tuple[Algorithm, ...]]]:
    """Name, way, rows it is timed with, and the suites it exists for."""
    every = (Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES)
    yield "one call a record", one_call_a_record, 50_000, every
    yield "keys in bulk, one call a record", partial(by_share, singly), 50_000, every
    yield "tables over columns", partial(by_share, by_tables), 300_000, every[:2]
    yield "bit planes", by_planes, 1_000_000, every
    yield "bit planes, two threads", by_planes_on_two_threads, 1_000_000, every

    def on_two_processes(column: TacColumn) -> bytes:
        return workers.prove(tac_key(Algorithm(column.algorithms[0])), column)

    yield "bit planes, two processes", on_two_processes, 1_000_000, every


def report() -> Iterator[str]:
    """Records a second of each way with one and with three records a card, then short columns."""
    with ProofWorkers(2) as workers:
        for algorithm in (Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES):
            for records_per_card in (1, 3):
                for name, way, rows, exists in ways(workers):
                    if algorithm in exists:
                        column = honest_column(algorithm, rows, rows // records_per_card)
                        rate = rows / min(seconds(way, column) for _ in range(3))
                        case = f"{algorithm.name:9} {records_per_card} a card"
                        yield f"{case} {name:32} {rate:12,.0f}"
    for algorithm in (Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES):
        for rows in (100, 400, 1_000, 2_000, 3_000):
            column = honest_column(algorithm, rows, rows)
            single, bulk = (
                1e3 * min(seconds(partial(by_share, way), column) for _ in range(3))
                for way in (
                    singly,
                    lambda share, keys: lanes.LANES[share.algorithm](keys, share.messages),
                )
            )
            yield f"{algorithm.name:9} {rows:5} rows: singly {single:.1f}, planes {bulk:.1f} ms"


def seconds(way: Way, column: TacColumn) -> float:
    """How long one way takes once; it must prove every row."""
    start = time.perf_counter()
    answer = way(column)
    assert not any(answer), "a true TAC was refused"
    return time.perf_counter() - start


if __name__ == "__main__":
    for line in report():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
