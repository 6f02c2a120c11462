"""A closed city to be damaged, for the tests of `verify`."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.settlement.device_files import make_office
from tests.settlement.service.test_service import close, receive, two_days_of_files


def fold_in(folder: Path) -> None:
    """What the log of the database holds goes into its file."""
    with closing(sqlite3.connect(folder / "control.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city with one closed day and an open gap, its database in one file."""
    folder = tmp_path_factory.mktemp("sealed") / "city"
    monday, _ = two_days_of_files()
    with make_office(folder, bucket_count=1) as city:
        receive(city, *monday)
        close(city)
    fold_in(folder)
    return folder


@pytest.fixture
def folder(sealed: Path, tmp_path: Path) -> Iterator[Path]:
    """That city, for one test to damage."""
    shutil.copytree(sealed, tmp_path / "city")
    yield tmp_path / "city"
    shutil.rmtree(tmp_path / "city")
