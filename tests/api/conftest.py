"""What tests of the command line share."""

from collections.abc import Iterator

import pytest

from cardcore.text import Language, spoken


@pytest.fixture(params=list(Language), ids=str)
def language(request: pytest.FixtureRequest) -> Iterator[Language]:
    """Each language in turn, spoken while the test runs."""
    chosen = request.param
    assert isinstance(chosen, Language)
    with spoken(chosen):
        yield chosen
