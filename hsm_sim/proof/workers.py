"""The bulk proof on more than one core: worker processes that belong to the key service.

Decides which process proves which share, and what a worker's death means: the question is put
again, and never answered by guess. Leaves what a share is to `shares`.

NumPy lets go of the interpreter's lock for microseconds only, so threads are slower than one of
them alone (docs/keys.md); therefore processes. The masters stay where they are: this process
derives the keys of the cards, and a worker is sent those of its share through a socket without a
name, keeps them until it has answered and writes nothing down.
"""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import TacColumn
from cardcore.text import Text
from hsm_sim.proof.column import prove_column
from hsm_sim.proof.reasons import ProofKey
from hsm_sim.proof.shares import Mask, Share

#: A column shorter than this is proven sooner than it is handed round.
SHARED_ROWS_MIN = 20_000
#: A share takes about 0.3 s; a worker silent for so long has stopped.
ANSWER_SECONDS_MAX = 60


def _python_path() -> str:
    """A worker imports the very packages that this process did, in whatever folder it starts."""
    named = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(Path(__file__).parents[2]), *([named] if named else [])])


@contextmanager
def _gone_is_unavailable() -> Iterator[None]:
    try:
        yield
    except (EOFError, OSError) as error:
        raise KeyServiceUnavailableError(
            Text(
                "批量验证的一个工作进程已结束或无响应；未作任何判定，请重试",
                "a worker of the bulk proof has ended or is silent; nothing was decided, ask again",
            )
        ) from error


class _Worker:
    """One worker process; it has at most one share at a time."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        deadline = struct.pack("@ll", ANSWER_SECONDS_MAX, 0)  # struct timeval
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, deadline)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, deadline)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-P", "-m", "hsm_sim.proof.worker", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": _python_path()},
            )
        self._connection = Connection(ours.detach())
        self._rows = 0

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def give(self, share: Share) -> None:
        """Hand over a share."""
        self._rows = len(share)
        with _gone_is_unavailable():
            for part in share.parts():
                self._connection.send_bytes(part)

    def has_answered(self) -> bool:
        """Whether an answer waits, or will never come."""
        with _gone_is_unavailable():
            return self._connection.poll()

    def answer(self) -> Mask:
        """The answer to the share given last; it is waited for."""
        with _gone_is_unavailable():
            answer = self._connection.recv_bytes()
        assert len(answer) == self._rows, (len(answer), self._rows)
        return np.frombuffer(answer, np.bool_)

    def end(self) -> None:
        """Close, and do not wait for a share that nobody wants any more."""
        self._connection.close()
        self._process.kill()
        self._process.wait()


@dataclass(slots=True)
class _Asked:
    """A share on its way: with a worker, or answered."""

    worker: _Worker | None
    mask: Mask | None = field(default=None)

    def settled(self) -> Mask:
        if self.mask is None:
            assert self.worker is not None
            self.mask = self.worker.answer()
            self.worker = None
        return self.mask


class ProofWorkers:
    """`prove` on so many processes, this one among them.

    Workers are started by the first column that is long enough, and end with `close` or with this
    process. One column has them at a time; another one that is asked meanwhile, by another
    thread, is proven by that thread alone.
    """

    def __init__(self, processes: int) -> None:
        assert processes >= 1, processes
        self._processes = processes
        self._workers: list[_Worker] = []
        self._owner = os.getpid()
        self._in_use = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"ProofWorkers({self._processes})"

    @property
    def pids(self) -> tuple[int, ...]:
        """The worker processes that run now."""
        return tuple(worker.pid for worker in self._workers)

    def prove(self, keys: Mapping[int, ProofKey], column: TacColumn) -> bytes:
        """The same bytes as `prove_column`.

        Raises `KeyServiceUnavailableError` when a worker dies or falls silent; to ask again starts
        new ones.
        """
        if (
            self._processes == 1
            or len(column) < SHARED_ROWS_MIN
            or not self._in_use.acquire(blocking=False)
        ):
            return prove_column(keys, column)
        try:
            return prove_column(keys, column, self._check, shares=2 * self._processes)
        except BaseException:
            # Whatever stopped the column half-way, no worker may answer the next one with it.
            self._end_workers()
            raise
        finally:
            self._in_use.release()

    def close(self) -> None:
        """End the workers. The next long column would start new ones."""
        with self._in_use:
            self._end_workers()

    def _end_workers(self) -> None:
        while self._workers:
            self._workers.pop().end()

    def _check(self, shares: Iterable[Share]) -> Iterator[Mask]:
        """The masks in the order of the shares; this process proves what no worker is free for."""
        if self._owner != os.getpid():
            # After a fork the sockets are shared with the parent, whose workers these are.
            self._owner, self._workers = os.getpid(), []
        while len(self._workers) < self._processes - 1:
            self._workers.append(_Worker())
        asked: deque[_Asked] = deque()
        for share in shares:
            free = self._free_worker(asked)
            if free is None:
                asked.append(_Asked(None, share.wrong()))
            else:
                free.give(share)
                asked.append(_Asked(free))
        for each in asked:
            yield each.settled()

    def _free_worker(self, asked: Iterable[_Asked]) -> _Worker | None:
        """A worker without a share; one that has answered is relieved of its own first."""
        busy = {}
        for each in asked:
            if each.worker is not None:
                busy[each.worker.pid] = each
        for worker in self._workers:
            if worker.pid not in busy:
                return worker
            if worker.has_answered():
                busy[worker.pid].settled()
                return worker
        return None
