"""Catalogues that grow by a file: two entries of one name, number or key label are refused."""

from collections.abc import Iterator
from dataclasses import replace
from types import ModuleType

import pytest

from cardcore import applets
from cardcore.applets import catalogue, transit
from cardcore.application import Application
from cardcore.catalogues import gather

MICROPAYMENT = catalogue.application_named("purse")


@pytest.mark.parametrize(
    "twin",
    [
        replace(MICROPAYMENT, name="other", key_ending="-other", aids=(b"OTHER",)),
        replace(MICROPAYMENT, code=99, key_ending="-other", aids=(b"OTHER",)),
        replace(MICROPAYMENT, code=99, name="other", aids=(b"OTHER",)),
        replace(MICROPAYMENT, code=99, name="other", key_ending="-other"),
    ],
    ids=["code", "name", "keys", "name on cards"],
)
def test_two_applications_share_nothing(monkeypatch: pytest.MonkeyPatch, twin: Application) -> None:
    offered = (*transit.APPLICATIONS, twin)
    monkeypatch.setattr(transit, "APPLICATIONS", offered)
    with pytest.raises(AssertionError):
        catalogue.read_applications()


def test_entries_in_another_shape_are_not_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    package = ModuleType("cardcore.applets")
    package.__path__ = applets.__path__

    def names() -> Iterator[str]:
        return (each.name for each in gather(package, "APPLICATIONS"))

    assert "transit" in names()
    monkeypatch.setattr(transit, "APPLICATIONS", list(transit.APPLICATIONS))
    with pytest.raises(AssertionError, match="is no tuple"):
        list(names())
