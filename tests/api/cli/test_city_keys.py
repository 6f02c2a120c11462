"""The command line of a city whose keys are rotated, held wrongly, or not to be had."""

import sys
from pathlib import Path

import pytest

from api import cli
from api.cli.frame import session
from api.composition import CityKeys, LocalPsams
from api.composition import open_city_keys as open_settings
from api.settings import Settings
from cardcore.errors import KeyServiceUnavailableError
from cardcore.keys import KeyService
from hsm_sim.keys.vault import KeyVault
from settlement.city import open_city
from settlement.store.registry import register
from tests.api.cli.test_command_line import run, run_json
from tests.settlement.device_files import ACTION, SCHEME, Street, key_service, public_registry


class Counter:
    """Where the commands find the key service; a test puts another one there."""

    service: KeyService = key_service(1)


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    found = Counter()

    def open_city_keys(*_: object) -> CityKeys:
        return CityKeys(found.service, LocalPsams(KeyVault({})))

    monkeypatch.setattr(session, "open_city_keys", open_city_keys)
    return found


@pytest.fixture
def folder(tmp_path: Path, counter: Counter) -> Path:  # noqa: ARG001 - whose keys it is made with
    """A city with two files of records under versions 1 and 2, and version 1 in its key service."""
    folder = tmp_path / "city"
    run("city", "init", "--scheme", "shenzhen", "--buckets", "1", "--data", folder)
    with open_city(folder) as city:
        register(city.database, public_registry(), ACTION)
    street = Street()
    cards = [street.card(number, number) for number in (1, 2)]
    for name in ("loads", "rides"):
        taps = [card.load(5000) if name == "loads" else card.bus() for card in cards]
        (tmp_path / name).write_bytes(street.file(taps))
    run("files", "add", tmp_path / "loads", tmp_path / "rides", "--data", folder)
    return folder


def test_a_day_is_cleared_again_when_its_key_has_come(folder: Path, counter: Counter) -> None:
    before = run_json("clear", "--data", folder)
    assert (before["claims"], before["accepted"], before["reviewed"]) == (2, 2, 0)
    counter.service = key_service(1, 2)
    after = run_json("clear", "--data", folder)
    assert (after["claims"], after["accepted"], after["reviewed"]) == (0, 4, 2)
    assert run_json("close", "--data", folder)["reviewed"] == 2
    assert run_json("verify", "--data", folder)["invariants"]["I10"]


def test_a_closed_day_stays_and_what_was_held_follows(folder: Path, counter: Counter) -> None:
    run("close", "--data", folder)
    assert "no complete file waits" in run("close", "--data", folder, exit_code=1)
    counter.service = key_service(1, 2)
    text = run("close", "--data", folder)
    assert "Records judged again: 2" in text
    assert run_json("verify", "--data", folder)["days"] == 2


def shown(folder: Path, *options: str) -> dict[str, dict[str, str]]:
    """What `city keys` says of each key, in its order."""
    return {row["key"]: row for row in run_json("city", "keys", *options, "--data", folder)["keys"]}


def test_the_keys_of_a_city_are_shown_beside_those_that_are_held(
    folder: Path, counter: Counter
) -> None:
    rows = shown(folder)
    assert list(rows) == ["tac/shenzhen/v1", "record-mac/shenzhen/v1"]
    row = rows["tac/shenzhen/v1"]
    assert row["standing"] == "as registered 相符"
    assert row["registered"] == row["held"] == "82676E"  # docs/keys.md
    counter.service = key_service(1, 2)
    assert shown(folder)["tac/shenzhen/v2"]["standing"].startswith("not registered")
    registered = shown(folder, "--register")
    assert [each["standing"] for each in registered.values()] == ["as registered 相符"] * 4
    counter.service = key_service(1)
    assert "not held" in run("city", "keys", "--data", folder, exit_code=1)
    counter.service = key_service(1, 2, misheld=(2,))
    assert "other bytes" in run("city", "keys", "--data", folder, exit_code=1)
    text = run("city", "keys", "--register", "--data", folder, exit_code=1)
    assert "Nothing was registered" in text


def test_the_keys_of_every_purse_and_of_the_psams_are_the_citys_too(
    folder: Path, counter: Counter
) -> None:
    """One that showed itself in a file of a canteen is held like any other."""
    counter.service = open_settings(Settings(), SCHEME).service
    registered = shown(folder, "--register")
    assert {"tac/shenzhen-purse/v1", "record-mac/shenzhen/v1"} < registered.keys()
    assert "internal-authentication/shenzhen-library-02/v1" in registered
    assert {each["standing"] for each in registered.values()} == {"as registered 相符"}
    counter.service = key_service(1)
    assert "not held" in run("city", "keys", "--data", folder, exit_code=1)


class Dead:
    """A key service that does not answer."""

    def __getattr__(self, name: str) -> object:
        raise KeyServiceUnavailableError(f"{name}: the key service does not answer")


@pytest.mark.parametrize("command", [["files", "add", "RIDES"], ["clear"], ["close"], ["verify"]])
def test_a_dead_key_service_is_said_in_a_sentence_and_nothing_is_done(
    folder: Path,
    counter: Counter,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    more = folder.parent / "more"
    more.write_bytes(Street(sequences={7: 2}).file([Street().card(8).load(100)]))
    before = run_json("files", "list", "--data", folder)
    alive, counter.service = counter.service, Dead()  # type: ignore[assignment] # it answers nothing
    words = [str(more) if word == "RIDES" else word for word in command]
    monkeypatch.setattr(sys, "argv", ["onecard", *words, "--data", str(folder)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    said = capsys.readouterr()
    assert "does not answer" in said.err
    assert "Traceback" not in said.err + said.out
    counter.service = alive
    assert run_json("files", "list", "--data", folder) == before
