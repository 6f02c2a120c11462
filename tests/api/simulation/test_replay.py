"""Thirty-seven thousand real taps, through real card and PSAM commands, to the fen.

The expected figures are read from the description that stands beside the data, where they were
reckoned independently of this engine.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.api.cli.test_command_line import run, run_json
from tests.support.shared import DATA, needs_shared

TAPS = DATA / "shenzhen" / "taps.csv"
README = DATA / "README.md"

pytestmark = [needs_shared, pytest.mark.slow]


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("replay") / "city"
    yield folder, run_json("replay", TAPS, "--scheme", "shenzhen", "--data", folder)
    shutil.rmtree(folder)


def figure(pattern: str) -> int:
    """The number that the description gives in a phrase."""
    found = re.search(pattern, README.read_text(encoding="utf-8"))
    assert found is not None, pattern
    return int(found[1].replace(",", ""))


def test_every_figure_of_the_description_is_reproduced(
    replayed: tuple[Path, dict[str, Any]],
) -> None:
    _, result = replayed
    assert result["rows"] == figure(r"`shenzhen/taps.csv`: ([\d,]+) taps")
    assert result["tariff_fen"] == figure(r"tariff ([\d,]+) fen")
    assert result["charged_fen"] == figure(r"charged ([\d,]+) fen")
    assert result["duplicates"] == 1
    assert (result["suspended"], result["rejected"], result["late"]) == (0, 0, 0)
    assert result["notes"] == {
        "transfer_mark_missing": figure(r"mark 0: (\d+)"),
        "station_missing": figure(r"([\d,]+) rows \(metro\) name no station"),
    }
    assert result["classes"] == {
        "adult": figure(r"adult ([\d,]+) ·"),
        "adult_transfer": figure(r"adult with transfer ([\d,]+)"),
        "half": figure(r"half ([\d,]+) ·"),
        "free": figure(r"free ([\d,]+) ·"),
        "full": figure(r"full price ([\d,]+)"),
        "transfer_unmarked": figure(r"mark 0: (\d+)"),
    }
    table = re.findall(r"^\| (\S+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|$", README.read_text(
        encoding="utf-8"
    ), re.MULTILINE)  # fmt: skip
    assert len(table) == 10
    assert result["operators"] == {
        name: {
            "taps": int(taps.replace(",", "")),
            "tariff_fen": int(tariff.replace(",", "")),
            "charged_fen": int(charged.replace(",", "")),
        }
        for name, taps, tariff, charged in table
    }


def test_the_float_is_proven_and_every_invariant_holds(
    replayed: tuple[Path, dict[str, Any]],
) -> None:
    folder, result = replayed
    assert result["float_fen"] == result["card_balance_fen"]
    assert result["float_fen"] == sum(result["loads"].values()) - result["charged_fen"]
    assert (result["open_gap_fen"], result["gaps_open"], result["net_sum_fen"]) == (0, 0, 0)
    verification = run_json("verify", "--data", folder)
    assert verification["findings"] == []
    assert all(verification["invariants"].values())


def test_replaying_again_charges_nothing_twice(replayed: tuple[Path, dict[str, Any]]) -> None:
    folder, result = replayed
    assert run_json("replay", TAPS, "--data", folder) == result


@pytest.mark.parametrize("workers", ["1", "4"])
def test_files_in_any_order_with_any_workers_give_the_replays_output_hash(
    replayed: tuple[Path, dict[str, Any]], tmp_path: Path, workers: str
) -> None:
    folder, result = replayed
    city, registry = tmp_path / "other", tmp_path / "registry.json"
    run("city", "export", registry, "--data", folder)
    run("city", "init", "--scheme", "shenzhen", "--registry", registry, "--data", city)
    files = sorted((folder / "outbox").rglob("*.ocb"))
    loads = [path for path in files if path.parent.name == "900"]
    others = [path for path in files if path not in loads]
    # Runs read what the load host allowed: its log is part of what comes in.
    loads += sorted((folder / "outbox").rglob("*.ocl"))
    Random(int(workers)).shuffle(others)
    eve, day = sorted(result["days"])
    for settlement_day, batch in ((eve, loads), (day, [*others, *others[:3]])):
        run("files", "add", *batch, "--data", city)
        arguments = ("--settlement-day", settlement_day, "--workers", workers, "--data", city)
        assert run_json("clear", *arguments)["output_hash"] == result["days"][settlement_day]
        run("close", *arguments)
    shutil.rmtree(city)
