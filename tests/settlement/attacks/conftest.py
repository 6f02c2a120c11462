"""A new town for every attack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.settlement.attacks.town import Town, build_town


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    built = build_town(tmp_path / "city")
    with built.city:
        yield built
