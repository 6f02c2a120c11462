"""The files under the journal: databases that are made whole, checked whole, and written for real.

Decides how a file comes to its place, when a commit is on the disk, and by what a cut or
overwritten file is known. Leaves what stands in it to `journal` and `load_log`.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from cardcore.text import Text
from terminals.errors import JournalDamagedError, JournalError, JournalFullError
from terminals.journal.migration import FORMAT_VERSION

BUSY_TIMEOUT_S = 10.0
MAGIC = b"SQLite format 3\x00"
#: The smallest page SQLite knows; with fewer bytes it takes a file for an empty one.
FIRST_PAGE_BYTES_MIN = 512


def connect(path: Path) -> sqlite3.Connection:
    """A connection whose commits are on disk when they return."""
    try:
        database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("PRAGMA foreign_keys = ON")
        # SQLite's own checkpoints leave frames in the log that are in the main file already. Cut
        # such a log, and old pages would come back beside new ones. Ours empty it.
        database.execute("PRAGMA wal_autocheckpoint = 0")
    except sqlite3.Error as error:
        database.close()
        raise translate(error) from error
    return database


def beside(path: Path, suffix: str) -> Path:
    """A companion of a file: its write-ahead log, or its unfinished copy."""
    return path.with_name(path.name + suffix)


def create(path: Path, sender: int) -> None:
    """Make a whole journal beside its place, then move it there: it exists whole or not at all."""
    fresh = beside(path, ".new")
    for leftover in (fresh, beside(path, ".new-journal")):
        leftover.unlink(missing_ok=True)
    database = sqlite3.connect(fresh, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = FULL")
        schema = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
        database.executescript(f"BEGIN; {schema} PRAGMA user_version = {FORMAT_VERSION};")
        database.execute("INSERT INTO collector VALUES (?, 0)", (sender,))
        database.execute("COMMIT")
    except sqlite3.Error as error:
        raise translate(error) from error
    finally:
        database.close()
    os.replace(fresh, path)  # noqa: PTH105 - beside os.fsync
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename inside a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes, on_step: Callable[[str], None]) -> None:
    """Put a file in its place, whole or not at all."""
    fresh = path.with_suffix(".part")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    on_step("outbox written")
    fresh.replace(path)
    sync_folder(path.parent)
    on_step("outbox durable")


def check_journal(database: sqlite3.Connection, path: Path, sender: int) -> int:
    """That the file is whole and this collector's; its format."""
    try:
        version = database.execute("PRAGMA user_version").fetchone()[0]
        damage = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        owner = database.execute("SELECT sender FROM collector").fetchall()
        # SQLite reads a last page that is cut as if it ended in zeros. Once the log is folded in,
        # the file must be as long as its pages.
        busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        pages = database.execute("PRAGMA page_count").fetchone()[0]
        page_bytes = database.execute("PRAGMA page_size").fetchone()[0]
    except sqlite3.Error as error:
        raise translate(error) from error
    if not busy and path.stat().st_size != pages * page_bytes:
        raise JournalDamagedError(
            Text(f"{path}：长度与其 {pages} 页不符", f"{path} is not as long as its {pages} pages")
        )
    if damage != "ok" or len(owner) != 1:
        raise JournalDamagedError(
            Text(f"{path}：已损坏：`{damage}`", f"{path}: is damaged: `{damage}`")
        )
    if owner[0][0] != sender:
        raise JournalError(
            Text(
                f"{path} 属于发送方 {owner[0][0]}，而非 {sender}",
                f"{path} belongs to sender {owner[0][0]}, not to {sender}",
            )
        )
    return int(version)


def check_first_page(path: Path) -> None:
    """That a file is a database at all. Creation ends with a rename of a whole file, so one without
    a first page was cut later; SQLite would take it for a new file and write to it.
    """
    with path.open("rb") as file:
        head = file.read(FIRST_PAGE_BYTES_MIN)
    if len(head) < FIRST_PAGE_BYTES_MIN or not head.startswith(MAGIC):
        raise JournalDamagedError(Text(f"{path}：首页已丢失", f"{path} has lost its first page"))


def translate(error: sqlite3.Error) -> JournalError:
    """An error of SQLite in the journal's own terms."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return JournalFullError(Text("流水所在磁盘已满", "the disk of the journal is full"))
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return JournalDamagedError(_said(error))
    return JournalError(_said(error))


def _said(error: sqlite3.Error) -> Text:
    return Text(f"流水数据库出错：`{error}`", f"the database of the journal failed: `{error}`")
