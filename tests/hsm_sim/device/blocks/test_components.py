"""Components of keys: what becomes a key, and what is sent back to its custodian."""

import hashlib
from functools import reduce
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyRef, KeyUsage
from hsm_sim.device.blocks.components import (
    ComponentError,
    ComponentFault,
    combine,
    component_check_value,
    prove_component,
    read_component,
)
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import check_value, key_bytes

TAC = KeyUsage.TAC
FIRST = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
SECOND = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
values = st.binary(min_size=16, max_size=16).filter(any)


DICE = bytes.fromhex("8A4C1F60B3D97E25E15B3C98F2067AD4")
OTHER = bytes.fromhex("5D0C4A1B7F92E63841D8B3FC20961E57")
THIRD = bytes.fromhex("0F61A7D4923E58CB1DE6347A8BF0259C")
AES = Algorithm.AES


def xor(*values: bytes) -> bytes:
    return bytes(reduce(int.__xor__, column) for column in zip(*values, strict=True))


def _cancels(parts: list[bytes]) -> bool:
    return any(
        not any(xor(*some)) for count in range(1, len(parts)) for some in combinations(parts, count)
    )


def fault_of(components: list[bytes], usage: KeyUsage = TAC) -> ComponentFault:
    with pytest.raises(ComponentError) as caught:
        combine(components, usage, takes_published=True)
    return caught.value.fault


@given(st.lists(values, min_size=1, max_size=8, unique=True), values)
def test_all_components_together_give_the_key_and_any_order_does(
    components: list[bytes], key: bytes
) -> None:
    last = key
    for each in components:
        last = bytes(left ^ right for left, right in zip(last, each, strict=True))
    parts = [*components, last]
    if not any(last) or last in components or _cancels(parts):
        return
    made = [combine(each, TAC, AES, takes_published=True) for each in (parts, parts[::-1])]
    assert made == [key, key]


def test_a_key_of_components_has_the_check_value_of_the_key() -> None:
    key = combine([FIRST, SECOND], TAC, takes_published=True)
    assert key.hex() == "4050607000102030c0d0e0f08090a0b0"
    assert component_check_value(key, TAC) == check_value(Key(TAC, key))


@pytest.mark.parametrize("usage", KeyUsage)
def test_components_are_as_long_as_the_key(usage: KeyUsage) -> None:
    size = key_bytes(usage)
    good, other = b"\x04" * size, b"\x02" * size
    assert combine([good, other], usage, takes_published=True) == b"\x06" * size
    assert fault_of([good, other[1:]], usage) is ComponentFault.LENGTH
    assert len(component_check_value(good, usage)) == 6


@pytest.mark.parametrize("components", [[], [FIRST], [bytes([n]) * 16 for n in range(1, 11)]])
def test_one_custodian_makes_no_key_and_ten_are_too_many(components: list[bytes]) -> None:
    assert fault_of(components) is ComponentFault.COUNT


def test_a_component_of_zeros_is_refused() -> None:
    assert fault_of([FIRST, bytes(16)]) is ComponentFault.ALL_ZERO
    with pytest.raises(ComponentError):
        read_component("00" * 16, TAC)
    with pytest.raises(ComponentError):
        component_check_value(bytes(16), TAC)


def test_two_equal_components_are_refused_wherever_they_stand() -> None:
    assert fault_of([FIRST, FIRST]) is ComponentFault.REPEATED
    assert fault_of([FIRST, SECOND, FIRST]) is ComponentFault.REPEATED


def test_components_that_cancel_are_refused() -> None:
    third = bytes(left ^ right for left, right in zip(FIRST, SECOND, strict=True))
    assert fault_of([FIRST, SECOND, third]) is ComponentFault.KEY_ALL_ZERO


