"""Change anything of a kept load log, its file or its rows, and the check names it."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from settlement.city import open_city
from settlement.engine.local import LocalEngine
from settlement.service.receive import receive_file
from settlement.store.load_logs import load_load_logs
from settlement.store.tables import ALLOWED_LOADS, LOAD_LOGS
from settlement.verification.findings import Finding, Findings
from settlement.verification.kept.folder import verify_folder
from settlement.verification.load_logs import verify_load_logs
from settlement.verification.verify import verify
from tests.settlement.device_files import DAY, NOW, Street, key_service, make_office
from tests.settlement.load_logs import Host, register_host
from tests.settlement.service.test_service import close, receive
from tests.settlement.verification.test_verify import changed, flip, tamper

KEYS = key_service()


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("logged") / "city"
    host = Host()
    for number in range(6):
        host.allow(card_number=f"{number:020}", online_counter=number)
    with make_office(folder, bucket_count=1) as city:
        register_host(city)
        for first, end in ((0, 2), (2, 4), (5, 6)):
            assert receive_file(city, host.file_of(first, end), KEYS, NOW).answer.is_kept
    return folder


@pytest.fixture
def folder(logged: Path, tmp_path: Path) -> Path:
    shutil.copytree(logged, tmp_path / "city")
    return tmp_path / "city"


def found(folder: Path) -> list[str]:
    findings = Findings()
    with open_city(folder) as city:
        verify_load_logs(city, findings)
        verify_folder(city, findings)
    return [f"{each.where}: {each.text}" for each in findings.found]


def test_an_undisturbed_log_is_sound_also_with_a_hole(folder: Path) -> None:
    assert found(folder) == []


@pytest.mark.parametrize("position", [5, 30, 80, -1])
def test_one_altered_byte_of_a_raw_log_is_named(folder: Path, position: int) -> None:
    path = next((folder / "raw").rglob("*.ocl"))
    flip(path, position)
    assert any(path.stem in each for each in found(folder))


def test_an_absent_raw_log_is_named(folder: Path) -> None:
    path = next((folder / "raw").rglob("*.ocl"))
    path.unlink()
    assert any(path.stem in each for each in found(folder))


@pytest.mark.parametrize("column", [each.name for each in LOAD_LOGS.columns])
def test_every_column_of_a_log_is_watched(folder: Path, column: str) -> None:
    if column == "missing":
        tamper(folder, "UPDATE load_logs SET missing = '[[1,1]]' WHERE first_number = 1")
    else:
        tamper(folder, changed("load_logs", column))
    assert any("load_logs" in each or "load logs" in each for each in found(folder))


@pytest.mark.parametrize("column", [each.name for each in ALLOWED_LOADS.columns])
def test_every_column_of_an_entry_is_watched(folder: Path, column: str) -> None:
    if column == "time":
        tamper(folder, "UPDATE allowed_loads SET time = replace(time, ':00.', ':01.')")
    else:
        tamper(folder, changed("allowed_loads", column))
    assert any("allowed_loads" in each for each in found(folder))


def test_a_removed_entry_and_one_that_no_file_has_are_named(folder: Path) -> None:
    tamper(folder, "DELETE FROM allowed_loads WHERE number = 3")
    assert [each for each in found(folder) if "/3: is gone" in each]
    tamper(
        folder,
        "INSERT INTO allowed_loads SELECT issuer, 99, content_hash, application, card_number, "
        "key_version, random, online_counter, balance_before_fen, amount_fen, terminal, time, mac1,"
        " mac2, funding, debit_terminal, debit_serial FROM allowed_loads WHERE number = 1",
    )
    assert [each for each in found(folder) if "/99: follows from no file" in each]


def test_a_log_whose_rows_were_removed_is_named_by_its_raw_file(folder: Path) -> None:
    tamper(
        folder,
        "DELETE FROM allowed_loads WHERE number > 4",
        "DELETE FROM load_logs WHERE first_number > 4",
    )
    (finding,) = found(folder)
    assert "has no row" in finding


@pytest.fixture(scope="module")
def read_by_a_day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city with a day that read a log of two files and billed a load by it."""
    folder = tmp_path_factory.mktemp("read") / "city"
    host, street = Host(), Street()
    card = street.card(1)
    records = [card.load(1000), card.load(500)]
    for record in records:
        host.allow_record(record)
    with make_office(folder, bucket_count=1) as city:
        register_host(city)
        receive(city, host.file_of(0, 1), host.file_of(1, 2), street.file(records[1:]))
        close(city)
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return folder


def verify_day(folder: Path) -> tuple[Finding, ...]:
    with open_city(folder) as city:
        return verify(city, KEYS, LocalEngine(1)).findings


def test_a_log_cut_back_behind_the_day_that_read_it_is_found(
    read_by_a_day: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "city"
    shutil.copytree(read_by_a_day, folder)
    assert verify_day(folder) == ()
    with open_city(folder) as city:
        last = load_load_logs(city.database)[-1][0].content_hash
        city.load_log_path(last).unlink()
    tamper(
        folder,
        f"DELETE FROM allowed_loads WHERE content_hash = '{last}'",
        f"DELETE FROM load_logs WHERE content_hash = '{last}'",
    )
    # Rows and raw files agree; what the day says that it read is not there.
    assert found(folder) == []
    assert any("does not end as it was read" in each.text.en for each in verify_day(folder))


@pytest.mark.parametrize(
    "ends", ["NULL", "'[]'", "replace(load_logs, ',2,', ',1,')", "replace(load_logs, 'a', 'b')"]
)
def test_what_a_day_says_it_read_of_the_log_is_watched(
    read_by_a_day: Path, tmp_path: Path, ends: str
) -> None:
    folder = tmp_path / "city"
    shutil.copytree(read_by_a_day, folder)
    tamper(folder, f"UPDATE runs SET load_logs = {ends}")
    assert any(str(DAY) in each.where.en for each in verify_day(folder))
