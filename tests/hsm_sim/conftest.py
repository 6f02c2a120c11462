"""Devices of these tests stretch PINs cheaply: what a guess costs is not what they are about."""

import pytest

from hsm_sim.device.custodians import custody


@pytest.fixture(autouse=True)
def cheap_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
