"""A PSAM's keys are renewed after a rotation: new cards are served, and no number comes again."""

import pytest

from cardcore.errors import DecodeError, KeyServiceError, UnknownKeyError
from cardcore.keys import KeyState
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from hsm_sim.psam import MAC2_TRIES_MAX, make_psam, renew_psam
from tests.hsm_sim.psam.psams import (
    FURTHER,
    PROFILE,
    PURCHASE,
    STK,
    a_vault,
    credit,
    initialise,
    pay,
    pay_with_forged_card,
    send,
    sequence_of,
)

NEXT = PURCHASE._replace(version=9)
#: A card that shows version 9.
NEW_CARD = {"key_version": b"\x09"}


def rotated(vault: KeyVault) -> KeyVault:
    vault.install(NEXT, published_key(NEXT))
    vault.move(PURCHASE, KeyState.RETIRING)
    return vault


def test_a_card_of_the_new_version_is_served_after_the_renewal_and_not_before() -> None:
    vault = a_vault()
    psam = make_psam(PROFILE, vault)
    rotated(vault)
    assert send(psam, initialise(**NEW_CARD)).sw == 0x9403
    renewed = renew_psam(psam.image(), vault)
    assert send(renewed, initialise(**NEW_CARD)).ok
    pay(renewed)  # a card of the old one goes on


def test_no_number_comes_again_after_a_renewal() -> None:
    vault = a_vault()
    psam = make_psam(PROFILE, vault)
    given = [sequence_of(send(psam, initialise())) for _ in range(70)]
    rotated(vault)
    renewed = renew_psam(psam.image(), vault)
    assert sequence_of(send(renewed, initialise())) > max(given)


def test_tries_stay_spent_so_a_renewal_opens_no_lock() -> None:
    vault = a_vault()
    psam = make_psam(PROFILE, vault)
    for _ in range(MAC2_TRIES_MAX):
        pay_with_forged_card(psam)
    locked = send(psam, initialise()).sw
    assert locked != 0x9000
    renewed = renew_psam(psam.image(), rotated(vault))
    assert send(renewed, initialise()).sw == locked


def test_a_destroyed_key_goes_and_the_further_ones_in_use_stay() -> None:
    vault = a_vault()
    psam = make_psam(PROFILE, vault, FURTHER)
    vault.install(NEXT, published_key(NEXT))
    for ref in (PURCHASE, STK):
        vault.move(ref, KeyState.DESTROYED)
    renewed = renew_psam(psam.image(), vault)
    assert send(renewed, initialise()).sw == 0x9403
    assert send(renewed, initialise(**NEW_CARD)).ok
    names = renewed.image()
    assert str(STK).encode() not in names
    assert b"external-authentication/shenzhen-social-0a/v1" in names


def test_without_a_rotation_nothing_changes() -> None:
    vault = a_vault()
    image = make_psam(PROFILE, vault, FURTHER).image()
    assert renew_psam(image, vault).image() == image


def test_masters_that_are_not_its_own_renew_nothing() -> None:
    image = make_psam(PROFILE, a_vault()).image()
    strangers = KeyVault({ref: bytes(range(16)) for ref in a_vault().refs()})
    with pytest.raises(KeyServiceError, match="not the one in this PSAM"):
        renew_psam(image, strangers)
    with pytest.raises(UnknownKeyError):
        renew_psam(image, KeyVault({}))
    with pytest.raises(DecodeError):
        renew_psam(image[:-1], a_vault())


def test_a_try_to_credit_does_not_survive_the_renewal() -> None:
    vault = a_vault()
    psam = make_psam(PROFILE, vault)
    assert send(psam, initialise()).ok
    assert send(renew_psam(psam.image(), vault), credit(bytes(4))).sw == 0x6985
