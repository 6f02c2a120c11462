"""PINs of custodians: which ones are taken, and what trying one costs.

Decides what is too easy to guess, and how a PIN becomes 32 bytes at the price of memory and time.
Leaves what those bytes open to `custody`, and counting wrong tries to `admission`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from cardcore.text import Text
from hsm_sim.device.errors import CustodyError

PIN_BYTES_MIN, PIN_BYTES_MAX = 8, 64
#: A PIN of fewer different characters is mostly repetition.
_DIFFERENT_MIN = 4
_COST_KIB_MAX, _COST_PASSES_MAX = 1 << 20, 16  # a damaged file must not ask for all there is


@dataclass(frozen=True, slots=True)
class PinCost:
    """What one try of Argon2id (RFC 9106) costs; it stands in the device."""

    memory_kib: int
    passes: int

    def __post_init__(self) -> None:
        if not (8 <= self.memory_kib <= _COST_KIB_MAX and 1 <= self.passes <= _COST_PASSES_MAX):
            raise ValueError("pin_cost is out of range")

    @property
    def is_low(self) -> bool:
        """Cheaper to try than what production asks for."""
        return self.memory_kib < PIN_COST_MIN.memory_kib or self.passes < PIN_COST_MIN.passes


#: 256 MiB and about half a second a try. Opening takes three: one for each PIN, one for the two.
PIN_COST_MIN = PinCost(memory_kib=1 << 18, passes=3)
#: What a new device gets; tests put a lower one here, which production refuses.
PIN_COST = PIN_COST_MIN


def weakness(pin: bytes) -> Text | None:
    """Why a PIN is not to be taken, or None. It never repeats the PIN."""
    if not PIN_BYTES_MIN <= len(pin) <= PIN_BYTES_MAX or b"\n" in pin or b"\r" in pin:
        return Text(
            f"PIN 须为一行 {PIN_BYTES_MIN} 至 {PIN_BYTES_MAX} 字节",
            f"a PIN has {PIN_BYTES_MIN} to {PIN_BYTES_MAX} bytes on one line",
        )
    repeats = any(
        len(pin) % length == 0 and pin == pin[:length] * (len(pin) // length)
        for length in range(1, len(pin) // 2 + 1)
    )
    if repeats or len(set(pin)) < _DIFFERENT_MIN:
        return Text("PIN 重复同样的字符；请另选一个", "the PIN repeats itself; choose another one")
    steps = {after - before for before, after in pairwise(pin)}
    # 9 before 0 is a step of a running number as well: 34567890.
    if steps <= {1, -9} or steps <= {-1, 9}:
        return Text("PIN 是连续字符；请另选一个", "the PIN is a running row; choose another one")
    return None


def check_pins(pins: Mapping[str, bytes]) -> None:
    """`CustodyError` for a PIN that is weak, and for one that two custodians have."""
    for role, pin in pins.items():
        if (why := weakness(pin)) is not None:
            raise CustodyError(Text(f"{role}：{why.zh}", f"{role}: {why.en}"))
    roles: dict[bytes, str] = {}
    for role, pin in pins.items():
        if (other := roles.setdefault(pin, role)) != role:
            raise shared_pin(other, role)


def shared_pin(role: str, other: str) -> CustodyError:
    """Two custodians with one PIN are one."""
    return CustodyError(
        Text(
            f"{role} 与 {other} 的 PIN 相同；每名保管员须有自己的 PIN",
            f"{role} and {other} have the same PIN; each custodian needs one of his own",
        )
    )


def stretch(cost: PinCost, salt: bytes, secret: bytes) -> bytes:
    """32 bytes out of a secret that could be guessed, at that cost."""
    return Argon2id(
        salt=salt, length=32, iterations=cost.passes, lanes=1, memory_cost=cost.memory_kib
    ).derive(secret)
