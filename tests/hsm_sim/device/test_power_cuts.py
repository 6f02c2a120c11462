"""SIGKILL before every step that touches the disk: the device opens with the old keys or the new.

A forked process does one step of a ceremony and kills itself before its n-th call that opens,
writes, syncs or renames, for every n until it comes through.
"""

import os
import shutil
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from cardcore.keys import KeyState, KeyUsage
from hsm_sim.device import transfer
from hsm_sim.device.ceremony import NewKey, Rotation, give_pin, load, move, rotate
from hsm_sim.device.device import Device, destroy
from hsm_sim.device.errors import DeviceError, WrongPinError
from hsm_sim.device.inspection import log_lines, look, prove_log
from tests.hsm_sim.device.devices import (
    OTHER_PAIR,
    PINS,
    SHEETS,
    TAC_1,
    TAC_2,
    TODAY,
    ZMK,
    add,
    check_values,
    key_check_value,
    make,
    reopen,
)

CALLS_MAX = 100
NEW_PIN = b"pin given anew"


def kill_before(number: int) -> None:
    """From now on this process ends before its n-th call to the disk."""
    left = number

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **options: object) -> object:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1
            return call(*arguments, **options)

        return wrapped

    for name in ("open", "fsync", "pwrite", "close"):
        setattr(os, name, counted(getattr(os, name)))
    for name in ("replace", "mkdir", "chmod", "open"):
        setattr(Path, name, counted(getattr(Path, name)))


def killed_everywhere(
    path: Path, act: Callable[[Path], object], *, has_device: bool = True
) -> Iterator[tuple[int, Path]]:
    """A copy of the folder for each place at which the act was killed, and one where it was not."""
    for number in count():
        assert number < CALLS_MAX
        folder = path.with_name(f"killed-{number}")
        if has_device:
            shutil.copytree(path, folder)
        child = os.fork()
        if child == 0:
            try:
                kill_before(number)
                act(folder)
            except BaseException:  # noqa: BLE001 - the parent sees the exit code
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0
        yield number, folder
        if status == 0:
            assert number > 5, "nothing was interrupted"
            return


def rotated(path: Path) -> None:
    rotate(reopen(path), Rotation(KeyUsage.TAC, "demo", TODAY))


def destroyed(path: Path) -> None:
    move(reopen(path), TAC_1, KeyState.DESTROYED)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    device = make(tmp_path / "device")
    add(device, TAC_1)
    load(device, NewKey(ZMK, state=KeyState.ACTIVE), SHEETS, key_check_value(SHEETS))
    return tmp_path / "device"


STEPS: dict[str, tuple[Callable[[Path], None], dict[str, str]]] = {
    "rotate": (rotated, {str(TAC_1): "retiring", str(TAC_2): "active"}),
    "destroy": (destroyed, {str(TAC_1): "destroyed"}),
}


@pytest.mark.parametrize("action", STEPS)
def test_a_step_killed_anywhere_leaves_the_old_keys_or_the_new(path: Path, action: str) -> None:
    act, after = STEPS[action]
    old = {name: state for name, (state, _) in check_values(reopen(path)).items()}
    new = old | after
    seen = []
    for number, folder in killed_everywhere(path, act):
        device = reopen(folder)
        states = {name: state for name, (state, _) in check_values(device).items()}
        assert states in (old, new), number
        seen.append(states == new)
        told = [line for line in log_lines(folder) if line["action"] == action]
        assert len(told) == (states == new), "the log says what became of the keys"
        assert prove_log(folder).count == len(log_lines(folder))
        move(device, ZMK, KeyState.RETIRING)
        assert check_values(reopen(folder, OTHER_PAIR))[str(ZMK)][0] == "retiring"
    assert seen == sorted(seen), "once new, always new"
    assert {seen[0], seen[-1]} == {False, True}


def test_an_import_killed_anywhere_is_done_or_can_be_done_again(path: Path, tmp_path: Path) -> None:
    (tmp_path / "partner").mkdir()
    partner = make(tmp_path / "partner/device")
    load(partner, NewKey(ZMK, state=KeyState.ACTIVE), SHEETS, key_check_value(SHEETS))
    add(partner, TAC_2, exportable=True)
    block = transfer.export_block(partner, TAC_2, ZMK)
    sent = partner.vault.describe(TAC_2)
    expected = replace(sent, state=KeyState.PREPARED)

    def imported(folder: Path) -> None:
        transfer.import_block(reopen(folder), block, ZMK, TAC_2, sent.check_value)

    for number, folder in killed_everywhere(path, imported):
        device = reopen(folder)
        assert (TAC_2 in device.vault.refs()) or (device.vault.refs() == (TAC_1, ZMK)), number
        assert transfer.import_block(device, block, ZMK, TAC_2, sent.check_value) == expected
        assert reopen(folder).vault.key(TAC_2) == partner.vault.key(TAC_2)


def test_an_opening_killed_anywhere_counts_a_try_at_most(path: Path) -> None:
    for number, folder in killed_everywhere(path, reopen):
        assert check_values(reopen(folder)) == check_values(reopen(folder, OTHER_PAIR)), number


def test_a_new_pin_killed_anywhere_is_the_old_one_or_the_new(path: Path) -> None:
    def given(folder: Path) -> None:
        give_pin(reopen(folder), "丙", NEW_PIN)

    for number, folder in killed_everywhere(path, given):
        opened = []
        for pin in (PINS["丙"], NEW_PIN):
            try:
                opened.append(reopen(folder, {"乙": PINS["乙"], "丙": pin}))
            except WrongPinError:
                continue
        assert len(opened) == 1, number


def test_a_device_killed_while_it_is_made_is_whole_or_can_be_made(tmp_path: Path) -> None:
    def made(folder: Path) -> Device:
        return make(folder)

    for number, folder in killed_everywhere(tmp_path / "device", made, has_device=False):
        try:
            device = reopen(folder)
        except DeviceError:
            device = make(folder)
        add(device, TAC_1)
        assert reopen(folder, OTHER_PAIR).vault.refs() == (TAC_1,), number


def test_a_device_killed_while_it_is_destroyed_is_whole_or_gone(path: Path) -> None:
    def ended(folder: Path) -> None:
        destroy(reopen(folder))

    for number, folder in killed_everywhere(path, ended):
        if look(folder).custody is not None:
            assert reopen(folder).vault.refs() == (TAC_1, ZMK), number
            continue
        assert {str(each.description.state) for each in look(folder).keys} == {"destroyed"}
        assert {each.block for each in look(folder).keys} == {None}
        assert log_lines(folder)
        prove_log(folder)
        assert log_lines(folder)[-1]["action"] == "destroy-device"
