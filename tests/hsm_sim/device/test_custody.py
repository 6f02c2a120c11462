"""Dual control: any two open it, one never does, and wrong PINs count against who typed them."""

import json
from itertools import combinations
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap

from hsm_sim.device import custody, pins
from hsm_sim.device.admission import TRIES_MAX, read_tries
from hsm_sim.device.ceremony import give_pin
from hsm_sim.device.device import Device
from hsm_sim.device.errors import (
    CustodianLockedError,
    CustodyError,
    DeviceError,
    WrongPinError,
)
from hsm_sim.device.inspection import look
from hsm_sim.device.storage import DeviceFolder
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


def tries(path: Path, given: dict[str, bytes]) -> str:
    with pytest.raises(CustodyError) as caught:
        reopen(path, given)
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
    held = custody.appoint("0123", PINS, key, lambda n: bytes(range(n)))
    secret = custody.custodian_secret(held, held.custodian("甲").salt, PINS["甲"])
    assert custody.storage_key_of(held, {"甲": secret, "乙": bytes(32)}) is None
    assert files_with(key, tmp_path) == []


def test_what_was_typed_in_place_of_a_name_is_not_repeated(tmp_path: Path) -> None:
    make(tmp_path / "device")
    message = tries(tmp_path / "device", {"甲": PINS["甲"], "secret typed early": b"x"})
    assert "no custodian has that name" in message
    assert "secret" not in message
    assert "secret" not in (tmp_path / "device/log.jsonl").read_text()


@pytest.mark.parametrize("wrong", [("甲",), ("丙",), ("甲", "丙")])
def test_a_wrong_pin_is_counted_and_nothing_says_whose_it_is(
    tmp_path: Path, wrong: tuple[str, ...]
) -> None:
    path = tmp_path / "device"
    make(path)
    before = (path / "device.json").read_bytes()
    came = {role: WRONG if role in wrong else PINS[role] for role in ("甲", "丙")}
    for left in (4, 3):
        assert tries(path, came) == (
            f"丙+甲: wrong PIN, one or both, {left} tries left. "
            "Who forgot theirs: `onecard hsm ceremony new-pin`"
        )
    assert (path / "device.json").read_bytes() == before
    told = (path / "log.jsonl").read_text().splitlines()[-1]
    assert "one or both" in told
    assert read_tries(DeviceFolder(path)) == {"丙+乙": 0, "丙+甲": 2, "乙+甲": 0}


def test_five_wrong_pins_in_a_row_lock_the_two_who_came_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    for _ in range(TRIES_MAX):
        assert "wrong PIN" in tries(path, {**OTHER_PAIR, "丙": WRONG})
    with pytest.raises(CustodianLockedError, match=r"丙\+乙: locked"):
        reopen(path, OTHER_PAIR)
    assert reopen(path, PAIR).roles == tuple(PAIR)


