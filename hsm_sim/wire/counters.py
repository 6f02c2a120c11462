"""What the key service remembers of the PSAMs it hosts, so that no image runs twice.

Decides whether an image may wake up. An image is the client's to keep, and anybody can keep two; so
the service counts the images of each PSAM (`Psam.writes`) and remembers two of those numbers:

* `given`: the newest image it has given out, and what stood in it;
* `shown`: the newest that a client has shown to hold, by waking it up or by the next command.

An image older than `shown` is refused: somebody went on with a newer one. One that is older than
`given` only, since its answer was lost on the way, wakes up as the newest, so that no sequence
number is given twice; a PSAM that is made again goes on as the newest, too. Of two copies that run,
therefore, one is refused as soon as the other has gone on behind a sequence number it took
(docs/adr/0038-card-rights.md).

Kept in a file it outlives the service. Writes are left to the operating system: after a loss of
power the images themselves tell how far they are.
"""

import sqlite3
import threading
from pathlib import Path
from typing import NamedTuple

from cardcore.errors import KeyServiceError
from cardcore.text import Text
from hsm_sim.psam.image import WRITES_MAX, Held, PsamImage
from hsm_sim.psam.module import Psam

#: In the folder of the device.
PSAMS = "psams.sqlite"


class _Known(NamedTuple):
    """One PSAM; numbers of images."""

    shown: int
    given: int
    held: Held


class PsamCounters:
    """One row a PSAM, by its number; in a file, or in memory until the service ends."""

    def __init__(self, path: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            ":memory:" if path is None else path, isolation_level=None, check_same_thread=False
        )
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS psam (number TEXT PRIMARY KEY, shown INTEGER NOT NULL, "
            "given INTEGER NOT NULL, reserved INTEGER NOT NULL, mac2_tries INTEGER NOT NULL, "
            "maintenance_tries INTEGER NOT NULL) STRICT"
        )

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def check(self, image: PsamImage) -> None:
        """Raises `KeyServiceError` for an image older than one that has been shown."""
        with self._lock:
            self._checked(image)

    def admit(self, image: PsamImage) -> tuple[Held, int]:
        """What the PSAM of this image wakes up with, and the number of that image.

        Raises `KeyServiceError` as `check` does.
        """
        number = image.profile.number
        with self._lock:
            known = self._checked(image)
            held, given = image.held, image.writes
            if known is not None and known.given > given:
                held, given = known.held, known.given
            self._keep(number, _Known(image.writes, given, held))
            return held, given

    def next_of(self, number: str) -> tuple[Held, int]:
        """What a PSAM of this number is made with, and the number of its image: one that is known
        goes on, with the lock and the tries it has.
        """
        with self._lock:
            known = self._known(number)
            return (Held(), 0) if known is None else (known.held, min(known.given + 1, WRITES_MAX))

    def made(self, psam: Psam) -> None:
        """A PSAM was made: of images before nobody goes on."""
        with self._lock:
            self._keep(psam.number, _Known(psam.writes, psam.writes, psam.held))

    def gave(self, psam: Psam) -> None:
        """Its newest image goes out."""
        with self._lock:
            known = self._known(psam.number)
            shown = 0 if known is None else known.shown
            self._keep(psam.number, _Known(shown, psam.writes, psam.held))

    def showed(self, psam: Psam) -> None:
        """Its client holds the newest image."""
        with self._lock:
            known = self._known(psam.number)
            if known is None or known.shown < psam.writes:
                self._keep(psam.number, _Known(psam.writes, psam.writes, psam.held))

    def _checked(self, image: PsamImage) -> _Known | None:
        number = image.profile.number
        known = self._known(number)
        if known is not None and image.writes < known.shown:
            raise KeyServiceError(
                Text(
                    f"PSAM {number}：第 {image.writes} 号映像早于已有人续用的第 {known.shown} 号："
                    "映像被退回，或另一份副本在运行。请查明原因，并重新制作 PSAM",
                    f"PSAM {number}: image {image.writes} is older than {known.shown}, with which "
                    "somebody went on: it was put back, or a second copy is running. Find out "
                    "which, and have a PSAM made anew",
                )
            )
        return known

    def _known(self, number: str) -> _Known | None:
        row = self._connection.execute(
            "SELECT shown, given, reserved, mac2_tries, maintenance_tries FROM psam "
            "WHERE number = ?",
            (number,),
        ).fetchone()
        return None if row is None else _Known(row[0], row[1], Held(*row[2:]))

    def _keep(self, number: str, known: _Known) -> None:
        held = (known.held.reserved, known.held.mac2_tries, known.held.maintenance_tries)
        self._connection.execute(
            "INSERT OR REPLACE INTO psam VALUES (?, ?, ?, ?, ?, ?)",
            (number, known.shown, known.given, *held),
        )
