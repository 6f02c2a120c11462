"""`onecard loads`, and a load log through `onecard files add`: words, exit codes, JSON."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.cli.test_command_line import run, run_json
from tests.settlement.intake.test_intake import disk_of


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("demo") / "city"
    run("demo", "--cards", "12", "--days", "1", "--headless", "--workers", "1", "--data", folder)
    yield folder
    shutil.rmtree(folder)


def log_of(folder: Path) -> Path:
    (path,) = (folder / "outbox" / "load_host").glob("*.ocl")
    return path


def test_every_load_of_the_demonstration_city_matches(demo_folder: Path) -> None:
    document = run_json("loads", "list", "--data", demo_folder)
    loads = document["loads"]
    assert len(loads) > 5
    assert {(each["standing"], each["evidence"], each["is_matched"]) for each in loads} == {
        ("confirmed", "tac", True)
    }
    assert sorted(each["number"] for each in loads) == [*range(1, len(loads) + 1)]
    assert sum(each["loads"] for each in document["agents"]) == len(loads)
    assert [each["last_number"] for each in document["logs"]] == [len(loads)]
    assert run_json("loads", "list", "--unmatched", "--data", demo_folder)["loads"] == []
    assert "everything matches" in run("loads", "list", "--unmatched", "--data", demo_folder)


def test_pages_of_every_list_show_each_row_once_and_the_whole_where_none_is_asked_for(
    demo_folder: Path,
) -> None:
    for command, name in (
        (("loads", "list"), "loads"),
        (("files", "list"), "files"),
        (("registry", "list", "terminal"), "rows"),
    ):
        whole = run_json(*command, "--data", demo_folder)
        assert whole["count"] == len(whole[name]) > 2
        paged = []
        for page in range(1, whole["count"] // 2 + 2):
            at = ("--page", str(page), "--per-page", "2")
            shown = run_json(*command, *at, "--data", demo_folder)
            assert shown["count"] == whole["count"]
            assert len(shown[name]) <= 2
            paged += shown[name]
        assert paged == whole[name]
        said = run(*command, "--page", "2", "--per-page", "2", "--data", demo_folder)
        assert f"{whole['count']:,} rows in all; page 2 of " in said
        assert "there is no page 99" in run(*command, "--page", "99", "--data", demo_folder)


def test_loads_are_asked_for_by_standing_and_agent_and_sorted(demo_folder: Path) -> None:
    def asked(*arguments: str) -> list[dict[str, Any]]:
        return list(run_json("loads", "list", *arguments, "--data", demo_folder)["loads"])

    whole = asked()
    assert asked("--standing", "confirmed") == whole
    assert asked("--standing", "void") == []
    agents = {each["agent"] for each in whole}
    assert sum(len(asked("--agent", str(each))) for each in agents) == len(whole)
    assert asked("--agent", "1") == [each for each in whole if each["agent"] == 1]
    amounts = [each["amount_fen"] for each in asked("--sort", "amount", "--descending")]
    assert amounts == sorted((each["amount_fen"] for each in whole), reverse=True)
    none = run("loads", "list", "--standing", "void", "--data", demo_folder)
    assert "`onecard loads list`" in none
    assert "no column soon" in run(
        "loads", "list", "--sort", "soon", "--data", demo_folder, exit_code=2
    )


def test_one_load_is_shown_by_its_number(demo_folder: Path) -> None:
    document = run_json("loads", "show", "1", "--data", demo_folder)
    assert (document["number"], document["standing"]) == (1, "confirmed")
    assert 1 in {each["number"] for each in document["purse"]}
    assert document["card_number"].startswith("*" * 16)
    said = run("loads", "show", "1", "--data", demo_folder)
    assert document["card_number"] in said
    assert "meaning: " in said
    assert "onecard loads list" in run("loads", "show", "99999", "--data", demo_folder, exit_code=1)


def test_what_does_not_match_is_said_with_its_meaning_and_what_to_do(
    demo_folder: Path, tmp_path: Path
) -> None:
    fresh = tmp_path / "fresh"
    run("city", "export", tmp_path / "registry", "--data", demo_folder)
    run("city", "init", "--scheme", "demo", "--registry", tmp_path / "registry", "--data", fresh)
    run("files", "add", log_of(demo_folder), "--data", fresh)
    said = run("loads", "list", "--unmatched", "--data", fresh)
    assert "allowed only" in " ".join(said.split())
    assert "ask the agent for its files" in said
    document = run_json("loads", "list", "--unmatched", "--data", fresh)
    assert {each["standing"] for each in document["loads"]} <= {"allowed_only", "confirmed"}
    assert document["agents"][-1]["unmatched"] > 0


def test_a_log_sent_again_is_answered_as_before_and_an_altered_one_is_refused(
    demo_folder: Path, tmp_path: Path
) -> None:
    before = disk_of(demo_folder)
    again = run_json("files", "add", log_of(demo_folder), "--data", demo_folder)
    assert again["files"][0]["answer"] == "already_received"
    data = bytearray(log_of(demo_folder).read_bytes())
    data[100] ^= 1
    altered = tmp_path / "altered.ocl"
    altered.write_bytes(data)
    refused = run_json("files", "add", altered, "--data", demo_folder, exit_code=1)
    assert refused["files"][0]["answer"] == "altered"
    assert disk_of(demo_folder) == before


def test_a_day_that_is_none_is_usage(demo_folder: Path) -> None:
    assert "YYYY-MM-DD" in run(
        "loads", "list", "--from", "yesterday", "--data", demo_folder, exit_code=2
    )
