"""`onecard hsm` with masters of a scheme: made with their levels, derived from, shown."""

from pathlib import Path

import pytest

from api.cli.hsm import device as hsm_device
from cardcore.keys import KeyUsage
from hsm_sim.device.custodians import custody
from tests.api.cli.hsm.test_hsm_commands import SHEETS, Room
from tests.hsm_sim.device.devices import key_check_value


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(hsm_device, "harden_process", lambda: None)
    made = Room(tmp_path)
    made.init()
    return made


def levels(room: Room) -> dict[str, int]:
    return {each["key"]: each["levels"] for each in room.json("keys")["keys"]}


def test_an_issuers_key_comes_from_a_master_that_was_made_for_it(room: Room) -> None:
    scheme = ("generate", "tac/union/v1", "--activate", "--levels", "2")
    assert "2 levels" in room.ceremony(*scheme)
    issuer = ("--as", "tac/demo/v1", "--factor", "01011000FFFFFFFF", "--activate")
    said = room.ceremony("derive", "tac/union/v1", *issuer)
    assert "tac/demo/v1" in said
    assert "levels" not in said
    below = ("derive", "tac/demo/v1", "--as", "tac/x/v1", "--factor", "00" * 8)
    assert "is an issuer's master, below it are keys of cards" in room.ceremony(*below, exit_code=1)
    assert levels(room) == {"tac/demo/v1": 1, "tac/union/v1": 2}
    assert " E0 2 " in f"{room.say('keys')} "


def test_a_master_of_the_scheme_comes_from_components(room: Room) -> None:
    sheets = (*room.sheets(), "--expect", key_check_value(SHEETS, KeyUsage.PURCHASE))
    said = room.ceremony("load", "purchase/union/v1", *sheets, "--levels", "3")
    assert "3 levels" in said
    assert levels(room) == {"purchase/union/v1": 3}


@pytest.mark.parametrize("number", ["0", "4", "two"])
def test_other_numbers_of_levels_are_usage(room: Room, number: str) -> None:
    room.ceremony("generate", "tac/union/v1", "--levels", number, exit_code=2)
    assert levels(room) == {}
