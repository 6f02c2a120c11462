"""The control database: its schema, its promises, the registry in it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from cardcore.errors import DecodeError
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import create_city, open_city
from settlement.errors import CityError
from settlement.people.actions import Actor, ActorKind
from settlement.registry.book import (
    AnyDated,
    Dated,
    Registry,
    broken_link,
    civil_day,
    since_ever,
)
from settlement.registry.decide import RegistryConflictError
from settlement.registry.documents import decode_registry, encode_registry
from settlement.registry.rows import (
    HotlistRow,
    NameRow,
    ParticipantRow,
    SenderRow,
    TacKeyRow,
    TerminalRow,
)
from settlement.store import database as database_store
from settlement.store.database import NEWEST, NEWEST_SQL, WRITE_ATTEMPTS_MAX, Database
from settlement.store.files import load_refusals
from settlement.store.registry import load_changes, load_public_key, load_registry, register
from settlement.store.tables import METADATA
from settlement.store.upgrade import migrate
from tests.settlement.device_files import (
    ACTION,
    BUS,
    DAY,
    METRO,
    SENDER,
    make_office,
    public_registry,
)
from tests.settlement.store.newest_schema import migrated_schema
from tests.support.patience import SLOW_S
from tests.support.shared import REPOSITORY

SCHEME = SCHEMES["shenzhen"]

MIGRATIONS = Path(database_store.__file__).parent / "migrations"


def test_the_migrations_make_exactly_the_tables_the_code_uses(tmp_path: Path) -> None:
    with Database.sqlite(tmp_path / "c.sqlite") as database, database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


def schema_of(path: Path) -> list[tuple[str, ...]]:
    """Every table, index and trigger, word for word, and the rows of all tables."""
    with closing(sqlite3.connect(path)) as file:
        made = file.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid")
        schema = made.fetchall()
        rows = [
            (name, str(row))
            for kind, name, *_ in schema
            if kind == "table"
            for row in file.execute(f"SELECT * FROM {name}")
        ]
    return schema + rows


def test_a_new_database_is_word_for_word_what_the_migrations_make(tmp_path: Path) -> None:
    made, migrated = tmp_path / "made.sqlite", tmp_path / "migrated.sqlite"
    Database.sqlite(made).close()
    engine = create_engine(f"sqlite:///{migrated}")
    with engine.begin() as connection:
        migrate(connection)
    engine.dispose()
    assert schema_of(made) == schema_of(migrated)
    assert ("trigger", "days_refuse_update") in [each[:2] for each in schema_of(made)]
    # After a migration was added: python -m tests.settlement.store.newest_schema
    assert NEWEST_SQL.read_text("utf-8") == migrated_schema()


def test_the_newest_schema_is_the_last_migration() -> None:
    assert ScriptDirectory(str(MIGRATIONS)).get_current_head() == NEWEST


def test_a_new_database_that_cannot_be_made_whole_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(path)) as file:
        file.execute("CREATE TABLE sheets (number INTEGER)")
        file.execute("CREATE TABLE postings (number INTEGER)")
    before = schema_of(path)
    with pytest.raises(OperationalError, match="postings already exists"):
        Database.sqlite(path)
    assert schema_of(path) == before


def test_commits_are_on_the_disk_and_references_are_kept(tmp_path: Path) -> None:
    with Database.sqlite(tmp_path / "c.sqlite") as database, database.read() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert found == ["wal", 2, 1]


def test_a_folder_name_may_hold_any_characters(tmp_path: Path) -> None:
    with make_office(tmp_path / "市民卡 100 %, ?#;") as city:
        assert load_registry(city.database).terminals


def test_two_processes_may_open_a_new_database_at_the_same_moment(tmp_path: Path) -> None:
    path = tmp_path / "c.sqlite"
    program = "import sys; from pathlib import Path; from settlement.store.database import Database"
    program += "; Database.sqlite(Path(sys.argv[1])).close()"
    openers = [
        subprocess.Popen([sys.executable, "-c", program, str(path)], cwd=REPOSITORY)
        for _ in range(3)
    ]
    assert [opener.wait(timeout=SLOW_S) for opener in openers] == [0, 0, 0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE refusals SET detail = 'nothing happened'",
        "DELETE FROM refusals",
        "UPDATE registry_changes SET valid_to = '2026-01-01'",
        "DELETE FROM registry_changes WHERE number = 1",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(
    tmp_path: Path, statement: str
) -> None:
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        insert(
            database,
            "INSERT INTO refusals (content_hash, answer, detail, is_alarm, received_at) "
            "VALUES ('', 1, '', 0, '2018-09-01 00:00:00')",
        )
        register(database, since_ever(NameRow("line", 1, "一号线")), ACTION)
        with pytest.raises(IntegrityError, match="append-only"):
            insert(database, statement)


def insert(database: Database, *statements: str) -> None:
    """Run statements in one transaction."""

    def decide(connection: Connection) -> None:
        for each in statements:
            connection.execute(text(each))

    database.write(decide)


def test_a_failed_transaction_leaves_no_trace(tmp_path: Path) -> None:
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        with pytest.raises(OperationalError):
            insert(
                database,
                "INSERT INTO refusals (content_hash, answer, detail, is_alarm, received_at) "
                "VALUES ('', 1, '', 0, '2018-09-01 00:00:00')",
                "INSERT INTO nowhere VALUES (1)",
            )
        assert load_refusals(database) == ()


class MeetingError(Exception):
    """What a driver of PostgreSQL raises when two transactions met."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


