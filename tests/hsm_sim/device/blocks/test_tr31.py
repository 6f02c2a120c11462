"""Key blocks: as others write and read them, and refused when one bit is another."""

import json
import os
import traceback
from dataclasses import replace

import psec
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from hypothesis import given
from hypothesis import strategies as st

from hsm_sim.device.blocks import tr31
from hsm_sim.device.blocks.tr31 import (
    BLOCK_CHARACTERS_MAX,
    KeyBlockError,
    KeyBlockFault,
    KeyBlockHeader,
    unwrap,
    wrap,
)
from tests.hsm_sim.device.blocks import oracle
from tests.support.shared import VECTORS, needs_shared

AES_KEY = bytes.fromhex("88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6")
KEY = bytes.fromhex("3F419E1CB7079442AA37474C2EFBF8B8")
HEADER = KeyBlockHeader("E0", "T", "X", "0A", "E")
#: Origin, protection key, block, key. TR-31:2018 annex A is printed in the standard; the payShield
#: blocks were made on that device and published with the tests of the library openemv/tr31.
PUBLISHED = [
    (
        "TR-31:2018 A.7.2.2",
        "DD7515F2BFC17F85CE48F3CA25CB21F6",
        "B0080P0TE00E000094B420079CC80BA3461F86FE26EFC4A3B8E4FA4C5F5341176EED7B727B8A248E",
        "3F419E1CB7079442AA37474C2EFBF8B8",
    ),
    (
        "TR-31:2018 A.7.3.2, an optional block",
        "1D22BF32387C600AD97F9B97A51311AC",
        (
            "B0104B0TX12S0100KS1800604B120F9292800000BB68BE8680A400D9191AD4ECE45B6E6C0D21C4738A52190E"
            "248719E24B433627"
        ),
        "E8BC63E5479455E26577F715D587FE68",
    ),
    (
        "TR-31:2018 A.7.4",
        "88E1AB2A2E3DD38C1FA039A536500CC8A87AB9D62DC92C01058FA79F44657DE6",
        (
            "D0112P0AE00E0000B82679114F470F540165EDFBF7E250FCEA43F810D215F8D207E2E417C07156A27E8E31DA"
            "05F7425509593D03A457DC34"
        ),
        "3F419E1CB7079442AA37474C2EFBF8B8",
    ),
    (
        "payShield 10K, version B",
        "EFE0853B256B583D868F251CE99EA1D9",
        "B0080K0TN00N00001C414014375212C24995E405B5EE052CB92B67F455EA2680F6751088F9F1C228",
        "5DB50B454F8389ADCE573BE50861F2BF",
    ),
    (
        "payShield 10K, triple DES under AES",
        "41" * 32,
        (
            "D0112B0TN00N000037DB9B046B7B0048785690759580ABC3B9842AB4BB7717B49E92528E575785D812355937"
            "6A2553B27BE94F054F4E971C"
        ),
        "1FA1F7CEC798D91545DA8AE0C7796BD9",
    ),
    (
        "payShield 10K, AES-256 under AES",
        "41" * 32,
        (
            "D0144D0AN00N0000127862F945C2DED04530FAF7CDBC8B0BA10C7AA79BD5E0C2C5D6AC173BF588E4B19ACF13"
            "57178D50EA0AB193228E13958304FC6149632DFDCADF3A5B3D57E814"
        ),
        "BE19E6A07A760F10EF8E83A226B63AAD141F463FDDD4F47DB244B4023EC3CACC",
    ),
]
capitals = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
pairs = st.text(capitals, min_size=2, max_size=2)
printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=300)
headers = st.builds(
    KeyBlockHeader,
    pairs,
    capitals,
    capitals,
    pairs,
    st.sampled_from("ENS"),
    st.dictionaries(pairs.filter(lambda each: each != "PB"), printable, max_size=4),
    st.sampled_from("BD"),
)


@st.composite
def protected(draw: st.DrawFn) -> tuple[bytes, KeyBlockHeader]:
    header = draw(headers)
    size = draw(st.sampled_from((16, 24) if header.version == "B" else (16, 24, 32)))
    return draw(st.binary(min_size=size, max_size=size)), header


def fault_of(protection_key: bytes, block: str) -> KeyBlockFault:
    with pytest.raises(KeyBlockError) as caught:
        unwrap(protection_key, block)
    return caught.value.fault


def relengthened(block: str) -> str:
    return f"{block[0]}{len(block):04}{block[5:]}"


