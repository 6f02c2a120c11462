"""Keys by name: what is shown, what is refused, how the public test keys are recognised."""

import hashlib
import traceback

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.crypto import pboc_3des
from cardcore.errors import (
    KeyServiceError,
    KeyUsageError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.keys import Key, KeyRef, KeyUsage
from hsm_sim.keys.published_keys import (
    RULE_TEXT,
    card_key_refs,
    is_published,
    issuer_key_refs,
    public_test_keys,
    published_key,
    published_vault,
)
from hsm_sim.keys.vault import CARD_USAGES, KeyVault, check_value, key_bytes

TAC_1 = KeyRef(KeyUsage.TAC, "shenzhen", 1)
TAC_2 = KeyRef(KeyUsage.TAC, "shenzhen", 2)
SECRET = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
refs = st.builds(
    KeyRef, st.sampled_from(KeyUsage), st.text(min_size=1, max_size=8), st.integers(0, 255)
)


def shows(text: str, secret: bytes) -> bool:
    """Whether a text lets any four bytes of a secret out, in any usual writing of bytes."""
    parts = [secret[start : start + 4] for start in range(len(secret) - 3)]
    writings = [
        (part.hex(), part.hex(" "), repr(part)[2:-1], repr(list(part))[1:-1]) for part in parts
    ]
    return any(writing.lower() in text.lower() for row in writings for writing in row)


def test_what_shows_a_key_is_noticed() -> None:
    assert shows(repr(SECRET), SECRET)
    assert shows(SECRET.hex(), SECRET)
    assert not shows("KeyVault(tac/shenzhen/v1)", SECRET)


def test_no_key_byte_stands_in_any_text_of_vault_or_key() -> None:
    vault = KeyVault({TAC_1: SECRET})
    for text in (repr(vault), str(vault), repr(vault.key(TAC_1)), f"{vault.key(TAC_1)}"):
        assert not shows(text, SECRET), text


@pytest.mark.parametrize(
    ("ref", "value"),
    [
        (TAC_2, SECRET[:15]),
        (TAC_2, SECRET + b"\x00"),
        (KeyRef(KeyUsage.TAC, "shenzhen", 256), SECRET),
        (KeyRef(KeyUsage.TAC, "shenzhen", -1), SECRET),
        (KeyRef(KeyUsage.FILE_SIGNING, "depot", 1), SECRET),
        (TAC_1, SECRET[::-1]),
    ],
)
def test_a_refused_key_changes_nothing_and_does_not_show_in_the_error(
    ref: KeyRef, value: bytes
) -> None:
    vault = KeyVault({TAC_1: SECRET})
    with pytest.raises(KeyServiceError) as caught:
        vault.install(ref, value)
    assert vault.refs() == (TAC_1,)
    assert vault.key(TAC_1).value == SECRET
    assert not shows("".join(traceback.format_exception(caught.value)), value)


def test_installing_the_same_key_again_changes_nothing() -> None:
    vault = KeyVault({TAC_1: SECRET})
    vault.install(TAC_1, SECRET)
    assert vault.refs() == (TAC_1,)


@pytest.mark.parametrize("levels", [-1, 0, 2, 4])
@pytest.mark.parametrize("usage", [KeyUsage.TAC, KeyUsage.FILE_SIGNING, KeyUsage.TRANSPORT])
def test_a_key_stands_one_to_three_levels_above_a_cards_and_others_at_none(
    usage: KeyUsage, levels: int
) -> None:
    vault, ref = KeyVault({}), KeyRef(usage, "scheme", 1)
    if usage is KeyUsage.TAC and levels == 2:
        assert vault.install(ref, published_key(ref), levels=levels).levels == levels
        return
    with pytest.raises(KeyServiceError, match="level"):
        vault.install(ref, published_key(ref), levels=levels)
    assert vault.refs() == ()


def test_a_key_held_does_not_change_its_level() -> None:
    vault = KeyVault({TAC_1: SECRET})
    with pytest.raises(KeyServiceError, match="is held with 1 levels to a card's key, not 2"):
        vault.install(TAC_1, SECRET, levels=2)
    assert vault.describe(TAC_1).levels == 1


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_masters_themselves_refuse_another_number_of_factors(levels: int) -> None:
    vault = KeyVault({})
    vault.install(TAC_1, SECRET, levels=levels)
    for size in {0, 7, 8, 16, 17, 24, 32} - {8 * levels}:
        with pytest.raises(KeyUsageError, match=f"{size} bytes of factors"):
            vault.card_key(TAC_1, bytes(size))
    assert vault.card_key(TAC_1, bytes(8 * levels))
    factors = np.zeros(1, np.uint64)
    if levels == 1:
        assert len(vault.card_key_column(TAC_1, factors)) == 1
        with pytest.raises(KeyUsageError, match="below it are the keys of cards"):
            vault.key_below(TAC_1, bytes(8))
    else:
        with pytest.raises(KeyUsageError, match="8 bytes of factors"):
            vault.card_key_column(TAC_1, factors)


def test_an_unknown_version_is_told_apart_from_an_unknown_key() -> None:
    vault = KeyVault({TAC_1: SECRET})
    with pytest.raises(UnknownKeyVersionError, match=r"tac/shenzhen/v2: not held.*\(1,\)"):
        vault.key(TAC_2)
    with pytest.raises(UnknownKeyError, match="load/shenzhen/v1: no version") as caught:
        vault.key(KeyRef(KeyUsage.LOAD, "shenzhen", 1))
    assert not isinstance(caught.value, UnknownKeyVersionError)
    with pytest.raises(UnknownKeyError, match="tac/hangzhou/v1: no version"):
        vault.key(KeyRef(KeyUsage.TAC, "hangzhou", 1))


def test_versions_stand_side_by_side_in_ascending_order() -> None:
    vault = published_vault([TAC_2, TAC_1, KeyRef(KeyUsage.LOAD, "shenzhen", 7)])
    assert vault.versions(KeyUsage.TAC, "shenzhen") == (1, 2)
    assert vault.key(TAC_1).value != vault.key(TAC_2).value


def test_a_check_value_is_three_bytes_of_encrypted_zeros() -> None:
    assert check_value(Key(KeyUsage.TAC, SECRET)) == (
        pboc_3des.encrypt_ecb(SECRET, bytes(8))[:3].hex().upper()
    )


@given(st.binary(min_size=32, max_size=32))
def test_a_signing_keys_check_value_is_not_made_from_its_seed_alone(seed: bytes) -> None:
    shown = check_value(Key(KeyUsage.FILE_SIGNING, seed))
    assert len(bytes.fromhex(shown)) == 3
    assert shown != hashlib.sha256(seed).digest()[:3].hex().upper()


@given(refs)
def test_published_keys_follow_the_published_rule_and_are_recognised(ref: KeyRef) -> None:
    text = f"{RULE_TEXT} {ref.usage}/{ref.label}/v{ref.version}"
    key = hashlib.sha256(text.encode()).digest()[: key_bytes(ref.usage)]
    assert published_key(ref) == key
    assert is_published(key, [ref.label])
    # Half of a key of 32 bytes is published enough; so each half is another one here.
    other = bytes((key[0] ^ 2,)) + key[1:-1] + bytes((key[-1] ^ 2,))
    assert not is_published(other, [ref.label])


def test_one_public_test_key_among_real_ones_is_found() -> None:
    vault = published_vault([TAC_2])
    vault.install(TAC_1, SECRET)
    assert public_test_keys(vault) == (TAC_2,)
    assert public_test_keys(KeyVault({TAC_1: SECRET})) == ()


def test_an_issuer_needs_one_key_for_each_use_of_a_card() -> None:
    assert {ref.usage for ref in card_key_refs("shenzhen", 1)} == (CARD_USAGES)
    of_psams = {KeyRef(KeyUsage.RECORD_MAC, "shenzhen", 1)}
    assert set(issuer_key_refs("shenzhen", 1)) - set(card_key_refs("shenzhen", 1)) == of_psams
