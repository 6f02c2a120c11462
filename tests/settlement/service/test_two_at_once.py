"""Two processes forced to meet: the second one waits, whatever the scheduler does."""

import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from settlement.city import City
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.store.database import Database
from settlement.store.days import load_closed_days, load_run
from tests.settlement.device_files import CLERK, DAY, NOW, make_office
from tests.settlement.job_process import finish, start_clerk
from tests.settlement.service.test_service import ENGINE, KEYS, close, receive, two_days_of_files
from tests.support.patience import SOON_S


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def waits_for_a_lock(process: "subprocess.Popen[str]") -> bool:
    """Whether the process comes to stand at a lock of another one; False when it ends before."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        for line in Path("/proc/locks").read_text().splitlines():
            _, *words = line.split()
            if words[0] == "->" and words[4] == str(process.pid):
                return True
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("job", ["clear", "close"])
def test_who_clears_or_closes_waits_for_whoever_does_so_already(office: City, job: str) -> None:
    monday, _ = two_days_of_files()
    receive(office, *monday)
    with office.clearing():
        clerk = start_clerk(office.folder, job, "--day", str(DAY))
        assert waits_for_a_lock(clerk)
        assert not list(office.folder.glob("runs/*/*"))
    status, said = finish(clerk)
    assert (status, len(said)) == (0, 64)


def test_who_waited_for_a_close_finds_the_day_closed_and_closes_it_no_second_time(
    office: City,
) -> None:
    monday, tuesday = two_days_of_files()
    receive(office, *monday, *tuesday)
    clerks = []

    def on_step(name: str) -> None:
        if name == "run_kept":
            clerks.append(start_clerk(office.folder, "close", "--day", str(DAY)))
            assert waits_for_a_lock(clerks[0])

    day = close_day(office, DAY, KEYS, ENGINE, NOW, CLERK, on_step)
    assert [finish(clerk) for clerk in clerks] == [(0, load_closed_days(office.database)[0].seal)]
    assert load_closed_days(office.database) == (day,)


_BEGIN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    connection.execute("BEGIN IMMEDIATE")
except sqlite3.OperationalError as error:
    print(error.sqlite_errorname)
else:
    print("began")
"""


def test_what_a_writer_has_read_nobody_changes_before_it_commits(tmp_path: Path) -> None:
    """The write lock is taken as the transaction begins, before it has written anything."""
    path = tmp_path / "control.sqlite"

    def another_writer() -> str:
        command = [sys.executable, "-c", _BEGIN, str(path)]
        ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SOON_S)
        return ran.stdout.strip()

    with Database.sqlite(path) as database:
        assert another_writer() == "began"

        def decide(connection: object) -> str:
            del connection  # nothing was read yet, and nothing written
            return another_writer()

        assert database.write(decide) == "SQLITE_BUSY"
        with database.read():
            assert another_writer() == "began"
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def alter(path: Path) -> None:
    """One row fewer: a well-formed file that is another one."""
    if path.suffix != ".parquet":
        path.write_bytes(path.read_bytes() + b"\n")
        return
    with closing(duckdb.connect()) as connection:
        connection.execute(f"CREATE TABLE altered AS FROM read_parquet('{path}')")
        connection.execute("DELETE FROM altered WHERE rowid = (SELECT max(rowid) FROM altered)")
        # A table without rows becomes another file by what is said beside it.
        connection.execute(f"COPY altered TO '{path}' (FORMAT parquet, KV_METADATA {{of: 'x'}})")


def test_a_day_starts_from_no_output_of_the_day_before_that_was_altered(office: City) -> None:
    """Well-formed files, each alone: a card fewer would move the float without a word. They are
    made again, also those that are altered after they were looked at.
    """
    monday, tuesday = two_days_of_files()
    receive(office, *monday)
    day = close(office)
    receive(office, *tuesday)
    right = run_clearing(office, None, KEYS, ENGINE, NOW, CLERK)
    assert isinstance(right, RunResult)
    run = load_run(office.database, day.run_id)
    assert run is not None
    folder = office.run_folder(day.settlement_day, day.run_id)
    names = [name for name, _ in run.outputs if not name.endswith("decisions.parquet")]
    assert any(name.endswith("cards.parquet") for name in names)
    for name in names:
        path = folder / name
        whole = path.read_bytes()
        alter(path)
        assert path.read_bytes() != whole, name
        assert run_clearing(office, None, KEYS, ENGINE, NOW, CLERK) == right
        assert path.read_bytes() == whole
    path = folder / next(name for name in names if name.endswith("cards.parquet"))
    whole = path.read_bytes()
    asked: list[str] = []

    def meanwhile(step: str) -> None:
        if step == "inputs_kept" and not asked:
            asked.append(step)
            alter(path)

    shutil.rmtree(office.run_folder(right.run.settlement_day, right.run.run_id))
    assert run_clearing(office, None, KEYS, ENGINE, NOW, CLERK, meanwhile) == right
    assert (path.read_bytes(), asked) == (whole, ["inputs_kept"])
    close(office)
