"""The keys of `onecard bench tac`: public ones, one of each suite, and the service that holds them.

Decides which keys a measurement runs on. Nothing here can reach the keys of a city.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from cardcore.keys import Algorithm, KeyRef, KeyService, KeyUsage
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from hsm_sim.proof.making import make_tacs
from hsm_sim.proof.workers import ProofWorkers

#: The label of the public TAC keys that `onecard bench tac` measures with; a version is named after
#: the number of its suite.
BENCH_LABEL = "bench"


def _bench_ref(algorithm: Algorithm) -> KeyRef:
    return KeyRef(KeyUsage.TAC, BENCH_LABEL, int(algorithm))


def bench_tac_master(algorithm: Algorithm) -> bytes:
    """The public test key of a suite, for baselines that need the bytes."""
    return published_key(_bench_ref(algorithm))


def bench_tacs(algorithm: Algorithm, factors: bytes, messages: bytes, message_bytes: int) -> bytes:
    """True TACs of records nobody tapped, under the public test key of the suite."""
    return make_tacs(algorithm, bench_tac_master(algorithm), factors, messages, message_bytes)


@contextmanager
def bench_key_service(processes: int) -> Iterator[KeyService]:
    """A key service with the public TAC key of every suite, proving on so many processes."""
    vault = KeyVault({})
    for algorithm in (Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES):
        vault.install(_bench_ref(algorithm), bench_tac_master(algorithm), algorithm)
    with ProofWorkers(processes) as workers:
        yield InProcessKeyService(vault, prove=workers.prove)