@pytest.mark.parametrize(
    ("protection_key", "block", "key"),
    [row[1:] for row in PUBLISHED],
    ids=[row[0] for row in PUBLISHED],
)
def test_published_blocks_are_read_and_written(protection_key: str, block: str, key: str) -> None:
    header, value = unwrap(bytes.fromhex(protection_key), block)
    assert value == bytes.fromhex(key)
    # What fills the last block of the cipher is random, so the rest of it cannot be equal.
    again = wrap(bytes.fromhex(protection_key), header, value, os.urandom)
    assert (again[:16], len(again)) == (block[:16], len(block))
    assert unwrap(bytes.fromhex(protection_key), again) == (header, value)


def test_the_header_of_a_published_block_is_read_field_by_field() -> None:
    header, _ = unwrap(bytes.fromhex(PUBLISHED[1][1]), PUBLISHED[1][2])
    blocks = {"KS": "00604B120F9292800000"}
    assert header == KeyBlockHeader("B0", "T", "X", "12", "S", blocks, "B")


@given(protected(), st.binary(min_size=1, max_size=64))
def test_what_is_wrapped_is_unwrapped(case: tuple[bytes, KeyBlockHeader], key: bytes) -> None:
    protection_key, header = case
    assert unwrap(protection_key, wrap(protection_key, header, key, os.urandom)) == (header, key)


@given(protected(), st.binary(min_size=1, max_size=32))
def test_psec_reads_our_blocks(case: tuple[bytes, KeyBlockHeader], key: bytes) -> None:
    protection_key, header = case
    theirs, value = oracle.unwrap(protection_key, wrap(protection_key, header, key, os.urandom))
    assert value == key
    assert dict(theirs.blocks) == header.optional_blocks
    assert header == KeyBlockHeader(
        theirs.key_usage,
        theirs.algorithm,
        theirs.mode_of_use,
        theirs.version_num,
        theirs.exportability,
        dict(theirs.blocks),
        theirs.version_id,
    )


@given(protected(), st.binary(min_size=1, max_size=32))
def test_we_read_the_blocks_of_psec(case: tuple[bytes, KeyBlockHeader], key: bytes) -> None:
    protection_key, header = case
    theirs = psec.tr31.Header(
        header.version,
        header.usage,
        header.algorithm,
        header.mode_of_use,
        header.version_number,
        header.exportability,
    )
    for identifier, text in header.optional_blocks.items():
        theirs.blocks[identifier] = text
    assert unwrap(protection_key, oracle.wrap(protection_key, theirs, key)) == (header, key)


@pytest.mark.parametrize(
    ("protection_key", "block"), [(row[1], row[2]) for row in PUBLISHED], ids=lambda text: text[:16]
)
def test_one_bit_altered_anywhere_is_refused(protection_key: str, block: str) -> None:
    key = bytes.fromhex(protection_key)
    for place, character in enumerate(block):
        for bit in range(8):
            altered = block[:place] + chr(ord(character) ^ 1 << bit) + block[place + 1 :]
            with pytest.raises(KeyBlockError):
                unwrap(key, altered)


@given(protected(), st.data())
def test_a_bit_altered_in_any_block_is_refused(
    case: tuple[bytes, KeyBlockHeader], data: st.DataObject
) -> None:
    protection_key, header = case
    block = wrap(protection_key, header, KEY, os.urandom)
    place = data.draw(st.integers(0, len(block) - 1))
    other = chr(ord(block[place]) ^ 1 << data.draw(st.integers(0, 7)))
    with pytest.raises(KeyBlockError):
        unwrap(protection_key, block[:place] + other + block[place + 1 :])


def test_a_block_under_another_key_is_refused_by_its_mac() -> None:
    block = wrap(AES_KEY, HEADER, KEY, os.urandom)
    assert fault_of(AES_KEY[::-1], block) is KeyBlockFault.MAC


def test_header_and_key_of_two_blocks_cannot_be_joined() -> None:
    ours = wrap(AES_KEY, HEADER, KEY, os.urandom)
    theirs = wrap(AES_KEY, replace(HEADER, exportability="N"), KEY, os.urandom)
    assert fault_of(AES_KEY, ours[:16] + theirs[16:]) is KeyBlockFault.MAC


def test_optional_blocks_cannot_change_places() -> None:
    block = wrap(AES_KEY, replace(HEADER, optional_blocks={"10": "a", "11": "b"}), KEY, os.urandom)
    swapped = block.replace("1005a1105b", "1105b1005a")
    assert swapped != block
    assert fault_of(AES_KEY, swapped) is KeyBlockFault.MAC


