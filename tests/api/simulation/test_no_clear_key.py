"""No clear key anywhere: a whole demonstration is run, and every byte it leaves is searched."""

import base64
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from api.composition import KEY_VERSION, open_city_keys
from api.settings import Settings
from cardcore.chip.cardkeys import CardKey
from cardcore.key_labels import sender_label
from cardcore.keys import Key, KeyRef, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.published_keys import published_key
from settlement.city import open_city
from settlement.store.registry import load_registry
from tests.hsm_sim.device.devices import found_in

SCHEME = SCHEMES["demo"]


def found(folder: Path, secrets: dict[str, bytes], texts: dict[str, bytes]) -> list[str]:
    """Where any of the secrets stands, by name of the secret and of the file."""
    contents = dict(texts)
    contents |= {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return [
        f"{name} in {place}"
        for name, secret in secrets.items()
        for place, content in contents.items()
        if found_in(secret, content)
    ]


def card_numbers(folder: Path) -> set[str]:
    """The cards of a city, by the chips of its virtual world."""
    connection = sqlite3.connect(folder / "world" / "chips.sqlite")
    rows = connection.execute("SELECT id FROM chip WHERE id LIKE 'card/%'").fetchall()
    connection.close()
    return {str(row[0]).removeprefix("card/") for row in rows}


@pytest.fixture(scope="module")
def demonstration(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    folder = tmp_path_factory.mktemp("city")
    result = CliRunner().invoke(
        app, ["demo", "--headless", "--cards", "20", "--days", "1", "--data", str(folder)]
    )
    assert result.exit_code == 0, result.output
    return folder, result.output.encode()


def test_no_key_of_the_city_or_of_a_card_stands_in_the_folder_or_on_the_screen(
    demonstration: tuple[Path, bytes],
) -> None:
    folder, said = demonstration
    service = open_city_keys(Settings(), SCHEME).service
    secrets = {str(each.ref): published_key(each.ref) for each in service.describe_keys()}
    cards = card_numbers(folder)
    assert len(cards) >= 20
    for number in cards:
        for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC):
            ref = KeyRef(usage, SCHEME.name, KEY_VERSION)
            key = service.derive_card_key(ref, bytes.fromhex(number[-16:]))
            secrets[f"{ref} of {number}"] = key.value
    assert found(folder, secrets, {"the screen": said}) == []


def test_the_search_finds_a_key_that_was_left_lying(tmp_path: Path) -> None:
    """The check above can fail: each way of writing a key down is noticed."""
    secret = published_key(KeyRef(KeyUsage.TAC, "demo", 1))
    row = CardKey(1, 1, 1, Key(KeyUsage.TAC, secret)).encode()
    for number, written in enumerate(
        (row, secret.hex().encode(), base64.b64encode(b"x" + secret), repr(secret).encode())
    ):
        (tmp_path / "left").write_bytes(b"before" + written + b"after")
        assert found(tmp_path, {"tac": secret}, {}), number


def test_the_registry_that_may_be_carried_away_holds_public_halves_only(
    demonstration: tuple[Path, bytes],
) -> None:
    folder, _ = demonstration
    service = open_city_keys(Settings(), SCHEME).service
    with open_city(folder) as city:
        senders = load_registry(city.database).senders
    assert senders
    for row in (each.row for each in senders):
        ref = KeyRef(KeyUsage.FILE_SIGNING, sender_label(row.sender), row.key_version)
        assert row.public_key == service.public_key(ref).hex()