def test_right_pins_set_the_tries_back(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    for _ in range(2):
        for _ in range(TRIES_MAX - 1):
            assert "wrong PIN" in tries(path, {**OTHER_PAIR, "丙": WRONG})
        reopen(path, OTHER_PAIR)


def test_a_copied_folder_judges_no_pin_alone(tmp_path: Path) -> None:
    """What each PIN unwrapped had told whoever copied the folder which one was right."""
    path = tmp_path / "device"
    opened = make(path)
    held = look(path).custody
    assert held is not None
    text = (path / "device.json").read_text()
    for role, right in PINS.items():
        salt = held.custodian(role).salt
        for pin in (right, WRONG):
            secret = custody.custodian_secret(held, salt, pin)
            half = X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()
            # Neither half stands anywhere, and what is wrapped opens under none of what it makes.
            assert secret.hex() not in text
            assert half.hex() not in text
            for wrapped in (*held.pairs.values(), *(e.sealed_half for e in held.custodians)):
                for key in (secret, half):
                    with pytest.raises(InvalidUnwrap):
                        aes_key_unwrap(key, wrapped)
    # One right and one wrong answer as two wrong do, for each two of them.
    for first, second in combinations(PINS, 2):
        for came in ({first: PINS[first], second: WRONG}, {first: WRONG, second: WRONG}):
            assert custody.storage_key_for(held, came) is None
        both = {role: PINS[role] for role in (first, second)}
        assert custody.storage_key_for(held, both) == opened.storage_key


def test_each_two_pins_that_are_guessed_cost_a_stretching_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PINs stretched once and kept, two of a thousand each were a million cheap looks."""
    path = tmp_path / "device"
    make(path)
    held = look(path).custody
    assert held is not None
    secrets = {e.role: custody.custodian_secret(held, e.salt, WRONG) for e in held.custodians}
    stretched: list[pins.PinCost] = []
    stretch = pins.stretch

    def counted(cost: pins.PinCost, salt: bytes, secret: bytes) -> bytes:
        stretched.append(cost)
        return stretch(cost, salt, secret)

    monkeypatch.setattr(pins, "stretch", counted)
    for two in combinations(secrets, 2):
        assert custody.storage_key_of(held, {role: secrets[role] for role in two}) is None
    assert stretched == [held.cost] * 3


def test_a_new_device_costs_memory_and_time_to_guess_at() -> None:
    cost = pins.PIN_COST_MIN
    assert (cost.memory_kib, cost.passes) == (256 << 10, 3)
    assert not cost.is_low
    assert pins.PinCost(cost.memory_kib - 8, 3).is_low
    assert pins.PinCost(cost.memory_kib, 2).is_low


def test_a_try_is_written_before_it_is_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "device"
    make(path)

    def power_cut(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(custody, "storage_key_for", power_cut)
        for _ in range(TRIES_MAX):
            with pytest.raises(KeyboardInterrupt):
                reopen(path, PAIR)
    with pytest.raises(CustodianLockedError):
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
    ("given", "reason"),
    [
        ({"甲": PINS["甲"]}, "1 custodians; a device has 2 to 9"),
        ({str(n): b"123456" for n in range(10)}, "10 custodians"),
        ({**PAIR, "丙": b"1830562"}, "丙: a PIN has 8 to 64 bytes"),
        ({**PAIR, "丙": b"18305627" * 9}, "丙: a PIN has 8 to 64 bytes"),
        ({**PAIR, "丙": b"11111111"}, "丙: the PIN repeats itself"),
        ({**PAIR, "丙": b"36923692"}, "丙: the PIN repeats itself"),
        ({**PAIR, "丙": b"11221122133"}, "丙: the PIN repeats itself"),
        ({**PAIR, "丙": b"12345678"}, "丙: the PIN is a running row"),
        ({**PAIR, "丙": b"4567890123"}, "丙: the PIN is a running row"),
        ({**PAIR, "丙": b"21098765"}, "丙: the PIN is a running row"),
        ({**PAIR, "丙": b"abcdefgh"}, "丙: the PIN is a running row"),
        ({**PAIR, "丙": PINS["甲"]}, "甲 and 丙 have the same PIN"),
        ({**PAIR, "丙": b"1830\n5627"}, "on one line"),
        ({**PAIR, "a=b": b"18305627"}, "is no role"),
        ({**PAIR, "a+b": b"18305627"}, "is no role"),
        ({**PAIR, "": b"18305627"}, "is no role"),
    ],
)
def test_custodians_that_cannot_be_are_refused_and_no_device_is_made(
    tmp_path: Path, given: dict[str, bytes], reason: str
) -> None:
    with pytest.raises(CustodyError, match=reason):
        Device.create(tmp_path / "device", given, now=now)
    assert not (tmp_path / "device").exists()


@pytest.mark.parametrize("pin", [b"", b"1" * 65])
def test_a_pin_that_cannot_be_one_is_a_wrong_pin(tmp_path: Path, pin: bytes) -> None:
    make(tmp_path / "device")
    assert "wrong PIN" in tries(tmp_path / "device", {**OTHER_PAIR, "丙": pin})


def test_nobody_gets_a_pin_that_another_has_who_is_not_even_there(tmp_path: Path) -> None:
    device = make(tmp_path / "device")
    with pytest.raises(CustodyError, match="甲 and 丙 have the same PIN"):
        give_pin(device, "丙", PINS["甲"])
    give_pin(device, "丙", PINS["丙"])


@pytest.mark.parametrize("cost", [(7, 1), (8, 0), (1 << 21, 1), (8, 17)])
def test_a_cost_that_no_device_has_is_damage(tmp_path: Path, cost: tuple[int, int]) -> None:
    path = tmp_path / "device"
    make(path)
    content = json.loads((path / "device.json").read_text())
    content["custody"]["pin_cost"] = dict(zip(("memory_kib", "passes"), cost, strict=True))
    (path / "device.json").write_text(json.dumps(content))
    with pytest.raises(DeviceError, match="was altered"):
        reopen(path)


def test_a_device_of_the_format_before_is_named_and_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "device"
    make(path)
    text = (path / "device.json").read_text()
    (path / "device.json").write_text(text.replace("onecard device 3", "onecard device 2"))
    with pytest.raises(DeviceError, match="restore its backup into a new device: `onecard hsm"):
        reopen(path)
