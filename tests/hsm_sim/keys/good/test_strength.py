"""What counts as a good key: the kinds of weak and published bytes that once passed for dice."""

import hashlib
import random
from collections.abc import Callable

import pytest

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from hsm_sim.keys.published_keys import RULE_TEXT, published_key
from hsm_sim.keys.standard_values import EXAMPLES, PATTERNS
from hsm_sim.keys.strength import WeakKeyError, check_strength, weakness
from hsm_sim.keys.texts import is_text

DES, AES, SM4 = Algorithm.PBOC_3DES, Algorithm.AES, Algorithm.SM4
GUANGZHOU = KeyRef(KeyUsage.PURCHASE, "guangzhou", 1)
SHENZHEN = KeyRef(KeyUsage.PURCHASE, "shenzhen", 1)
PUBLISHED = published_key(SHENZHEN)
DICE = bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")
HALF, OTHER = DICE[:8], DICE[8:]


def added(value: bytes, constant: int) -> bytes:
    return bytes(byte ^ constant for byte in value)


def nibbles_swapped(value: bytes) -> bytes:
    return bytes(byte >> 4 | byte << 4 & 0xF0 for byte in value)


def mirrored(value: bytes) -> bytes:
    return bytes(int(f"{byte:08b}"[::-1], 2) for byte in value)


def odd_at_the_top(value: bytes) -> bytes:
    return bytes(byte | (byte.bit_count() + 1) % 2 << 7 for byte in value)


RELATED = {
    "twice": HALF * 2,
    "twice, parity differs": HALF + added(HALF, 1),
    "and its complement": HALF + added(HALF, 0xFF),
    "and back to front": HALF + HALF[::-1],
    "and back to front, complemented": HALF + added(HALF[::-1], 0xFF),
    "and a constant added": HALF + added(HALF, 0x5A),
    "a a a": HALF * 3,
    "a b a": HALF + OTHER + HALF,
    "a and b back to front": HALF + OTHER + OTHER[::-1],
    "four times": HALF * 4,
    "half and half back to front": DICE + DICE[::-1],
    "half and its complement": DICE + added(DICE, 0xFF),
}


@pytest.mark.parametrize("value", RELATED.values(), ids=RELATED)
@pytest.mark.parametrize("is_des", [True, False])
def test_a_key_of_which_a_part_follows_from_another_is_weak_in_every_suite(
    value: bytes, *, is_des: bool
) -> None:
    assert weakness(value, is_des=is_des) is not None


TURNS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "back to front": lambda value: value[::-1],
    "halves swapped": lambda value: value[8:] + value[:8],
    "halves each back to front": lambda value: value[7::-1] + value[:7:-1],
    "turned by three bytes": lambda value: value[3:] + value[:3],
    "complemented": lambda value: added(value, 0xFF),
    "a constant added": lambda value: added(value, 0x5A),
    "half bytes swapped": nibbles_swapped,
    "mirrored": mirrored,
    "all at once": lambda value: added(nibbles_swapped(mirrored(value[::-1])), 0x5A),
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_a_published_key_is_known_however_it_is_turned(turn: Callable[[bytes], bytes]) -> None:
    for value in (PUBLISHED, *map(bytes.fromhex, EXAMPLES)):
        turned = turn(value) if len(value) == 16 else turn(value[:16]) + value[16:]
        for is_des in (True, False):
            assert weakness(turned, is_des=is_des) is not None, value.hex()
        # Whoever corrects parity afterwards changes last bits, and nothing else.
        corrected = bytes(byte ^ 1 if byte.bit_count() % 2 == 0 else byte for byte in turned)
        assert weakness(corrected, is_des=True) is not None, value.hex()


DERIVED = {
    "a city that is not held": published_key(KeyRef(KeyUsage.PURCHASE, "beijing", 1)),
    "a later version": published_key(KeyRef(KeyUsage.PURCHASE, "shenzhen", 11)),
    "another application of the city": published_key(KeyRef(KeyUsage.TAC, "guangzhou-purse", 1)),
    "the end of the rule's hash": hashlib.sha256(f"{RULE_TEXT} {SHENZHEN}".encode()).digest()[16:],
    **{
        f"an issuer's by {algorithm.name}": suite.diversify(
            PUBLISHED, bytes.fromhex("0221584002215840")
        )
        for algorithm, suite in SUITES.items()
    },
}


@pytest.mark.parametrize("value", DERIVED.values(), ids=DERIVED)
def test_what_anybody_can_compute_is_published_under_any_label(value: bytes) -> None:
    for algorithm in (DES, AES, SM4):
        with pytest.raises(WeakKeyError, match="is a public test key"):
            check_strength(GUANGZHOU, algorithm, value, ())


@pytest.mark.parametrize("value", [*EXAMPLES, *PATTERNS])
def test_no_value_out_of_a_standard_is_a_key(value: str) -> None:
    assert weakness(bytes.fromhex(value), is_des=len(value) < 64) is not None
    if value in EXAMPLES:  # else it need not be listed
        assert not is_text(bytes.fromhex(value))


TEXTS = {
    "words": b"onecard-master-1",
    "with a line's end": b"onecard-master1\n",
    "the top bit set": bytes(byte | 0x80 for byte in b"onecard-master12"),
    "parity in the top bit": odd_at_the_top(b"onecard-master12"),
    "capitals": b"SHENZHEN MASTER1",
    "digits": b"2026010113800138",
    "hexadecimal digits": b"8a4c1f60b3d97e25",
    "padded": b"shenzhenkey\0\0\0\0\0",
    "GBK": "北京一卡通密钥".encode("gbk") + b"01",
    "UTF-8": "深圳主密钥".encode() + b"1",
    "UTF-16": "Onecard1".encode("utf-16-le"),
    "UTF-16, high byte first": "市民卡消费主密钥".encode("utf-16-be"),
    "EBCDIC": "onecard-master-1".encode("cp037"),
    "two days in BCD": bytes.fromhex("20260101100020261231100000110022"),
    "numbers in BCD": bytes.fromhex(
        "2026010113800138000215840022158402158400000000012026123100000001"
    ),
}


@pytest.mark.parametrize("value", TEXTS.values(), ids=TEXTS)
def test_what_somebody_wrote_is_no_key(value: bytes) -> None:
    assert is_text(value)
    assert weakness(value, is_des=False) is not None


def test_a_hundred_thousand_throws_of_dice_are_good_enough() -> None:
    """The rules together refuse less than one in 2^40; this finds a rule that is wrong about it."""
    dice = random.Random(20261128)
    for number in range(100_000):
        length, is_des = ((16, True), (16, False), (32, False), (24, True))[number % 4]
        assert weakness(dice.randbytes(length), is_des=is_des) is None
