"""A key service in a process of its own, for tests: real sockets, real kills.

    with serving(vault) as service:
        service.check_value(ref, factor)

The keys go to the child through a pipe; they are never in a file or an argument.
"""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from hsm_sim.hardening import harden_process
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.vault import KeyEntry, KeyVault
from hsm_sim.wire.client import RemoteKeyService
from hsm_sim.wire.dispatch import ServedKeys
from hsm_sim.wire.events import Event
from hsm_sim.wire.links.addresses import UnixAddress
from hsm_sim.wire.links.listeners import listen_tls, listen_unix
from hsm_sim.wire.links.tls import server_context
from hsm_sim.wire.server import Server, ServerLimits
from tests.support.patience import SOON_S
from tests.support.shared import REPOSITORY


@dataclass(frozen=True)
class Order:
    """What the child is to serve."""

    entries: tuple[KeyEntry, ...] = field(repr=False)
    socket: Path | None
    #: Certificate, its key, and the authority of the clients.
    tls: tuple[Path, Path, Path] | None
    limits: ServerLimits


class KeyServiceProcess:
    """A child that serves a vault until it is stopped or killed; `restart` serves it again."""

    def __init__(
        self,
        vault: KeyVault,
        folder: Path,
        *,
        tls: tuple[Path, Path, Path] | None = None,
        limits: ServerLimits | None = None,
    ) -> None:
        self.path = folder / "keys.socket"
        self.log = folder / "keys.log"
        self._order = Order(vault.entries(), self.path, tls, limits or ServerLimits())
        self.port = 0
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tests.hsm_sim.wire.serving"],
                cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        with self._child.stdin as keys:
            pickle.dump(self._order, keys)
        words = self._child.stdout.readline().split()
        assert words[:1] == [b"ready"], self.log.read_text()
        self.port = int(words[1])

    def service(self, timeout_seconds: float = SOON_S) -> RemoteKeyService:
        return RemoteKeyService(UnixAddress(self.path), timeout_seconds)

    @property
    def pid(self) -> int:
        return self._child.pid

    def send(self, number: int) -> None:
        """A signal; one that has ended and was waited for gets none."""
        if self._child.returncode is None:
            os.kill(self._child.pid, number)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Every thread of it stands still inside; requests arrive and are not answered."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)
        try:
            yield
        finally:
            self.send(signal.SIGCONT)

    def end(self, number: int = signal.SIGTERM) -> int:
        """The exit code, after that signal."""
        if self._child.poll() is None:
            self.send(number)
            self.send(signal.SIGCONT)
        code = self._child.wait(SOON_S)
        assert self._child.stdout is not None
        self._child.stdout.close()
        return code

    def restart(self, number: int = signal.SIGKILL) -> None:
        self.end(number)
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self.end()


@contextmanager
def serving(vault: KeyVault) -> Iterator[RemoteKeyService]:
    """A client of a key service that holds these keys in another process."""
    with (
        tempfile.TemporaryDirectory(prefix="onecard-") as folder,
        KeyServiceProcess(vault, Path(folder)) as process,
    ):
        service = process.service()
        try:
            yield service
        finally:
            service.close()


def _serve(order: Order) -> None:
    harden_process()
    vault = KeyVault({})
    for entry in order.entries:
        vault.restore(entry)
    keys = ServedKeys(KeyOperations(vault), vault)
    server = Server(lambda: keys, _say, order.limits)
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    listeners = [listen_unix(order.socket)] if order.socket else []
    port = 0
    if order.tls:
        listeners.append(listen_tls("127.0.0.1", 0, server_context(*order.tls)))
        port = listeners[-1].port
    server.serve(listeners, lambda: print("ready", port, flush=True))  # noqa: T201 - to the parent


def _say(event: Event) -> None:
    print(event.said, file=sys.stderr, flush=True)  # noqa: T201 - the log of the child


if __name__ == "__main__":
    _serve(pickle.load(sys.stdin.buffer))
