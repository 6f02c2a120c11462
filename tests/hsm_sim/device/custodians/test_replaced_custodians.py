"""Custodians who left: nothing they kept opens anything made or wrapped after them."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from itertools import permutations
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceError, KeyStateError
from cardcore.keys import KeyRef, KeyState, KeyUsage
from hsm_sim.device import backups, transfer
from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.components import combine
from hsm_sim.device.blocks.tr31 import KeyBlockHeader
from hsm_sim.device.ceremony import NewKey, Rotation, generate, give_pin, load, move, rotate
from hsm_sim.device.custodians import custody
from hsm_sim.device.device import Device
from hsm_sim.device.document import StoredKey, read_keys, seal_holds
from hsm_sim.device.errors import CeremonyError, CustodyError, DeviceError, WrongPinError
from hsm_sim.device.inspection import log_lines, look, prove_log
from hsm_sim.device.storage import DEVICE, FILES
from hsm_sim.host_commands.codec import Fields, HostCommandError
from hsm_sim.host_commands.keys import HostKeys
from hsm_sim.keys.vault import KeyVault
from hsm_sim.psam import PsamKeyType, make_psam
from hsm_sim.psam.image import decode_image
from hsm_sim.psam.seal import check_seal
from tests.hsm_sim.device.devices import (
    PINS,
    TAC_1,
    TAC_2,
    ZMK,
    add,
    files_with,
    found_in,
    key_check_value,
    make,
    new_sheets,
    reopen,
)
from tests.hsm_sim.psam import psams

NEW = {"甲": b"pin of the new jia", "乙": b"pin of the new yi"}
LATER = {"甲": NEW["甲"], "丙": PINS["丙"]}


def copied(path: Path, name: str) -> Path:
    return shutil.copytree(path, path.with_name(name))


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, list[Path]]:
    """A device whose 甲 and 乙 were replaced one after the other, and copies of its folder from
    before, between and after: all that either could have taken along.
    """
    path = tmp_path / "device"
    add(make(path), TAC_1)
    copies = [copied(path, "before")]
    give_pin(reopen(path, {"乙": PINS["乙"], "丙": PINS["丙"]}), "甲", NEW["甲"])
    copies.append(copied(path, "between"))
    give_pin(reopen(path, LATER), "乙", NEW["乙"])
    add(reopen(path, NEW), TAC_2)
    copies.append(copied(path, "after"))
    return path, copies


def known(copies: list[Path]) -> tuple[set[bytes], set[bytes]]:
    """What two old custodians can find in all copies: private halves and storage keys."""
    halves, storage_keys = set[bytes](), set[bytes]()
    for copy in copies:
        held = look(copy).custody
        assert held is not None
        for role in ("甲", "乙"):
            halves.add(custody.private_half(held, role, PINS[role]))
    for copy in copies:
        held = look(copy).custody
        assert held is not None
        for pair in held.pairs:
            for chosen in permutations(halves, 2):
                found = custody.storage_key_of(held, dict(zip(pair, chosen, strict=True)))
                storage_keys |= set() if found is None else {found}
    return halves, storage_keys


def opened_by(storage_keys: set[bytes], blocks: tuple[StoredKey, ...]) -> set[KeyRef]:
    found = set()
    for each in blocks:
        for key in storage_keys:
            try:
                tr31.unwrap(key, each.block or "")
            except KeyServiceError:
                continue
            found.add(each.description.ref)
    return found


def test_two_replaced_custodians_open_nothing_that_was_made_or_wrapped_after_them(
    history: tuple[Path, list[Path]],
) -> None:
    """The secret and the storage key had stayed as they were: they opened a key made later."""
    path, copies = history
    halves, storage_keys = known(copies)
    assert len(halves) == 4, "of each the one he had, and what his PIN makes of the next one's"
    assert len(storage_keys) == 1, "the one of their own time"
    before, between, after = (look(each) for each in copies)
    assert opened_by(storage_keys, before.keys) == {TAC_1}
    assert opened_by(storage_keys, between.keys) == set()
    assert opened_by(storage_keys, after.keys) == set()
    content = json.loads((path / DEVICE).read_text())
    assert not any(seal_holds(content, each) for each in storage_keys)
    for pins in ({"甲": PINS["甲"], "乙": PINS["乙"]}, {"乙": PINS["乙"], "丙": PINS["丙"]}):
        with pytest.raises(WrongPinError):
            reopen(path, pins)


def test_one_who_stays_gains_nothing_by_what_one_who_left_kept(
    history: tuple[Path, list[Path]],
) -> None:
    """丙 and the old 甲 held the first storage key. With it no third's private half is found."""
    path, copies = history
    held = look(path).custody
    assert held is not None
    staying = custody.private_half(held, "丙", PINS["丙"])
    first = look(copies[0]).custody
    assert first is not None
    left = custody.private_half(first, "甲", PINS["甲"])
    for pair in held.pairs:
        for chosen in permutations((staying, left), 2):
            assert custody.storage_key_of(held, dict(zip(pair, chosen, strict=True))) is None


