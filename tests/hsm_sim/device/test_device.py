"""The device's folder: altered, destroyed, busy, changed by another process."""

import fcntl
import json
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from cardcore.errors import KeyServiceError, KeyStateError
from cardcore.keys import KeyRef, KeyState, KeyUsage
from hsm_sim.device import storage
from hsm_sim.device.ceremony import NewKey, generate, load, move, take_public_test_keys
from hsm_sim.device.device import Device, destroy
from hsm_sim.device.errors import DeviceError
from hsm_sim.device.inspection import log_lines, look, prove_log
from hsm_sim.device.storage import DeviceFolder
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.strength import WeakKeyError
from tests.hsm_sim.device.devices import (
    OTHER_PAIR,
    PAIR,
    PINS,
    TAC_1,
    TAC_2,
    add,
    check_values,
    files_with,
    make,
    now,
    reopen,
)
from tests.hsm_sim.keys.test_vault import shows
from tests.support.patience import SOON_S


@pytest.fixture
def path(tmp_path: Path) -> Path:
    device = make(tmp_path / "device")
    add(device, TAC_1)
    add(device, TAC_2)
    return tmp_path / "device"


def alter(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    document = json.loads((path / "device.json").read_text())
    change(document)
    (path / "device.json").write_text(json.dumps(document))


def with_block(block: str) -> Callable[[dict[str, Any]], object]:
    return lambda document: document["keys"][1].update(block=block)


def test_keys_are_the_same_after_closing_and_opening(tmp_path: Path) -> None:
    device = make(tmp_path / "device")
    add(device, TAC_1)
    value, held = device.vault.key(TAC_1).value, check_values(device)
    device.close()
    opened = reopen(tmp_path / "device", OTHER_PAIR)
    assert (opened.vault.key(TAC_1).value, check_values(opened)) == (value, held)


def test_a_closed_device_holds_nothing(path: Path) -> None:
    device = reopen(path)
    device.close()
    assert device.vault.refs() == ()
    with pytest.raises(DeviceError, match="is closed"):
        _ = device.storage_key


def test_files_are_their_owners_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in path.iterdir()} == {0o600}
    assert {each.name for each in path.iterdir()} == set(storage.FILES)


def test_one_altered_character_of_a_key_block_is_refused_with_the_keys_name(path: Path) -> None:
    block = json.loads((path / "device.json").read_text())["keys"][1]["block"]
    for at in (0, 5, 11, 20, len(block) - 40, len(block) - 1):
        other = block[:at] + ("1" if block[at] != "1" else "2") + block[at + 1 :]
        alter(path, with_block(other))
        with pytest.raises(DeviceError, match="tac/demo/v2") as caught:
            reopen(path)
        assert not shows(str(caught.value), bytes.fromhex(block[-64:]))
    alter(path, with_block(block))
    assert reopen(path).vault.refs() == (TAC_1, TAC_2)


ALTERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key less": lambda document: document["keys"].pop(),
    "another order": lambda document: document["keys"].reverse(),
    "another state": lambda document: document["keys"][0].update(state="prepared"),
    "another check value": lambda document: document["keys"][0].update(check_value="000000"),
    "another last day": lambda document: document["keys"][0].update(valid_to="2030-01-01"),
    "destroyed by hand": lambda document: document["keys"][0].update(block=None, state="destroyed"),
    "a demonstration": lambda document: document.update(is_demonstration=True),
    "another generation": lambda document: document.update(generation=9),
    "another seal": lambda document: document.update(seal="00" * 32),
    "no seal": lambda document: document.pop("seal"),
    "keys of another kind": lambda document: document.update(keys="none"),
    "no custody in it": lambda document: document.update(custody={}),
    "custody of another kind": lambda document: document.update(custody=7),
    "another format": lambda document: document.update(format="onecard device 2"),
    "no pairs": lambda document: document["custody"].update(pairs={}),
    "another pair": lambda document: document["custody"]["pairs"].update({"甲+乙": "00" * 40}),
    "a generation that is no number": lambda document: document.update(generation=float("inf")),
    "half a character": lambda document: document.update(letter="\ud800"),
    "nothing": lambda document: document.clear(),
}


