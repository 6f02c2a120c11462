"""Change anything of a kept load log, its file or its rows, and the check names it."""

import shutil
from pathlib import Path

import pytest

from settlement.city import open_city
from settlement.service.receive import receive_file
from settlement.store.tables import ALLOWED_LOADS, LOAD_LOGS
from settlement.verification.findings import Findings
from settlement.verification.load_logs import verify_load_logs
from tests.settlement.device_files import NOW, key_service, make_office
from tests.settlement.load_logs import Host, register_host
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
