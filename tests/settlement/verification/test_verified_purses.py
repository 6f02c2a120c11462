"""I3, purse by purse: what stands as posted on a purse is what its records moved, day after day."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from settlement.city import City, open_city
from settlement.days.run import RunInputs, StoredRun
from settlement.service.gathering import closed_inputs
from settlement.store.days import load_closed_days, load_entries, load_run
from settlement.verification.findings import Findings, Invariant
from settlement.verification.float_proof import verify_float
from settlement.verification.records import verify_records
from tests.settlement.device_files import make_office
from tests.settlement.service.test_service import close, receive, two_days_of_files


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("kept") / "city"
    with make_office(folder) as made:
        for files in two_days_of_files():
            receive(made, *files)
            close(made)
    with open_city(folder) as opened:
        yield opened


def last_run(city: City) -> tuple[RunInputs, StoredRun, Path]:
    day = load_closed_days(city.database)[-1]
    run = load_run(city.database, day.run_id)
    assert run is not None
    return closed_inputs(city, day, run), run, city.run_folder(day.settlement_day, day.run_id)


def check(city: City, folder: Path) -> Findings:
    inputs, run, _ = last_run(city)
    findings, posted = Findings(), load_entries(city.database)
    verify_records(city, folder, inputs, posted, findings)
    verify_float(city, folder, inputs, run, posted, findings)
    return findings


def test_of_an_undisturbed_run_every_purse_adds_up(city: City, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(last_run(city)[2], folder)
    assert check(city, folder).found == []


@pytest.mark.parametrize(
    "change",
    [
        "posted_fen = posted_fen + 1",
        "balance_fen = balance_fen + 1",
        "tail_fen = tail_fen - 1",
        # It still adds up by itself, and not with what its records moved.
        "posted_fen = posted_fen + 1, balance_fen = balance_fen + 1",
    ],
)
def test_one_purse_that_stands_otherwise_is_named(city: City, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(last_run(city)[2], folder)
    path = max(folder.rglob("statements.parquet"), key=lambda each: each.stat().st_size)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS FROM read_parquet($path)", {"path": str(path)})
        ((card,),) = connection.execute("SELECT min(card_number) FROM t").fetchall()
        connection.execute(f"UPDATE t SET {change} WHERE card_number = {card}")
        connection.sql("FROM t").write_parquet(str(path))
    found = check(city, folder).found
    assert {each.invariant for each in found} == {Invariant.I3}
    assert any(f"{card:020}" in each.where.en for each in found)
