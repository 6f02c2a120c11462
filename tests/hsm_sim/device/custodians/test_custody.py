"""Dual control: any two open it, one never does, and wrong PINs count against the two who came."""

import json
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hsm_sim.device.ceremony import give_pin
from hsm_sim.device.custodians import admission, custody
from hsm_sim.device.custodians.admission import TRIES_MAX
from hsm_sim.device.device import Device
from hsm_sim.device.errors import (
    CustodiansLockedError,
    CustodyError,
    WrongPinError,
)
from tests.hsm_sim.device.devices import (
    OTHER_PAIR,
    PAIR,
    PINS,
    TAC_1,
    add,
    check_values,
    files_with,
    make,
    now,
    reopen,
)

WRONG = b"wrong pin"
#: Read before the tests of this folder make it cheap.
COST = custody.SCRYPT_COST


def tries(path: Path, pins: dict[str, bytes]) -> str:
    with pytest.raises(CustodyError) as caught:
        reopen(path, pins)
    return str(caught.value)


@pytest.mark.parametrize("left_out", PINS)
def test_any_two_of_three_open_the_device(tmp_path: Path, left_out: str) -> None:
    made = make(tmp_path / "device")
    add(made, TAC_1)
    pair = {role: pin for role, pin in PINS.items() if role != left_out}
    opened = reopen(tmp_path / "device", pair)
    assert opened.vault.key(TAC_1).value == made.vault.key(TAC_1).value
    assert opened.storage_key == made.storage_key
    assert opened.roles == tuple(pair)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_alone_opens_nothing_and_neither_do_three(tmp_path: Path, count: int) -> None:
    make(tmp_path / "device")
    some = dict(list(PINS.items())[:count])
    assert f"two different custodians open a device, and {count} came" in tries(
        tmp_path / "device", some
    )


def test_no_single_secret_unwraps_the_storage_key(tmp_path: Path) -> None:
    key = bytes(range(32))
    held = custody.appoint("0123", PINS, key, os.urandom)
    half = custody.private_half(held, "甲", PINS["甲"])
    assert custody.storage_key_of(held, {"甲": half, "乙": bytes(32)}) is None
    other = custody.private_half(held, "乙", PINS["乙"])
    assert custody.storage_key_of(held, {"甲": half, "乙": other}) == key
    assert files_with(key, tmp_path) == []


def test_a_pin_alone_cannot_be_judged_by_whoever_copied_the_folder() -> None:
    """Each was: its private half was wrapped with a check, and its public half lay beside it."""
    held = custody.appoint("0123", PINS, bytes(32), os.urandom)
    document = json.dumps(custody.custody_document(held))
    right, wrong = (custody.private_half(held, "甲", pin) for pin in (PINS["甲"], WRONG))
    assert right != wrong
    for half in (right, wrong):
        public = X25519PrivateKey.from_private_bytes(half).public_key().public_bytes_raw()
        carried = X25519PrivateKey.from_private_bytes(half).exchange(
            X25519PublicKey.from_public_bytes(held.carrier)
        )
        assert not any(each.hex() in document for each in (half, public, carried))


def test_a_guess_of_two_pins_costs_memory_and_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """It cost 66 ms. scrypt takes 128 * N * r bytes (RFC 7914), for each PIN and for the two."""
    assert 128 * COST * 8 == 256 * 2**20
    asked: list[tuple[int, int]] = []

    def counted(*, salt: bytes, length: int, n: int, r: int, p: int) -> Scrypt:
        asked.append((n, r))
        return Scrypt(salt=salt, length=length, n=16, r=r, p=p)

    monkeypatch.setattr(custody, "SCRYPT_COST", COST)
    monkeypatch.setattr(custody, "Scrypt", counted)
    held = custody.appoint("0123", PAIR, bytes(32), os.urandom)
    asked.clear()
    halves = {role: custody.private_half(held, role, pin) for role, pin in PAIR.items()}
    assert custody.storage_key_of(held, halves) == bytes(32)
    assert asked == [(COST, 8)] * 3


def test_what_was_typed_in_place_of_a_name_is_not_repeated(tmp_path: Path) -> None:
    make(tmp_path / "device")
    message = tries(tmp_path / "device", {"甲": PINS["甲"], "secret typed early": b"x"})
    assert "no custodian has that name" in message
    assert "secret" not in message
    assert "secret" not in (tmp_path / "device/log.jsonl").read_text()


def test_a_wrong_pin_is_counted_named_and_changes_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    before = (path / "device.json").read_bytes()
    with pytest.raises(WrongPinError, match="丙 and 乙: wrong PIN, whose is not known") as caught:
        reopen(path, {**OTHER_PAIR, "丙": WRONG})
    assert caught.value.tries_left == TRIES_MAX - 1
    assert (path / "device.json").read_bytes() == before


