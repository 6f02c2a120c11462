"""How many levels a key stands above a card's: said once, and kept wherever the key goes."""

import json
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceError
from cardcore.keys import KeyState, KeyUsage
from hsm_sim.device import backups, ceremony, transfer
from hsm_sim.device.blocks.key_names import Arrival, read_name
from hsm_sim.device.ceremony import NewKey, Rotation, derive, generate, load, rotate
from hsm_sim.device.device import Device
from hsm_sim.device.document import file_seal
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.inspection import look
from tests.hsm_sim.device.devices import (
    SHEETS,
    TAC_1,
    TODAY,
    ZMK,
    add,
    check_values,
    key_check_value,
    make,
    new_sheets,
    reopen,
)

REGION, SCHEME = read_name("tac/region/v1"), read_name("tac/union/v1")
ACTIVE, FACTOR = KeyState.ACTIVE, bytes.fromhex("01011000FFFFFFFF")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A master of a region, the scheme's below it, an issuer's below that."""
    made = make(tmp_path / "device")
    add(made, REGION, exportable=True, levels=3)
    derive(made, REGION, NewKey(SCHEME, state=ACTIVE, is_exportable=True), FACTOR)
    derive(made, SCHEME, NewKey(TAC_1, state=ACTIVE), FACTOR)
    return made


def levels(device: Device) -> dict[str, int]:
    return {str(each.ref): each.levels for each in device.vault.descriptions()}


LEVELS = {"tac/demo/v1": 1, "tac/region/v1": 3, "tac/union/v1": 2}


def test_every_derivation_is_one_level_down_and_the_device_remembers(
    device: Device, tmp_path: Path
) -> None:
    assert levels(device) == LEVELS
    assert levels(reopen(tmp_path / "device")) == LEVELS
    ways = (
        device.vault.card_key(REGION, bytes(8) + FACTOR + FACTOR),
        device.vault.card_key(SCHEME, bytes(8) + FACTOR),
        device.vault.card_key(TAC_1, bytes(8)),
    )
    assert len({way.value() for way in ways}) == 1


def test_the_next_version_stands_where_the_one_before_stands(device: Device) -> None:
    new, _ = rotate(device, Rotation(KeyUsage.TAC, "union", TODAY))
    assert (str(new.ref), new.levels) == ("tac/union/v2", 2)


def test_levels_come_from_components_too_and_never_change(device: Device) -> None:
    ref, parts = read_name("load/union/v1"), {"甲": SHEETS["甲"][:16], "乙": SHEETS["丙"][16:]}
    expected = key_check_value(parts, KeyUsage.LOAD)
    assert load(device, NewKey(ref, levels=2), parts, expected).levels == 2
    before = check_values(device)
    with pytest.raises(KeyServiceError, match="is held with 2 levels to a card's key, not 1"):
        load(device, NewKey(ref), parts, expected)
    with pytest.raises(KeyServiceError, match="4 levels to a card's key, not 1 to 3"):
        generate(device, NewKey(read_name("load/union/v2"), levels=4))
    with pytest.raises(KeyServiceError, match="makes no card's key"):
        generate(device, NewKey(ZMK, levels=2))
    assert check_values(device) == before


def test_levels_travel_in_key_blocks_and_backups(device: Device, tmp_path: Path) -> None:
    other, third = make(tmp_path / "other"), make(tmp_path / "third")
    for each in (device, other):
        load(each, NewKey(ZMK, state=ACTIVE), SHEETS, key_check_value(SHEETS))
    block = transfer.export_block(device, SCHEME, ZMK)
    expected = device.vault.describe(SCHEME).check_value
    with pytest.raises(KeyServiceError, match="levels to a card's key are 2 in it"):
        transfer.import_block(other, block, ZMK, SCHEME, expected, Arrival(levels=1))
    said = Arrival(levels=2, parent=read_name("tac/region/v1"))
    assert transfer.import_block(other, block, ZMK, SCHEME, expected, said).levels == 2
    sheets = new_sheets(device, "甲", "丙")
    document = backups.backup(device, sheets, key_check_value(sheets))
    backups.restore(third, document, sheets, key_check_value(sheets))
    assert levels(third) == levels(device)


def test_a_device_kept_before_levels_were_opens_with_issuers_masters(tmp_path: Path) -> None:
    path = tmp_path / "device"
    device = make(path)
    add(device, TAC_1)
    before = check_values(device)
    content = json.loads((path / "device.json").read_text())
    for key in content["keys"]:
        del key["levels"]
    del content["seal"]
    content["seal"] = file_seal(content, device.storage_key)
    (path / "device.json").write_text(json.dumps(content))
    opened = reopen(path)
    assert (check_values(opened), levels(opened)) == (before, {"tac/demo/v1": 1})
    ceremony.move(opened, TAC_1, KeyState.RETIRING)
    assert look(path).keys[0].description.levels == 1


def test_a_level_altered_in_the_file_keeps_the_device_shut(device: Device, tmp_path: Path) -> None:
    path = tmp_path / "device" / "device.json"
    content = json.loads(path.read_text())
    content["keys"][2]["levels"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(DeviceError, match="tac/union/v1: its block says otherwise"):
        reopen(tmp_path / "device")
    # Nor does a seal help that somebody with the storage key made: the block says it as well.
    del content["seal"]
    content["seal"] = file_seal(content, device.storage_key)
    path.write_text(json.dumps(content))
    with pytest.raises(DeviceError, match="tac/union/v1: its block says otherwise"):
        reopen(tmp_path / "device")