def stale_snapshot(folder: Path) -> sqlite3.OperationalError:
    """A true SQLITE_BUSY_SNAPSHOT: a reader that wants to write what another wrote meanwhile."""
    with (
        closing(sqlite3.connect(folder / "other.sqlite", isolation_level=None)) as reader,
        closing(sqlite3.connect(folder / "other.sqlite", isolation_level=None)) as writer,
    ):
        writer.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (n)")
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        writer.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.OperationalError) as raised:
            reader.execute("INSERT INTO t VALUES (2)")
        return raised.value


def details(database: Database) -> list[str]:
    return [str(each.acknowledgement.detail) for each in load_refusals(database)]


def meet(causes: list[Exception]) -> Callable[[Connection], int]:
    """Write a row, and meet another transaction as often as there are causes."""

    def decide(connection: Connection) -> int:
        connection.execute(
            text(
                "INSERT INTO refusals (content_hash, answer, detail, is_alarm, received_at) "
                "VALUES ('', 9, 'once', 0, '2018-09-01 00:00:00')"
            )
        )
        if causes:
            raise DBAPIError.instance("COMMIT", None, causes.pop(0), Exception)
        return 7

    return decide


def test_a_transaction_that_met_another_is_done_again_and_writes_once(tmp_path: Path) -> None:
    causes = [MeetingError("40001"), MeetingError("40P01"), stale_snapshot(tmp_path)]
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        assert database.write(meet(causes)) == 7
        assert (causes, details(database)) == ([], ["once"])


def test_a_transaction_that_always_meets_another_is_given_up_without_a_trace(
    tmp_path: Path,
) -> None:
    causes: list[Exception] = [MeetingError("40001") for _ in range(WRITE_ATTEMPTS_MAX + 1)]
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        with pytest.raises(DBAPIError):
            database.write(meet(causes))
        assert (len(causes), details(database)) == (1, [])


def test_any_other_error_of_the_database_is_not_tried_again(tmp_path: Path) -> None:
    causes: list[Exception] = [MeetingError("23505"), MeetingError("40001")]
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        with pytest.raises(DBAPIError):
            database.write(meet(causes))
        assert (len(causes), details(database)) == (1, [])


def test_a_registry_travels_to_another_city_as_one_document(tmp_path: Path) -> None:
    with (
        make_office(tmp_path / "one") as one,
        create_city(tmp_path / "two", "shenzhen", ACTION) as two,
    ):
        document = encode_registry(load_registry(one.database))
        register(two.database, decode_registry(document), ACTION)
        assert encode_registry(load_registry(two.database)) == document
        assert load_public_key(two.database, SENDER, 1, DAY) is not None
        assert load_public_key(two.database, SENDER, 2, DAY) is None


OLD_DOCUMENT: dict[str, Any] = {
    "format": 1,
    "hotlist": [["1" * 20, 3]],
    "names": [["line", 1, "一号线"]],
    "participants": [[101, "巴士集团", 1, 1]],
    "senders": [[7, 1, 101, "ab" * 32]],
    "terminals": [["0000000000b1", 101, "bus"]],
    "tac_keys": [["shenzhen", 1, 1, "82676E"]],
}


def test_a_registry_written_before_rows_had_days_holds_from_the_beginning() -> None:
    read = decode_registry(json.dumps(OLD_DOCUMENT).encode())
    assert read == Registry(
        participants=(Dated(ParticipantRow(101, "巴士集团", 1, 1)),),
        senders=(Dated(SenderRow(7, 1, 101, "ab" * 32)),),
        terminals=(Dated(TerminalRow("0000000000b1", 101, "bus")),),
        names=(Dated(NameRow("line", 1, "一号线")),),
        hotlist=(Dated(HotlistRow("1" * 20, 3)),),
        tac_keys=(Dated(TacKeyRow("shenzhen", 1, 1, "82676E")),),
    )
    without = {name: rows for name, rows in OLD_DOCUMENT.items() if name != "tac_keys"}
    assert decode_registry(json.dumps(without).encode()) == replace(read, tac_keys=())


