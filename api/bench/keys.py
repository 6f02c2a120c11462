"""The keys of measurements: public ones, of each suite and of a made-up city, and the services that
hold them.

Decides which keys a measurement runs on. Nothing here can reach the keys of a city.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from cardcore.key_labels import sender_label
from cardcore.keys import Algorithm, KeyRef, KeyService, KeyUsage, TacColumn
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import issuer_key_refs, published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from hsm_sim.proof.column import SHARE_ROWS_MAX
from hsm_sim.proof.derivation import card_key_column
from hsm_sim.proof.lanes import LANES
from hsm_sim.proof.workers import ProofWorkers

#: The label of the public TAC keys that `onecard bench tac` measures with; a version is named after
#: the number of its suite.
BENCH_LABEL = "bench"


def _bench_ref(algorithm: Algorithm) -> KeyRef:
    return KeyRef(KeyUsage.TAC, BENCH_LABEL, int(algorithm))


def bench_tac_master(algorithm: Algorithm) -> bytes:
    """The public test key of a suite, for baselines that need the bytes."""
    return published_key(_bench_ref(algorithm))


def make_tacs(
    algorithm: Algorithm, master: bytes, factors: bytes, messages: bytes, message_bytes: int
) -> bytes:
    """True TACs of records nobody tapped, 4 bytes a row; `factors` 8 bytes a row and `messages` as
    in `TacColumn`.

    >>> message = bytes.fromhex("00001000060011223344550000000120120229135100")
    >>> make_tacs(Algorithm.PBOC_3DES, bytes(range(16)), bytes(8), message, len(message)).hex()
    'fbe47cef'
    """
    cards = np.frombuffer(factors, ">u8").astype(np.uint64)
    texts = np.frombuffer(messages, np.uint8).reshape(len(cards), message_bytes)
    made = []
    for start in range(0, len(cards), SHARE_ROWS_MAX):
        run = slice(start, start + SHARE_ROWS_MAX)
        tacs = LANES[algorithm](card_key_column(algorithm, master, cards[run]), texts[run])
        made.append(tacs.astype(">u4").tobytes())
    return b"".join(made)


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


def city_tacs(label: str, column: TacColumn) -> bytes:
    """True TACs of a column, under the public test key of a city's transit application."""
    master = published_key(KeyRef(KeyUsage.TAC, label, 1))
    return make_tacs(
        Algorithm.PBOC_3DES, master, column.factors, column.messages, column.message_bytes
    )


def sender_ref(sender: int) -> KeyRef:
    """The name of the public signing key of a sender."""
    return KeyRef(KeyUsage.FILE_SIGNING, sender_label(sender), 1)


def city_key_service(label: str, senders: Iterable[int]) -> KeyService:
    """A key service with the public keys of a city and of these senders."""
    seal = KeyRef(KeyUsage.DAY_SEAL, label, 1)
    refs = (*issuer_key_refs(label, 1), seal, *(sender_ref(each) for each in senders))
    return InProcessKeyService(published_vault(refs))
