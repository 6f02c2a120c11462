"""The load host's log on disk: an entry is durable before its MAC2 leaves, numbers have no hole.

Decides when an allowed load is on the disk, what number it gets, and which entries stand in which
signed file. Leaves the bytes to `cardcore.records.load_log`, and whether a load is allowed to
`partners.load_host`.

One SQLite file in WAL mode with synchronous FULL, as the journal of a collector. A file for the
back office is planned first: from then on the same first number is always the same bytes.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Self

from cardcore.keys import Algorithm
from cardcore.records.load_log import (
    ENTRIES_MAX,
    HASH_BYTES,
    AllowedLoad,
    LoadLogFaultError,
    LoadLogHeader,
    chain_start,
    encode_entry,
    encode_load_log,
    read_entries,
)
from cardcore.text import Text, text_of
from terminals.errors import JournalDamagedError
from terminals.journal.disk import connect, translate, write_whole

_SCHEMA = """
CREATE TABLE IF NOT EXISTS allowed (
    number INTEGER PRIMARY KEY,
    entry BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS files (
    first_number INTEGER PRIMARY KEY,
    last_number INTEGER NOT NULL,
    key_version INTEGER NOT NULL,
    created_at TEXT NOT NULL
) STRICT;
"""


def _no_step(_: str) -> None:
    """Nobody watches the steps."""


class LoadLog:
    """An open log. A second process waits for the first and goes on behind it."""

    def __init__(
        self, database: sqlite3.Connection, issuer: bytes, on_step: Callable[[str], None]
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._on_step = on_step

    @classmethod
    def open(cls, path: Path, *, issuer: bytes, on_step: Callable[[str], None] = _no_step) -> Self:
        """Open or create the log of an issuer's load host and read it whole.

        Raises `JournalDamagedError` that names the first entry at fault; nothing is changed then.
        """
        database = connect(path)
        try:
            database.executescript(_SCHEMA)
            rows = database.execute("SELECT number, entry FROM allowed ORDER BY number").fetchall()
            read_entries(b"".join(row[1] for row in rows), 1, chain_start(issuer))
        except sqlite3.Error as error:
            database.close()
            raise translate(error) from error
        except LoadLogFaultError as error:
            database.close()
            raise JournalDamagedError(
                Text(f"{path}：{text_of(error).zh}", f"{path}: {text_of(error).en}")
            ) from error
        return cls(database, issuer, on_step)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, load: AllowedLoad) -> AllowedLoad:
        """Keep an allowed load behind all others; on the disk when this returns, with the number
        it got. `JournalFullError` when there is no room: nothing was kept.
        """
        database = self._database
        self._on_step("allowed before")
        try:
            database.execute("BEGIN IMMEDIATE")
            number, digest = self._end()
            load = replace(load, number=number + 1)
            database.execute(
                "INSERT INTO allowed VALUES (?, ?)", (load.number, encode_entry(load, digest))
            )
            self._on_step("allowed written")
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise translate(error) from error
        except BaseException:
            self._roll_back()
            raise
        self._on_step("allowed durable")
        return load

    def plan_file(self, *, key_version: int, now: datetime) -> int | None:
        """Give the entries that are in none a file; its first number, or None without any.

        At most `ENTRIES_MAX` entries go into one, so a long backlog takes several calls.
        """
        database = self._database
        try:
            database.execute("BEGIN IMMEDIATE")
            (planned,) = database.execute(
                "SELECT coalesce(max(last_number), 0) FROM files"
            ).fetchone()
            last = min(self._end()[0], planned + ENTRIES_MAX)
            if last > planned:
                created_at = now.replace(microsecond=0).isoformat()
                database.execute(
                    "INSERT INTO files VALUES (?, ?, ?, ?)",
                    (planned + 1, last, key_version, created_at),
                )
            database.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise translate(error) from error
        return int(planned) + 1 if last > planned else None

    def files(self) -> tuple[tuple[int, int], ...]:
        """Every planned file by its first number, in order, and the version of the key it names."""
        return tuple(
            self._database.execute(
                "SELECT first_number, key_version FROM files ORDER BY first_number"
            ).fetchall()
        )

    def build_file(
        self,
        first_number: int,
        sign: Callable[[bytes], bytes],
        algorithm: Algorithm = Algorithm.ED25519,
    ) -> bytes:
        """The bytes of a planned file, the same at every call. `KeyError` when there is none."""
        planned = self._database.execute(
            "SELECT last_number, key_version, created_at FROM files WHERE first_number = ?",
            (first_number,),
        ).fetchone()
        if planned is None:
            raise KeyError(first_number)
        last, key_version, created_at = planned
        entries = [
            row[0]
            for row in self._database.execute(
                "SELECT entry FROM allowed WHERE number BETWEEN ? AND ? ORDER BY number",
                (first_number, last),
            )
        ]
        header = LoadLogHeader(
            issuer=self._issuer,
            key_version=key_version,
            first_number=first_number,
            entry_count=len(entries),
            previous=self._digest(first_number - 1),
            created_at=datetime.fromisoformat(created_at),
            signature_algorithm=algorithm,
        )
        return encode_load_log(header, entries, sign)

    def write_file(
        self,
        first_number: int,
        sign: Callable[[bytes], bytes],
        outbox: Path,
        algorithm: Algorithm = Algorithm.ED25519,
    ) -> Path:
        """Put a planned file into the outbox, whole or not at all; safe to repeat."""
        path = outbox / f"loads-{first_number:08d}.ocl"
        write_whole(path, self.build_file(first_number, sign, algorithm), self._on_step)
        return path

    def _end(self) -> tuple[int, bytes]:
        """The last number and the digest up to it."""
        (number,) = self._database.execute(
            "SELECT coalesce(max(number), 0) FROM allowed"
        ).fetchone()
        return int(number), self._digest(number)

    def _digest(self, number: int) -> bytes:
        if number == 0:
            return chain_start(self._issuer)
        (entry,) = self._database.execute(
            "SELECT entry FROM allowed WHERE number = ?", (number,)
        ).fetchone()
        return bytes(entry[-HASH_BYTES:])

    def _roll_back(self) -> None:
        if self._database.in_transaction:
            self._database.execute("ROLLBACK")