def test_those_who_are_custodians_now_open_everything_as_before(
    history: tuple[Path, list[Path]],
) -> None:
    path, copies = history
    with_old = reopen(copies[0], {"甲": PINS["甲"], "乙": PINS["乙"]})
    for pins in (NEW, LATER, {"乙": NEW["乙"], "丙": PINS["丙"]}):
        opened = reopen(path, pins)
        assert opened.vault.key(TAC_1) == with_old.vault.key(TAC_1)
        assert opened.vault.refs() == (TAC_1, TAC_2)
        assert opened.storage_key != with_old.storage_key
    prove_log(path)
    told = [each for each in log_lines(path) if each["action"] == "new-pin"]
    assert [each["reason"] for each in told] == ["a new storage key"] * 2


def test_every_new_pin_wraps_every_key_anew_and_leaves_no_old_secret(tmp_path: Path) -> None:
    path = tmp_path / "device"
    device = make(path)
    for usage in KeyUsage:
        generate(device, NewKey(KeyRef(usage, "demo", 1)))
    old_key, old = device.storage_key, look(path)
    give_pin(device, "丙", PINS["丙"])
    new = look(path)
    assert device.storage_key != old_key
    assert not {each.block for each in old.keys} & {each.block for each in new.keys}
    assert old.custody is not None
    assert new.custody is not None
    before, after = old.custody.custodian("丙"), new.custody.custodian("丙")
    assert before.under_pin != after.under_pin, "his own PIN once more is a new pair, too"
    assert old.custody.carrier != new.custody.carrier
    assert not set(old.custody.pairs.values()) & set(new.custody.pairs.values())
    for secret in (old_key, device.storage_key):
        assert files_with(secret, path) == []
    assert {each.name for each in path.iterdir()} <= set(FILES)


def test_who_served_with_the_old_storage_key_serves_no_longer_and_says_why(tmp_path: Path) -> None:
    path = tmp_path / "device"
    served = make(path)
    add(served, TAC_1)
    give_pin(reopen(path), "丙", b"another pin of bing")
    with pytest.raises(DeviceError, match="two of them open it again"):
        served.refresh()
    assert not served.is_open
    assert served.vault.refs() == ()


def test_a_carrier_that_is_no_point_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    content = json.loads((path / DEVICE).read_text())
    for carrier in ("", "00" * 32, "00" * 31):
        content["custody"]["carrier"] = carrier
        (path / DEVICE).write_text(json.dumps(content))
        with pytest.raises(DeviceError, match="is damaged"):
            reopen(path)


@dataclass
class Kept:
    """A device whose 甲 and 丙 left, and all that the two know when they do: every key that was in
    it, its storage key, the sheets of its backup and of its transport key, that backup itself.
    """

    device: Device
    values: set[bytes]
    backup_sheets: dict[str, bytes]
    transport_sheets: dict[str, bytes]

    @property
    def long_keys(self) -> set[bytes]:
        """What could be above a key block."""
        both = (self.backup_sheets, self.transport_sheets)
        sums = {combine(list(each.values()), KeyUsage.TRANSPORT) for each in both}
        return sums | {each for each in self.values if len(each) == custody.STORAGE_KEY_BYTES}


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    path = tmp_path / "device"
    device = make(path)
    ours = new_sheets(device, "甲", "丙")
    load(device, NewKey(ZMK, state=KeyState.ACTIVE), ours, key_check_value(ours))
    add(device, TAC_1, exportable=True)
    sheets = new_sheets(device, "甲", "丙")
    backups.backup(device, sheets, key_check_value(sheets))
    values = {each.value for each in device.vault.entries() if each.value is not None}
    values |= {device.storage_key}
    give_pin(reopen(path, {"乙": PINS["乙"], "丙": PINS["丙"]}), "甲", NEW["甲"])
    give_pin(reopen(path, {"甲": NEW["甲"], "乙": PINS["乙"]}), "丙", NEW["乙"])
    return Kept(reopen(path, {"甲": NEW["甲"], "丙": NEW["乙"]}), values, sheets, ours)


