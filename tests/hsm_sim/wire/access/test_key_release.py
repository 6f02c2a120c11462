"""Keys that leave the service: by a duty of their own, into one chip, in the log, so many a day."""

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from cardcore.errors import KeyRightError, KeyServiceUnavailableError, UnknownKeyVersionError
from cardcore.keys import KeyRef, KeyUsage
from hsm_sim.device.inspection import log_lines, prove_log
from hsm_sim.keys.vault import CARD_USAGES
from hsm_sim.wire.access import budgets as budget
from hsm_sim.wire.access.budgets import Budgets
from hsm_sim.wire.access.rights import Allowance
from hsm_sim.wire.access.rights_file import read_rights
from hsm_sim.wire.served_device import ServedDevice
from tests.hsm_sim.device.devices import add, make, reopen
from tests.hsm_sim.wire.key_server import FACTOR, LABEL, a_served_device

OTHER_CARD = bytes.fromhex("0487123456789013")
REFS = tuple(KeyRef(usage, LABEL, 1) for usage in KeyUsage if usage in CARD_USAGES)
TAC = KeyRef(KeyUsage.TAC, LABEL, 1)


def rights(duty: str, keys_a_day: int = 1_000) -> str:
    return f"""
    [[right]]
    who = "user:{os.geteuid()}"
    duties = ["{duty}"]
    labels = ["{LABEL}"]
    keys_a_day = {keys_a_day}
    """


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    device = make(tmp_path / "device")
    for ref in REFS:
        add(device, ref)
    yield tmp_path
    prove_log(tmp_path / "device")


def released(folder: Path) -> list[str]:
    lines = log_lines(folder / "device")
    return [str(each["reason"]) for each in lines if each["action"] == "serve done"]


def a_service(folder: Path) -> ServedDevice:
    return ServedDevice(reopen(folder / "device"), lambda _: None)


def test_a_bureau_derives_no_key_in_clear_and_no_dek_of_a_chip(folder: Path) -> None:
    """With the chip's DEK in hand, what was enciphered for the chip was as good as clear."""
    given = read_rights(rights("personalisation"))
    with a_served_device(a_service(folder), folder, given) as keys:
        for ref in REFS:
            with pytest.raises(KeyRightError, match="may not do derive_card_key, the duty key-rel"):
                keys.derive_card_key(ref, FACTOR)
        channel = keys.open_channel(LABEL, 1, FACTOR, bytes(16))
        assert len(channel.wrapped_card_keys((TAC,), FACTOR)) == 19


def test_whoever_may_derive_in_clear_leaves_a_trace_of_every_key(folder: Path) -> None:
    given = read_rights(rights("key-release"))
    with a_served_device(a_service(folder), folder, given) as keys:
        for ref in REFS:
            keys.derive_card_key(ref, FACTOR)
        with pytest.raises(UnknownKeyVersionError):
            keys.derive_card_key(TAC._replace(version=9), FACTOR)
    told = released(folder)
    assert len(told) == len(REFS)
    for ref, line in zip(REFS, told, strict=True):
        assert line.startswith("user ")
        assert f"derive_card_key: {ref} for card {FACTOR.hex().upper()}" in line


def test_every_key_into_a_chip_is_in_the_log_with_its_card_and_its_chip(folder: Path) -> None:
    given = read_rights(rights("personalisation"))
    with a_served_device(a_service(folder), folder, given) as keys:
        channel = keys.open_channel(LABEL, 1, OTHER_CARD, bytes(16))
        channel.wrapped_card_keys(REFS, FACTOR)
    told = " | ".join(released(folder))
    assert all(f"{ref}" in told for ref in REFS)
    ending = f"for card {FACTOR.hex().upper()} in chip {OTHER_CARD.hex().upper()}"
    assert all(line.endswith(ending) for line in released(folder))


def test_a_channel_with_one_chip_wraps_the_keys_of_one_card(folder: Path) -> None:
    """Whoever knew the DEK of one chip had the keys of every card through it."""
    with a_served_device(a_service(folder), folder, read_rights(rights("personalisation"))) as keys:
        channel = keys.open_channel(LABEL, 1, FACTOR, bytes(16))
        channel.wrapped_card_keys((TAC,), FACTOR)
        with pytest.raises(KeyRightError, match="one chip gets the keys of one card"):
            channel.wrapped_card_keys((TAC,), OTHER_CARD)
        assert len(channel.wrapped_card_keys((TAC,), FACTOR)) == 19


def test_one_chip_gets_the_keys_of_one_card_over_any_number_of_channels_and_connections(
    folder: Path,
) -> None:
    """Twenty channels with one chip's number, and the DEK of that chip opened twenty cards."""
    with a_served_device(a_service(folder), folder, read_rights(rights("personalisation"))) as keys:

        def wrap(chip: bytes, card: bytes) -> None:
            keys.open_channel(LABEL, 1, chip, bytes(16)).wrapped_card_keys((TAC,), card)

        for _ in range(2):  # a channel has a connection of its own
            wrap(FACTOR, FACTOR)
            with pytest.raises(
                KeyRightError, match=r"chip demo \d+ is card \d+'s today: one chip gets"
            ):
                wrap(FACTOR, OTHER_CARD)
        wrap(OTHER_CARD, OTHER_CARD)
    assert len(released(folder)) == 3


