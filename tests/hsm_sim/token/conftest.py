"""SoftHSM2 for a file of tests, and a token with keys for a test."""

from collections.abc import Iterator

import pytest

from hsm_sim.keys.published_keys import published_key
from hsm_sim.token.masters import TokenMasterKeys
from tests.hsm_sim.token.held import (
    REFS,
)
from tests.hsm_sim.token.softhsm import SoftHsm, softhsm


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    with softhsm(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


@pytest.fixture
def masters(tokens: SoftHsm) -> Iterator[TokenMasterKeys]:
    with tokens.empty_token() as made:
        for ref in REFS:
            made.install(ref, published_key(ref))
        yield made
