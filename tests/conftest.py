"""What holds for every test: three hypothesis profiles, one language, no word to another machine,
slow files first, and at the end a word on published vectors that nothing was held against.
"""

import os
import sys

import pytest
from hypothesis import HealthCheck, settings

from tests.support.shared import NO_VECTORS

# Cores are shared and disks are slow on machines that test, so time never decides a property.
_COMMON = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("dev", _COMMON, max_examples=50)
settings.register_profile("ci", _COMMON, max_examples=50, derandomize=True, print_blob=True)
settings.register_profile("soak", _COMMON, max_examples=5_000, print_blob=True)
# Whatever this machine's locale is, commands in processes of their own speak as these tests expect.
os.environ["ONECARD_LANG"] = "en"
settings.load_profile("ci" if os.environ.get("CI") else "dev")

_LOOPBACK = ("127.", "::1", "localhost")


def _refuse_the_network(event: str, arguments: tuple[object, ...]) -> None:
    """Audit hook: a test that asks for another machine fails, whatever library does the asking."""
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host is not None and not str(host).startswith(_LOOPBACK):
        raise PermissionError(f"tests talk to this machine only, not to {host!r}")


sys.addaudithook(_refuse_the_network)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a slow test come first, so that no worker is left alone with one in the end."""
    slow = {each.path for each in items if each.get_closest_marker("slow")}
    items.sort(key=lambda each: each.path not in slow)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Without the vectors beside the repository a green run says less: how much less is said."""
    skipped = [
        each
        for each in terminalreporter.stats.get("skipped", [])
        if isinstance(each.longrepr, tuple) and NO_VECTORS in each.longrepr[2]
    ]
    if skipped:
        terminalreporter.write_line(
            f"{len(skipped)} tests against published vectors and real data were skipped: "
            "../shared is not here",
            yellow=True,
            bold=True,
        )
