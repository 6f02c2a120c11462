"""Whether bytes are good enough to be a key of a city: judged by what they are, not by their names.

Decides what is weak, what is published and what is held already. One check for every way in: the
ceremonies, a key block, a backup and a token (`check_strength`), and the keys of hosts
(`weakness`). Leaves which public test keys there are to `published_keys`.
"""

from collections.abc import Iterable
from itertools import pairwise

from cardcore.crypto import signatures
from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef
from cardcore.text import Text
from hsm_sim.keys.published_keys import is_published
from hsm_sim.keys.vault import SIGNING_USAGES, check_value, key_bytes

#: Keys of single DES under which enciphering twice gives back what was there, alone or in pairs
#: (FIPS 74, NIST SP 800-67 §3.3.2), parity aside. Either half of a key may be none of them.
_WEAK_HALVES = frozenset(
    bytes.fromhex(half)
    for half in (
        "0000000000000000", "FEFEFEFEFEFEFEFE", "E0E0E0E0F0F0F0F0", "1E1E1E1E0E0E0E0E",
        "00FE00FE00FE00FE", "FE00FE00FE00FE00", "1EE01EE00EF00EF0", "E01EE01EF00EF00E",
        "00E000E000F000F0", "E000E000F000F000", "1EFE1EFE0EFE0EFE", "FE1EFE1EFE0EFE0E",
        "001E001E000E000E", "1E001E000E000E00", "E0FEE0FEF0FEF0FE", "FEE0FEE0FEF0FEF0",
    )
)  # fmt: skip
_HALF = 8
#: Of 16 random bytes 15 or 16 are different, as a rule, and hardly two steps between them alike:
#: fewer than this are dice that came in less than once in 10^10 keys.
_DIFFERENT_BYTES_MIN, _DIFFERENT_STEPS_MIN = 8, 4


class WeakKeyError(KeyServiceError):
    """Bytes that are not good enough; the message says why, and shows none of them."""


def check_strength(
    ref: KeyRef,
    algorithm: Algorithm,
    value: bytes,
    held: Iterable[KeyDescription],
    *,
    takes_published: bool = False,
) -> None:
    """Raises `WeakKeyError` for bytes that are weak, published, or held under another name.

    `held` are all keys that there are or were: by their check values what is offered is known
    again, under whatever algorithm, in a token and after its destruction as well. Only where
    public test keys belong (`takes_published`) are they no fault.
    """
    held = [each for each in held if each.ref != ref]
    labels = () if takes_published else {ref.label, *(each.ref.label for each in held)}
    is_des = algorithm is Algorithm.PBOC_3DES
    why = weakness(value, is_des=is_des, takes_published=takes_published, labels=labels)
    if why is None:
        same = next((each for each in held if _is_same(each, value)), None)
        if same is not None:
            why = Text(
                f"与 {same.ref} 是同一把密钥：每个用途须有自己的密钥",
                f"is the same key as {same.ref}: every use has a key of its own",
            )
    if why is not None:
        raise WeakKeyError(Text(f"{ref}：{why.zh}", f"{ref}: {why.en}"))


def weakness(
    value: bytes,
    *,
    is_des: bool,
    takes_published: bool = False,
    labels: Iterable[str] = (),
) -> Text | None:
    """Why these bytes are no key; None for bytes that could be dice and are published nowhere,
    under these labels or the usual ones.

    >>> str(weakness(bytes.fromhex("404142434445464748494A4B4C4D4E4F"), is_des=True).en)
    'follows a pattern; no dice throw such'
    >>> weakness(bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4"), is_des=True) is None
    True
    """
    # The last bit of each byte is parity: DES does not look at it.
    bare = bytes(byte & 0xFE for byte in value) if is_des else value
    if is_des:
        halves = [bare[start : start + _HALF] for start in range(0, len(bare), _HALF)]
        if len(set(halves)) < len(halves):
            return Text("两半相同，只有单 DES 的强度", "has two equal halves: it is single DES")
        if not _WEAK_HALVES.isdisjoint(halves):
            return Text("含 DES 弱密钥或半弱密钥", "holds a weak or semi-weak key of DES")
    if takes_published:
        return None
    if _follows_a_pattern(value) or _follows_a_pattern(bare):
        return Text("其字节有规律，不是随机得出的", "follows a pattern; no dice throw such")
    if all(0x20 <= byte < 0x7F for byte in value):
        return Text("是一段文字，不是随机得出的", "is a text; no dice throw such")
    if is_published(value, labels):
        return Text(
            "是公开测试密钥，人人可算出；只有以 --public-test-keys 新建的设备才接受",
            "is a public test key, which anybody can compute; only a device made with "
            "--public-test-keys takes it",
        )
    return None


def _follows_a_pattern(value: bytes) -> bool:
    steps = {(after - before) % 256 for before, after in pairwise(value)}
    repeats = len(value) > 2 * _HALF and value[: 2 * _HALF] == value[2 * _HALF :]
    return repeats or len(set(value)) < _DIFFERENT_BYTES_MIN or len(steps) < _DIFFERENT_STEPS_MIN


def _is_same(held: KeyDescription, value: bytes) -> bool:
    if len(value) != key_bytes(held.ref.usage):
        return False
    signs = held.ref.usage in SIGNING_USAGES
    if signs and not signatures.is_secret(held.algorithm, value):
        return False
    return check_value(Key(held.ref.usage, value), held.algorithm) == held.check_value
