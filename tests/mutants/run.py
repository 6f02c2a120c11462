"""Put every known wrong change into a copy of the repository, one at a time, and expect red.

Run as ``python -m tests.mutants.run [WORD ...]``: all rows of `table`, or those whose rule or file
has one of the words in it. A row fails when its tests pass all the same, when they break down
instead of failing, or when its old text does not stand in its file exactly once: whoever rewrites a
line says anew what would be wrong with it.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.table import MUTANTS, Mutant
from tests.support.patience import SLOW_S
from tests.support.shared import REPOSITORY, SHARED

#: Exit statuses of pytest: what it ran passed, and some of it failed.
_GREEN, _RED = 0, 1


def main() -> int:
    """0 when every row was noticed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*")
    parser.add_argument("--tests", nargs="*", help="run these instead of the tests of the row")
    options = parser.parse_args()
    wanted = [
        each
        for each in MUTANTS
        if not options.words or any(word in f"{each.path} {each.rule}" for word in options.words)
    ]
    gone = [each for each in wanted if (REPOSITORY / each.path).read_text().count(each.old) != 1]
    for each in gone:
        print(f"NOT FOUND  {each.path}: {each.old!r}")  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="onecard-mutants-") as folder:
        copy = _copy(Path(folder))
        # Tests that fail by themselves notice nothing.
        red = {
            tests
            for tests in dict.fromkeys(each.tests for each in wanted)
            if not options.tests and _run(copy, tests)[0] != "NOT NOTICED"
        }
        for tests in red:
            print(f"RED AS IT IS  {' '.join(tests)}")  # noqa: T201
        unnoticed = [
            each
            for each in wanted
            if each not in gone
            and (each.tests in red or not _is_noticed(copy, each, options.tests or each.tests))
        ]
    print(  # noqa: T201
        f"{len(wanted)} wrong changes: {len(unnoticed)} not noticed, {len(gone)} without a place"
    )
    return 1 if unnoticed or gone else 0


def _copy(folder: Path) -> Path:
    """What git knows of the repository, as it stands in the work tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    copy = folder / "onecard"
    for name in filter(None, listed.split("\0")):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / name, copy / name)
    if SHARED.is_dir():
        (folder / "shared").symlink_to(SHARED)
    return copy


def _is_noticed(copy: Path, mutant: Mutant, tests: Sequence[str]) -> bool:
    path = copy / mutant.path
    right = path.read_text()
    path.write_text(right.replace(mutant.old, mutant.new))
    began = time.monotonic()
    try:
        said, detail = _run(copy, tests)
    finally:
        path.write_text(right)
    took = f"{time.monotonic() - began:5.1f} s"
    print(f"{said:<11} {took}  {mutant.path}: {mutant.rule}  {detail}", flush=True)  # noqa: T201
    return said == "noticed"


def _run(copy: Path, tests: Sequence[str]) -> tuple[str, str]:
    """What became of these tests in the copy, and the first one that failed."""
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SLOW_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "HANGS", ""
    said = {_RED: "noticed", _GREEN: "NOT NOTICED"}.get(ran.returncode)
    if said is None:
        return "BREAKS DOWN", ran.stdout[-2000:] + ran.stderr[-500:]
    lines = [each for each in ran.stdout.splitlines() if each.startswith(("FAILED", "ERROR"))]
    return said, lines[0].split(" - ")[0] if lines else ""


if __name__ == "__main__":
    sys.exit(main())
