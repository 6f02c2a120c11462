"""A damaged or unwritable city: every command says so in a sentence, and writes nothing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.faults import sentence_of
from api.cli.frame.program import app
from tests.support.patience import SLOW_S

RUNNER = CliRunner()
DATABASE = "control.sqlite"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "city"
    assert RUNNER.invoke(app, ["city", "init", "--data", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def city(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "city")


def _garbage(path: Path) -> None:
    path.write_bytes(b"this is no database " * 1_000)


def _zero_pages(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _gone(path: Path) -> None:
    path.unlink()


@pytest.mark.parametrize("damage", [_garbage, _zero_pages, _cut, _emptied, _gone])
@pytest.mark.parametrize("command", [["verify"], ["doctor"], ["files", "list"], ["days", "list"]])
def test_a_damaged_database_is_a_sentence_and_stays_as_it_is(
    city: Path, damage: Callable[[Path], None], command: list[str]
) -> None:
    path = city / DATABASE
    damage(path)
    before = path.read_bytes() if path.exists() else None
    result = RUNNER.invoke(app, [*command, "--data", str(city)])
    assert result.exit_code == 1
    said = result.output
    if not isinstance(result.exception, SystemExit):
        assert isinstance(result.exception, Exception)
        said += str(sentence_of(result.exception))
    assert any(word in said for word in ("damaged", "missing", "empty", "I8"))
    assert "Traceback" not in said
    assert (path.read_bytes() if path.exists() else None) == before


def _without_rights(command: list[str]) -> list[str]:
    """The command line as a user whom permissions bind: for root they mean nothing."""
    program = [sys.executable, "-c", "from api.cli import main; main()", *command]
    if os.geteuid() != 0:
        return program
    if shutil.which("setpriv") is None:
        pytest.skip("permissions do not bind root, and setpriv is not here")
    return ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *program]


@pytest.mark.parametrize("command", [["verify"], ["files", "list"], ["doctor"]])
def test_a_copy_that_nobody_may_write_into_is_read(city: Path, command: list[str]) -> None:
    for each in (city, *city.rglob("*")):
        each.chmod(0o555 if each.is_dir() else 0o444)
    before = sorted(each.name for each in city.rglob("*"))
    try:
        done = subprocess.run(
            _without_rights([*command, "--data", str(city)]),
            capture_output=True, text=True, timeout=SLOW_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert sorted(each.name for each in city.rglob("*")) == before
    finally:
        for each in (city, *city.rglob("*")):
            each.chmod(0o755 if each.is_dir() else 0o644)