def test_whose_pin_was_wrong_is_told_to_nobody(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    wrong = (
        {"甲": WRONG, "丙": WRONG},
        {"甲": PINS["甲"], "丙": WRONG},
        {"甲": WRONG, "丙": PINS["丙"]},
    )
    for left, pins in zip((4, 3, 2), wrong, strict=True):
        assert tries(path, pins) == (
            f"丙 and 甲: wrong PIN, whose is not known; {left} tries left. Who forgot theirs: "
            "`onecard hsm ceremony new-pin`"
        )


def test_five_wrong_tries_in_a_row_lock_only_the_two_who_came(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    for _ in range(TRIES_MAX):
        assert "wrong PIN" in tries(path, {**OTHER_PAIR, "丙": WRONG})
    with pytest.raises(CustodiansLockedError, match="丙 and 乙: locked"):
        reopen(path, OTHER_PAIR)
    assert reopen(path, PAIR).roles == tuple(PAIR)


def test_a_right_pin_sets_the_tries_back(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    for _ in range(2):
        for _ in range(TRIES_MAX - 1):
            assert "wrong PIN" in tries(path, {**OTHER_PAIR, "丙": WRONG})
        reopen(path, OTHER_PAIR)


def test_a_try_is_written_before_it_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "device"
    make(path)

    def power_cut(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(admission, "private_half", power_cut)
        for _ in range(TRIES_MAX):
            with pytest.raises(KeyboardInterrupt):
                reopen(path, PAIR)
    with pytest.raises(CustodiansLockedError):
        reopen(path, PAIR)


def test_two_custodians_give_the_third_a_new_pin_and_unlock_him(tmp_path: Path) -> None:
    path = tmp_path / "device"
    device = make(path)
    add(device, TAC_1)
    for _ in range(TRIES_MAX):
        tries(path, {**OTHER_PAIR, "丙": WRONG})
    opened = reopen(path, PAIR)
    give_pin(opened, "丙", b"another pin")
    again = reopen(path, {**OTHER_PAIR, "丙": b"another pin"})
    assert check_values(again) == check_values(device)
    with pytest.raises(WrongPinError):
        reopen(path, OTHER_PAIR)


def test_nobody_gets_a_pin_who_is_no_custodian_or_a_pin_that_is_none(tmp_path: Path) -> None:
    device = make(tmp_path / "device")
    with pytest.raises(CustodyError, match="no custodian is called 丁 here"):
        give_pin(device, "丁", b"another pin")
    with pytest.raises(CustodyError, match="丙: a PIN has 8 to 64 bytes"):
        give_pin(device, "丙", b"short")
    assert reopen(tmp_path / "device", OTHER_PAIR).vault.refs() == ()


@pytest.mark.parametrize(
    ("pins", "reason"),
    [
        ({"甲": PINS["甲"]}, "1 custodians; a device has 2 to 9"),
        ({str(n): f"pin of {n}".encode() for n in range(10)}, "10 custodians"),
        ({**PAIR, "丙": b"1402819"}, "丙: a PIN has 8 to 64 bytes"),
        ({**PAIR, "丙": b"1" * 65}, "丙: a PIN has 8 to 64 bytes"),
        ({**PAIR, "丙": b"123\n45678"}, "on one line"),
        ({**PAIR, "丙": b"12345678"}, "丙: that PIN is guessed first"),
        ({**PAIR, "丙": b"87654321"}, "丙: that PIN is guessed first"),
        ({**PAIR, "丙": b"00000000"}, "丙: that PIN is guessed first"),
        ({**PAIR, "丙": PAIR["甲"]}, "甲 and 丙 have the same PIN"),
        ({**PAIR, "a=b": b"402816"}, "is no role"),
        ({**PAIR, "a+b": b"402816"}, "is no role"),
        ({**PAIR, "": b"402816"}, "is no role"),
    ],
)
def test_custodians_that_cannot_be_are_refused_and_no_device_is_made(
    tmp_path: Path, pins: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(CustodyError, match=reason):
        Device.create(tmp_path / "device", pins, now=now)
    assert not (tmp_path / "device").exists()


@pytest.mark.parametrize("pin", [b"", b"1" * 65])
def test_a_pin_that_cannot_be_one_is_a_wrong_pin(tmp_path: Path, pin: bytes) -> None:
    make(tmp_path / "device")
    assert "wrong PIN" in tries(tmp_path / "device", {**OTHER_PAIR, "丙": pin})


def test_a_cheaper_scrypt_than_today_is_damage(tmp_path: Path) -> None:
    device = make(tmp_path / "device")
    document = custody.custody_document(
        custody.appoint(device.device_id, PINS, bytes(32), lambda n: bytes(range(n)))
    )
    for cost in (8, 17, 1 << 21):
        with pytest.raises(ValueError, match="scrypt_cost"):
            custody.read_custody(device.device_id, {**document, "scrypt_cost": cost})
