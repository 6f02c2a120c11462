"""Fixtures of the tests with real readers."""

from collections.abc import Iterator

import pytest

from tests.pcsc.slots import Daemon, Slots, the_only_pcscd_test


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    """A running pcscd that no other test uses."""
    with the_only_pcscd_test():
        running = Daemon.start()
        yield running
        running.stop()


@pytest.fixture
def slots(daemon: Daemon) -> Iterator[Slots]:
    """Two empty virtual slots."""
    found = Slots(daemon)
    yield found
    found.close()