@pytest.mark.parametrize("end", [0, 1, 15, 16, 47, 48, 80, 111])
def test_a_block_cut_short_is_refused(end: int) -> None:
    block = wrap(AES_KEY, HEADER, KEY, os.urandom)[:end]
    assert fault_of(AES_KEY, block) in {KeyBlockFault.LENGTH, KeyBlockFault.VERSION}
    if end >= 16:
        # Its length field corrected, so that it is looked at further.
        corrected = fault_of(AES_KEY, relengthened(block))
        assert corrected in {KeyBlockFault.LENGTH, KeyBlockFault.MAC}


@pytest.mark.parametrize("version", ["A", "C", "E", "d", "1", " "])
def test_other_versions_are_refused_by_name(version: str) -> None:
    block = version + wrap(AES_KEY, HEADER, KEY, os.urandom)[1:]
    assert fault_of(AES_KEY, block) is KeyBlockFault.VERSION


def test_digits_are_those_of_the_standard() -> None:
    block = wrap(AES_KEY, HEADER, KEY, os.urandom)
    lower = block[:16] + block[16:].lower()
    assert fault_of(AES_KEY, lower) is KeyBlockFault.LENGTH
    assert fault_of(AES_KEY, f"{block[:20]} {block[21:]}") is KeyBlockFault.LENGTH
    # Digits of another script count as numbers for Python, and not for the standard.
    assert fault_of(AES_KEY, block[0] + "\uff10" + block[2:]) is KeyBlockFault.HEADER
    assert fault_of(AES_KEY, block[:12] + "+1" + block[14:]) is KeyBlockFault.HEADER


@pytest.mark.parametrize(
    "optional",
    [
        "LB01",
        "LB03",
        "LBFF",
        "LB00",
        "LB0000",
        "LB00FF",
        "LB0002ZZZZ",
        "LB000200FF",
        "LB00020006",
        "LB0004ZZZZ",
        "LB000400FF",
        "LB00040006",
        "LB0003000010",
        "LB00080000000010",
    ],
)
def test_an_optional_block_that_does_not_fit_is_refused(optional: str) -> None:
    block = wrap(AES_KEY, replace(HEADER, optional_blocks={"LB": "x" * 12}), KEY, os.urandom)
    broken = block[:16] + optional.ljust(16, "0") + block[32:]
    assert fault_of(AES_KEY, broken) is KeyBlockFault.OPTIONAL_BLOCK


def test_an_optional_block_stands_once() -> None:
    block = wrap(AES_KEY, replace(HEADER, optional_blocks={"10": "a", "11": "b"}), KEY, os.urandom)
    twice = block.replace("1105b", "1005b")
    assert fault_of(AES_KEY, twice) is KeyBlockFault.OPTIONAL_BLOCK


def test_more_optional_blocks_than_there_are_is_refused() -> None:
    block = wrap(AES_KEY, HEADER, KEY, os.urandom)
    assert fault_of(AES_KEY, block[:12] + "99" + block[14:]) is KeyBlockFault.OPTIONAL_BLOCK


def test_an_oversized_block_is_refused_before_it_is_read() -> None:
    block = wrap(AES_KEY, HEADER, KEY, os.urandom)
    assert fault_of(AES_KEY, block + "0" * BLOCK_CHARACTERS_MAX) is KeyBlockFault.LENGTH


@pytest.mark.parametrize(("version", "size"), [("B", 8), ("B", 32), ("D", 0), ("D", 15), ("D", 33)])
def test_a_protection_key_of_another_length_is_refused(version: str, size: int) -> None:
    header = replace(HEADER, version=version)
    with pytest.raises(KeyBlockError) as caught:
        wrap(bytes(size), header, KEY, os.urandom)
    assert caught.value.fault is KeyBlockFault.PROTECTION_KEY
    block = wrap(bytes(16), header, KEY, os.urandom)
    assert fault_of(bytes(size), block) is KeyBlockFault.PROTECTION_KEY


@pytest.mark.parametrize("key", [b"", bytes(5000)])
def test_no_block_is_made_of_nothing_or_too_much(key: bytes) -> None:
    with pytest.raises(KeyBlockError):
        wrap(AES_KEY, HEADER, key, os.urandom)


def test_no_block_is_made_with_more_optional_blocks_than_it_can_count() -> None:
    many = {f"{number:02}": "" for number in range(100)}
    with pytest.raises(KeyBlockError) as caught:
        wrap(AES_KEY, replace(HEADER, optional_blocks=many), KEY, os.urandom)
    assert caught.value.fault is KeyBlockFault.OPTIONAL_BLOCK


