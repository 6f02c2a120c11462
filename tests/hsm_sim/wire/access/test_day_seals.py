"""Days sealed over the wire: by a duty of its own, once a number, each in the device's log."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from cardcore.crypto.day_seals import seal_holds
from cardcore.errors import KeyRightError, SealRefusedError
from cardcore.keys import DaySeal, KeyRef, KeyUsage
from hsm_sim.device.inspection import log_lines, prove_log
from hsm_sim.wire.access.rights_file import read_rights
from hsm_sim.wire.served_device import ServedDevice
from tests.hsm_sim.device.devices import add, make, reopen
from tests.hsm_sim.wire.key_server import LABEL, a_served_device

KEY = KeyRef(KeyUsage.DAY_SEAL, LABEL, 1)
FIRST = DaySeal(1, date(2018, 9, 1), bytes(range(32)))
OTHER = FIRST._replace(digest=bytes(32))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    add(make(tmp_path / "device"), KEY)
    yield tmp_path
    prove_log(tmp_path / "device")


def a_service(folder: Path) -> ServedDevice:
    return ServedDevice(reopen(folder / "device"), lambda _: None)


def rights(*duties: str, label: str = LABEL) -> str:
    return f"""
    [[right]]
    who = "user:{os.geteuid()}"
    duties = {list(duties)}
    labels = ["{label}"]
    """


def test_a_service_that_starts_anew_seals_the_same_again_and_nothing_else(folder: Path) -> None:
    with a_served_device(a_service(folder), folder) as keys:
        assert keys.sealed_days(LABEL) == (True, None)
        signature = keys.seal_day(KEY, FIRST)
        assert seal_holds(keys.public_key(KEY), LABEL, FIRST, signature)
    with a_served_device(a_service(folder), folder) as keys:
        with pytest.raises(SealRefusedError, match="day number 1 is sealed as 2018-09-01"):
            keys.seal_day(KEY, OTHER)
        assert keys.seal_day(KEY, FIRST) == signature
        assert keys.sealed_days(LABEL) == (True, FIRST)


def test_every_seal_and_every_refusal_is_in_the_log(folder: Path) -> None:
    with a_served_device(a_service(folder), folder) as keys:
        keys.seal_day(KEY, FIRST)
        with pytest.raises(SealRefusedError):
            keys.seal_day(KEY, OTHER)
    told = {str(each["action"]): str(each["reason"]) for each in log_lines(folder / "device")}
    said = f"seal_day: {KEY}: day number 1, 2018-09-01: {FIRST.digest.hex()}"
    assert any(
        said in str(each["reason"])
        for each in log_lines(folder / "device")
        if each["action"] == "serve done"
    )
    assert "SealRefusedError: day-seal/demo: day number 1 is sealed" in told["serve refused"]


def test_only_the_duty_seals_and_only_the_days_of_its_label(folder: Path) -> None:
    given = read_rights(rights("proving", "file-signing"))
    with a_served_device(a_service(folder), folder, given) as keys:
        with pytest.raises(KeyRightError, match="may not do seal_day, the duty day-sealing"):
            keys.seal_day(KEY, FIRST)
        assert keys.sealed_days(LABEL) == (True, None)
        assert len(keys.public_key(KEY)) == 32
    given = read_rights(rights("day-sealing", label="shenzhen"))
    with a_served_device(a_service(folder), folder, given) as keys:
        with pytest.raises(KeyRightError, match="seal_day with keys of label demo"):
            keys.seal_day(KEY, FIRST)
        with pytest.raises(KeyRightError, match="sealed_days with keys of label demo"):
            keys.sealed_days(LABEL)
    given = read_rights(rights("day-sealing"))
    with a_served_device(a_service(folder), folder, given) as keys:
        keys.seal_day(KEY, FIRST)
        with pytest.raises(KeyRightError):
            keys.sign(KEY._replace(usage=KeyUsage.FILE_SIGNING), b"a file")
