"""A small measured replay: both ways of keeping cards come to the same fen."""

from pathlib import Path

import pytest

from tests.api.cli.test_command_line import run, run_json
from tests.support.shared import DATA, needs_shared

TAPS = DATA / "shenzhen" / "taps.csv"


@needs_shared
def test_whole_cards_and_slim_ones_are_measured_on_the_same_rows() -> None:
    document = run_json("bench", "replay", TAPS, "--rows", "9")
    assert document["records"] == document["cards"] + 9
    assert 0 < document["cards"] <= 9
    assert min(document["seconds"], document["baseline_seconds"]) > 0
    assert document["issuing_seconds"] > document["baseline_issuing_seconds"] > 0
    assert document["ratio"] > 0
    for name in ("", "baseline_"):
        parts = document[f"{name}seconds"] + document[f"{name}issuing_seconds"]
        assert document[f"{name}total_seconds"] == pytest.approx(parts, abs=0.002)


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    assert "no such file" in run("bench", "replay", tmp_path / "none.csv", exit_code=2)
