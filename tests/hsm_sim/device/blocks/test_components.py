"""Components of keys: what becomes a key, and what is sent back to its custodian."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import KeyServiceError
from cardcore.keys import Algorithm, Key, KeyUsage
from hsm_sim.device.blocks.components import (
    ComponentError,
    ComponentFault,
    combine,
    component_check_value,
    prove_component,
    read_component,
)
from hsm_sim.keys.vault import check_value, key_bytes

TAC = KeyUsage.TAC
FIRST = bytes.fromhex("404142434445464748494A4B4C4D4E4F")
SECOND = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
values = st.binary(min_size=16, max_size=16).filter(any)


def fault_of(components: list[bytes], usage: KeyUsage = TAC) -> ComponentFault:
    with pytest.raises(ComponentError) as caught:
        combine(components, usage)
    return caught.value.fault


@given(st.lists(values, min_size=1, max_size=8, unique=True), values)
def test_all_components_together_give_the_key_and_any_order_does(
    components: list[bytes], key: bytes
) -> None:
    last = key
    for each in components:
        last = bytes(left ^ right for left, right in zip(last, each, strict=True))
    parts = [*components, last]
    if not any(last) or last in components:
        return
    assert combine(parts, TAC) == combine(parts[::-1], TAC) == key


def test_a_key_of_components_has_the_check_value_of_the_key() -> None:
    key = combine([FIRST, SECOND], TAC)
    assert key.hex() == "4050607000102030c0d0e0f08090a0b0"
    assert component_check_value(key, TAC) == check_value(Key(TAC, key))


@pytest.mark.parametrize("usage", KeyUsage)
def test_components_are_as_long_as_the_key(usage: KeyUsage) -> None:
    size = key_bytes(usage)
    good, other = b"\x01" * size, b"\x02" * size
    assert combine([good, other], usage) == b"\x03" * size
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
