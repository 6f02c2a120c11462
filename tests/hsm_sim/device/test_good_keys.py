"""Weak, published and shared keys: judged by their bytes, on every way in."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardcore.crypto import SUITES
from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyRef, KeyState, KeyUsage
from hsm_sim.device import backups, transfer
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.components import ComponentError
from hsm_sim.device.blocks.key_names import header_of, read_name
from hsm_sim.device.ceremony import (
    NewKey,
    Rotation,
    derive,
    generate,
    load,
    move,
    rotate,
    take_public_test_keys,
)
from hsm_sim.device.device import Device, random
from hsm_sim.device.inspection import log_lines
from hsm_sim.device.moving import fill_token
from hsm_sim.keys.published_keys import (
    published_descriptions,
    published_key,
    published_vault,
    shared_descriptions,
)
from hsm_sim.keys.strength import WeakKeyError, check_strength
from hsm_sim.keys.vault import KeyVault, check_value
from tests.hsm_sim.device.devices import (
    SHEETS,
    TAC_1,
    TAC_2,
    ZMK,
    add,
    key_check_value,
    make,
    new_sheets,
)
from tests.hsm_sim.token.softhsm import needs_softhsm, softhsm

PURCHASE, LOAD = read_name("purchase/demo/v1"), read_name("load/demo/v1")
DICE = bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")
BAD = {
    "40 to 4F": bytes(range(0x40, 0x50)),
    "40 to 4F, odd parity": bytes.fromhex("40404343454546464949 4A4A4C4C4F4F"),
    "halves equal": DICE[:8] * 2,
    "halves equal, parity aside": DICE[:8] + bytes(byte ^ 1 for byte in DICE[:8]),
    "weak half": DICE[:8] + bytes.fromhex("0101010101010101"),
    "semi-weak half": bytes.fromhex("011F011F010E010E") + DICE[:8],
    "zeros": bytes(16),
    "up and down": bytes.fromhex("0123456789ABCDEFFEDCBA9876543210"),
    "a text": b"onecard-master-1",
    "out of FIPS 197": bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"),
    "of another label": published_key(KeyRef(KeyUsage.TAC, "shenzhen", 1)),
    "of another usage": published_key(LOAD),
    "of another version": published_key(KeyRef(KeyUsage.TAC, "demo", 200)),
    "its own, other parity": bytes(byte ^ 1 for byte in published_key(TAC_1)),
}


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Device]:
    made = make(tmp_path / "device")
    load(made, NewKey(ZMK, state=KeyState.ACTIVE), SHEETS, key_check_value(SHEETS))
    yield made
    made.close()


def sheets_of(value: bytes) -> dict[str, bytes]:
    first = bytes.fromhex("5D0C4A1B7F92E63841D8B3FC20961E57")
    return {"甲": first, "乙": bytes(a ^ b for a, b in zip(first, value, strict=True))}


def loaded(device: Device, ref: KeyRef, value: bytes) -> None:
    load(device, NewKey(ref), sheets_of(value), check_value(Key(ref.usage, value)))


def imported(device: Device, ref: KeyRef, value: bytes) -> None:
    described = KeyVault({}).install(ref, value)
    block = tr31.wrap(
        device.vault.key(ZMK).value, header_of(described, exportable=False), value, random
    )
    transfer.import_block(device, block, ZMK, ref, described.check_value)


def rotated(device: Device, ref: KeyRef, value: bytes) -> None:
    if ref not in device.vault.refs():
        add(device, ref)
    rotation = Rotation(ref.usage, ref.label, device.today())
    rotate(device, rotation, sheets_of(value), check_value(Key(ref.usage, value)))


WAYS: dict[str, Callable[[Device, KeyRef, bytes], None]] = {
    "components": loaded,
    "key block": imported,
    "rotation": rotated,
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_a_weak_or_published_master_comes_in_by_no_way(
    device: Device, way: Callable[[Device, KeyRef, bytes], None], value: bytes
) -> None:
    with pytest.raises((WeakKeyError, ComponentError)):
        way(device, TAC_1, value)
    assert log_lines(device_folder(device))[-1]["outcome"] == "refused"
    assert value not in {each.value for each in device.vault.entries()}


def device_folder(device: Device) -> Path:
    return device._folder.path


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_one_value_is_not_purchase_and_load_and_tac(
    device: Device, way: Callable[[Device, KeyRef, bytes], None]
) -> None:
    loaded(device, PURCHASE, DICE)
    for ref, value in ((TAC_1, DICE), (LOAD, bytes(byte ^ 1 for byte in DICE))):
        with pytest.raises(WeakKeyError, match="is the same key as purchase/demo/v1"):
            way(device, ref, value)
    # Nor is it once the first one is gone.
    move(device, PURCHASE, KeyState.DESTROYED)
    with pytest.raises(WeakKeyError, match="is the same key as purchase/demo/v1"):
        way(device, TAC_1, DICE)


def test_a_backup_brings_no_key_that_a_ceremony_would_not_take(
    tmp_path: Path, device: Device
) -> None:
    demo = Device.create(
        tmp_path / "demo", {"甲": b"demo pin one", "乙": b"pin two for it"}, is_demonstration=True
    )
    take_public_test_keys(demo, [TAC_1])
    sheets = new_sheets(demo, "甲", "乙")
    document = backups.backup(demo, sheets, key_check_value(sheets))
    empty = make(tmp_path / "empty")
    with pytest.raises(WeakKeyError, match="tac/demo/v1: is a public test key"):
        backups.restore(empty, document, sheets, key_check_value(sheets))
    assert empty.vault.refs() == ()
    pattern = bytes(range(1, 33))
    masked = bytes(a ^ b for a, b in zip(SHEETS["甲"], pattern, strict=True))
    weak = {"甲": SHEETS["甲"], "丙": masked}
    with pytest.raises(WeakKeyError, match="the backup key"):
        backups.backup(device, weak, key_check_value(weak))
    # Nor may one of its sheets be weak: whoever has the other would have the backup.
    known = {"甲": SHEETS["甲"], "丙": pattern}
    expected = check_value(Key(KeyUsage.TRANSPORT, masked))
    with pytest.raises(ComponentError, match="weak"):
        backups.backup(device, known, expected)


def test_a_derived_key_is_judged_as_any_other(device: Device) -> None:
    union = read_name("tac/union/v1")
    add(device, union, levels=2)
    factor = bytes.fromhex("01011000FFFFFFFF")
    below = SUITES[Algorithm.PBOC_3DES].diversify(device.vault.key(union).value, factor)
    loaded(device, PURCHASE, below)
    with pytest.raises(WeakKeyError, match="is the same key as purchase/demo/v1"):
        derive(device, union, NewKey(TAC_1), factor)


def test_a_device_for_public_test_keys_takes_them_and_still_no_weak_ones(tmp_path: Path) -> None:
    demo = Device.create(
        tmp_path / "demo", {"甲": b"demo pin one", "乙": b"pin two for it"}, is_demonstration=True
    )
    take_public_test_keys(demo, [PURCHASE])
    loaded(demo, TAC_1, BAD["40 to 4F"])
    for name in ("halves equal", "weak half", "semi-weak half"):
        with pytest.raises(WeakKeyError):
            loaded(demo, TAC_2, BAD[name])
    with pytest.raises(WeakKeyError, match="is the same key"):
        loaded(demo, TAC_2, published_key(PURCHASE))


@needs_softhsm
def test_a_token_takes_no_key_that_it_holds_under_another_name(
    tmp_path: Path, device: Device
) -> None:
    generate(device, NewKey(TAC_1, is_exportable=True))
    with softhsm(tmp_path / "softhsm") as tokens, tokens.empty_token() as token:
        token.install(PURCHASE, device.vault.key(TAC_1).value)
        with pytest.raises(WeakKeyError, match="is the same key as purchase/demo/v1"):
            fill_token(device, token)
        assert [str(each.ref) for each in token.descriptions()] == ["purchase/demo/v1"]


def test_ten_thousand_throws_of_dice_are_good_enough() -> None:
    for _ in range(10_000):
        check_strength(TAC_1, Algorithm.PBOC_3DES, random(16), ())


def test_production_sees_from_outside_what_it_must_refuse() -> None:
    vault = published_vault([TAC_1])
    vault.install(TAC_2, BAD["40 to 4F"])
    vault.install(LOAD, published_key(PURCHASE))
    vault.install(PURCHASE, DICE)
    assert {each.ref for each in published_descriptions(vault.descriptions())} == {
        TAC_1,
        TAC_2,
        LOAD,
    }
    assert not shared_descriptions(vault.descriptions())
    # Those of another city under this one's label: one could be chance, two are not.
    moved = KeyVault({})
    usages = (KeyUsage.PURCHASE, KeyUsage.TAC, KeyUsage.LOAD)
    for usage, city in zip(usages, ("shenzhen", "shenzhen", "demo"), strict=True):
        value = published_key(KeyRef(usage, city, 2))
        moved.install(KeyRef(usage, "realtown", 1), value)
        moved.install(KeyRef(usage, "realtown-purse", 1), os.urandom(16))
    seen = {each.ref.usage for each in published_descriptions(moved.descriptions())}
    assert seen == {KeyUsage.PURCHASE, KeyUsage.TAC}
    shared = KeyVault({PURCHASE: DICE, LOAD: DICE, TAC_1: DICE[::-1]})
    assert {each.ref for each in shared_descriptions(shared.descriptions())} == {PURCHASE, LOAD}


def test_a_refusal_shows_no_byte_of_the_key(device: Device) -> None:
    for name, value in BAD.items():
        with pytest.raises(KeyServiceError) as refused:
            loaded(device, TAC_1, value)
        assert value.hex() not in str(refused.value).lower(), name
