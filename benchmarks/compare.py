"""What a day costs to reconcile in several checkouts, in alternating rounds of one run.

    python benchmarks/compare.py RECORDS ROUNDS CHECKOUT CHECKOUT...

Every checkout brings its own `benchmarks/reconcile.py`. Each round starts a process of each, which
makes the same synthetic day with its own program and reconciles it twice: first as a process that
has run nothing before, next as one that has. Whatever else the machine does falls on all of them
alike. Seconds are the processor's; ratios are to the first checkout. The digest is that of the
files: two of one format that differ in it do not write the same bytes.
"""

import contextlib
import hashlib
import io
import os
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

#: Files of a run whose bytes are compared.
_FILES = "*.parquet"
#: The runs of a process.
_RUNS = ("first", "next")


def main(count: int, rounds: int, checkouts: list[Path]) -> None:
    """Print the seconds of every checkout: least, mean, and their ratios to the first."""
    spent: dict[str, list[list[float]]] = {each: [[] for _ in checkouts] for each in _RUNS}
    digests = [""] * len(checkouts)
    for turn in range(rounds):
        # Each goes first as often as the others.
        for shift in range(len(checkouts)):
            i = (turn + shift) % len(checkouts)
            with _worker(checkouts[i], count) as worker:
                for run in _RUNS:
                    seconds, digests[i] = _ask(worker)
                    spent[run][i].append(seconds)
    print(f"{count:,} records in one bucket, {rounds} rounds, processor seconds")
    print("run     least    mean  least/   mean/ median/  files         checkout")
    for run in _RUNS:
        first = spent[run][0]
        for seconds_of, digest, checkout in zip(spent[run], digests, checkouts, strict=True):
            paired = statistics.median(a / b for a, b in zip(seconds_of, first, strict=True))
            least, mean = min(seconds_of), statistics.fmean(seconds_of)
            ratios = f"{least / min(first):8.3f}{mean / statistics.fmean(first):8.3f}{paired:8.3f}"
            print(f"{run:<5}{least:8.3f}{mean:8.3f}{ratios}  {digest[:12]}  {checkout}")


@contextlib.contextmanager
def _worker(checkout: Path, count: int) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, str(Path(__file__).resolve()), "--work", str(count)]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    with subprocess.Popen(  # noqa: S603 - checkouts that were named on the command line
        command, cwd=checkout, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        yield process
        assert process.stdin is not None
        process.stdin.close()


def _ask(worker: subprocess.Popen[str]) -> tuple[float, str]:
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write("again\n")
    worker.stdin.flush()
    seconds, digest = worker.stdout.readline().split()
    return float(seconds), digest


def _work(count: int) -> None:
    """Answer every line with the seconds of a run and the digest of its files."""
    answers = sys.stdout
    measured = runpy.run_path("benchmarks/reconcile.py", run_name="reconcile")
    reconcile_run: Callable[..., Any] = measured["reconcile_run"]

    def run(task: object, folder: Path, *rest: object) -> None:
        for _ in sys.stdin:
            with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
                before = _spent()
                reconcile_run(task, Path(scratch), *rest)
                seconds = _spent() - before
                print(seconds, _digest(Path(scratch)), file=answers, flush=True)
        raise SystemExit  # nobody asks any more, and what the benchmark does next is not asked for

    measured["main"].__globals__["reconcile_run"] = run
    with contextlib.redirect_stdout(io.StringIO()):
        measured["main"](count, 1, 1)


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _digest(folder: Path) -> str:
    total = hashlib.sha256()
    for path in sorted(folder.rglob(_FILES)):
        total.update(f"{path.relative_to(folder)} ".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        _work(int(sys.argv[2]))
    else:
        main(int(sys.argv[1]), int(sys.argv[2]), [Path(each).resolve() for each in sys.argv[3:]])
