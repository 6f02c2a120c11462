"""A pcscd of our own, and chips to put into its virtual slots.

There is one pcscd on a machine, so tests take turns through a file lock, whatever process or
worker they run in. A pcscd that runs already is used and left running.
"""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from terminals.link.pcsc import ReaderService
from terminals.link.reader_faults import ReaderError
from terminals.link.vpcd import (
    SLOT_PORTS,
    Chip,
    VirtualCard,
    VirtualReaderMissingError,
    contactless_atr,
)
from tests.support.patience import SOON_S

PCSCD = shutil.which("pcscd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
READERS = ("Virtual PCD 00 00", "Virtual PCD 00 01")
CARD_ATR, PSAM_ATR = contactless_atr(), contactless_atr(b"PSAM")
#: pcscd looks at a virtual slot 2.5 times a second.
#: A card that is back before pcscd has looked for itself is not seen to have been away, and never
#: powered up again.
AWAY_S = 0.6

HAS_DRIVER = importlib.util.find_spec("smartcard") is not None
needs_pcscd = [
    pytest.mark.skipif(
        PCSCD is None or not HAS_DRIVER,
        reason="pcscd or pyscard is not installed: make test installs both",
    ),
    pytest.mark.xdist_group("pcscd"),
]


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not holds():
        assert time.monotonic() < deadline, f"waited {SOON_S} s in vain until {what}"
        time.sleep(0.01)


@contextlib.contextmanager
def the_only_pcscd_test() -> Iterator[None]:
    """Held by one test on this machine at a time."""
    path = Path(tempfile.gettempdir()) / "onecard-pcscd-tests.lock"
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def answers() -> bool:
    """Whether a pcscd answers on this machine."""
    try:
        with ReaderService():
            return True
    except ReaderError:
        return False


def run(*command: str, stdin: str = "") -> str:
    program = shutil.which(command[0])
    assert program, f"{command[0]} is missing: make test installs opensc and pcsc-tools"
    done = subprocess.run(
        [program, *command[1:]],
        input=stdin, capture_output=True, text=True, timeout=SOON_S, check=False,
    )  # fmt: skip
    return done.stdout + done.stderr


@dataclass
class Daemon:
    """A pcscd in the foreground. `process` is None for one that was there before us."""

    process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(cls, *options: str) -> "Daemon":
        if answers():
            return cls()
        assert PCSCD is not None
        process = subprocess.Popen(
            [PCSCD, "--foreground", *options], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        daemon = cls(process)
        try:
            wait_until(answers, "pcscd answers")
        except BaseException:
            daemon.stop()
            raise
        return daemon

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(SOON_S)

    def need_own(self) -> None:
        if self.process is None:
            pytest.skip("the pcscd of this machine was running before the test: not ours to stop")


@dataclass
class Slots:
    """The virtual slots; `insert` returns when pcscd has seen the card."""

    daemon: Daemon
    _cards: list[tuple[VirtualCard, threading.Thread]] = field(default_factory=list)

    def insert(self, chip: Chip, slot: int = 0, atr: bytes = CARD_ATR) -> VirtualCard:
        card = self.connect(chip, slot, atr)
        wait_until(lambda: self.is_present(slot), f"a card is in slot {slot}")
        return card

    def connect(self, chip: Chip, slot: int = 0, atr: bytes = CARD_ATR) -> VirtualCard:
        inserted: list[VirtualCard] = []

        def listens() -> bool:
            with contextlib.suppress(VirtualReaderMissingError):
                inserted.append(VirtualCard(chip, atr, SLOT_PORTS[slot]))
            return bool(inserted)

        wait_until(listens, "the virtual reader listens")
        thread = threading.Thread(target=inserted[0].serve, daemon=True)
        thread.start()
        self._cards.append((inserted[0], thread))
        return inserted[0]

    def take_out(self, card: VirtualCard, slot: int = 0) -> None:
        card.remove()
        self.wait_empty(slot)

    def wait_empty(self, slot: int = 0) -> None:
        wait_until(lambda: not self.is_present(slot), f"slot {slot} is empty")
        time.sleep(AWAY_S)

    def is_present(self, slot: int) -> bool:
        with ReaderService() as service:
            return any(s.reader == READERS[slot] and s.is_present for s in service.states())

    def close(self) -> None:
        for card, thread in self._cards:
            card.remove()
            thread.join(SOON_S)
        if self._cards:
            time.sleep(AWAY_S)
