"""Ctrl-C ends a real process with 130 and one sentence, whenever it comes; the command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.api.cli.test_command_line import copy_of_registry, outbox, run

ROOT = Path(__file__).parents[3]
SENTENCE = "Stopped. What was done stands; the same command goes on from there."
#: As at a terminal: a shell that runs the tests in the background lets them ignore Ctrl-C.
_HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
#: Says when `main` has begun to hear, so that a stop comes after that, before anything is loaded.
_PROGRAM = f"""
{_HEED}
import os
from api import cli
heard = cli.hear_stops
def hear_and_tell():
    heard()
    os.write(2, b"begun\\n")
cli.hear_stops = hear_and_tell
if __name__ == "__main__":
    cli.main()
"""
#: After so many milliseconds: while modules are loaded, as the city is opened, at work.
MOMENTS_MS = (0, 40, 120, 250, 400, 700, 1100, 1600)
DEMO = ("demo", "--cards", "200", "--days", "1", "--headless", "--workers", "1")


def stopped(program: Path, arguments: tuple[str, ...], after_ms: int) -> tuple[int, str, str]:
    """A process that the whole terminal stops, as Ctrl-C does; its exit code, and what it said."""
    child = subprocess.Popen(
        [sys.executable, str(program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "ONECARD_LANG": "en"},
        start_new_session=True,
    )
    assert child.stderr is not None
    assert child.stderr.readline() == "begun\n"
    time.sleep(after_ms / 1000)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM, encoding="utf-8")
    return path


def check_stopped(ended: tuple[int, str, str]) -> bool:
    """Whether it was stopped at all; then in one sentence."""
    exit_code, out, err = ended
    assert "Traceback" not in err + out
    assert "Error" not in err
    if exit_code == 0:
        return False  # it was done before
    assert exit_code == 130, err
    assert [line for line in err.splitlines() if "Stopped" in line] == [SENTENCE]
    assert err.splitlines()[-1] == SENTENCE
    return True


def test_a_demonstration_stopped_at_any_moment_says_so_and_goes_on(
    tmp_path: Path, program: Path
) -> None:
    city = tmp_path / "city"
    arguments = (*DEMO, "--data", str(city))
    ends = [check_stopped(stopped(program, arguments, moment)) for moment in MOMENTS_MS]
    assert ends[0]
    assert sum(ends) >= 4
    run(*arguments)
    document = json.loads(run(*arguments, "--json"))
    assert document["float_fen"] == document["card_balance_fen"] > 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_clearing_stopped_at_any_moment_says_so_and_goes_on(
    tmp_path: Path, program: Path, workers: str
) -> None:
    source, city = tmp_path / "source", tmp_path / "city"
    run("demo", "--cards", "60", "--days", "1", "--headless", "--workers", "1", "--data", source)
    copy_of_registry(source, city)
    run("files", "add", *outbox(source), "--data", city)
    arguments = ("clear", "--workers", workers, "--data", str(city))
    ends = [check_stopped(stopped(program, arguments, moment)) for moment in MOMENTS_MS[:6]]
    assert ends[0]
    assert sum(ends) >= 3
    cleared = json.loads(run(*arguments, "--json"))
    shown = json.loads(run("clear", "--settlement-day", "2026-09-01", "--json", "--data", source))
    assert cleared["output_hash"] == shown["output_hash"]


def test_a_stop_that_falls_on_the_clearing_up_of_an_object_is_not_lost() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"{_HEED}\n{_CLEARED_UP}"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("stopped\n", "")


_CLEARED_UP = """
import os, signal, time
from api.cli.frame.stopping import hear_stops
hear_stops()

class Last:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0)

last = Last()
try:
    del last
    time.sleep(20)
    print("gone on")
except KeyboardInterrupt:
    print("stopped")
"""
