"""Times the bulk proof of record MACs and of answers of cards beside that of TACs, in one run.

To run it: `python -m tests.hsm_sim.proof.measure_record_macs`. All rows are true, one process, one
core; `docs/keys.md` has figures.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from cardcore.keys import Algorithm, AuthenticationColumn, RecordMacColumn
from cardcore.records.kinds import MacProfile
from hsm_sim.proof.bundles import prove_authentications, prove_record_macs
from hsm_sim.proof.column import prove_column
from tests.hsm_sim.proof.making import make_authentications, make_record_macs
from tests.hsm_sim.proof.measure_proof import MASTER, honest_column, tac_key

ROWS, PSAMS = 1_000_000, 3_000
ANSWERS = 100_000


def serials(rows: int, different: int) -> bytes:
    """So many numbers of PSAMs or cards, each as often as the others, in no order."""
    random = np.random.default_rng(1)
    numbers = random.integers(0, 2**64, different, np.uint64)
    return numbers[random.permutation(rows) % different].astype(">u8").tobytes()


def mac_column(algorithm: Algorithm) -> RecordMacColumn:
    """A day of records of a city's PSAMs."""
    factors, digests = serials(ROWS, PSAMS), os.urandom(16 * ROWS)
    macs = make_record_macs(algorithm, MASTER, factors, digests)
    head = bytes((algorithm,)) * ROWS, bytes((1,)) * ROWS, bytes((MacProfile.FIXED,)) * ROWS
    return RecordMacColumn(*head, factors, digests, macs)


def answer_column(algorithm: Algorithm) -> AuthenticationColumn:
    """Events without a purse, every one of another card."""
    factors, challenges = serials(ANSWERS, ANSWERS), os.urandom(8 * ANSWERS)
    answers = make_authentications(algorithm, MASTER, factors, challenges)
    head = bytes((algorithm,)) * ANSWERS, bytes((1,)) * ANSWERS
    return AuthenticationColumn(*head, factors, challenges, answers)


def report() -> Iterator[str]:
    """Rows a second of each proof, suite by suite."""
    for algorithm in (Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES):
        keys = tac_key(algorithm)
        tacs, macs = honest_column(algorithm, ROWS, ROWS // 3), mac_column(algorithm)
        answers = answer_column(algorithm)
        proofs: list[tuple[str, int, Callable[[], bytes]]] = [
            ("TACs, 3 a card", ROWS, partial(prove_column, keys, tacs)),
            (f"record MACs, {PSAMS} PSAMs", ROWS, partial(prove_record_macs, keys, macs)),
            ("answers of cards", ANSWERS, partial(prove_authentications, keys, answers)),
        ]
        for name, rows, prove in proofs:
            rate = rows / min(seconds(prove) for _ in range(3))
            yield f"{algorithm.name:9} {name:24} {rate:12,.0f}"


def seconds(prove: Callable[[], bytes]) -> float:
    """How long one proof takes once; it must prove every row."""
    start = time.process_time()
    assert not any(prove()), "a true row was refused"
    return time.process_time() - start


if __name__ == "__main__":
    for line in report():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
