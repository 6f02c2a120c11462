"""The silicon of virtual chips: one SQLite file that holds the image of every card and PSAM.

Decides that an image is on disk before the chip's answer leaves it, so that a killed process
leaves chips as a power cut leaves real ones. Leaves what the image means to the chip.

A real chip gives its keys to nobody who holds it in his hand. A file does, so an image lies here
enciphered, bound to its chip, under a data encryption key of the key service.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from cardcore.keys import KeyRef, KeyService


class Chip(Protocol):
    """A card or a PSAM: it answers commands, and its image changes when it says so."""

    @property
    def generation(self) -> int:
        """Grows by one whenever the image changes."""
        ...

    def reset(self) -> object:
        """Power on."""
        ...

    def transmit(self, command: bytes) -> bytes:
        """One command APDU in, one response APDU out."""
        ...

    def image(self) -> bytes:
        """Everything the chip keeps without power."""
        ...


class ImageSeal:
    """Enciphers images at rest. The version of the key stands in the first byte of each."""

    def __init__(self, keys: KeyService, key: KeyRef) -> None:
        self._keys = keys
        self._key = key

    def close(self, chip_id: str, image: bytes) -> bytes:
        """What is written down."""
        sealed = self._keys.encipher_data(self._key, image, chip_id.encode())
        return bytes((self._key.version,)) + sealed

    def open(self, chip_id: str, sealed: bytes) -> bytes:
        """The image; `CryptogramError` when it is another chip's or was altered."""
        key = replace(self._key, version=sealed[0])
        return self._keys.decipher_data(key, sealed[1:], chip_id.encode())


def noted(path: Path, name: str) -> str | None:
    """The fact of that name in the drawer at `path`, without any key; None when unknown."""
    if not path.exists():
        return None
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return _noted(connection, name)
    finally:
        connection.close()


def _noted(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT text FROM note WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


class ChipDrawer:
    """All chips of one virtual city. The process may die at any moment; the machine need not
    lose power, so writes are left to the operating system and not forced to the disk.
    """

    def __init__(self, path: Path, seal: ImageSeal) -> None:
        self._seal = seal
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS chip (id TEXT PRIMARY KEY, image BLOB NOT NULL) STRICT"
        )
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, text TEXT NOT NULL) STRICT"
        )

    def image(self, chip_id: str) -> bytes | None:
        """The image of a chip, or None when there is no such chip."""
        row = self._connection.execute("SELECT image FROM chip WHERE id = ?", (chip_id,)).fetchone()
        return None if row is None else self._seal.open(chip_id, bytes(row[0]))

    def put(self, chip_id: str, image: bytes) -> None:
        """Keep an image; it replaces the chip's older one."""
        self._connection.execute(
            "INSERT INTO chip VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET image = excluded.image",
            (chip_id, self._seal.close(chip_id, image)),
        )

    def add_missing(self, chips: Iterable[tuple[str, bytes]]) -> None:
        """Keep the images of new chips, all or none; chips that exist stay as they are."""
        sealed = [(chip_id, self._seal.close(chip_id, image)) for chip_id, image in chips]
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR IGNORE INTO chip VALUES (?, ?)", sealed)
        self._connection.execute("COMMIT")

    def ids(self, prefix: str) -> set[str]:
        """Chips whose id starts so."""
        rows = self._connection.execute(
            "SELECT id FROM chip WHERE substr(id, 1, ?) = ?", (len(prefix), prefix)
        )
        return {row[0] for row in rows}

    def remember_once(self, name: str, text: str) -> str:
        """Remember a fact if none of that name is known yet; returns the one that is known."""
        self._connection.execute("INSERT OR IGNORE INTO note VALUES (?, ?)", (name, text))
        return _noted(self._connection, name) or text

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


class ChipAtRest:
    """A chip whose image is written to the drawer whenever it changes, before it answers."""

    def __init__(self, drawer: ChipDrawer, chip_id: str, chip: Chip) -> None:
        self._drawer = drawer
        self._id = chip_id
        self._chip = chip

    def reset(self) -> None:
        """Power on; unfinished writes are settled by the chip itself."""
        before = self._chip.generation
        self._chip.reset()
        self._keep_change(before)

    def transmit(self, command: bytes) -> bytes:
        """One command to the chip, its image saved first when the command changed it."""
        before = self._chip.generation
        response = self._chip.transmit(command)
        self._keep_change(before)
        return response

    def _keep_change(self, before: int) -> None:
        if self._chip.generation != before:
            self._drawer.put(self._id, self._chip.image())


def repeatable_random(seed: str, image: bytes) -> Callable[[int], bytes]:
    """The random source of a virtual chip: repeatable for a seed and the chip's image, so another
    one after every change. Real chips have dice; a world that must be the same twice has this.
    """
    start = hashlib.blake2b(image, key=seed.encode()[:64]).digest()
    drawn = 0

    def draw(length: int) -> bytes:
        nonlocal drawn
        drawn += 1
        return hashlib.blake2b(start + drawn.to_bytes(4, "big"), digest_size=length).digest()

    return draw
