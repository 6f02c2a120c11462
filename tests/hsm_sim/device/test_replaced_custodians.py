"""Custodians who left: nothing they kept opens anything made or wrapped after them."""

import json
import shutil
from itertools import permutations
from pathlib import Path

import pytest

from cardcore.errors import KeyServiceError
from cardcore.keys import KeyRef, KeyUsage
from hsm_sim.device.blocks import tr31
from hsm_sim.device.ceremony import NewKey, generate, give_pin
from hsm_sim.device.custodians import custody
from hsm_sim.device.document import StoredKey, seal_holds
from hsm_sim.device.errors import DeviceError, WrongPinError
from hsm_sim.device.inspection import log_lines, look, prove_log
from hsm_sim.device.storage import DEVICE, FILES
from tests.hsm_sim.device.devices import (
    PINS,
    TAC_1,
    TAC_2,
    add,
    files_with,
    make,
    reopen,
)

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