def make_database_of_before(path: Path) -> None:
    """A database with the second schema and the rows of the old document."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory(str(MIGRATIONS))

    def upgrade(revision: Any, _: MigrationContext) -> Any:  # noqa: ANN401 - Alembic's types
        return scripts._upgrade_revs("0002", revision)

    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection, EnvironmentContext(config, scripts, fn=upgrade) as steps:
        steps.configure(connection=connection, transactional_ddl=True)
        steps.run_migrations()
        for table, rows in OLD_DOCUMENT.items():
            for row in rows if isinstance(rows, list) else ():
                marks = ", ".join("?" for _ in row)
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES ({marks})", tuple(row))
    engine.dispose()


def test_a_database_of_before_gets_its_rows_as_the_first_links_of_the_chain(
    tmp_path: Path,
) -> None:
    make_database_of_before(tmp_path / "c.sqlite")
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        changes = load_changes(database)
        held = load_registry(database)
    # From when on the old hotlist was told nobody wrote down: the chain says it from now on.
    told = civil_day(changes[0].action.at).isoformat()
    read = decode_registry(json.dumps(OLD_DOCUMENT).encode())
    assert held == replace(read, hotlist=(Dated(HotlistRow("1" * 20, 3, told)),))
    assert [each.number for each in changes] == [1, 2, 3, 4, 5, 6]
    assert broken_link(changes) is None
    assert {each.action.by for each in changes} == {Actor("onecard", ActorKind.SYSTEM)}


def test_registering_the_same_rows_again_adds_nothing(tmp_path: Path) -> None:
    with make_office(tmp_path / "city") as city:
        assert register(city.database, public_registry(), ACTION) == ()
        assert len(load_registry(city.database).participants) == len(SCHEME.participants)


CONFLICTS = [
    since_ever(TerminalRow("0000000000b1", METRO, "bus")),
    since_ever(SenderRow(SENDER, 1, BUS, "00" * 32)),
    since_ever(NameRow("line", 1, "二号线")),
    since_ever(HotlistRow("1" * 20, 1), HotlistRow("1" * 20, 2)),
    since_ever(TerminalRow("0000000000b2", 999, "bus")),
    since_ever(TerminalRow("b1", BUS, "bus")),
    since_ever(TacKeyRow("shenzhen", 1, 1, "000000")),
]


@pytest.mark.parametrize("offered", CONFLICTS)
def test_a_contradicting_row_is_named_and_nothing_is_registered(
    tmp_path: Path, offered: Sequence[AnyDated]
) -> None:
    with make_office(tmp_path / "city") as city:
        before = load_registry(city.database)
        with pytest.raises(RegistryConflictError):
            register(city.database, offered, ACTION)
        assert load_registry(city.database) == before


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":3}',
        b'{"format":2}',
        b'{"format":1,"hotlist":[],"names":[],"participants":[["x","y",1,1]],"senders":[]}',
        b'{"format":1,"hotlist":[],"names":[],"participants":[[1]],"senders":[],"terminals":[]}',
        b'{"format":1,"hotlist":[],"names":[["a",1]],"participants":[],"senders":[],"terminals":[]}',
    ],
)
def test_a_damaged_registry_document_is_refused(document: bytes) -> None:
    with pytest.raises(DecodeError):
        decode_registry(document)


@pytest.mark.parametrize(
    "settings",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format":1,"scheme":"shenzhen","bucket_count":4}',
        b'{"format":2,"scheme":"atlantis","bucket_count":4}',
    ],
)
def test_a_folder_with_other_settings_is_no_city(tmp_path: Path, settings: bytes) -> None:
    (tmp_path / "city.json").write_bytes(settings)
    with pytest.raises(CityError):
        open_city(tmp_path)


def test_a_city_is_made_once_and_only_from_settings_that_make_sense(tmp_path: Path) -> None:
    with pytest.raises(CityError):
        open_city(tmp_path / "city")
    for bucket_count in (0, 3, 8192):
        with pytest.raises(CityError):
            create_city(tmp_path / "city", "shenzhen", ACTION, bucket_count)
    with pytest.raises(CityError):
        create_city(tmp_path / "city", "atlantis", ACTION)
    with create_city(tmp_path / "city", "shenzhen", ACTION, 8):
        pass
    with pytest.raises(CityError):
        create_city(tmp_path / "city", "shenzhen", ACTION)
    with open_city(tmp_path / "city") as city:
        assert (city.scheme, city.bucket_count) == (SCHEME, 8)
