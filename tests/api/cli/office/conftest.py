"""A city with people, and a folder with the secrets of all of them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.api.cli.test_command_line import run
from tests.settlement.device_files import Street, make_office
from tests.settlement.rulings.crew import CAI, DAN, EVE, ROLES, secret_of
from tests.settlement.rulings.desk import Desk
from tests.settlement.service.test_service import receive


@dataclass
class Office:
    """Commands are given in it as somebody of the crew."""

    folder: Path
    secrets: Path

    def secret_file(self, name: str, secret: str | None = None, mode: int = 0o600) -> Path:
        path = self.secrets / name
        path.write_text(secret or secret_of(name), encoding="utf-8")
        path.chmod(mode)
        return path

    def run(self, *arguments: str | Path, by: str | None = None, exit_code: int = 0) -> str:
        acts: tuple[str | Path, ...] = ()
        if by is not None:
            acts = ("--by", by, "--secret-file", self.secrets / by)
        return run(*arguments, *acts, "--data", self.folder, exit_code=exit_code)


@pytest.fixture(scope="session")
def peopled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everybody is in, and the second of three files of a sender was never sent."""
    folder = tmp_path_factory.mktemp("office") / "city"
    street = Street()
    card = street.card(1)
    files = [street.file([card.load(5000)]), *(street.file([card.bus()]) for _ in range(2))]
    with make_office(folder, bucket_count=1) as city:
        desk = Desk(city)
        desk.found()
        desk.enrol(CAI, DAN, EVE)
        receive(city, files[0], files[2])
    return folder


@pytest.fixture
def office(peopled: Path, tmp_path: Path) -> Office:
    shutil.copytree(peopled, tmp_path / "city")
    (tmp_path / "secrets").mkdir()
    made = Office(tmp_path / "city", tmp_path / "secrets")
    for name in ROLES:
        made.secret_file(name)
    return made
