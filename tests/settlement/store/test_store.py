"""The control database: its schema, its promises, the registry in it."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from cardcore.errors import DecodeError
from cardcore.schemes.catalogue import SCHEMES
from settlement.city import create_city, open_city
from settlement.errors import CityError
from settlement.registry import (
    HotlistRow,
    NameRow,
    Registry,
    RegistryConflictError,
    SenderRow,
    TacKeyRow,
    TerminalRow,
    decode_registry,
    encode_registry,
)
from settlement.store.database import WRITE_ATTEMPTS_MAX, Database
from settlement.store.registry import load_public_key, load_registry, register
from settlement.store.tables import METADATA
from tests.settlement.device_files import BUS, METRO, SENDER, make_office, public_registry
from tests.support.shared import REPOSITORY

SCHEME = SCHEMES["shenzhen"]


def test_the_migrations_make_exactly_the_tables_the_code_uses(tmp_path: Path) -> None:
    with Database.sqlite(tmp_path / "c.sqlite") as database, database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []


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
    assert [opener.wait(timeout=60) for opener in openers] == [0, 0, 0]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE refusals SET detail = 'nothing happened'",
        "DELETE FROM refusals",
        "UPDATE tac_keys SET check_value = '000000'",
        "DELETE FROM tac_keys",
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
            "INSERT INTO tac_keys VALUES ('shenzhen', 1, 1, '82676E')",
        )
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
                "INSERT INTO names VALUES ('line', 1, 'x')",
                "INSERT INTO nowhere VALUES (1)",
            )
        assert load_registry(database) == Registry()


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


def names(database: Database) -> list[str]:
    with database.read() as connection:
        return list(connection.execute(text("SELECT text FROM names")).scalars())


def meet(causes: list[Exception]) -> Callable[[Connection], int]:
    """Write a name, and meet another transaction as often as there are causes."""

    def decide(connection: Connection) -> int:
        connection.execute(text("INSERT INTO names VALUES ('line', 1, 'once')"))
        if causes:
            raise DBAPIError.instance("COMMIT", None, causes.pop(0), Exception)
        return 7

    return decide


def test_a_transaction_that_met_another_is_done_again_and_writes_once(tmp_path: Path) -> None:
    causes = [MeetingError("40001"), MeetingError("40P01"), stale_snapshot(tmp_path)]
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        assert database.write(meet(causes)) == 7
        assert (causes, names(database)) == ([], ["once"])


def test_a_transaction_that_always_meets_another_is_given_up_without_a_trace(
    tmp_path: Path,
) -> None:
    causes: list[Exception] = [MeetingError("40001") for _ in range(WRITE_ATTEMPTS_MAX + 1)]
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        with pytest.raises(DBAPIError):
            database.write(meet(causes))
        assert (len(causes), names(database)) == (1, [])


def test_any_other_error_of_the_database_is_not_tried_again(tmp_path: Path) -> None:
    causes: list[Exception] = [MeetingError("23505"), MeetingError("40001")]
    with Database.sqlite(tmp_path / "c.sqlite") as database:
        with pytest.raises(DBAPIError):
            database.write(meet(causes))
        assert (len(causes), names(database)) == (1, [])


def test_a_registry_travels_to_another_city_as_one_document(tmp_path: Path) -> None:
    with make_office(tmp_path / "one") as one, create_city(tmp_path / "two", "shenzhen") as two:
        document = encode_registry(load_registry(one.database))
        register(two.database, decode_registry(document))
        assert encode_registry(load_registry(two.database)) == document
        assert load_public_key(two.database, SENDER, 1) is not None
        assert load_public_key(two.database, SENDER, 2) is None


def test_a_registry_written_before_there_were_keys_in_it_is_read() -> None:
    document = json.loads(encode_registry(public_registry()))
    del document["tac_keys"]
    read = decode_registry(json.dumps(document).encode())
    assert encode_registry(read) == encode_registry(replace(public_registry(), tac_keys=()))
    assert read.tac_keys == ()


def test_registering_the_same_rows_again_adds_nothing(tmp_path: Path) -> None:
    with make_office(tmp_path / "city") as city:
        assert register(city.database, public_registry()) == Registry()
        assert len(load_registry(city.database).participants) == len(SCHEME.participants)


CONFLICTS = [
    Registry(terminals=(TerminalRow("0000000000b1", METRO, "bus"),)),
    Registry(senders=(SenderRow(SENDER, 1, BUS, "00" * 32),)),
    Registry(names=(NameRow("line", 1, "二号线"),)),
    Registry(hotlist=(HotlistRow("1" * 20, 1), HotlistRow("1" * 20, 2))),
    Registry(tac_keys=(TacKeyRow("shenzhen", 1, 1, "000000"),)),
]


@pytest.mark.parametrize("offered", CONFLICTS)
def test_a_contradicting_row_is_named_and_nothing_is_registered(
    tmp_path: Path, offered: Registry
) -> None:
    with make_office(tmp_path / "city") as city:
        before = load_registry(city.database)
        with pytest.raises(RegistryConflictError):
            register(city.database, offered)
        assert load_registry(city.database) == before


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
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
        b'{"format":2,"scheme":"shenzhen","bucket_count":4}',
        b'{"format":1,"scheme":"atlantis","bucket_count":4}',
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
            create_city(tmp_path / "city", "shenzhen", bucket_count)
    with pytest.raises(CityError):
        create_city(tmp_path / "city", "atlantis")
    with create_city(tmp_path / "city", "shenzhen", 8):
        pass
    with pytest.raises(CityError):
        create_city(tmp_path / "city", "shenzhen")
    with open_city(tmp_path / "city") as city:
        assert (city.scheme, city.bucket_count) == (SCHEME, 8)
