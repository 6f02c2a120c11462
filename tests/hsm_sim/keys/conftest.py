"""The three providers of the key service over one set of keys, for files that ask all of them."""

from collections.abc import Iterator

import pytest

from cardcore.keys import KeyService
from tests.hsm_sim.keys.provider_keys import KEYS
from tests.hsm_sim.keys.providers import Provider, in_process, in_token, over_socket
from tests.hsm_sim.token.softhsm import needs_softhsm, softhsm


@pytest.fixture(scope="module")
def reference() -> Iterator[KeyService]:
    with in_process(KEYS) as provider:
        yield provider.service


@pytest.fixture(
    scope="module",
    params=["in process", "socket", pytest.param("token", marks=needs_softhsm)],
)
def provider(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    if request.param == "in process":
        with in_process(KEYS) as made:
            yield made
    elif request.param == "socket":
        with over_socket(KEYS) as made:
            yield made
    else:
        folder = tmp_path_factory.mktemp("softhsm")
        with softhsm(folder) as tokens, in_token(KEYS, tokens) as made:
            yield made


@pytest.fixture
def service(provider: Provider) -> KeyService:
    return provider.service
