"""`verify` compares rows and files both ways, and changes no byte whatever it finds."""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from settlement.city import open_city
from settlement.engine.local import LocalEngine
from settlement.errors import CityError
from settlement.verification.findings import REBUILD, RESTORE, SEND_AGAIN, Finding, Verification
from settlement.verification.verify import verify
from tests.settlement.device_files import key_service
from tests.settlement.verification.test_verify import flip

KEYS = key_service()
ENGINE = LocalEngine(1)
RUNNER = CliRunner()


def look(folder: Path, *, without_keys: bool = False) -> Verification:
    with open_city(folder, aside=True) as city:
        return verify(city, None if without_keys else KEYS, ENGINE)


def fails(folder: Path) -> bool:
    """Whether the city is not opened at all, or not found sound."""
    try:
        return not look(folder).is_sound
    except CityError:
        return True


def says(found: Verification, words: str) -> list[Finding]:
    return [each for each in found.findings if words in f"{each.where.en}: {each.text.en}"]


def everything(folder: Path) -> dict[str, tuple[str, int]]:
    """Every file, folder, byte and time of writing."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
        )
        for path in (folder, *folder.rglob("*"))
    }


def act(folder: Path, *statements: str) -> None:
    """What somebody with the database file in hand can do, triggers and all."""
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        for statement in statements:
            connection.executescript(statement)


def test_no_byte_of_the_city_changes_and_nothing_comes_to_lie_in_it(folder: Path) -> None:
    before = everything(folder)
    assert look(folder).is_sound
    assert everything(folder) == before
    flip(min((folder / "facts").rglob("*.parquet")), 40)
    before = everything(folder)
    assert not look(folder).is_sound
    assert everything(folder) == before


def test_a_folder_that_nobody_may_write_into_is_proven(folder: Path) -> None:
    paths = (folder, *folder.rglob("*"))
    for each in paths:
        each.chmod(0o555 if each.is_dir() else 0o444)
    try:
        assert look(folder).is_sound
    finally:
        for each in paths:
            each.chmod(0o755 if each.is_dir() else 0o644)


def test_a_database_in_use_is_read_with_what_its_log_holds(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "control.sqlite", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("DROP INDEX ix_files_settlement_day")
        assert (folder / "control.sqlite-wal").stat().st_size
        assert says(look(folder), "database index ix_files_settlement_day: was dropped")


def test_control_sqlite_deleted(folder: Path) -> None:
    """It fails, writes nothing, makes no database."""
    (folder / "control.sqlite").unlink()
    before = everything(folder)
    with pytest.raises(CityError, match="missing"):
        look(folder)
    for more in ((), ("--without-keys",), ("--json",)):
        result = RUNNER.invoke(app, ["verify", "--data", str(folder), *more])
        assert result.exit_code == 1
        assert "control.sqlite is missing" in result.output
    assert everything(folder) == before


@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_control_sqlite_cut(folder: Path, kept: float) -> None:
    path = folder / "control.sqlite"
    os.truncate(path, int(path.stat().st_size * kept))
    before = everything(folder)
    assert fails(folder)
    assert everything(folder) == before


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE alembic_version",
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = '9999'",
        "UPDATE alembic_version SET version_num = '0001'",
    ],
)
def test_a_database_of_no_version_is_not_made_a_new_one(folder: Path, statement: str) -> None:
    act(folder, statement)
    before = everything(folder)
    with pytest.raises(CityError):
        look(folder)
    assert everything(folder) == before


#: What was done to the database, and what is said of it.
SCHEMA = {
    "triggers dropped": (
        "DROP TRIGGER entries_refuse_delete",
        "trigger entries_refuse_delete: was dropped",
    ),
    "a trigger made harmless": (
        """DROP TRIGGER days_refuse_update;
        CREATE TRIGGER days_refuse_update BEFORE UPDATE ON days BEGIN SELECT 1; END""",
        "trigger days_refuse_update: is not what was made",
    ),
    "a foreign trigger": (
        "CREATE TRIGGER helpful AFTER INSERT ON files BEGIN SELECT 1; END",
        "trigger helpful: was not made by onecard",
    ),
    "an index dropped": ("DROP INDEX ix_postings_account", "ix_postings_account: was dropped"),
    "a foreign table": ("CREATE TABLE notes (text)", "table notes: was not made by onecard"),
    "a foreign view": ("CREATE VIEW richer AS SELECT 1", "view richer: was not made by onecard"),
    "a column more": ("ALTER TABLE gaps ADD COLUMN spare TEXT", "table gaps: is not what was made"),
    "a table dropped": ("DROP TABLE refusals", "table refusals: was dropped"),
}  # fmt: skip


@pytest.mark.parametrize("what", SCHEMA)
def test_triggers_tables_and_indices_that_are_not_ours(folder: Path, what: str) -> None:
    statement, words = SCHEMA[what]
    act(folder, statement)
    assert says(look(folder, without_keys=True), words)


#: Where a file is put that no row explains, and what to do about it.
STRAY = {
    "raw/ab/abcd.ocb": SEND_AGAIN,
    "raw/notes.txt": SEND_AGAIN,
    "facts/0000/0000.parquet": SEND_AGAIN,
    "runs/2018-09-01/other/results.json": REBUILD,
    "runs/notes.txt": REBUILD,
    "inputs/abcd.json": RESTORE,
    "seals/notes.txt": RESTORE,
}


@pytest.mark.parametrize("name", STRAY)
def test_a_file_that_no_row_explains_is_named(folder: Path, name: str) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"{}")
    (finding,) = look(folder, without_keys=True).findings
    assert (finding.where.en, finding.remedy) == (f"file {name}", STRAY[name])


def test_what_a_command_that_was_cut_off_leaves_is_no_finding(folder: Path) -> None:
    data = b"[]"
    for name in (
        "raw/ab/.x1.part", "runs/2018-09-01/x.parquet.77.partial",
        f"inputs/{hashlib.sha256(data).hexdigest()}.json", "runs/2018-09-02/run/results.json",
    ):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert look(folder, without_keys=True).is_sound


def test_an_acknowledged_open_file_deleted_with_all_its_rows_but_one(folder: Path) -> None:
    """Whatever row or file is left of it names it."""
    act(
        folder,
        *(f"DROP TRIGGER {table}_refuse_delete" for table in ("files", "facts", "file_terminals")),
    )
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        ((name,),) = connection.execute("SELECT max(content_hash) FROM files").fetchall()
    act(folder, *(f"DELETE FROM {each} WHERE content_hash = '{name}'"
                  for each in ("file_terminals", "facts", "files")))  # fmt: skip
    found = look(folder)
    assert says(found, f"file raw/{name[:2]}/{name}.ocb: has no row")
    assert says(found, f"file facts/{name}/0000.parquet: has no row")
    shutil.rmtree(folder / "facts" / name)
    (folder / "raw" / name[:2] / f"{name}.ocb").unlink()
    assert says(look(folder), name)


def test_without_keys_everything_but_the_tacs_is_proven_and_that_is_said(folder: Path) -> None:
    found = look(folder, without_keys=True)
    assert found.is_sound
    (unproven,) = found.unproven
    assert "no TAC" in unproven.en
    result = RUNNER.invoke(app, ["verify", "--without-keys", "--data", str(folder)])
    assert result.exit_code == 0
    assert "Not proven: the key service was not asked" in " ".join(result.output.split())


@pytest.mark.parametrize("kind", ["raw", "facts", "runs", "inputs", "seals"])
def test_without_keys_one_altered_byte_is_named_too(folder: Path, kind: str) -> None:
    path = min(path for path in (folder / kind).rglob("*") if path.is_file())
    flip(path, path.stat().st_size // 2)
    found = look(folder, without_keys=True)
    at = says(found, str(path.relative_to(folder)))
    assert {each.remedy for each in at} == {SEND_AGAIN if kind == "raw" else REBUILD}


def test_every_finding_says_what_to_do(folder: Path) -> None:
    path = min((folder / "facts").rglob("*.parquet"))
    path.unlink()
    result = RUNNER.invoke(app, ["verify", "--data", str(folder)])
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "→ `onecard rebuild` makes it again from the raw files" in said
    assert "repeat `onecard verify`" in said
