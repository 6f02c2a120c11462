"""Whether bytes are good enough to be a key of a city: judged by what they are, not by their names.

Decides what is weak, what is published and what is held already. One check for every way in: the
ceremonies, a key block, a backup and a token (`check_strength`), and the keys of hosts
(`weakness`). Leaves which public test keys there are to `published_keys`.
"""

from collections.abc import Iterable
from functools import cache
from itertools import combinations, pairwise

from cardcore.crypto import signatures
from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyDescription, KeyRef
from cardcore.text import Text
from hsm_sim.keys.published_keys import is_published
from hsm_sim.keys.texts import is_text
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
#: How seldom dice may be called a pattern, by each rule here; all of them together, with `texts`,
#: refuse less than one random key in 2^40.
_SELDOM = 2.0**-43


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
    'has a part that follows from another: it is half as strong'
    >>> weakness(bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4"), is_des=True) is None
    True
    """
    # The last bit of each byte is parity: DES does not look at it.
    bare = bytes(byte & 0xFE for byte in value)
    if is_des:
        parts = _parts(bare)
        if len(set(parts)) < len(parts):
            return Text("两半相同，只有单 DES 的强度", "has two equal halves: it is single DES")
        if not _WEAK_HALVES.isdisjoint(parts):
            return Text("含 DES 弱密钥或半弱密钥", "holds a weak or semi-weak key of DES")
    if takes_published:
        return None
    if _has_related_parts(bare):
        return Text(
            "其中一部分可由另一部分得出，强度不足",
            "has a part that follows from another: it is half as strong",
        )
    if _follows_a_pattern(value, 256) or _follows_a_pattern(bare, 128):
        return Text("其字节有规律，不是随机得出的", "follows a pattern; no dice throw such")
    if is_text(value):
        return Text("是一段文字或数字，不是随机得出的", "is a text; no dice throw such")
    if is_published(value, labels):
        return Text(
            "是公开测试密钥，人人可算出；只有以 --public-test-keys 新建的设备才接受",
            "is a public test key, which anybody can compute; only a device made with "
            "--public-test-keys takes it",
        )
    return None


def _parts(value: bytes) -> list[bytes]:
    return [value[start : start + _HALF] for start in range(0, len(value), _HALF)]


def _has_related_parts(bare: bytes) -> bool:
    """Whether two aligned parts of 8 bytes are equal, or one is the other back to front, but for a
    constant added to every byte (XOR), the complement among them; parity aside.
    """
    return any(
        len({a ^ b for a, b in zip(first, other, strict=True)}) == 1
        for first, second in combinations(_parts(bare), 2)
        for other in (second, second[::-1])
    )


def _follows_a_pattern(value: bytes, sides: int) -> bool:
    """Whether dice would hardly throw so few different bytes, or so few different steps."""
    steps = [(after - before) % 256 for before, after in pairwise(value)]
    return any(len(set(each)) < _least_different(len(each), sides) for each in (value, steps))


@cache
def _least_different(throws: int, sides: int) -> int:
    """The number of different faces below which dice of so many sides come once in 2^43."""
    chances = [1.0]  # by how many different ones there are so far
    for _ in range(throws):
        stay = [chance * faces / sides for faces, chance in enumerate([*chances, 0.0])]
        go_on = [chance * (sides - faces) / sides for faces, chance in enumerate(chances)]
        chances = [a + b for a, b in zip(stay, [0.0, *go_on], strict=True)]
    seldom = [sum(chances[: faces + 1]) < _SELDOM for faces in range(throws + 1)]
    return seldom.index(False)


def _is_same(held: KeyDescription, value: bytes) -> bool:
    if len(value) != key_bytes(held.ref.usage):
        return False
    signs = held.ref.usage in SIGNING_USAGES
    if signs and not signatures.is_secret(held.algorithm, value):
        return False
    return check_value(Key(held.ref.usage, value), held.algorithm) == held.check_value
