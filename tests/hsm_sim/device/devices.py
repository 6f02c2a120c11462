"""Devices for tests: three custodians, keys by name, and what is left of them in a folder."""

import base64
import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

from cardcore.keys import Key, KeyRef, KeyState, KeyUsage
from hsm_sim.device.blocks.components import combine
from hsm_sim.device.blocks.key_names import read_name
from hsm_sim.device.ceremony import NewKey, generate, make_component
from hsm_sim.device.device import Device
from hsm_sim.keys.vault import check_value

PINS = {"甲": b"pin of jia 1", "乙": b"pin of yi 22", "丙": b"pin of bing 3"}
PAIR = {role: PINS[role] for role in ("甲", "乙")}
OTHER_PAIR = {role: PINS[role] for role in ("乙", "丙")}
NOW = datetime(2026, 9, 1, 8, 30, tzinfo=UTC)
TODAY = date(2026, 9, 1)
TAC_1, TAC_2 = read_name("tac/demo/v1"), read_name("tac/demo/v2")
ZMK = read_name("transport/bank/v1")
#: Two sheets of a transport key.
SHEETS = {role: hashlib.sha256(role.encode()).digest() for role in ("甲", "丙")}


def now() -> datetime:
    return NOW


def make(path: Path) -> Device:
    return Device.create(path, PINS, now=now)


def reopen(path: Path, pins: Mapping[str, bytes] = PAIR) -> Device:
    return Device.open(path, pins, now)


def add(device: Device, ref: KeyRef, *, exportable: bool = False, levels: int = 1) -> None:
    new = NewKey(ref, state=KeyState.ACTIVE, is_exportable=exportable, levels=levels)
    generate(device, new)


def key_check_value(components: Mapping[str, bytes], usage: KeyUsage = KeyUsage.TRANSPORT) -> str:
    return check_value(Key(usage, combine(list(components.values()), usage, takes_published=True)))


def new_sheets(device: Device, *roles: str) -> dict[str, bytes]:
    """A component of a backup key each, made by the device."""
    return {role: make_component(device, KeyUsage.TRANSPORT)[0] for role in roles}


def check_values(device: Device) -> dict[str, tuple[str, str]]:
    """State and check value by name: what must be the same on both sides of a power cut."""
    return {str(e.ref): (str(e.state), e.check_value) for e in device.vault.descriptions()}


def writings(secret: bytes) -> Iterator[bytes]:
    """How a secret could stand in a file or on a screen."""
    yield secret
    yield from (secret.hex().encode(), secret.hex().upper().encode())
    yield from (secret.hex(" ").encode(), secret.hex(" ").upper().encode())
    # Base64 of a text that holds the secret anywhere has one of three middles.
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + secret + bytes(-(shift + len(secret)) % 3))
        start, end = -(-8 * shift // 6), (8 * (shift + len(secret))) // 6
        yield encoded[start:end]
    yield repr(secret)[2:-1].encode()


def found_in(secret: bytes, content: bytes) -> bool:
    return any(writing in content for writing in writings(secret))


def files_with(secret: bytes, folder: Path) -> list[str]:
    return [
        path.name
        for path in sorted(folder.rglob("*"))
        if path.is_file() and found_in(secret, path.read_bytes())
    ]
