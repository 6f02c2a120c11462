"""One office job in a process of its own, that can kill itself at a commit point.

Run as `python -m tests.settlement.job_process FOLDER JOB ... [--kill-at STEP]`; prints the answer.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

from settlement.city import City, open_city
from settlement.days.closing import ClosedDay
from settlement.engine.local import LocalEngine
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.watching import OnStep
from tests.settlement.device_files import CLERK, NOW, key_service
from tests.support.patience import SLOW_S
from tests.support.shared import REPOSITORY


def start_clerk(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a clerk on a city; the caller waits for it."""
    command = [sys.executable, "-m", "tests.settlement.job_process", str(folder), *arguments]
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if "--disk-bytes" in arguments else None,
        text=True,
    )


def finish(clerk: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for a clerk: its exit status (negative: the signal that ended it) and what it said."""
    said, _ = clerk.communicate(timeout=SLOW_S)
    return clerk.returncode, said.strip()


def main() -> None:
    """Do one job."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("job", choices=("receive", "clear", "close"))
    parser.add_argument("file", type=Path, nargs="?")
    parser.add_argument("--day", type=date.fromisoformat)
    parser.add_argument("--kill-at")
    parser.add_argument("--keys", type=int, nargs="*", default=[1], help="versions held")
    parser.add_argument("--register", type=Path, help="of day seals")
    parser.add_argument("--disk-bytes", type=int)
    options = parser.parse_args()
    if options.disk_bytes is not None:
        # No file may grow beyond this: a write fails as it would on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (options.disk_bytes, options.disk_bytes))

    def on_step(name: str) -> None:
        if name == options.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with open_city(options.folder) as city:
        print(_answer(city, options, on_step))  # noqa: T201 - read by the test


def _answer(city: City, options: argparse.Namespace, on_step: OnStep) -> str:
    keys = key_service(*options.keys, register=options.register)
    if options.job == "receive":
        data = options.file.read_bytes()
        return receive_file(city, data, keys, NOW, on_step).answer.name
    if options.job == "clear":
        cleared = run_clearing(city, options.day, keys, LocalEngine(1), NOW, CLERK, on_step)
        assert isinstance(cleared, RunResult)
        return cleared.run.output_hash
    closed = close_day(city, options.day, keys, LocalEngine(1), NOW, CLERK, on_step)
    assert isinstance(closed, ClosedDay)
    return closed.seal


if __name__ == "__main__":
    main()
