"""What published taps cost on whole citizen cards, beside the program as it was before.

    python benchmarks/replay.py TAPS.csv [rows] [rounds]

Runs `onecard replay` as whole processes, the program of an earlier commit and this one by turns:
cards issued, taps driven, days cleared and closed. Then, cards were made at once, of one transit
application and without a secure channel. Counts seconds of the processor, those of child processes
with them, and compares what both came to, to the fen.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

#: The last commit whose cards were made so.
BEFORE = "9d572c7"
HERE = Path(__file__).resolve().parent.parent
_MAIN = "from api.cli import main; main()"
#: What both must agree on.
_FIGURES = ("records", "accepted", "charged_fen", "tariff_fen", "float_fen", "card_balance_fen")


def main() -> None:
    """Measure and print."""
    taps = Path(sys.argv[1])
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    with tempfile.TemporaryDirectory(prefix="onecard-replay-") as name:
        folder = Path(name)
        part = folder / "taps.csv"
        with taps.open(encoding="utf-8-sig") as file:
            part.write_text("".join(line for line, _ in zip(file, range(rows + 1), strict=False)))
        before = folder / "before"
        _git("worktree", "add", "--quiet", "--detach", str(before), BEFORE)
        try:
            _measure(before, part, folder, rounds)
        finally:
            _git("worktree", "remove", "--force", str(before))


def _measure(before: Path, taps: Path, folder: Path, rounds: int) -> None:
    spent = {"before": 0.0, "now": 0.0}
    programs = [("before", before), ("now", HERE)]
    for number in range(rounds):
        came_to = {}
        # Who goes first changes from round to round: the machine is not the same all the time.
        for name, program in programs if number % 2 else programs[::-1]:
            seconds, document = _replay(program, taps, folder / f"city-{name}-{number}")
            spent[name] += seconds
            came_to[name] = {figure: document[figure] for figure in _FIGURES}
            print(f"round {number + 1}: {name:6} {seconds:7.2f} s of the processor")
        assert came_to["before"] == came_to["now"], came_to
    print(f"both came to {came_to['now']}")
    print(f"before {spent['before'] / rounds:.2f} s, now {spent['now'] / rounds:.2f} s")
    print(f"ratio {spent['now'] / spent['before']:.2f}")


def _replay(program: Path, taps: Path, city: Path) -> tuple[float, dict[str, Any]]:
    """One whole process: seconds of the processor, and what it printed."""
    started = _children_seconds()
    done = subprocess.run(  # noqa: S603 - this program, and an earlier one
        [sys.executable, "-W", "ignore", "-c", _MAIN, "replay", taps, "--data", city, "--json"],
        env={**os.environ, "PYTHONPATH": str(program)},
        cwd=taps.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    document: dict[str, Any] = json.loads(done.stdout)
    return _children_seconds() - started, document


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", HERE, *arguments], check=True)  # noqa: S603, S607


if __name__ == "__main__":
    main()
