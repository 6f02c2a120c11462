"""The silicon of virtual chips: one SQLite file that holds every card and PSAM.

Decides that what a chip has changed is on disk before its answer leaves it, so that a killed
process leaves chips as a power cut leaves real ones. Leaves what the bytes mean to the chip.

A whole card has some hundred and eighty cells, nearly all of them the same on every card of its
product, and a tap changes eight. So a card lies here as what it has of its own beside its product's
model (the first card of it that was made), and each change lies behind it as the cells it wrote.

A real chip gives its keys to nobody who holds it in his hand. A file does, so everything here is
enciphered under a data encryption key of the key service, bound to its chip and its place.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from cardcore.chip.card import Card
from cardcore.chip.filesystem import FileSystem, is_header
from cardcore.chip.memory import Memory, decode_cells, encode_cells
from cardcore.keys import KeyRef, KeyService

#: A card with more changes than this behind it is written down anew when it is next woken up.
CHANGES_KEPT = 32


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
        self._versions = {key.version: key}

    def close(self, chip_id: str, image: bytes) -> bytes:
        """What is written down."""
        sealed = self._keys.encipher_data(self._key, image, chip_id.encode())
        return bytes((self._key.version,)) + sealed

    def open(self, chip_id: str, sealed: bytes) -> bytes:
        """The image; `CryptogramError` when it is another chip's or was altered."""
        key = self._versions.get(sealed[0])
        if key is None:
            key = self._versions[sealed[0]] = self._key._replace(version=sealed[0])
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


class NewCard(NamedTuple):
    """A card that has just been made: which chip it is, its product, its memory."""

    chip_id: str
    product: str
    cells: Mapping[int, bytes]


class _Model(NamedTuple):
    """The cells that cards of one product have in common, and the files that they make."""

    cells: Mapping[int, bytes]
    files: FileSystem

    @classmethod
    def of(cls, cells: Mapping[int, bytes]) -> "_Model":
        return cls(cells, FileSystem(Memory(cells)))


