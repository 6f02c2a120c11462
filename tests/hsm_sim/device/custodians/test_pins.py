"""PINs of custodians: what everybody tries first is no PIN, in a new device and afterwards."""

import random
from pathlib import Path

import pytest

from hsm_sim.device.ceremony import give_pin
from hsm_sim.device.custodians.pins import weakness
from hsm_sim.device.device import Device
from hsm_sim.device.errors import CustodyError
from tests.hsm_sim.device.devices import NOW, PAIR, PINS, make, reopen

NAMES = ("issuer-shenzhen", "26497b507b199ae1", "zhao", "保管员甲")
GUESSED_FIRST = (
    # repeated, whole or in groups, with and without something behind it
    "11111111", "abababab", "abcabcabc", "1234512345", "12312312", "11223344", "aaaabbbb",
    "kx7kx7kx7", "kx7zkx7z", "p4p4p4p4!",
    # rows, up, down, round, on a keyboard, and two of them
    "12345678", "87654321", "34567890", "abcdefgh", "hgfedcba", "qwertyui", "asdfghjkl", "1qaz2wsx",
    "abcd1234", "1234abcd!", "QWERasdf", "!@#$%^&*",
    # days, in the orders people write them, and something short beside one
    "19870423", "23041987", "04231987", "1987-04-23", "23.04.1987", "1987/04/23", "a19870423",
    "19870423zh", "x1987.04.23x", "1990010119900101",
    # names that everybody knows, and something short beside one
    "issuer-shenzhen", "Issuer-Shenzhen1", "26497b507b199ae1", "zhaozhao", "zhao1234", "zhao!zhao",
    "onecard1", "ONECARD-99", "保管员甲",
)  # fmt: skip
TAKEN = (
    "pin of jia 1", "48 Tugboat", "correct horse battery", "7mK2vQ9x", "93170264", "zhao 7mK2vQ",
    "19870423 in spring", "öffne dich!", "两只黄鹂鸣翠柳",
)  # fmt: skip


@pytest.mark.parametrize("pin", GUESSED_FIRST)
def test_what_everybody_tries_first_is_no_pin(pin: str) -> None:
    why = weakness(pin.encode(), NAMES)
    assert why is not None
    assert pin not in why.en + why.zh


@pytest.mark.parametrize("pin", TAKEN)
def test_a_pin_of_its_custodians_own_making_is_taken(pin: str) -> None:
    assert weakness(pin.encode(), NAMES) is None


@pytest.mark.parametrize("pin", ["", "7mK2vQ9", "7mK2vQ9x" * 9, "7mK2\nvQ9x", "7mK2\rvQ9x"])
def test_a_pin_is_a_line_of_eight_bytes_and_more(pin: str) -> None:
    why = weakness(pin.encode())
    assert why is not None
    assert "8 to 64 bytes on one line" in why.en


def test_few_throws_of_dice_are_called_guessed() -> None:
    dice = random.Random(1)
    thrown = [f"{dice.randrange(10**8):08}".encode() for _ in range(3_000)]
    assert sum(weakness(each) is not None for each in thrown) < 90


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault-of-demo"


@pytest.mark.parametrize("pin", [b"19870423", b"vault-of-demo", b"abcabcab", b"1402819"])
def test_no_device_is_made_nor_pin_given_with_one(path: Path, pin: bytes) -> None:
    with pytest.raises(CustodyError, match=r"^丙: (that PIN is guessed first|a PIN has 8)"):
        Device.create(path, {**PAIR, "丙": pin}, now=lambda: NOW)
    assert not path.exists()
    device = make(path)
    for given in (pin, device.device_id.encode(), f"{device.device_id}1".encode()):
        with pytest.raises(CustodyError, match=r"^丙: (that PIN is guessed first|a PIN has 8)"):
            give_pin(device, "丙", given)
    reopen(path, {"甲": PINS["甲"], "丙": PINS["丙"]})


def test_one_pin_is_not_two_custodians_first_or_later(path: Path) -> None:
    with pytest.raises(CustodyError, match="甲 and 丙 have the same PIN"):
        Device.create(path, {**PAIR, "丙": PINS["甲"]}, now=lambda: NOW)
    device = make(path)
    for role in ("甲", "乙"):  # of two who are there, and of one who is not
        with pytest.raises(CustodyError, match=f"丙 and {role} have the same PIN"):
            give_pin(device, "丙", PINS[role])
    give_pin(device, "丙", PINS["丙"])  # his own once more is his own
    give_pin(device, "丙", b"another pin of bing")
    give_pin(device, "甲", PINS["丙"])  # nobody's any more