def test_chips_are_remembered_for_a_day_and_no_more_of_them_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(budget, "CHIPS_A_DAY", 2)
    day = date(2026, 9, 1)
    budgets = Budgets(lambda: day)
    for chip in ("01", "02", "01"):
        budgets.bind_chip("one", chip, FACTOR)
    with pytest.raises(KeyRightError, match="one: 2 chips got keys today"):
        budgets.bind_chip("one", "03", FACTOR)
    budgets.bind_chip("two", "03", FACTOR)
    with pytest.raises(KeyRightError, match="chip 01 is card"):
        budgets.bind_chip("one", "01", OTHER_CARD)
    day = date(2026, 9, 2)
    budgets.bind_chip("one", "01", OTHER_CARD)


@pytest.mark.parametrize("duty", ["key-release", "personalisation"])
def test_a_stolen_certificate_gets_a_days_keys_and_no_more(folder: Path, duty: str) -> None:
    with a_served_device(a_service(folder), folder, read_rights(rights(duty, 3))) as keys:

        def take() -> None:
            if duty == "key-release":
                keys.derive_card_key(TAC, FACTOR)
            else:
                keys.open_channel(LABEL, 1, FACTOR, bytes(16)).wrapped_card_keys((TAC,), FACTOR)

        for _ in range(3):
            take()
        for _ in range(2):
            with pytest.raises(KeyRightError, match="3 keys have left for it today, of 3"):
                take()
        # Several at once are all of them or none.
        if duty == "personalisation":
            channel = keys.open_channel(LABEL, 1, FACTOR, bytes(16))
            with pytest.raises(KeyRightError, match="keys_a_day"):
                channel.wrapped_card_keys(REFS, FACTOR)
    assert len(released(folder)) == 3
    lines = log_lines(folder / "device")
    assert any(
        each["action"] == "serve refused" and "keys_a_day" in each["reason"] for each in lines
    )


def test_a_key_is_not_given_out_when_its_entry_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = a_service(folder)
    with a_served_device(served, folder, read_rights(rights("key-release"))) as keys:
        keys.derive_card_key(TAC, FACTOR)
        device = served._device

        def fails(*_: object) -> None:
            raise OSError(28, "No space left on device")

        # The disk fails between the look at it and the entry.
        with monkeypatch.context() as patch:
            patch.setattr(device, "note_quickly", fails)
            with pytest.raises(KeyServiceUnavailableError, match="no log, no service"):
                keys.derive_card_key(TAC, OTHER_CARD)
    assert OTHER_CARD.hex().upper() not in "".join(released(folder))


def test_each_client_has_its_own_days() -> None:
    day = date(2026, 9, 1)
    budgets = Budgets(lambda: day)
    five = (Allowance("key-release: demo", 5),)
    budgets.spend_keys("one", [five] * 5)
    budgets.spend_keys("two", [five] * 5)
    with pytest.raises(KeyRightError, match="one: 5 keys have left"):
        budgets.spend_keys("one", [five])
    budgets.spend_keys("one", ())  # no rights file, no bound
    day = date(2026, 9, 2)
    budgets.spend_keys("one", [five] * 5)


def test_the_cap_of_one_right_is_not_lifted_by_another_right_for_another_label(
    folder: Path,
) -> None:
    """The highest of all rights with the duty was the cap of each of them."""
    text = rights("key-release", 2) + rights("key-release", 1_000).replace(LABEL, "pilot")
    with a_served_device(a_service(folder), folder, read_rights(text)) as keys:
        for _ in range(2):
            keys.derive_card_key(TAC, FACTOR)
        with pytest.raises(KeyRightError, match=r"2 keys .*keys_a_day of key-release: demo"):
            keys.derive_card_key(TAC, FACTOR)
    assert len(released(folder)) == 2


def test_keys_that_two_rights_give_count_for_the_first_that_has_room() -> None:
    budgets = Budgets(lambda: date(2026, 9, 1))
    few, more = Allowance("few", 2), Allowance("more", 3)
    # A request that does not fit as a whole takes nothing.
    with pytest.raises(KeyRightError, match="0 keys have left for it today, of 2"):
        budgets.spend_keys("one", [(few, more)] * 6)
    budgets.spend_keys("one", [(few, more)] * 4)
    with pytest.raises(KeyRightError, match="of 2"):
        budgets.spend_keys("one", [(few,)])
    budgets.spend_keys("one", [(more,)])
    with pytest.raises(KeyRightError, match="of 3"):
        budgets.spend_keys("one", [(more,)])


def test_entries_of_a_busy_second_are_sealed_a_moment_later(folder: Path) -> None:
    served = a_service(folder)
    with a_served_device(served, folder) as keys:
        for _ in range(20):
            keys.derive_card_key(TAC, FACTOR)
        prove_log(folder / "device")
    proof = prove_log(folder / "device")
    assert proof.sealed_count == proof.count
