"""The local engine: order, errors, a dead worker; and the same bytes from any number of them."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from settlement.engine import WorkerLostError
from settlement.engine.local import LocalEngine
from settlement.service.computation import read_outcome
from tests.settlement.reconciliation.run_inputs import DAY, Desk, Proven, chain, proven
from tests.support.shared import REPOSITORY


@pytest.fixture(autouse=True)
def _workers_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY))


def double(number: int) -> int:
    return 2 * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def die_once(flag: str) -> int:
    """Dies without a word the first time, as a worker out of memory does."""
    path = Path(flag)
    if not path.exists():
        path.touch()
        os._exit(9)
    return 1


@pytest.mark.parametrize("workers", [1, 2])
def test_results_stand_in_the_order_of_the_tasks_and_progress_counts_up(workers: int) -> None:
    done: list[int] = []
    assert LocalEngine(workers).map(double, [5, 3, 4], done.append) == [10, 6, 8]
    assert done == [1, 2, 3]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_task_raises_comes_out(workers: int) -> None:
    with pytest.raises(ValueError, match="three"):
        LocalEngine(workers).map(fail_at_three, [1, 2, 3, 4], lambda _done: None)


def test_a_dead_worker_is_a_named_error_and_the_run_can_be_repeated(tmp_path: Path) -> None:
    tasks = [str(tmp_path / "flag"), str(tmp_path / "flag")]
    engine = LocalEngine(2)
    with pytest.raises(WorkerLostError):
        engine.map(die_once, tasks, lambda _done: None)
    assert engine.map(die_once, tasks, lambda _done: None) == [1, 1]


def _day_of_faults() -> list[list[Proven]]:
    serials = {"0000000000b1": 1, "0000000000e1": 1, "0000000000c1": 1}
    rows: list[Proven] = []
    for card in range(1, 13):
        life = chain(card, 1000, -160, 0, -80, serials=serials)
        for record in life:
            serials[record.terminal] = record.terminal_serial + 1
        rows += proven(*life[: 4 - card % 3], *life[3:], life[1])
    return [rows[start::4] for start in range(4)]


def test_arrival_order_and_number_of_workers_never_show_in_the_output(tmp_path: Path) -> None:
    files = _day_of_faults()
    one = Desk(tmp_path / "one", buckets=4).run(*files)
    two = Desk(tmp_path / "two", buckets=4, engine=LocalEngine(2)).run(*reversed(files))
    assert one.output_hash == two.output_hash
    assert one == two


def test_number_of_buckets_never_shows_in_the_totals(tmp_path: Path) -> None:
    files = _day_of_faults()
    results = [Desk(tmp_path / str(n), buckets=n).run(*files).clearing for n in (1, 2, 8)]
    assert len({repr(each.totals) for each in results}) == 1
    assert len({repr((each.participants, each.classes, each.reasons)) for each in results}) == 1


def test_a_run_over_the_same_folder_again_leaves_the_same_bytes(tmp_path: Path) -> None:
    files = _day_of_faults()
    once = Desk(tmp_path, buckets=2).run(*files, name="run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    again = Desk(tmp_path, buckets=2).run(*files, name="run")
    after = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert once == again
    assert before == after


def test_an_outcome_is_read_back_as_it_was(tmp_path: Path) -> None:
    desk = Desk(tmp_path, buckets=2)
    outcome = desk.run(*_day_of_faults())
    assert read_outcome(desk.folder, outcome.outputs) == outcome


def test_a_day_without_files_carries_every_card_and_gap_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, buckets=2)
    first = desk.run(*_day_of_faults()).clearing.totals
    quiet = desk.run(day=DAY + timedelta(days=1)).clearing.totals
    assert quiet.records == 0
    assert (quiet.float_fen, quiet.open_gap_fen, quiet.gaps_open) == (
        first.float_fen,
        first.open_gap_fen,
        first.gaps_open,
    )
    assert first.gaps_open > 0