def test_a_component_is_typed_in_groups_or_not() -> None:
    assert read_component(FIRST.hex(" ", 2) + "\n", TAC) == FIRST
    assert read_component(FIRST.hex().upper(), TAC) == FIRST


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", ComponentFault.LENGTH),
        ("404", ComponentFault.DIGITS),
        ("40 4O", ComponentFault.DIGITS),
        ("４０" * 16, ComponentFault.DIGITS),
        (FIRST.hex()[2:], ComponentFault.LENGTH),
        (FIRST.hex() * 1000, ComponentFault.LENGTH),
    ],
)
def test_a_slip_of_the_finger_is_named(text: str, fault: ComponentFault) -> None:
    with pytest.raises(ComponentError) as caught:
        read_component(text, TAC)
    assert caught.value.fault is fault


def test_a_component_is_held_against_the_sheet() -> None:
    prove_component(FIRST, "8BAF47", TAC)
    prove_component(FIRST, " 8baf47\n", TAC)
    with pytest.raises(ComponentError) as caught:
        prove_component(SECOND, "8BAF47", TAC)
    assert caught.value.fault is ComponentFault.CHECK_VALUE


def test_the_check_value_of_a_component_is_of_the_key_s_algorithm() -> None:
    shown = {component_check_value(FIRST, usage) for usage in (TAC, KeyUsage.CHANNEL_ENC)}
    assert len(shown) == 2
    signing = [
        component_check_value(FIRST * 2, KeyUsage.FILE_SIGNING, algorithm)
        for algorithm in (Algorithm.ED25519, Algorithm.SM2)
    ]
    assert signing[0] == signing[1]


def test_no_refusal_shows_what_was_typed() -> None:
    for text in (FIRST.hex()[:-1], FIRST.hex() + "00", "zz" + FIRST.hex()):
        with pytest.raises(KeyServiceError) as caught:
            read_component(text, TAC)
        assert FIRST.hex()[:6] not in str(caught.value).lower()
    with pytest.raises(KeyServiceError) as caught:
        # The component itself where its check value was asked for.
        prove_component(FIRST, FIRST.hex(), TAC)
    assert FIRST.hex()[:6] not in str(caught.value).lower()


#: Ways in which one custodian of two or three knew the whole key, or half of it.
KNOWN_TO_ONE = {
    "01 sixteen times": ([DICE, b"\x01" * 16], ComponentFault.ALL_ZERO),
    "two that differ in parity": ([DICE, OTHER, xor(OTHER, b"\x01" * 16)], ComponentFault.REPEATED),
    "three that cancel but for parity": (
        [DICE, OTHER, xor(DICE, OTHER, b"\x01" * 16)],
        ComponentFault.KEY_ALL_ZERO,
    ),
    "three of four that cancel": (
        [THIRD, DICE, OTHER, xor(DICE, OTHER)],
        ComponentFault.KEY_ALL_ZERO,
    ),
    "a published one": ([DICE, FIRST], ComponentFault.WEAK),
    "a published one turned": ([DICE, FIRST[::-1]], ComponentFault.WEAK),
    "a public test key": (
        [DICE, published_key(KeyRef(TAC, "shenzhen", 1))],
        ComponentFault.WEAK,
    ),
    "a text": ([DICE, b"onecard-master-1"], ComponentFault.WEAK),
    "two that are a published one": ([DICE, OTHER, xor(OTHER, FIRST)], ComponentFault.WEAK),
    "one that is its own half twice": ([DICE, OTHER[:8] * 2], ComponentFault.WEAK),
    "two that are one half twice": ([DICE, OTHER, xor(OTHER, THIRD[:8] * 2)], ComponentFault.WEAK),
}


@pytest.mark.parametrize(("components", "fault"), KNOWN_TO_ONE.values(), ids=KNOWN_TO_ONE)
def test_no_custodian_knows_the_key_by_what_the_others_bring(
    components: list[bytes], fault: ComponentFault
) -> None:
    for order in (components, components[::-1]):
        with pytest.raises(ComponentError) as caught:
            combine(order, TAC)
        assert caught.value.fault is fault
        assert not any(each.hex() in str(caught.value).lower() for each in components)


def test_nine_custodians_make_a_key_in_a_moment() -> None:
    components = [hashlib.sha256(bytes([number])).digest() for number in range(9)]
    assert combine(components, KeyUsage.TRANSPORT) == xor(*components)
