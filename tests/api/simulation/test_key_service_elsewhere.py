"""A city whose keys are in another process, or in a token: the same day, and nothing lost when the
key service goes away in the middle of it.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.composition import CityKeys, city_key_refs, open_city_keys
from api.settings import (
    Environment,
    KeyServiceKind,
    KeyServiceSettings,
    Settings,
    SettingsRefusedError,
    read_settings,
)
from cardcore.errors import KeyRightError, KeyServiceUnavailableError
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.keys.vault import KeyVault
from hsm_sim.wire.access.rights import Rights
from hsm_sim.wire.access.rights_file import read_rights
from settlement.city import open_city
from settlement.engine.local import LocalEngine
from settlement.verification.verify import verify
from settlement.watching import OnStep, pass_by
from tests.api.simulation.test_killed_city import PLAN, run_with, without_recovery
from tests.hsm_sim.keys.providers import Given, fill
from tests.hsm_sim.token.softhsm import PIN, SoftHsm, needs_softhsm, softhsm
from tests.hsm_sim.wire.key_server import a_key_server
from tests.hsm_sim.wire.serving import KeyServiceProcess

#: The city's own keys, those of its chips and of each application of a whole card, its senders'.
LABELS = ["demo", "demo-*", "sender-*"]


def run(folder: Path, keys: CityKeys, on_step: OnStep = pass_by) -> dict[str, Any]:
    """Drive the plan in a folder, from wherever it stands, prove it, and give what people see."""
    return without_recovery(run_with(keys, folder, on_step))


def over_socket(process: KeyServiceProcess) -> Settings:
    chosen = KeyServiceSettings(KeyServiceKind.UNIX, str(process.path))
    return Settings(Environment.TEST, chosen)


def city_vault() -> KeyVault:
    return published_vault(city_key_refs(PLAN.scheme))


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    keys = open_city_keys(Settings(), PLAN.scheme)
    return run(tmp_path_factory.mktemp("here") / "city", keys)


@pytest.fixture(scope="module")
def soft_hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    with softhsm(tmp_path_factory.mktemp("softhsm")) as library:
        yield library


@pytest.fixture
def process(tmp_path: Path) -> Iterator[KeyServiceProcess]:
    with KeyServiceProcess(city_vault(), tmp_path) as started:
        yield started


def test_a_day_with_every_key_in_another_process_is_the_same_day(
    tmp_path: Path, process: KeyServiceProcess, expected: dict[str, Any]
) -> None:
    keys = open_city_keys(over_socket(process), PLAN.scheme)
    assert run(tmp_path / "city", keys) == expected


@needs_softhsm
def test_a_day_with_every_master_key_in_a_token_is_the_same_day(
    tmp_path: Path, soft_hsm: SoftHsm, expected: dict[str, Any]
) -> None:
    label = soft_hsm.free[0]
    masters = soft_hsm.open(label)
    fill(masters, {ref: Given() for ref in city_key_refs(PLAN.scheme)})
    masters.close()
    pin = tmp_path / "pin"
    pin.touch(mode=0o600)
    pin.write_text(PIN)
    chosen = KeyServiceSettings(KeyServiceKind.PKCS11, f"{label}@{soft_hsm.module}", pin_file=pin)
    keys = open_city_keys(Settings(Environment.TEST, chosen), PLAN.scheme)
    assert run(tmp_path / "city", keys) == expected


def test_a_day_whose_files_are_signed_with_sm2_is_the_same_day(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    """Only the signatures under the files are others: the keys say so, nobody is asked."""
    vault = KeyVault({})
    signing = {ref for ref in city_key_refs(PLAN.scheme) if ref.usage is KeyUsage.FILE_SIGNING}
    fill(
        vault,
        {
            ref: Given(algorithm=Algorithm.SM2 if ref in signing else None)
            for ref in city_key_refs(PLAN.scheme)
        },
    )
    with KeyServiceProcess(vault, tmp_path) as process:
        keys = open_city_keys(over_socket(process), PLAN.scheme)
        assert run(tmp_path / "city", keys) == expected
    files = sorted((tmp_path / "city" / "outbox").rglob("*.ocb"))
    assert files
    assert {path.read_bytes()[5] for path in files} == {2}


@pytest.mark.slow
def test_a_key_service_that_dies_at_any_step_stops_the_day_and_it_goes_on_later(
    tmp_path: Path, process: KeyServiceProcess, expected: dict[str, Any]
) -> None:
    steps: list[str] = []
    keys = open_city_keys(over_socket(process), PLAN.scheme)
    run(tmp_path / "counted", keys, steps.append)
    stopped = 0
    for number in range(3, len(steps), 11):
        left = number
        folder = tmp_path / f"stopped-{number}"

        def on_step(_: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                process.end(9)

        try:
            assert run(folder, keys, on_step) == expected
        except KeyServiceUnavailableError:
            stopped += 1
        process.restart()
        assert run(folder, keys) == expected, f"stopped at step {number}: {steps[number]}"
    assert stopped >= len(steps) // 11 - 3


def test_a_clearing_centre_without_the_duty_is_stopped_and_no_record_pays_for_it(
    tmp_path: Path, expected: dict[str, Any]
) -> None:
    """A missing right is nobody's forged TAC: once given, the folder ends as it should."""
    bounds = {
        "psam": "terminals = ['*']\npsams = ['*']",
        "psam-depot": "terminals = ['*']\npsams = ['*']",
        "load": "terminals = ['*']",
        "personalisation": "keys_a_day = 1000000",
        "key-release": "keys_a_day = 1000000",
        "file-signing": "",
        "day-sealing": "",
        "data": "",
    }
    duties = dict.fromkeys(bounds, LABELS)

    def rights(given: dict[str, list[str]]) -> Rights:
        return read_rights(
            "\n".join(
                f"[[right]]\nwho = 'user:{os.geteuid()}'\nduties = ['{duty}']\nlabels = {labels}\n"
                + bounds.get(duty, "")
                for duty, labels in given.items()
            )
        )

    folder = tmp_path / "city"
    with a_key_server(tmp_path, city_vault(), rights=rights(duties)) as served:
        service = served.service()
        with pytest.raises(KeyRightError, match=r"may not do prove_\w+, the duty proving"):
            run(folder, CityKeys(service, service))
        service.close()
    allowed = rights({**duties, "proving": LABELS})
    with a_key_server(tmp_path, city_vault(), rights=allowed) as served:
        service = served.service()
        assert run(folder, CityKeys(service, service)) == expected
        service.close()
    with (
        a_key_server(tmp_path, city_vault(), rights=rights(duties)) as served,
        open_city(folder) as city,
    ):
        service = served.service()
        with pytest.raises(KeyRightError, match="prove_"):
            verify(city, service, LocalEngine(1))
        service.close()


