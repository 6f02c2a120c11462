"""R12: everything derived heals from the raw files, and no damage of it stops a close."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from settlement.city import City, open_city
from settlement.days.closing import ClosedDay
from settlement.days.run import StoredRun
from settlement.service.close import close_day
from settlement.service.healing.rebuilding import Rebuilt, rebuild
from settlement.service.receive import receive_file
from settlement.store.days import load_balances, load_closed_days
from settlement.verification.verify import verify
from tests.settlement.device_files import CLERK, NOW, Street, key_service, make_office
from tests.settlement.intake.test_intake import disk
from tests.settlement.service.test_damaged_files import damage
from tests.settlement.service.test_service import ENGINE, clear, close, receive, two_days_of_files
from tests.settlement.verification.conftest import fold_in

KEYS = key_service(1, 2, 3)
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three closed days, two of them with a review, and files for one more."""
    folder = tmp_path_factory.mktemp("lived") / "city"
    street = Street()
    second, third = street.card(1, key_version=2), street.card(2, key_version=3)
    with make_office(folder, bucket_count=1) as city:
        receive(city, street.file([street.card(3).load(300), second.load(5000), third.load(400)]))
        for versions in ((1,), (1, 2), (1, 2, 3)):
            closed = close_day(city, None, key_service(*versions), ENGINE, NOW, CLERK)
            assert isinstance(closed, ClosedDay)
        data = street.file([second.bus(), third.bus()])
        assert receive_file(city, data, KEYS, NOW).answer.is_kept
    fold_in(folder)
    return folder


@pytest.fixture
def office(lived: Path, tmp_path: Path) -> Iterator[City]:
    shutil.copytree(lived, tmp_path / "city")
    with open_city(tmp_path / "city") as city:
        yield city


def again(city: City) -> Rebuilt:
    return rebuild(city, KEYS, ENGINE, NOW, CLERK)


def derived(city: City) -> list[Path]:
    return [
        path
        for kind in ("facts", "inputs", "runs", "seals")
        for path in sorted((city.folder / kind).rglob("*"))
        if path.is_file()
    ]


def next_close(city: City) -> dict[str, int]:
    closed = close_day(city, None, KEYS, ENGINE, NOW + timedelta(days=3), CLERK)
    assert isinstance(closed, ClosedDay), closed
    return load_balances(city.database)


def test_a_whole_city_is_left_as_it_is(office: City) -> None:
    before = disk(office)
    found = again(office)
    assert (found.made_again, found.removed, found.asked_for, found.lost) == ([], [], [], [])
    assert found.looked_at == len(derived(office))
    assert disk(office) == before


def test_every_derived_file_damaged_one_after_another_gives_the_same_bytes(office: City) -> None:
    """Every other one is not there at all."""
    before = disk(office)
    for number, path in enumerate(derived(office)):
        name = path.relative_to(office.folder)
        if number % 2:
            path.unlink()
        else:
            damage(path)
        found = again(office)
        assert (found.made_again, found.lost, found.asked_for) == ([name], [], []), name
        assert disk(office) == before, name


def test_everything_derived_lost_at_once_gives_the_same_bytes(office: City) -> None:
    before = disk(office)
    for kind in ("facts", "inputs", "runs", "seals"):
        shutil.rmtree(office.folder / kind)
    found = again(office)
    assert (found.lost, found.asked_for) == ([], [])
    assert disk(office) == before
    assert verify(office, KEYS, ENGINE).is_sound


def test_no_damage_of_derived_bytes_stops_the_next_close(lived: Path, tmp_path: Path) -> None:
    """Of the last day each kind of file, by itself; of older days and of open files all at once."""
    with open_city(shutil.copytree(lived, tmp_path / "whole")) as city:
        names = [path.relative_to(city.folder) for path in derived(city)]
        last = load_closed_days(city.database)[-1].settlement_day.isoformat()
        expected = next_close(city)
    of_last = [name for name in names if last in name.parts]
    kinds = {name.name: [name] for name in of_last if name.suffix == ".parquet"}
    older = [name for name in names if name not in of_last]
    for number, damaged in enumerate([*kinds.values(), older]):
        folder = shutil.copytree(lived, tmp_path / str(number))
        for each in damaged:
            if number % 2:
                (folder / each).unlink()
            else:
                damage(folder / each)
        with open_city(folder) as city:
            assert next_close(city) == expected, damaged
        shutil.rmtree(folder)


def test_results_json_of_a_provisional_run_and_its_row_altered_together(tmp_path: Path) -> None:
    """Close computes again: nothing is posted of what a clearing left."""
    monday, _ = two_days_of_files()
    balances = []
    for name in ("whole", "altered"):
        with make_office(tmp_path / name, bucket_count=1) as city:
            receive(city, *monday)
            run = clear(city).run
            if name == "altered":
                forge(city, run)
            closed = close(city)
            assert closed.output_hash == run.output_hash
            balances.append(load_balances(city.database))
            assert verify(city, KEYS, ENGINE).is_sound
    assert balances[0] == balances[1]


def forge(city: City, run: StoredRun) -> None:
    """Results and the row that names them, both to one end."""
    path = city.run_folder(run.settlement_day, run.run_id) / "results.json"
    data = path.read_bytes()
    assert data.count(b"101"), data
    path.write_bytes(data.replace(b"101", b"102"))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    old = dict(run.outputs)["results.json"]
    with closing(sqlite3.connect(city.folder / "control.sqlite")) as connection:
        connection.execute(f"UPDATE runs SET outputs = replace(outputs, '{old}', '{sha256}')")
        connection.commit()


def test_another_seal_of_a_day_is_never_written_over(office: City) -> None:
    path = min((office.folder / "seals").iterdir())
    other = max((office.folder / "seals").iterdir()).read_bytes()
    path.write_bytes(other)
    (lost,) = again(office).lost
    assert lost.path == path.relative_to(office.folder)
    assert path.read_bytes() == other


def test_the_command_says_what_is_whole_again_and_what_is_asked_for(office: City) -> None:
    path = min((office.folder / "seals").iterdir())
    name = path.relative_to(office.folder)
    path.unlink()
    command = ["rebuild", "--by", "clerk", "--data", str(office.folder)]
    for said in (f"made again, the same bytes: {name}", "made again: 0"):
        result = RUNNER.invoke(app, command)
        assert result.exit_code == 0
        assert said in " ".join(result.output.split())
    raw = min((office.folder / "raw").rglob("*.ocb"))
    damage(raw)
    result = RUNNER.invoke(app, command)
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "have its sender send this very file again; `onecard files add` takes it in" in said
    document = json.loads(RUNNER.invoke(app, [*command, "--json"]).stdout)
    assert document["asked_for"][0]["content_hash"] == raw.stem


def test_a_damaged_raw_file_is_asked_for_and_the_rest_heals(office: City) -> None:
    raw = min((office.folder / "raw").rglob("*.ocb"))
    damage(raw)
    path = min((office.folder / "inputs").glob("*.json"))
    damage(path)
    found = again(office)
    assert [each.content_hash for each in found.asked_for] == [raw.stem]
    assert found.made_again == [path.relative_to(office.folder)]


def test_what_lies_among_the_runs_of_closed_days_goes(office: City) -> None:
    day = min((office.folder / "runs").iterdir())
    (day / "other").mkdir()
    (day / "other" / "results.json").write_bytes(b"[]")
    (found,) = again(office).removed
    assert found == (day / "other").relative_to(office.folder)
    assert verify(office, KEYS, ENGINE).is_sound
