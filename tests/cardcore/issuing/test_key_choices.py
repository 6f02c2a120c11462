"""Which master keys new cards are made from, label by label and use by use."""

from dataclasses import replace

import pytest

from cardcore.chip.card import Card
from cardcore.chip.cardkeys import FID_KEYS, PIN_PREFIX, CardKey
from cardcore.chip.filesystem import FileSystem
from cardcore.chip.keyfile import KeySlot
from cardcore.chip.tree import ElementaryFile
from cardcore.errors import KeyStateError
from cardcore.issuing.dialogue import Result, drive
from cardcore.issuing.key_choices import with_newest_keys
from cardcore.issuing.personalisation import make_plan, personalise
from cardcore.issuing.products import Product, key_refs, key_slots, shipped
from cardcore.issuing.stock import stock_chip
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage
from hsm_sim.keys.published_keys import published_key
from tests.cardcore.issuing.test_personalisation import (
    HOST_CHALLENGE,
    LABEL,
    PUBLIC,
    an_order,
    key_service,
)
from tests.cardcore.transit_cards import counting_random

CITIZEN = shipped("citizen")


def described(
    product: Product = CITIZEN, algorithm: Algorithm = Algorithm.PBOC_3DES
) -> list[KeyDescription]:
    return [
        KeyDescription(
            ref,
            Algorithm.AES if ref.usage.startswith("channel") else algorithm,
            KeyState.ACTIVE,
            "000000",
        )
        for ref in key_refs(product, LABEL)
    ]


def newer(held: list[KeyDescription], usage: KeyUsage, label: str) -> list[KeyDescription]:
    """One key more: version 2 of this one, of AES."""
    ref = KeyRef(usage, label, 2)
    return [*held, KeyDescription(ref, Algorithm.AES, KeyState.ACTIVE, "000000")]


def test_a_city_that_never_rotated_makes_cards_as_the_product_says() -> None:
    chosen = with_newest_keys(CITIZEN, LABEL, described())
    assert key_refs(chosen, LABEL) == key_refs(CITIZEN, LABEL)
    for key_label, slot in key_slots(CITIZEN, LABEL):
        assert chosen.key(slot, key_label) == CITIZEN.key(slot, key_label)


def test_a_key_that_was_rotated_alone_is_the_only_one_that_changes() -> None:
    held = newer(described(), KeyUsage.FILE_MAINTENANCE, f"{LABEL}-library")
    chosen = with_newest_keys(CITIZEN, LABEL, held)
    changed = [
        (str(chosen.key(slot, key_label)[0]), chosen.key(slot, key_label)[1])
        for key_label, slot in key_slots(CITIZEN, LABEL)
        if chosen.key(slot, key_label) != CITIZEN.key(slot, key_label)
    ]
    assert changed == [(f"file-maintenance/{LABEL}-library/v2", Algorithm.AES)]


def test_keys_that_are_shown_as_one_wait_for_each_other() -> None:
    held = newer(described(), KeyUsage.TAC, LABEL)
    tac = KeySlot(KeyUsage.TAC)
    assert with_newest_keys(CITIZEN, LABEL, held).key(tac, LABEL)[0].version == 1
    for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD):
        held = newer(held, usage, LABEL)
    assert with_newest_keys(CITIZEN, LABEL, held).key(tac, LABEL) == (
        KeyRef(KeyUsage.TAC, LABEL, 2),
        Algorithm.AES,
    )


def test_a_tac_key_without_a_purse_beside_it_waits_for_none() -> None:
    slot = next(
        slot
        for key_label, slot in key_slots(CITIZEN, LABEL)
        if key_label == f"{LABEL}-health" and slot.usage is KeyUsage.TAC
    )
    held = newer(described(), KeyUsage.TAC, slot.ref(f"{LABEL}-health", 0).label)
    assert with_newest_keys(CITIZEN, LABEL, held).key(slot, f"{LABEL}-health")[0].version == 2


def test_a_key_that_is_missing_or_not_active_is_named() -> None:
    held = described()
    for state in (KeyState.PREPARED, KeyState.RETIRING, KeyState.DESTROYED):
        moved = [
            replace(each, state=state) if each.ref.usage is KeyUsage.PIN_UNBLOCK else each
            for each in held
        ]
        with pytest.raises(KeyStateError, match=r"pin-unblock/demo-.*: no version is active"):
            with_newest_keys(CITIZEN, LABEL, moved)
    with pytest.raises(KeyStateError, match=r"demo-chip.*rotate the three together"):
        with_newest_keys(
            CITIZEN, LABEL, [each for each in held if each.ref.usage is not KeyUsage.CHANNEL_MAC]
        )


def test_a_card_made_after_a_rotation_holds_the_new_keys_and_the_old_of_the_rest() -> None:
    service = key_service()
    vault = service._masters
    for usage in (KeyUsage.PURCHASE, KeyUsage.LOAD, KeyUsage.TAC):
        ref = KeyRef(usage, LABEL, 2)
        vault.install(ref, published_key(ref), Algorithm.SM4)  # type: ignore[attr-defined]
    for usage in (KeyUsage.CHANNEL_ENC, KeyUsage.CHANNEL_MAC, KeyUsage.CHANNEL_DEK):
        ref = KeyRef(usage, f"{LABEL}-chip", 7)
        vault.install(ref, published_key(ref))  # type: ignore[attr-defined]
    product = with_newest_keys(CITIZEN, LABEL, service.describe_keys())
    card = Card.from_image(stock_chip(PUBLIC, product, service, LABEL), counting_random())
    plan = make_plan(product, an_order(), LABEL)
    finished = drive(personalise(plan, service, HOST_CHALLENGE), card.transmit)
    assert finished.result is Result.DONE
    files = FileSystem(card.memory)
    held = {
        (directory.fid, key.key.usage): (key.version, key.algorithm)
        for directory in files.directories
        if isinstance(file := files.child(directory, FID_KEYS), ElementaryFile)
        for record in files.records(file)
        if not record.startswith(PIN_PREFIX)
        for key in [CardKey.decode(record)]
    }
    transit, chip = 0x1001, 0x3F00
    assert held[transit, KeyUsage.TAC] == held[transit, KeyUsage.LOAD] == (2, Algorithm.SM4)
    assert held[transit, KeyUsage.UNLOAD] == (1, Algorithm.PBOC_3DES)
    assert held[chip, KeyUsage.CHANNEL_DEK][0] == 7
    assert held[chip, KeyUsage.FILE_MAINTENANCE][0] == 1
