"""Devices of these tests do not wait for the disk: it is not what they are about, and what a killed
process wrote is not lost with it.
"""

import os

import pytest


@pytest.fixture(autouse=True)
def cheap_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