class ChipDrawer:
    """All chips of one virtual city. The process may die at any moment; the machine need not
    lose power, so writes are left to the operating system and not forced to the disk.
    """

    def __init__(self, path: Path, seal: ImageSeal) -> None:
        self._seal = seal
        self._models: dict[str, _Model] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = OFF")
        for table in (
            "chip (id TEXT PRIMARY KEY, image BLOB NOT NULL, model TEXT)",
            "change (id TEXT, number INTEGER, cells BLOB NOT NULL, PRIMARY KEY (id, number))",
            "note (name TEXT PRIMARY KEY, text TEXT NOT NULL)",
        ):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table} STRICT")

    def image(self, chip_id: str) -> bytes | None:
        """The image of a chip, or None when there is no such chip."""
        row = self._row(chip_id)
        if row is None:
            return None
        sealed, model = row
        return self._seal.open(chip_id, sealed) if model is None else self.memory(chip_id).image()

    def put(self, chip_id: str, image: bytes) -> None:
        """Keep the image of a chip that has no model; it replaces the older one."""
        self._connection.execute(
            "INSERT INTO chip VALUES (?, ?, NULL) "
            "ON CONFLICT (id) DO UPDATE SET image = excluded.image",
            (chip_id, self._seal.close(chip_id, image)),
        )

    def add_cards(self, cards: Iterable[NewCard]) -> None:
        """Keep new cards, all or none; cards that exist stay as they are."""
        self._connection.execute("BEGIN")
        for card in cards:
            model = self._model(card.product) or self._add_model(card)
            own = encode_cells(_beside(model.cells, card.cells))
            self._connection.execute(
                "INSERT OR IGNORE INTO chip VALUES (?, ?, ?)",
                (card.chip_id, self._seal.close(card.chip_id, own), card.product),
            )
        self._connection.execute("COMMIT")

    def memory(self, chip_id: str) -> Memory:
        """What a card keeps without power; it must exist."""
        return self._woken(chip_id)[0]

    def card(self, chip_id: str) -> Card:
        """A card as it comes into the field. Its dice are the operating system's: whatever could be
        worked out from what it keeps would come again after a loss of power.
        """
        memory, like = self._woken(chip_id)
        return Card(memory, secrets.token_bytes, like)

    def _woken(self, chip_id: str) -> tuple[Memory, FileSystem | None]:
        """The memory of a card, and the files of its model when they are its own as well."""
        rows = self._connection.execute(
            "SELECT image, model, number, cells FROM chip LEFT JOIN change USING (id) "
            "WHERE chip.id = ? ORDER BY number",
            (chip_id,),
        ).fetchall()
        assert rows, chip_id
        sealed, product = rows[0][:2]
        assert product is not None, f"{chip_id} has no model"
        model = self._model(product)
        assert model is not None, product
        own = decode_cells(self._seal.open(chip_id, sealed))
        for _, _, number, change in rows:
            if number is not None:
                own.update(decode_cells(self._seal.open(f"{chip_id}#{number}", change)))
        memory = Memory({**model.cells, **own})
        if len(rows) > CHANGES_KEPT:
            self._write_anew(chip_id, _beside(model.cells, memory.cells()))
        return memory, None if any(map(is_header, own)) else model.files

    def add_change(self, chip_id: str, number: int, cells: Mapping[int, bytes]) -> None:
        """Keep what a card has written, behind what is kept of it; numbers grow."""
        sealed = self._seal.close(f"{chip_id}#{number}", encode_cells(cells))
        self._connection.execute("INSERT INTO change VALUES (?, ?, ?)", (chip_id, number, sealed))

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

    def _row(self, chip_id: str) -> tuple[bytes, str | None] | None:
        row: tuple[bytes, str | None] | None = self._connection.execute(
            "SELECT image, model FROM chip WHERE id = ?", (chip_id,)
        ).fetchone()
        return row

    def _model(self, product: str) -> "_Model | None":
        """A product's model, opened once."""
        if product not in self._models:
            image = self.image(f"model/{product}")
            if image is None:
                return None
            self._models[product] = _Model.of(Memory.from_image(image).cells())
        return self._models[product]

    def _add_model(self, card: NewCard) -> "_Model":
        self.put(f"model/{card.product}", Memory(card.cells).image())
        self._models[card.product] = _Model.of(card.cells)
        return self._models[card.product]

    def _write_anew(self, chip_id: str, own: Mapping[int, bytes]) -> None:
        sealed = self._seal.close(chip_id, encode_cells(own))
        self._connection.execute("BEGIN")
        self._connection.execute("UPDATE chip SET image = ? WHERE id = ?", (sealed, chip_id))
        self._connection.execute("DELETE FROM change WHERE id = ?", (chip_id,))
        self._connection.execute("COMMIT")


def _beside(model: Mapping[int, bytes], cells: Mapping[int, bytes]) -> dict[int, bytes]:
    """What cells have of their own beside a model; empty where only the model has something."""
    own = {cell: data for cell, data in cells.items() if model.get(cell) != data}
    return own | dict.fromkeys(model.keys() - cells.keys(), b"")


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


class CardAtRest:
    """A card whose changes are written to the drawer as they happen, before it answers."""

    def __init__(self, drawer: ChipDrawer, chip_id: str, card: Card) -> None:
        self._drawer = drawer
        self._id = chip_id
        self._card = card

    def reset(self) -> None:
        """Power on; unfinished writes are settled by the card itself."""
        self._card.reset()
        self._keep_change()

    def transmit(self, command: bytes) -> bytes:
        """One command to the card, what it wrote kept first."""
        response = self._card.transmit(command)
        self._keep_change()
        return response

    def _keep_change(self) -> None:
        written = self._card.memory.take_written()
        if written:
            self._drawer.add_change(self._id, self._card.generation, written)
