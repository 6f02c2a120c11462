import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import DecodeError
from cardcore.tlv import Tlv, decode_all, encode_all, find
from tests.support.shared import VECTORS, needs_shared

PRIMITIVE_TAGS = st.sampled_from([0x4F, 0x50, 0x84, 0x87, 0x9F08, 0x9F0C, 0x5F2D, 0xDF8101])
CONSTRUCTED_TAGS = st.sampled_from([0x61, 0x6F, 0xA5, 0x70, 0xBF0C, 0x7F21])


def objects() -> st.SearchStrategy[Tlv]:
    leaf = st.builds(Tlv, PRIMITIVE_TAGS, st.binary(max_size=300))
    return st.recursive(
        leaf,
        lambda inside: st.builds(Tlv, CONSTRUCTED_TAGS, st.lists(inside, max_size=3).map(tuple)),
        max_leaves=6,
    )


@needs_shared
def test_every_published_fci_comes_back_byte_for_byte() -> None:
    cards = json.loads((VECTORS / "city_cards.json").read_text(encoding="utf-8"))["cards"]
    fcis = [bytes.fromhex(card["fci"]) for card in cards if "fci" in card]
    assert len(fcis) == 4
    for fci in fcis:
        assert encode_all(decode_all(fci)) == fci


@given(st.lists(objects(), max_size=3))
def test_objects_come_back(made: list[Tlv]) -> None:
    assert decode_all(encode_all(made)) == tuple(made)


@given(st.binary(max_size=80))
def test_any_bytes_read_or_are_refused_with_a_place(data: bytes) -> None:
    try:
        read = decode_all(data)
    except DecodeError as error:
        assert 0 <= error.offset <= len(data)  # noqa: PT017 - both ways are right
    else:
        assert decode_all(encode_all(read)) == read


@pytest.mark.parametrize(
    ("text", "offset", "reason"),
    [
        ("84", 1, "length is missing"),
        ("8402AA", 1, "past the end"),
        ("9F", 0, "tag runs past"),
        ("9F81818101", 0, "longer than 3"),
        ("8480", 1, "length of 0"),
        ("8483000001AA", 1, "length of 3"),
        ("8481", 1, "length runs past"),
        ("6F038402AA", 3, "past the end"),
    ],
)
def test_damage_is_named_where_it_is(text: str, offset: int, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason) as caught:
        decode_all(bytes.fromhex(text))
    assert caught.value.offset == offset


def test_nesting_without_end_is_refused() -> None:
    data = b""
    for _ in range(20):
        data = Tlv(0x6F, b"").encode()[:1] + bytes((len(data),)) + data
    with pytest.raises(DecodeError, match="nested deeper"):
        decode_all(data)


def test_zero_bytes_between_objects_mean_nothing() -> None:
    # As one published card ends its FCI.
    fci = bytes.fromhex("6F0B840131A50287000000000050")
    with pytest.raises(DecodeError):
        decode_all(fci)
    padded = bytes.fromhex("6F0B840131A50287000000000000")
    found = find(decode_all(padded), 0x84)
    assert found is not None
    assert found.content == b"1"


def test_a_missing_tag_is_none() -> None:
    assert find(decode_all(bytes.fromhex("6F03840131")), 0x9F0C) is None


@pytest.mark.parametrize(("length", "head"), [(127, "847f"), (128, "848180"), (256, "84820100")])
def test_lengths_are_the_shortest(length: int, head: str) -> None:
    encoded = Tlv(0x84, bytes(length)).encode()
    assert encoded.hex().startswith(head)
    assert decode_all(encoded) == (Tlv(0x84, bytes(length)),)


def test_an_object_too_large_for_a_card_is_refused() -> None:
    with pytest.raises(ValueError, match="more than a card"):
        Tlv(0x84, bytes(0x10000)).encode()
