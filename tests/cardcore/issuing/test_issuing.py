"""A small measured run of personalisation, as the benchmark makes it."""

import secrets

import pytest

from api.simulation.issuing import personalise_many
from cardcore.issuing.products import SHIPPED, shipped
from cardcore.schemes.catalogue import SCHEMES
from tests.cardcore.issuing.test_personalisation import KEYS

SCHEME = SCHEMES["demo"]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_product_is_made_in_numbers_and_the_share_of_crypto_is_a_share(name: str) -> None:
    figures = personalise_many(3, shipped(name), SCHEME, KEYS, secrets.token_bytes)
    assert figures.cards == 3
    assert figures.commands > 3 * 40
    assert figures.cards_per_second > 1
    assert 0.02 < figures.crypto_share < 0.98
