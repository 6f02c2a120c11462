"""Devices of these tests stretch PINs cheaply and do not wait for the disk: neither is what they
are about, and what a killed process wrote is not lost with it.
"""

import os

import pytest

from hsm_sim.device import custody


@pytest.fixture(autouse=True)
def cheap_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(custody, "SCRYPT_COST", 16)
    monkeypatch.setattr(os, "fsync", lambda _: None)