@pytest.mark.parametrize("change", ALTERED.values(), ids=ALTERED)
def test_whatever_is_altered_in_the_file_keeps_the_device_shut(
    path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    alter(path, change)
    with pytest.raises(DeviceError):
        reopen(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff", b"[]", b"[" * 100_000],
    ids=["empty", "cut", "no text", "no object", "deep"],
)
@pytest.mark.parametrize("name", ["device.json", "attempts.json"])
def test_a_file_that_is_no_document_is_named(path: Path, name: str, content: bytes) -> None:
    (path / name).write_bytes(content)
    with pytest.raises(DeviceError, match=name.replace(".", r"\.")):
        reopen(path)


def test_a_file_without_end_is_not_read_to_its_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_DOCUMENT_BYTES_MAX", 100)
    with pytest.raises(DeviceError, match="more than 100 bytes"):
        reopen(path)


@pytest.mark.parametrize(
    "content", ["{}", '{"甲": "5", "乙": 0, "丙": 0}', '{"甲": -9, "乙": 0, "丙": 0}']
)
def test_tries_nobody_can_read_do_not_count_as_none(path: Path, content: str) -> None:
    (path / "attempts.json").write_text(content)
    with pytest.raises(DeviceError, match=r"attempts\.json is damaged"):
        reopen(path)


def test_a_file_that_is_missing_is_not_taken_for_no_device(path: Path) -> None:
    (path / "attempts.json").unlink()
    with pytest.raises(DeviceError, match="is missing: restore the folder"):
        reopen(path)


@pytest.mark.parametrize("mode", [0o701, 0o710, 0o750, 0o777])
def test_a_folder_that_others_may_open_is_not_opened(path: Path, mode: int) -> None:
    path.chmod(mode)
    with pytest.raises(DeviceError, match="chmod 700"):
        reopen(path)
    path.chmod(0o700)
    assert reopen(path).vault.refs() == (TAC_1, TAC_2)


def test_of_two_who_make_a_device_in_one_folder_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both find the folder free before either writes."""
    both_looked = threading.Barrier(2, timeout=SOON_S)
    look_once = DeviceFolder.check_empty

    def check_empty(folder: DeviceFolder) -> None:
        look_once(folder)
        if not both_looked.broken and not (folder.path / "lock").exists():
            both_looked.wait()

    monkeypatch.setattr(DeviceFolder, "check_empty", check_empty)
    with ThreadPoolExecutor(2) as pool:
        made = [pool.submit(make, tmp_path / "device") for _ in range(2)]
    (refused,) = (each.exception() for each in made if each.exception() is not None)
    assert isinstance(refused, DeviceError)
    assert "holds a device already" in str(refused)
    (device,) = (each.result() for each in made if each.exception() is None)
    assert reopen(tmp_path / "device").device_id == device.device_id


def test_no_device_and_a_folder_that_is_taken_are_named(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="name the folder of a device with --device"):
        reopen(tmp_path / "nowhere")
    with pytest.raises(DeviceError, match="holds a device already"):
        make(path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/letter.txt").write_text("dear")
    with pytest.raises(DeviceError, match="is not empty"):
        make(tmp_path / "taken")
    with pytest.raises(DeviceError, match="is no folder"):
        make(tmp_path / "taken/letter.txt")
    assert (tmp_path / "taken/letter.txt").read_text() == "dear"


def test_a_server_takes_over_what_a_ceremony_changed(path: Path) -> None:
    served = reopen(path)
    service = KeyOperations(served.vault, served.today)
    assert not served.refresh()
    elsewhere = reopen(path, OTHER_PAIR)
    assert not served.refresh(), "an opening changes no key"
    move(elsewhere, TAC_1, KeyState.DESTROYED)
    add(elsewhere, KeyRef(KeyUsage.TAC, "demo", 3))
    assert served.refresh()
    assert not served.refresh()
    states = [str(each.state) for each in service.describe_keys(KeyUsage.TAC, "demo")]
    assert states == ["destroyed", "active", "active"]
    assert served.generation == elsewhere.generation


def test_a_server_whose_folder_went_away_says_so(path: Path) -> None:
    served = reopen(path)
    path.rename(path.with_name("moved"))
    with pytest.raises(DeviceError, match="no device lies here any more"):
        served.refresh()


def test_a_device_shows_names_and_no_key(path: Path) -> None:
    device = reopen(path)
    assert repr(device) == f"Device({device.device_id}, KeyVault(tac/demo/v1, tac/demo/v2))"
    held = (device.storage_key, *(each.value or b"" for each in device.vault.entries()))
    shown = repr((device.vault.entries(), look(path)))
    assert not any(shows(shown, secret) for secret in held)


def test_a_change_made_elsewhere_is_not_lost_by_the_next_one(path: Path) -> None:
    one, other = reopen(path), reopen(path, OTHER_PAIR)
    move(one, TAC_1, KeyState.RETIRING)
    move(other, TAC_2, KeyState.RETIRING)
    assert {state for state, _ in check_values(reopen(path)).values()} == {"retiring"}
    with pytest.raises(KeyStateError, match="cannot become active again"):
        move(one, TAC_2, KeyState.ACTIVE)


def test_a_folder_that_another_process_writes_is_busy_and_then_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_LOCK_SECONDS_MAX", 0.1)
    with (path / "lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(DeviceError, match="another process is writing"):
            reopen(path)
    assert reopen(path).vault.refs() == (TAC_1, TAC_2)


def test_a_file_is_on_the_disk_before_its_name_and_its_name_before_the_log_tells(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = reopen(path)
    calls = []
    rename = Path.replace

    def renamed(new: Path, old: Path) -> Path:
        calls.append(f"rename {old.name}")
        return rename(new, old)

    def synced(descriptor: int) -> None:
        calls.append(f"sync {Path(f'/proc/self/fd/{descriptor}').resolve().name}")

    monkeypatch.setattr(Path, "replace", renamed)
    monkeypatch.setattr(os, "fsync", synced)
    move(device, TAC_1, KeyState.RETIRING)
    assert calls == [
        *("sync device.json.new", "rename device.json", "sync device", "sync log.jsonl"),
    ]


def test_a_full_disk_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = reopen(path)
    before = (path / "device.json").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            move(device, TAC_1, KeyState.DESTROYED)
    assert (path / "device.json").read_bytes() == before
    move(device, TAC_1, KeyState.DESTROYED)
    assert prove_log(path).count == len(log_lines(path))


def test_a_refused_step_changes_nothing_and_stands_in_the_log(path: Path) -> None:
    device = reopen(path)
    before = look(path).keys, check_values(device)
    with pytest.raises(KeyServiceError, match="another key is held under this name"):
        generate(device, NewKey(TAC_1))
    assert (look(path).keys, check_values(device)) == before
    last = log_lines(path)[-1]
    assert (last["action"], last["outcome"], last["key"]) == ("generate", "refused", str(TAC_1))
    assert "another key is held" in last["reason"]


def test_a_destroyed_device_opens_for_nobody_and_keeps_its_names(path: Path) -> None:
    device = reopen(path)
    blocks = [each.block for each in look(path).keys]
    storage_key, value = device.storage_key, device.vault.key(TAC_1).value
    destroy(device)
    with pytest.raises(DeviceError, match="was destroyed"):
        reopen(path)
    with pytest.raises(DeviceError):
        device.refresh()
    seen = look(path)
    assert [str(each.description.state) for each in seen.keys] == ["destroyed", "destroyed"]
    assert (seen.custody, prove_log(path).count) == (None, len(log_lines(path)))
    for secret in (storage_key, value, *(block.encode() for block in blocks if block)):
        assert files_with(secret, path) == []


def test_a_device_destroyed_while_it_is_served_empties_the_server(path: Path) -> None:
    served, elsewhere = reopen(path), reopen(path, OTHER_PAIR)
    destroy(elsewhere)
    with pytest.raises(DeviceError, match="was destroyed"):
        served.refresh()
    assert served.vault.refs() == ()


def test_a_public_test_key_is_refused_by_a_device_that_was_not_made_for_them(
    path: Path, tmp_path: Path
) -> None:
    ref = KeyRef(KeyUsage.TAC, "demo", 7)
    public, half = published_key(ref), bytes.fromhex("5D0C4A1B7F92E63841D8B3FC20961E57")
    halves = {"甲": half, "乙": bytes(a ^ b for a, b in zip(public, half, strict=True))}
    shown = Device.create(tmp_path / "demo", PINS, is_demonstration=True, now=now)
    take_public_test_keys(shown, [ref])
    expected = shown.vault.describe(ref).check_value
    with pytest.raises(WeakKeyError, match="a public test key, which anybody can compute"):
        load(reopen(path, PAIR), NewKey(ref), halves, expected)
    with pytest.raises(WeakKeyError, match="a public test key"):
        take_public_test_keys(reopen(path), [ref])
    assert ref not in reopen(path).vault.refs()
    assert look(tmp_path / "demo").is_demonstration
