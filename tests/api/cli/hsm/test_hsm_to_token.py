"""`onecard hsm to-token`: a ceremony's keys go into a real token, and a city runs on them there."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.frame.program import app
from api.cli.hsm import device as hsm_device
from api.composition import open_city_keys
from api.settings import Environment, KeyServiceKind, KeyServiceSettings, Settings
from cardcore.keys import KeyRef, KeyState, KeyUsage
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.device.custodians import custody
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from tests.hsm_sim.token.softhsm import PIN, SoftHsm, needs_softhsm, softhsm

SCHEME = SCHEMES["demo"]

pytestmark = needs_softhsm
RUNNER = CliRunner()
TAC = KeyRef(KeyUsage.TAC, "demo", 1)


@pytest.fixture(autouse=True)
def cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(hsm_device, "harden_process", lambda: None)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    with softhsm(tmp_path_factory.mktemp("softhsm")) as started:
        yield started


class Desk:
    """A device of public test keys with two custodians, and an empty token."""

    def __init__(self, folder: Path, library: SoftHsm, label: str) -> None:
        self.folder, self.label = folder, label
        self.address = f"{label}@{library.module}"
        for name, pin in (("one", "93170264"), ("two", "20865517"), ("token", PIN)):
            path = folder / f"{name}.pin"
            path.touch(mode=0o600)
            path.write_text(pin)
        roles = ("--custodian", "one", "--custodian", "two")
        self.run("ceremony", "init", *roles, "--public-test-keys", "demo")

    def run(self, *words: str, exit_code: int = 0) -> str:
        pins = [f"--pin-file={name}={self.folder / name}.pin" for name in ("one", "two")]
        device = ("--device", str(self.folder / "device"))
        result = RUNNER.invoke(app, ["hsm", *words, *device, *pins])
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result.output

    def to_token(self, *names: str, exit_code: int = 0) -> str:
        pin = str(self.folder / "token.pin")
        return self.run(
            "to-token", self.address, *names, "--token-pin-file", pin, exit_code=exit_code
        )

    def log(self) -> str:
        folder = ("--device", str(self.folder / "device"))
        return RUNNER.invoke(app, ["hsm", "ceremony", "log", *folder]).output


@pytest.fixture
def desk(tmp_path: Path, library: SoftHsm) -> Desk:
    label = library.free.pop()
    return Desk(tmp_path, library, label)


def in_the_token(desk: Desk, library: SoftHsm) -> dict[KeyRef, tuple[str, KeyState]]:
    masters = library.open(desk.label)
    try:
        return {each.ref: (each.check_value, each.state) for each in masters.descriptions()}
    finally:
        masters.close()


def test_a_citys_keys_go_into_a_token_and_prove_there_what_they_prove_elsewhere(
    desk: Desk, library: SoftHsm
) -> None:
    assert "keys are in token" in desk.to_token()
    held = in_the_token(desk, library)
    expected = KeyVault({ref: published_key(ref) for ref in held})
    assert {each.ref: each.check_value for each in expected.descriptions()} == {
        ref: shown for ref, (shown, _) in held.items()
    }
    chosen = KeyServiceSettings(
        KeyServiceKind.PKCS11, desk.address, pin_file=desk.folder / "token.pin"
    )
    room = open_city_keys(Settings(Environment.TEST, chosen), SCHEME)
    factor = bytes(range(8))
    here = expected.card_key(TAC, factor)
    assert room.service.check_value(TAC, factor) == here.check_value()
    assert "to-token done  tac/demo/v1" in desk.log()


def test_a_rotation_reaches_the_token_when_the_command_is_repeated(
    desk: Desk, library: SoftHsm
) -> None:
    desk.to_token("tac/demo/v1")
    assert in_the_token(desk, library)[TAC][1] is KeyState.ACTIVE
    desk.run("rotate", "tac/demo")
    desk.to_token("tac/demo/v1", "tac/demo/v2")
    held = in_the_token(desk, library)
    states = {ref.version: state for ref, (_, state) in held.items()}
    assert states == {1: KeyState.RETIRING, 2: KeyState.ACTIVE}


def test_a_master_of_the_scheme_is_one_in_the_token_too(desk: Desk, library: SoftHsm) -> None:
    scheme = ("tac/union/v1", "--activate", "--exportable", "--levels", "2")
    desk.run("ceremony", "generate", *scheme)
    for _ in range(2):
        desk.to_token("tac/union/v1")
    masters = library.open(desk.label)
    try:
        assert masters.describe(KeyRef(KeyUsage.TAC, "union", 1)).levels == 2
    finally:
        masters.close()


def test_a_key_made_to_stay_or_of_a_suite_no_token_has_is_refused_and_nothing_goes(
    desk: Desk, library: SoftHsm
) -> None:
    desk.run("ceremony", "generate", "tac/other/v1")
    desk.run("ceremony", "generate", "tac/other/v2", "--algorithm", "sm4", "--exportable")
    for name, why in (("tac/other/v1", "made to stay"), ("tac/other/v2", "knows no SM4")):
        assert why in desk.to_token("tac/demo/v1", name, exit_code=1)
    assert "no version" in desk.to_token("tac/nowhere/v1", exit_code=1)
    assert in_the_token(desk, library) == {}
    assert desk.log().count("to-token refused") == 3


def test_a_wrong_token_or_pin_is_said_in_a_sentence(desk: Desk) -> None:
    (desk.folder / "token.pin").write_text("0000")
    assert "PIN" in desk.to_token("tac/demo/v1", exit_code=1)
    desk.label, desk.address = "nobody", desk.address.replace(desk.label, "nobody", 1)
    assert "nobody" in desk.to_token("tac/demo/v1", exit_code=1)
