"""Cities with people, made once and copied."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from settlement.city import open_city
from tests.settlement.device_files import make_office
from tests.settlement.rulings.crew import CAI, DAN, EVE, FAY
from tests.settlement.rulings.desk import Desk


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A city in which everybody of the crew is a person."""
    folder = tmp_path_factory.mktemp("people") / "city"
    with make_office(folder, bucket_count=1) as city:
        desk = Desk(city)
        desk.found()
        desk.enrol(CAI, DAN, EVE, FAY)
    return folder


@pytest.fixture
def desk(founded: Path, tmp_path: Path) -> Iterator[Desk]:
    shutil.copytree(founded, tmp_path / "city")
    with open_city(tmp_path / "city") as city:
        yield Desk(city)
