"""What a key of each state may still do, and that a name stands for one key under one algorithm."""

import pytest

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from tests.hsm_sim.keys.test_operations import insecure

SIGNING = KeyRef(KeyUsage.FILE_SIGNING, "depot-1", 1)
TAC = KeyRef(KeyUsage.TAC, "shenzhen", 1)
#: Whether a file may still be signed, and whether one signed before may still be proven.
MAY_SIGN = {state: state in {KeyState.ACTIVE, KeyState.RETIRING} for state in KeyState}


@pytest.mark.parametrize("state", KeyState)
def test_a_retiring_key_goes_on_signing_and_no_other_than_it_and_the_active_one(
    state: KeyState,
) -> None:
    """A file planned under a version that has been rotated since is still signed with it."""
    vault = KeyVault({})
    vault.install(SIGNING, published_key(SIGNING))
    signature = insecure(vault).sign(SIGNING, b"file")
    vault = KeyVault({})
    if state is KeyState.DESTROYED:
        vault.install(SIGNING, published_key(SIGNING))
        vault.move(SIGNING, KeyState.RETIRING)
        vault.move(SIGNING, KeyState.DESTROYED)
    else:
        vault.install(SIGNING, published_key(SIGNING), state=state)
    service = insecure(vault)
    if MAY_SIGN[state]:
        assert service.sign(SIGNING, b"file") == signature
        assert service.public_key(SIGNING)
    else:
        with pytest.raises(KeyServiceError):
            service.sign(SIGNING, b"file")


@pytest.mark.parametrize(
    ("held", "other"),
    [(one, two) for one in Algorithm for two in Algorithm if one is not two],
)
def test_the_same_bytes_under_another_algorithm_are_another_key(
    held: Algorithm, other: Algorithm
) -> None:
    vault = KeyVault({})
    fits = []
    for algorithm in (held, other):
        try:
            KeyVault({}).install(TAC, bytes(range(16)), algorithm)
        except KeyServiceError:
            fits.append(False)
        else:
            fits.append(True)
    if not fits[0]:
        return  # not an algorithm of such keys at all
    before = vault.install(TAC, bytes(range(16)), held)
    with pytest.raises(KeyServiceError):
        vault.install(TAC, bytes(range(16)), other)
    assert vault.describe(TAC) == before
