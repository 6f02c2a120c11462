"""What a step of the office promised is on the disk when it says so: a power cut takes none of it.

The database promises by itself what its settings ask for, so they are asked.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from settlement.city import City, create_city, create_own_city
from settlement.durable import make_folder, write_durable
from settlement.engine.local import LocalEngine
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.receive import receive_file
from settlement.store.database import Database
from tests.settlement.device_files import ACTION, CLERK, NOW, key_service, make_office
from tests.settlement.service.test_service import two_days_of_files
from tests.support.forgetful_disk import ForgetfulDisk

KEYS, ENGINE = key_service(), LocalEngine(1)
#: Promised by SQLite, or by nobody: locks, what is computed aside, what is being written.
BESIDES = (".sqlite", ".lock", "scratch", ".partial", ".part")


def test_the_model_forgets_what_was_not_synced(tmp_path: Path) -> None:
    with ForgetfulDisk.under(tmp_path) as disk:
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "file").write_bytes(b"1")
        assert disk.after_a_cut() == {}
        assert disk.forgotten() == ["folder", "folder/file"]
        write_durable(tmp_path / "other" / "file", b"2")
        # The name of `folder` was synced along with its neighbour; what is in it was not.
        assert disk.after_a_cut() == {"folder": None, "other": None, "other/file": b"2"}
        assert disk.forgotten() == ["folder/file"]


def test_a_file_written_durably_is_there_whole_with_every_folder_above_it(tmp_path: Path) -> None:
    with ForgetfulDisk.under(tmp_path) as disk:
        write_durable(tmp_path / "a" / "b" / "c" / "file", b"content")
        assert disk.forgotten() == []
        write_durable(tmp_path / "a" / "b" / "c" / "file", b"other content")
        assert disk.forgotten() == []


def test_a_folder_made_is_there_with_every_folder_above_it(tmp_path: Path) -> None:
    with ForgetfulDisk.under(tmp_path) as disk:
        make_folder(tmp_path / "a" / "b" / "c")
        assert disk.forgotten() == []


def test_every_file_of_a_city_is_on_the_disk_at_every_step_that_says_so(tmp_path: Path) -> None:
    heard: list[str] = []

    def watch(disk: ForgetfulDisk) -> Callable[[str], None]:
        def on_step(name: str) -> None:
            heard.append(name)
            assert disk.forgotten(*BESIDES) == [], name

        return on_step

    monday, tuesday = two_days_of_files()
    with make_office(tmp_path / "city") as city, ForgetfulDisk.under(tmp_path) as disk:
        on_step = watch(disk)
        for day in (monday, tuesday):
            for file in day:
                assert receive_file(city, file, KEYS, NOW, on_step).answer.is_kept
            run = run_clearing(city, None, KEYS, ENGINE, NOW, CLERK, on_step)
            assert isinstance(run, RunResult)
            close_day(city, None, KEYS, ENGINE, NOW, CLERK, on_step)
            assert disk.forgotten(*BESIDES) == []
    assert {"raw_kept", "facts_kept", "row_kept"} <= set(heard)
    assert {"inputs_kept", "outputs_kept", "run_kept", "seal_kept", "day_kept"} <= set(heard)


OWN_SCHEME = Path(__file__).parents[3] / "cardcore" / "schemes" / "demo.toml"


@pytest.mark.parametrize("own", [False, True])
def test_a_city_that_was_made_is_on_the_disk(tmp_path: Path, own: bool) -> None:  # noqa: FBT001
    folder = tmp_path / "city"
    folder.mkdir()
    with ForgetfulDisk.under(tmp_path) as disk:
        if own:
            scheme = OWN_SCHEME.read_bytes().replace(b'name = "demo"', b'name = "ours"', 1)
            city: City = create_own_city(folder, scheme, "ours.toml", ACTION)
        else:
            city = create_city(folder, "shenzhen", ACTION)
        with city:
            assert disk.forgotten(*BESIDES) == []
            assert (folder / "scheme.toml").exists() is own


def test_every_transaction_that_writes_is_on_the_disk_when_it_commits(tmp_path: Path) -> None:
    """SQLite: in WAL a commit is synced with synchronous FULL (2) or EXTRA (3), not NORMAL (1)."""
    with Database.sqlite(tmp_path / "control.sqlite") as database:
        for _ in range(2):
            mode, level = database.write(
                lambda connection: (
                    connection.exec_driver_sql("PRAGMA journal_mode").scalar(),
                    connection.exec_driver_sql("PRAGMA synchronous").scalar(),
                )
            )
            assert mode == "wal"
            assert level in {2, 3}