def test_a_backup_made_after_them_is_under_sheets_they_never_saw(kept: Kept) -> None:
    """Old sheets were taken again without a word, and opened a key made after they had left."""
    add(kept.device, TAC_2)
    staying = new_sheets(kept.device, "甲")
    for sheets in (kept.backup_sheets, {**kept.backup_sheets, **staying}):
        with pytest.raises(CustodyError, match="丙: that component was not made by this device"):
            backups.backup(kept.device, dict(reversed(sheets.items())), key_check_value(sheets))
    stranger = {"甲": os.urandom(32), "丙": os.urandom(32)}
    with pytest.raises(CustodyError, match="was not made by this device for those who are"):
        backups.backup(kept.device, stranger, key_check_value(stranger))
    sheets = new_sheets(kept.device, "甲", "丙")
    document = backups.backup(kept.device, sheets, key_check_value(sheets))
    assert (document["epoch"], log_lines(kept.device.path)[-1]["reason"]) == (2, "3 keys, epoch 2")
    assert not any(seal_holds(document, each) for each in kept.long_keys)
    assert opened_by(kept.long_keys, read_keys(document["keys"])) == set()
    thief = make(kept.device.path.with_name("thief"))
    with pytest.raises(CeremonyError, match="is not one of this backup, which is of epoch 2"):
        backups.restore(thief, document, kept.backup_sheets, key_check_value(kept.backup_sheets))
    assert len(backups.restore(thief, document, sheets, key_check_value(sheets))) == 3


def test_no_key_leaves_under_a_transport_key_they_know_nor_is_made_of_their_sheets(
    kept: Kept,
) -> None:
    assert kept.device.vault.describe(ZMK).state is KeyState.RETIRING
    with pytest.raises(CeremonyError, match="no key travels under it"):
        transfer.export_block(kept.device, TAC_1, ZMK)
    with pytest.raises(KeyStateError):
        move(kept.device, ZMK, KeyState.ACTIVE)
    # Nor do their sheets come back under another name, alone or beside a new one.
    again = NewKey(ZMK._replace(version=2), state=KeyState.ACTIVE)
    for sheets in (kept.transport_sheets, {**new_sheets(kept.device, "甲"), "丙": os.urandom(32)}):
        old = {**sheets, "丙": kept.transport_sheets["丙"]}
        with pytest.raises(CustodyError, match="older than the last change of custodians"):
            load(kept.device, again, old, key_check_value(old))
        rotation = Rotation(KeyUsage.TRANSPORT, ZMK.label, kept.device.today())
        with pytest.raises(CustodyError, match="older than the last change of custodians"):
            rotate(kept.device, rotation, old, key_check_value(old))
    sheets = new_sheets(kept.device, "甲", "丙")
    load(kept.device, again, sheets, key_check_value(sheets))
    block = transfer.export_block(kept.device, TAC_1, again.ref)
    for key in kept.long_keys:
        with pytest.raises(KeyServiceError):
            tr31.unwrap(key, block)


def test_images_of_psams_and_blocks_of_hosts_made_after_them_open_to_nothing_they_keep(
    kept: Kept,
) -> None:
    for usage in (KeyUsage.PURCHASE, KeyUsage.RECORD_MAC, KeyUsage.FILE_MAINTENANCE):
        label = "demo-psam" if usage is KeyUsage.FILE_MAINTENANCE else "demo"
        add(kept.device, KeyRef(usage, label, 1))
    psam = make_psam(replace(psams.PROFILE, key_label="demo"), kept.device.vault, ())
    image = psam.image()
    held = {each.value for each in kept.device.vault.entries() if each.value is not None}
    assert not any(found_in(each, image) for each in held | kept.values), "it holds names alone"
    sealing = next(
        key for key in decode_image(image).keys if key[0].kind is PsamKeyType.MAINTENANCE
    )
    for value in {each[:16] for each in kept.values | kept.long_keys}:
        vault = KeyVault({sealing[0].ref: value})
        with pytest.raises(KeyServiceError):
            check_seal(image[:-16], image[-16:], psams.PROFILE.number, sealing, vault)
    header = KeyBlockHeader("D0", "A", "B")
    made = HostKeys(kept.device.storage_key, os.urandom).generated(header, 32)
    block = HostKeys(kept.device.storage_key, os.urandom).key_block(made)
    for key in kept.long_keys:
        with pytest.raises(HostCommandError):
            HostKeys(key, os.urandom).read(Fields(block.encode()), "key")
