"""The control database: opened, brought up to date, and used one transaction at a time.

Decides how a transaction begins and what a commit promises. Leaves tables and queries to the
modules beside it. On SQLite a commit is on the disk (WAL, synchronous FULL), a writing
transaction takes the write lock when it begins, so that what it read stays true until it commits.
A server that finds two writers in each other's way instead tells one of them to do it again, and a
block of code cannot be done again: so whoever writes hands over a function.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import complete_statement
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError

from cardcore.text import Text, shorten
from settlement.errors import DatabaseDamagedError, SchemaDiffersError

#: A writer waits this long for another one before it gives up.
BUSY_TIMEOUT_MS = 60_000
_READER = (f"busy_timeout = {BUSY_TIMEOUT_MS}",)
_WRITER = (*_READER, "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON")
#: So often a transaction is tried that the database asks to do again.
WRITE_ATTEMPTS_MAX = 8
#: PostgreSQL, appendix A: serialization_failure and deadlock_detected.
_REPEATABLE_STATES: Final = frozenset({"40001", "40P01"})
#: SQLite, result codes: BUSY_RECOVERY and BUSY_SNAPSHOT pass by themselves. Plain BUSY is told only
#: after `BUSY_TIMEOUT_MS` of waiting, and waiting longer would help nobody.
_REPEATABLE_SQLITE_CODES: Final = frozenset({261, 517})
#: CANTOPEN and READONLY, in the lowest byte.
_UNWRITABLE_CODES: Final = frozenset({8, 14})
#: The newest schema: the last number in `migrations/versions`.
NEWEST: Final = "0013"
#: What all migrations come to in a new SQLite file, where it is made at once. Other databases, and
#: those of before, go through the migrations.
NEWEST_SQL = Path(__file__).with_name("newest.sql")
#: Execution option that marks a transaction which is going to write.
_WRITES = "onecard_writes"
#: So often a database that is written to meanwhile is copied anew.
COPY_ATTEMPTS_MAX: Final = 20
_SCHEMA = "SELECT type, name, sql FROM sqlite_master"
_NOT_OURS = Text("其中的表不是 onecard 所建", "its tables are not those that onecard makes")
_BUSY = Text(
    "数据库正在被不断写入，无法取得副本；请稍后重试",
    "it is written to all the time and cannot be copied; try again later",
)
_AnswerT = TypeVar("_AnswerT")
#: What a decision is given that writes; whoever only hands it on needs no more of it.
Transaction = Connection


class Database:
    """An open control database. Use as a context manager, or call `close`."""

    def __init__(
        self, url: URL, *, to_read: bool = False, aside: TemporaryDirectory[str] | None = None
    ) -> None:
        self._aside = aside  # goes when the database is closed
        if url.get_backend_name() == "sqlite":
            self._engine = create_engine(url)
            _prepare_sqlite(self._engine, _READER if to_read else _WRITER)
        else:
            # What a decision read must still be true when it commits.
            self._engine = create_engine(url, isolation_level="SERIALIZABLE")
        try:
            if to_read:
                self._expect_newest()
            else:
                self._upgrade()
        except BaseException:
            self.close()
            raise

    @classmethod
    def sqlite(cls, path: Path) -> Self:
        """Open, or make, the database file of a city."""
        with _damage_named(path):
            return cls(URL.create("sqlite", database=str(path)))

    @classmethod
    def sqlite_to_read(cls, path: Path) -> Self:
        """Open the database file of a city for reading only: whoever writes all the same is refused
        by the engine. Where nothing may be written beside the file, which WAL needs even to read,
        a copy is read.

        Raises `SchemaDiffersError` when it is not up to date, `FileNotFoundError` without a file,
        `DatabaseDamagedError` when it is no database.
        """
        whole = path.resolve(strict=True)
        with _damage_named(path):
            try:
                return cls(_reading(whole), to_read=True)
            except OperationalError as error:
                if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _UNWRITABLE_CODES:
                    raise
            aside = TemporaryDirectory(prefix="onecard-read-")
            for each in (whole, whole.with_name(f"{whole.name}-wal")):
                if each.exists():
                    shutil.copyfile(each, Path(aside.name) / each.name)
            return cls(_reading(Path(aside.name) / whole.name), to_read=True, aside=aside)

    @classmethod
    def sqlite_aside(cls, path: Path) -> Self:
        """Open a copy of a city's database file, brought up to date there: the file itself, and the
        folder it lies in, stay as they are to the byte.

        Raises `FileNotFoundError` without a file, `DatabaseDamagedError` when it is no database of
        ours, or does not stand still long enough to be copied.
        """
        whole = path.resolve(strict=True)
        aside = TemporaryDirectory(prefix="onecard-read-")
        try:
            with _damage_named(path):
                copy = _copy_whole(whole, Path(aside.name))
                _expect_ours(path, _revision_of(copy))
                return cls(URL.create("sqlite", database=str(copy)), aside=aside)
        except BaseException as error:
            aside.cleanup()
            if isinstance(error, DBAPIError):  # its tables are not those that its number promises
                raise DatabaseDamagedError(path, _NOT_OURS) from error
            raise

    def schema(self) -> dict[tuple[str, str], str | None] | None:
        """Every table, index and trigger that is there: (type, name) and how it was made. None of
        another engine, which keeps them in its own words.
        """
        if self._engine.dialect.name != "sqlite":
            return None
        with self.read() as connection:
            return _schema(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and writes nothing."""
        with self._engine.connect() as connection, connection.begin():
            yield connection

    def write(self, decide: Callable[[Connection], _AnswerT]) -> _AnswerT:
        """What `decide` answers, inside a transaction that commits when it returns and leaves no
        trace when it raises.

        It is called again, on a new transaction, when the database asks for that: outside the
        database it may do only what may be done twice. Raises the driver's error after
        `WRITE_ATTEMPTS_MAX` tries.
        """
        for _ in range(WRITE_ATTEMPTS_MAX - 1):
            try:
                return self._write_once(decide)
            except DBAPIError as error:
                if not _asks_to_repeat(error):
                    raise
        return self._write_once(decide)

    def _write_once(self, decide: Callable[[Connection], _AnswerT]) -> _AnswerT:
        with self._engine.connect() as connection:
            connection = connection.execution_options(**{_WRITES: True})  # noqa: PLW2901 - the same one
            with connection.begin():
                return decide(connection)

    def damage(self) -> list[Text]:
        """What the database engine itself finds wrong; of pages it says so in its own words."""
        if self._engine.dialect.name != "sqlite":
            return []  # a server checks its pages and references by itself
        try:
            with self.read() as connection:
                pages = connection.exec_driver_sql("PRAGMA integrity_check").scalars().all()
                orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
        except DatabaseError as error:
            return [_said_of_pages(str(error.orig))]  # too damaged to be looked through
        return [_said_of_pages(text) for text in pages if text != "ok"] + [
            Text(
                f"{table} 表第 {row} 行在 {parent} 中无所指",
                f"{table}: row {row} refers to nothing in {parent}",
            )
            for table, row, parent, _ in orphans
        ]

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()
        if self._aside is not None:
            self._aside.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _revision(self) -> str | None:
        with self.read() as connection:
            return _revision_in(connection)

    def _expect_newest(self) -> None:
        found = self._revision()
        if found != NEWEST:
            raise SchemaDiffersError(found, NEWEST)

    def _upgrade(self) -> None:
        found = self._revision()
        if found is None and self._engine.dialect.name == "sqlite":
            found = self.write(_make_newest)
        if found != NEWEST:
            from settlement.store.upgrade import migrate  # noqa: PLC0415 - large, and seldom needed

            self.write(migrate)


