"""What the tests of the wire share: keys of every kind, a server in a thread, its events."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from cardcore.crypto import SUITES
from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import (
    Algorithm,
    AuthenticationColumn,
    KeyRef,
    KeyService,
    KeyState,
    KeyUsage,
    RecordMacColumn,
    TacColumn,
)
from cardcore.records.kinds import MacProfile
from hsm_sim.keys.masters import MasterKeys
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import card_key_refs, published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from hsm_sim.wire.access.rights import Rights
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.dispatch import ServedKeys
from hsm_sim.wire.events import Event, EventKind
from hsm_sim.wire.links.addresses import UnixAddress
from hsm_sim.wire.links.listeners import Listener, listen_unix
from hsm_sim.wire.served_device import ServedDevice
from hsm_sim.wire.server import HostAnswer, Server, ServerLimits
from tests.hsm_sim.proof.making import make_authentications, make_record_macs
from tests.support.patience import SOON_S

LABEL = "demo"
FACTOR = bytes.fromhex("0487123456789012")
SIGNING = KeyRef(KeyUsage.FILE_SIGNING, "sender-101", 1)
SM2_SIGNING = KeyRef(KeyUsage.FILE_SIGNING, "sender-102", 1)
DATA = KeyRef(KeyUsage.DATA_ENCRYPTION, LABEL, 1)
RECORD_MAC = KeyRef(KeyUsage.RECORD_MAC, LABEL, 1)
DAY = date(2026, 9, 1)


def card_ref(usage: KeyUsage, version: int = 1) -> KeyRef:
    return KeyRef(usage, LABEL, version)


def a_vault() -> KeyVault:
    """Public test keys of every usage, of every suite, in every state."""
    vault = published_vault([*card_key_refs(LABEL, 1), RECORD_MAC, SIGNING, DATA])
    vault.install(SM2_SIGNING, published_key(SM2_SIGNING), Algorithm.SM2)
    for version, algorithm in ((4, Algorithm.SM4), (5, Algorithm.AES)):
        for usage in (KeyUsage.TAC, KeyUsage.PURCHASE, KeyUsage.FILE_MAINTENANCE):
            ref = card_ref(usage, version)
            vault.install(ref, published_key(ref), algorithm)
    states = ((6, KeyState.PREPARED), (7, KeyState.RETIRING), (8, KeyState.ACTIVE))
    for version, state in states:
        ref = card_ref(KeyUsage.TAC, version)
        vault.install(
            ref, published_key(ref), state=state, valid_from=DAY, parent=card_ref(KeyUsage.TAC)
        )
    vault.move(card_ref(KeyUsage.TAC, 8), KeyState.DESTROYED)
    return vault


def a_column(rows: int) -> TacColumn:
    """Rows of three suites; every fifth is forged, every seventh names another version."""
    algorithms, versions, factors, messages, tacs = [], [], [], [], []
    vault = a_vault()
    for row in range(rows):
        version = (1, 4, 5)[row % 3]
        algorithm = vault.describe(card_ref(KeyUsage.TAC, version)).algorithm
        factor, message = (row // 2).to_bytes(8, "big"), row.to_bytes(22, "big")
        suite = SUITES[algorithm]
        key = suite.diversify(published_key(card_ref(KeyUsage.TAC, version)), factor)
        tac = bytearray(suite.tac(key, message))
        tac[0] ^= row % 5 == 0
        algorithms.append(algorithm)
        versions.append(9 if row % 7 == 0 else version)
        factors.append(factor)
        messages.append(message)
        tacs.append(bytes(tac))
    return TacColumn(
        bytes(algorithms), bytes(versions), b"".join(factors), b"".join(messages), 22,
        b"".join(tacs),
    )  # fmt: skip


def a_mac_column(rows: int) -> RecordMacColumn:
    """Record MACs of 50 PSAMs; every fifth is forged, every seventh names another version."""
    factors = b"".join((row % 50).to_bytes(8, "big") for row in range(rows))
    digests = b"".join(row.to_bytes(16, "big") for row in range(rows))
    master = published_key(RECORD_MAC)
    macs = bytearray(make_record_macs(Algorithm.PBOC_3DES, master, factors, digests))
    for row in range(0, rows, 5):
        macs[16 * row] ^= 1
    versions = bytes(9 if row % 7 == 0 else 1 for row in range(rows))
    head = bytes((Algorithm.PBOC_3DES,)) * rows, versions, bytes((MacProfile.FIXED,)) * rows
    return RecordMacColumn(*head, factors, digests, bytes(macs))


def an_answer_column(rows: int) -> AuthenticationColumn:
    """Answers of as many cards; every fifth is forged, every seventh names another version."""
    factors = b"".join(row.to_bytes(8, "big") for row in range(rows))
    master = published_key(card_ref(KeyUsage.INTERNAL_AUTHENTICATION))
    answers = bytearray(make_authentications(Algorithm.PBOC_3DES, master, factors, factors))
    for row in range(0, rows, 5):
        answers[8 * row] ^= 1
    versions = bytes(9 if row % 7 == 0 else 1 for row in range(rows))
    head = bytes((Algorithm.PBOC_3DES,)) * rows, versions
    return AuthenticationColumn(*head, factors, factors, bytes(answers))


@dataclass
class KeyServer:
    """A server in a thread of this process: for what is quick and needs no kill."""

    path: Path
    listeners: list[Listener]
    events: list[Event] = field(default_factory=list)

    def service(self, timeout_seconds: float = 20) -> RemoteKeyService:
        return RemoteKeyService(UnixAddress(self.path), timeout_seconds)

    def said(self, kind: EventKind) -> list[Event]:
        return [event for event in self.events if event.kind is kind]

    def wait_for(self, kind: EventKind, count: int = 1) -> Event:
        """The event of that kind that makes so many; it may be a moment behind."""
        until(lambda: len(self.said(kind)) >= count)
        return self.said(kind)[count - 1]


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


@contextmanager
def a_key_server(
    folder: Path,
    vault: KeyVault,
    *,
    limits: ServerLimits | None = None,
    service: KeyService | None = None,
    masters: MasterKeys | None = None,
    further: tuple[Listener, ...] = (),
    host_answer: HostAnswer | None = None,
    rights: Rights | None = None,
) -> Iterator[KeyServer]:
    path = folder / "keys.socket"
    served = KeyServer(path, [listen_unix(path), *further])
    keys = ServedKeys(service or KeyOperations(vault), masters or vault)
    limits = replace(limits or ServerLimits(), drain_seconds=5)
    server = Server(lambda: keys, served.events.append, limits, host_answer, rights)
    ready = threading.Event()
    thread = threading.Thread(target=server.serve, args=(served.listeners, ready.set))
    thread.start()
    assert ready.wait(SOON_S)
    try:
        yield served
    finally:
        server.stop()
        thread.join(SOON_S)
        assert not thread.is_alive()


@contextmanager
def a_served_device(
    served: ServedDevice, folder: Path, rights: Rights | None = None
) -> Iterator[RemoteKeyService]:
    """A client of a device that is served in a thread."""
    path = folder / "device.socket"
    server = Server(served.keys, served.log, ServerLimits(drain_seconds=5), rights=rights)
    ready = threading.Event()
    thread = threading.Thread(target=server.serve, args=([listen_unix(path)], ready.set))
    thread.start()
    assert ready.wait(10)
    service = RemoteKeyService(UnixAddress(path), 20)
    try:
        yield service
    finally:
        service.close()
        server.stop()
        thread.join(20)
        assert not thread.is_alive()


def in_thread(act: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Start it, and where its answer or its error will be."""
    found: list[object] = []

    def work() -> None:
        try:
            found.append(act())
        except KeyServiceUnavailableError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread, found


def a_stream(served: KeyServer) -> socket.socket:
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(str(served.path))
    stream.settimeout(SOON_S)
    return stream
