"""A journal of an older format made one of today's, in place.

Decides what changes between formats. Leaves when a file is opened, and whether it can be trusted,
to `journal`.

Format 2 knew one purse a card and records of 192 bytes. Its finished records stay the bytes they
are: they go up, or are sent again, in files of their own version, so that the back office sees the
same record and the same file as before. Only an open tap changes: the record that its card's next
visit will complete is one of today's.
"""

import sqlite3
from dataclasses import replace

from cardcore.records.record import VERSION, decode_record, encode_record
from cardcore.text import Text
from terminals.errors import JournalError
from terminals.taps import TapState

FORMAT_VERSION = 3
_OLDER = 2
_STEPS = (
    "ALTER TABLE taps ADD COLUMN application INTEGER NOT NULL DEFAULT 0",
    "DROP INDEX taps_one_open_a_card",
    "CREATE UNIQUE INDEX taps_one_open_a_purse ON taps (card_number, application) WHERE state = 1",
)


def migrate(database: sqlite3.Connection, version: int, path: object) -> None:
    """Bring a sound journal of format 2 to today's, whole or not at all. `JournalError` for a
    format that this program does not know, and for a tap it cannot take along.
    """
    if version == FORMAT_VERSION:
        return
    if version != _OLDER:
        raise JournalError(
            Text(
                f"{path}：本程序不识别流水格式 {version}",
                f"{path}: journal format {version} is not known to this program",
            )
        )
    database.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have opened the journal at the same moment and be ahead.
        if database.execute("PRAGMA user_version").fetchone()[0] == FORMAT_VERSION:
            database.execute("ROLLBACK")
            return
        for step in _STEPS:
            database.execute(step)
        open_taps = database.execute(
            f"SELECT id, draft FROM taps WHERE state = {TapState.OPEN:d}"  # noqa: S608 - a constant
        ).fetchall()
        for tap, draft in open_taps:
            try:
                lifted = renew_draft(draft)
            except ValueError as error:
                raise JournalError(
                    Text(
                        f"{path}：旧格式的刷卡 {tap} 尚未结束，今天的记录无法承载它；请先让该卡回到"
                        "写下它的程序，再打开流水。未作任何更改",
                        f"{path}: tap {tap} of an older format is open, and a record of today "
                        "cannot carry what it asked for. Let its card come back to the program "
                        "that wrote it, then open the journal again. Nothing was changed",
                    )
                ) from error
            database.execute("UPDATE taps SET draft = ? WHERE id = ?", (lifted, tap))
        database.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def renew_draft(draft: bytes) -> bytes:
    """The record an open tap will have, in today's version. `ValueError` when it does not fit."""
    return encode_record(replace(decode_record(draft), version=VERSION))