def newest_schema() -> dict[tuple[str, str], str | None]:
    """What stands in a database of the newest version and in no other."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(NEWEST_SQL.read_text(encoding="utf-8"))
        rows = connection.execute(_SCHEMA).fetchall()
    return {(kind, name): sql for kind, name, sql in rows}


def _schema(connection: Connection) -> dict[tuple[str, str], str | None]:
    rows = connection.exec_driver_sql(_SCHEMA).all()
    return {(kind, name): sql for kind, name, sql in rows}


def _copy_whole(path: Path, folder: Path) -> Path:
    """The database and what its log holds, both of one moment: what changed while it was copied is
    copied again.
    """
    parts = (path, path.with_name(f"{path.name}-wal"))
    for _ in range(COPY_ATTEMPTS_MAX):
        before = [_standing(each) for each in parts]
        for each, standing in zip(parts, before, strict=True):
            (folder / each.name).unlink(missing_ok=True)
            if standing is not None:
                shutil.copyfile(each, folder / each.name)
        if before == [_standing(each) for each in parts]:
            return folder / path.name
    raise DatabaseDamagedError(path, _BUSY)


def _standing(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns


def _expect_ours(path: Path, revision: str | None) -> None:
    if revision is None:
        raise DatabaseDamagedError(path, _NOT_OURS)
    if not revision.isdecimal() or revision > NEWEST:
        raise SchemaDiffersError(revision, NEWEST)


def _revision_of(path: Path) -> str | None:
    with closing(sqlite3.connect(path)) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return None if row is None else str(row[0])


def _said_of_pages(text: str) -> Text:
    said = shorten(text)
    return Text(f"数据库自检：`{said}`", f"the database's own check: `{said}`")


def _revision_in(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def _make_newest(connection: Connection) -> str | None:
    """Make a new database whole; the revision that is there then."""
    # Two processes may open a new city at the same moment: the second finds it made when the write
    # lock is its own.
    if _revision_in(connection) is None:
        for statement in split_statements(NEWEST_SQL.read_text(encoding="utf-8")):
            connection.exec_driver_sql(statement)
    return _revision_in(connection)


def split_statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: a script as a whole would end the transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement
            statement = ""
    assert not statement.strip(), statement


def _reading(path: Path) -> URL:
    return URL.create("sqlite", database=path.as_uri(), query={"mode": "ro", "uri": "true"})


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """What the driver says of a file that is no database, or no longer one, in our words."""
    try:
        yield
    except DatabaseError as error:
        # The driver's own root class: everything it can name more closely has a class below it.
        if type(error.orig) is sqlite3.DatabaseError:
            raise DatabaseDamagedError(path, _said_of_pages(str(error.orig))) from error
        raise
    except sqlite3.DatabaseError as error:
        raise DatabaseDamagedError(path, _said_of_pages(str(error))) from error


def _asks_to_repeat(error: DBAPIError) -> bool:
    """Whether the transaction met another one, and the same again may go through."""
    if getattr(error.orig, "sqlstate", None) in _REPEATABLE_STATES:
        return True
    return getattr(error.orig, "sqlite_errorcode", None) in _REPEATABLE_SQLITE_CODES


def _prepare_sqlite(engine: Engine, pragmas: tuple[str, ...]) -> None:
    @event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: object) -> None:  # noqa: ANN401 - a driver's connection
        # The driver must not begin transactions by its own rules.
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
