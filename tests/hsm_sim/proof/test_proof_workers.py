"""Worker processes answer as one process does; a worker that dies never answers at all."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import Algorithm, ProofReason, TacColumn
from hsm_sim.proof import column as proof
from hsm_sim.proof import workers
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.column import prove_column
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.lanes import LANES
from hsm_sim.proof.reasons import ProofKey
from hsm_sim.proof.shares import Share
from hsm_sim.proof.workers import ProofWorkers
from tests.support.patience import SOON_S

ALGORITHMS = {1: Algorithm.PBOC_3DES, 4: Algorithm.SM4, 5: Algorithm.AES}
MASTERS = {version: bytes(range(16 * version, 16 * version + 16)) for version in ALGORITHMS}
KEYS = {
    version: ProofKey(algorithm, partial(card_key_column, algorithm, MASTERS[version]))
    for version, algorithm in ALGORITHMS.items()
}
ROWS_OF_EACH, FORGED = 1_500, (17, 1_600, 4_499)


def mixed_column() -> TacColumn:
    """Three suites one after the other, honest but for three rows."""
    random = np.random.default_rng(2)
    factors = random.integers(0, 400, (3, ROWS_OF_EACH), np.uint64)
    messages = random.integers(0, 256, (3, ROWS_OF_EACH, 22), np.uint8)
    tacs = np.stack(
        [
            LANES[algorithm](card_key_column(algorithm, MASTERS[version], cards), texts)
            for (version, algorithm), cards, texts in zip(
                ALGORITHMS.items(), factors, messages, strict=True
            )
        ]
    ).reshape(-1)
    tacs[list(FORGED)] ^= np.uint32(1)
    return TacColumn(
        b"".join(bytes((algorithm,)) * ROWS_OF_EACH for algorithm in ALGORITHMS.values()),
        b"".join(bytes((version,)) * ROWS_OF_EACH for version in ALGORITHMS),
        factors.astype(">u8").tobytes(),
        messages.tobytes(),
        22,
        tacs.astype(">u4").tobytes(),
    )


COLUMN = mixed_column()
EXPECTED = bytes(
    ProofReason.WRONG if row in FORGED else ProofReason.PROVEN for row in range(len(COLUMN))
)


@pytest.fixture(autouse=True)
def short_columns_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SHARED_ROWS_MIN", 1_000)
    monkeypatch.setattr(proof, "SHARE_ROWS_MIN", 100)


@pytest.fixture
def two() -> Iterator[ProofWorkers]:
    with ProofWorkers(2) as made:
        yield made


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_any_number_of_processes_gives_the_bytes_of_one(processes: int) -> None:
    assert prove_column(KEYS, COLUMN) == EXPECTED
    with ProofWorkers(processes) as made:
        assert made.prove(KEYS, COLUMN) == EXPECTED
        assert len(made.pids) == processes - 1
        # They stay for the next column, whatever its rows are cut into.
        pids = made.pids
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(proof, "SHARE_ROWS_MAX", 190)
            assert made.prove(KEYS, COLUMN) == EXPECTED
        assert made.pids == pids
    assert made.pids == ()


def test_a_short_column_starts_no_process(two: ProofWorkers) -> None:
    rows = 999
    short = TacColumn(
        COLUMN.algorithms[:rows],
        COLUMN.key_versions[:rows],
        COLUMN.factors[: 8 * rows],
        COLUMN.messages[: 22 * rows],
        22,
        COLUMN.tacs[: 4 * rows],
    )
    assert two.prove(KEYS, short) == EXPECTED[:rows]
    assert two.pids == ()


def test_a_worker_killed_between_two_columns_is_unavailable_once_and_replaced(
    two: ProofWorkers,
) -> None:
    two.prove(KEYS, COLUMN)
    [killed] = two.pids
    os.kill(killed, signal.SIGKILL)
    with pytest.raises(KeyServiceUnavailableError, match="worker"):
        two.prove(KEYS, COLUMN)
    assert two.prove(KEYS, COLUMN) == EXPECTED
    assert killed not in two.pids


@pytest.mark.parametrize("nth", range(4))
def test_a_worker_killed_in_the_middle_of_a_column_gives_no_verdict(
    two: ProofWorkers, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "SHARE_ROWS_MAX", 190)
    give, given = workers._Worker.give, []

    def give_and_kill(worker: workers._Worker, share: Share) -> None:
        given.append(worker.pid)
        dies = len(given) == nth + 1
        if dies:  # stopped first: the share must not be answered before the kill arrives
            os.kill(worker.pid, signal.SIGSTOP)
        give(worker, share)
        if dies:
            os.kill(worker.pid, signal.SIGKILL)

    # However slow the worker is, it is waited for, so that it gets as many shares as it takes.
    monkeypatch.setattr(workers._Worker, "has_answered", lambda it: it._connection.poll(60))
    monkeypatch.setattr(workers._Worker, "give", give_and_kill)
    with pytest.raises(KeyServiceUnavailableError, match="nothing was decided"):
        two.prove(KEYS, COLUMN)
    assert two.pids == ()
    assert two.prove(KEYS, COLUMN) == EXPECTED


def test_a_worker_that_stopped_is_not_waited_for_for_ever(
    two: ProofWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ANSWER_SECONDS_MAX", 1)
    two.prove(KEYS, COLUMN)
    os.kill(two.pids[0], signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(KeyServiceUnavailableError, match="silent"):
        two.prove(KEYS, COLUMN)
    assert time.monotonic() - started < 20
    monkeypatch.setattr(workers, "ANSWER_SECONDS_MAX", 60)
    assert two.prove(KEYS, COLUMN) == EXPECTED


def test_masters_that_become_unavailable_in_the_middle_leave_no_old_answer_behind(
    two: ProofWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proof, "SHARE_ROWS_MAX", 190)
    calls = []

    def failing(factors: Words) -> Words:
        calls.append(len(factors))
        if len(calls) == 5:
            raise KeyServiceUnavailableError("the token is gone")
        return card_key_column(Algorithm.PBOC_3DES, MASTERS[1], factors)

    keys = {**KEYS, 1: ProofKey(Algorithm.PBOC_3DES, failing)}
    with pytest.raises(KeyServiceUnavailableError, match="token"):
        two.prove(keys, COLUMN)
    assert two.prove(KEYS, COLUMN) == EXPECTED


def test_two_threads_may_ask_at_once(two: ProofWorkers) -> None:
    answers: list[bytes] = []
    threads = [Thread(target=lambda: answers.append(two.prove(KEYS, COLUMN))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [EXPECTED] * 4


def test_a_worker_is_given_keys_of_cards_and_never_a_master(
    two: ProofWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    give, sent = workers._Worker.give, bytearray()

    def give_and_note(worker: workers._Worker, share: Share) -> None:
        for part in share.parts():
            sent.extend(part)
        give(worker, share)

    monkeypatch.setattr(workers._Worker, "give", give_and_note)
    assert two.prove(KEYS, COLUMN) == EXPECTED
    assert sent
    for master in MASTERS.values():
        native = np.frombuffer(master, ">u8").astype(np.uint64).tobytes()
        for half in (master[:8], master[8:], native[:8], native[8:]):
            assert half not in sent


def test_a_forked_copy_leaves_the_workers_to_the_process_they_belong_to(two: ProofWorkers) -> None:
    two.prove(KEYS, COLUMN)
    [of_parent] = two._workers
    two._owner = -1  # as the copy sees it: made by another process
    assert two.prove(KEYS, COLUMN) == EXPECTED
    assert of_parent not in two._workers
    assert Path("/proc", str(of_parent.pid)).exists()
    of_parent.end()


@pytest.mark.parametrize("algorithm", ALGORITHMS.values())
def test_a_share_arrives_as_it_was_sent(algorithm: Algorithm) -> None:
    random = np.random.default_rng(3)
    share = Share(
        algorithm,
        random.integers(0, 2**64, (5, 2), np.uint64),
        random.integers(0, 5, 9).astype(np.uint32),
        random.integers(0, 256, (9, 22), np.uint8),
        random.integers(0, 2**32, 9, np.uint32),
    )
    arrived = Share.from_parts([part.tobytes() for part in share.parts()])
    assert arrived.algorithm is algorithm
    assert np.array_equal(arrived.card_keys, share.card_keys)
    assert np.array_equal(arrived.row_cards, share.row_cards)
    assert np.array_equal(arrived.messages, share.messages)
    assert np.array_equal(arrived.tacs, share.tacs)


def test_a_worker_shows_no_key_and_dumps_no_core(two: ProofWorkers) -> None:
    two.prove(KEYS, COLUMN)
    folder = Path("/proc") / str(two.pids[0])
    limits = (folder / "limits").read_text(encoding="utf-8").splitlines()
    [core] = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
    assert repr(two) == "ProofWorkers(2)"
    shown = (folder / "cmdline").read_bytes()
    assert not any(master in shown or master.hex().encode() in shown for master in MASTERS.values())


OWNER = """
import sys, time
from tests.hsm_sim.proof import test_proof_workers as here
here.workers.SHARED_ROWS_MIN, here.proof.SHARE_ROWS_MIN = 1_000, 100
made = here.ProofWorkers(2)
assert made.prove(here.KEYS, here.COLUMN) == here.EXPECTED
print(made.pids[0], flush=True)
time.sleep(60)
"""


def test_workers_end_with_the_process_they_belong_to() -> None:
    repository = Path(__file__).parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", OWNER], stdout=subprocess.PIPE, cwd=repository, text=True
    ) as owner:
        assert owner.stdout is not None
        worker = Path("/proc") / owner.stdout.readline().strip()
        assert worker.exists()
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + SOON_S
    while worker.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not worker.exists()