@pytest.mark.parametrize(
    "change",
    [
        {"usage": "E"},
        {"usage": "e0"},
        {"algorithm": ""},
        {"mode_of_use": "XX"},
        {"version_number": "1"},
        {"version_number": "C"},
        {"version_number": "1c"},
        {"exportability": "Y"},
        {"exportability": ""},
        {"version": "C"},
        {"optional_blocks": {"PB": "0000"}},
        {"optional_blocks": {"L": ""}},
        {"optional_blocks": {"LB": "市民卡"}},
        {"optional_blocks": {"LB": "two\nlines"}},
    ],
)
def test_a_header_outside_the_standard_cannot_be_made(change: dict[str, str]) -> None:
    with pytest.raises(KeyBlockError):
        replace(HEADER, **change)  # type: ignore[arg-type]  # wrong on purpose


@given(st.text(max_size=200))
def test_any_text_is_refused_by_name(text: str) -> None:
    with pytest.raises(KeyBlockError):
        unwrap(AES_KEY, text)


@given(st.text(capitals, max_size=160))
def test_any_text_behind_a_right_beginning_is_refused_by_name(text: str) -> None:
    with pytest.raises(KeyBlockError):
        unwrap(AES_KEY, relengthened("D0000" + text))


def test_a_key_is_filled_up_with_random_bytes() -> None:
    blocks = {wrap(AES_KEY, HEADER, KEY, os.urandom) for _ in range(4)}
    assert len(blocks) == 4


def test_no_refusal_shows_a_byte_of_a_key() -> None:
    block = wrap(AES_KEY, HEADER, KEY, os.urandom)
    for broken in (block[:-1] + "!", block[:-1], "X" + block, block[:-2] + "00"):
        try:
            unwrap(AES_KEY, broken)
        except KeyBlockError as error:
            text = "".join(traceback.format_exception(error)).upper()
            assert KEY[:4].hex().upper() not in text
            assert AES_KEY[:4].hex().upper() not in text
            assert block[16:24] not in text


def test_a_reserved_field_in_use_is_refused() -> None:
    """Another device's inner blocks use it, for whatever that device means by it."""
    header = psec.tr31.Header("D", "E0", "T", "X", "00", "E")
    header._reserved = "01"
    block = oracle.wrap(AES_KEY, header, KEY)
    assert block[14:16] == "01"
    assert fault_of(AES_KEY, block) is KeyBlockFault.HEADER


@pytest.mark.parametrize("bits", [0, 127, 129, 8 * 31, 0xFFFF])
def test_a_sender_who_wrapped_no_key_is_refused(bits: int) -> None:
    method = tr31._METHODS["D"]
    clear = bits.to_bytes(2, "big") + bytes(30)
    text = "D0112E0TX00E0000"
    authenticating = method.derived(AES_KEY, b"\x00\x01")
    mac = method.cmac(authenticating, text.encode() + clear)
    enciphering = method.cipher(method.derived(AES_KEY, b"\x00\x00"))
    sealed = Cipher(enciphering, modes.CBC(mac)).encryptor().update(clear) + mac
    assert fault_of(AES_KEY, text + sealed.hex().upper()) is KeyBlockFault.KEY


@needs_shared
def test_the_published_block_with_a_long_optional_block_opens() -> None:
    case = json.loads((VECTORS / "tr31_x9143.json").read_text("utf-8"))
    header, key = unwrap(bytes.fromhex(case["kbpk"]), case["block"])
    assert key == bytes.fromhex(case["key"])
    again = wrap(bytes.fromhex(case["kbpk"]), header, key, os.urandom)
    head = case["block"].index("7F007724")
    assert again[:head] == case["block"][:head]


@given(protected(), st.integers(252, 400))
def test_a_long_optional_block_says_its_length_in_four_characters_and_is_read_in_either_form(
    case: tuple[bytes, KeyBlockHeader], size: int
) -> None:
    protection_key, header = case
    header = replace(header, optional_blocks={"CT": "x" * size})
    block = wrap(protection_key, header, KEY, os.urandom)
    assert block[16:26] == f"CT0004{size + 10:04X}"
    assert unwrap(protection_key, block) == (header, KEY)
    theirs = psec.tr31.Header(
        *(header.version, header.usage, header.algorithm, header.mode_of_use),
        *(header.version_number, header.exportability),
    )
    theirs.blocks["CT"] = "x" * size
    block = oracle.wrap(protection_key, theirs, KEY)
    assert block[16:22] == "CT0002"
    assert unwrap(protection_key, block) == (header, KEY)