def test_production_refuses_a_key_service_that_holds_public_test_keys(
    process: KeyServiceProcess,
) -> None:
    chosen = replace(over_socket(process), environment=Environment.PRODUCTION)
    with pytest.raises(SettingsRefusedError, match=r"public test keys: .*purchase/demo/v1|in all"):
        open_city_keys(chosen, PLAN.scheme)


def test_production_takes_a_key_service_whose_keys_nobody_can_compute(tmp_path: Path) -> None:
    vault = KeyVault({KeyRef(KeyUsage.TAC, "demo", 1): os.urandom(16)})
    with KeyServiceProcess(vault, tmp_path) as process:
        chosen = replace(over_socket(process), environment=Environment.PRODUCTION)
        described = open_city_keys(chosen, PLAN.scheme).service.describe_keys()
    assert [str(each.ref) for each in described] == ["tac/demo/v1"]


def test_production_refuses_keys_in_this_process() -> None:
    with pytest.raises(SettingsRefusedError, match="in-process"):
        Settings(Environment.PRODUCTION)


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"ONECARD_ENVIRONMENT": "live"}, "must be one of demo, test, production"),
        ({"ONECARD_KEY_SERVICE": "somewhere"}, "must begin with one of in-process, unix"),
        ({"ONECARD_KEY_SERVICE": "unix"}, "do not go together"),
        ({"ONECARD_KEY_SERVICE": "in-process:x"}, "do not go together"),
        ({"ONECARD_KEY_SERVICE": "tls:127.0.0.1:1"}, "ONECARD_KEY_SERVICE_CERTIFICATE"),
        ({"ONECARD_KEY_SERVICE": "pkcs11:city@lib.so"}, "ONECARD_KEY_SERVICE_PIN_FILE"),
    ],
)
def test_settings_that_cannot_be_are_refused_in_a_sentence(
    environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsRefusedError, match=message):
        read_settings(environ)


@pytest.mark.parametrize(
    ("address", "mode", "message"),
    [
        ("city", 0o600, "is not LABEL@LIBRARY"),
        ("city@lib.so", 0o644, "others may read the PIN"),
    ],
)
def test_a_token_is_not_asked_with_settings_that_cannot_be(
    tmp_path: Path, address: str, mode: int, message: str
) -> None:
    pin = tmp_path / "pin"
    pin.write_text("1234")
    pin.chmod(mode)
    chosen = KeyServiceSettings(KeyServiceKind.PKCS11, address, pin_file=pin)
    with pytest.raises(SettingsRefusedError, match=message):
        open_city_keys(Settings(Environment.TEST, chosen), PLAN.scheme)


def test_a_key_service_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    chosen = KeyServiceSettings(KeyServiceKind.UNIX, str(tmp_path / "nobody"))
    keys = open_city_keys(Settings(Environment.TEST, chosen), PLAN.scheme)
    with pytest.raises(KeyServiceUnavailableError, match="start it with `onecard hsm serve`"):
        keys.service.describe_keys()
