"""`onecard float`: one screen, one JSON object, and exit 1 with the name of what does not agree."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.api.cli.test_command_line import run, run_json
from tests.settlement.intake.test_intake import disk_of


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / "city"
    run("demo", "--cards", "12", "--days", "1", "--headless", "--workers", "1", "--data", folder)
    yield folder
    shutil.rmtree(folder)


def test_every_part_of_the_float_is_there_for_people_and_for_machines(demo_folder: Path) -> None:
    document = run_json("float", "--data", demo_folder)
    assert document["holds"] is True
    assert document["float_fen"] == (
        document["stated_fen"] - document["tail_fen"] - document["unopened_fen"]
        + document["missing_debits_fen"] - document["missing_loads_fen"]
        + document["contradictions_out_fen"] - document["contradictions_in_fen"]
    )  # fmt: skip
    (day,) = run_json("days", "list", "--data", demo_folder)["days"]
    totals = run_json("days", "show", day["settlement_day"], "--data", demo_folder)["totals"]
    assert totals["float_proof"].items() <= document.items()
    said = run("float", "--data", demo_folder)
    for words in (
        "balances signed by cards",
        "debits since",
        "missing debits",
        "missing loads",
        "contradictions",
        "proof holds",
    ):
        assert words in said, words


def test_asking_changes_nothing_in_the_city(demo_folder: Path) -> None:
    before = disk_of(demo_folder)
    run("float", "--data", demo_folder)
    assert disk_of(demo_folder) == before


def test_one_purse_made_wrong_is_named_and_the_command_fails(
    demo_folder: Path, tmp_path: Path
) -> None:
    city = tmp_path / "city"
    shutil.copytree(demo_folder, city)
    path = max(city.rglob("statements.parquet"), key=lambda each: each.stat().st_size)
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS FROM read_parquet($path)", {"path": str(path)})
        ((card,),) = connection.execute("SELECT min(card_number) FROM t").fetchall()
        connection.execute(
            "UPDATE t SET balance_fen = balance_fen + 100 WHERE card_number = $card", {"card": card}
        )
        connection.sql("FROM t").write_parquet(str(path))
    said = run("float", "--data", city, exit_code=1)
    assert "The proof FAILS" in said
    number = f"{card:020}"
    for form in ((), ("--json",)):
        assert number in run("float", *form, "--unmask", "--data", city, exit_code=1)
        said = run("float", *form, "--data", city, exit_code=1)
        assert f"{'*' * 16}{number[-4:]}/" in said
        assert number not in said
    document = run_json("float", "--data", city, exit_code=1)
    assert document["holds"] is False
    assert "stated_fen" in {each["where"] for each in document["faults"]}


def test_before_any_day_is_closed_it_says_so(tmp_path: Path) -> None:
    run("city", "init", "--scheme", "demo", "--data", tmp_path / "city")
    assert "onecard close" in run("float", "--data", tmp_path / "city", exit_code=1)
