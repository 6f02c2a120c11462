"""SCP03 against published sessions, both directions, and everything that must not pass."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.chip.scp03 import (
    LEVELS,
    Channel,
    InitializeResponse,
    Level,
    Opening,
    SessionKeys,
    StaticKeys,
    authenticate_by_card,
    authenticate_by_host,
    card_challenge,
    derive,
    initialize_update,
    key_unwrapper,
    key_wrapper,
    open_by_card,
    static_key,
    unwrap_command,
    unwrap_response,
    wrap_command,
    wrap_response,
)
from cardcore.errors import CryptogramError, DecodeError, KeyUsageError
from cardcore.keys import Key, KeyUsage
from tests.support.shared import VECTORS, needs_shared

HOST_CHALLENGE = bytes.fromhex("0807060504030201")
DIVERSIFICATION = bytes.fromhex("000050C7606A8CF64800")
AID = bytes.fromhex("A000000018434D08090A0B0C000000")
STATIC = StaticKeys(
    Key(KeyUsage.CHANNEL_ENC, bytes.fromhex("404142434445464748494A4B4C4D4E4F")),
    Key(KeyUsage.CHANNEL_MAC, bytes.fromhex("401122334445566748494A4B4C4D4E4F")),
    Key(KeyUsage.CHANNEL_DEK, bytes.fromhex("505152535455565758595A5B5C5D5E5F")),
)
READ = CommandApdu(0x80, 0xCA, 0x00, 0x66, le=256)
WRITE = CommandApdu(0x80, 0xE2, 0x91, 0x00, bytes.fromhex("BF3E035C015A"), le=256)


def vectors() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((VECTORS / "scp03.json").read_text())["vectors"]
    return found


def command(text: str) -> CommandApdu:
    return CommandApdu.decode(bytes.fromhex(text))


def published_keys(vector: dict[str, Any], init: str, response: str) -> SessionKeys:
    keys = vector["keys"]
    answer = InitializeResponse.decode(bytes.fromhex(response))
    return SessionKeys(
        Key(KeyUsage.CHANNEL_ENC, bytes.fromhex(keys["enc"])),
        Key(KeyUsage.CHANNEL_MAC, bytes.fromhex(keys["mac"])),
        bytes.fromhex(init)[5:13] + answer.card_challenge,
    )


def opened(level: int) -> tuple[Channel, Channel]:
    """Host and card in an open channel."""
    answer, opening = an_opening()
    keys = SessionKeys(STATIC.enc, STATIC.mac, HOST_CHALLENGE + answer.card_challenge)
    authenticate, host = authenticate_by_host(keys, answer, level)
    card = authenticate_by_card(opening, CommandApdu.decode(authenticate))
    assert isinstance(card, Channel)
    return host, card


def an_opening() -> tuple[InitializeResponse, Opening]:
    return open_by_card(
        STATIC,
        key_version=0x30,
        diversification=DIVERSIFICATION,
        sequence=0x2A,
        aid=AID,
        host_challenge=HOST_CHALLENGE,
    )


@needs_shared
def test_session_keys_and_cryptograms_are_the_published_ones() -> None:
    vector = vectors()[0]
    context = bytes.fromhex(vector["host_challenge"] + vector["card_challenge"])
    enc, mac = bytes.fromhex(vector["key_enc"]), bytes.fromhex(vector["key_mac"])
    assert derive(enc, 0x04, context, 16).hex().upper() == vector["s_enc"]
    assert derive(mac, 0x06, context, 16).hex().upper() == vector["s_mac"]
    assert derive(mac, 0x07, context, 16).hex().upper() == vector["s_rmac"]
    keys = SessionKeys(Key(KeyUsage.CHANNEL_ENC, enc), Key(KeyUsage.CHANNEL_MAC, mac), context)
    assert keys.cryptogram(0).hex().upper() == vector["card_cryptogram"]
    assert keys.cryptogram(1).hex().upper() == vector["host_cryptogram"]
    sequence, aid = int(vector["seq_counter"], 16), bytes.fromhex(vector["sd_aid"])
    challenge = card_challenge(Key(KeyUsage.CHANNEL_ENC, enc), sequence, aid)
    assert challenge.hex().upper() == vector["card_challenge"]


@needs_shared
def test_the_card_answers_initialize_update_byte_for_byte() -> None:
    vector = vectors()[0]
    answer, _ = an_opening()
    assert answer.encode().hex().upper() == vector["init_resp"]
    assert InitializeResponse.decode(bytes.fromhex(vector["init_resp"])) == answer
    sent = initialize_update(0x30, HOST_CHALLENGE).encode()
    assert sent[:-1].hex().upper() == vector["init_update"]


@needs_shared
def test_host_and_card_agree_with_the_published_authenticate_and_its_chain() -> None:
    vector = vectors()[0]
    answer, opening = an_opening()
    keys = SessionKeys(STATIC.enc, STATIC.mac, HOST_CHALLENGE + answer.card_challenge)
    authenticate, host = authenticate_by_host(keys, answer, 0x01)
    assert authenticate.hex().upper() == vector["ext_auth_level01"]
    assert host.chain.hex().upper() == vector["mac_chain_after"]
    card = authenticate_by_card(opening, command(vector["ext_auth_level01"]))
    assert isinstance(card, Channel)
    assert (card.chain, card.level) == (host.chain, 0x01)


@needs_shared
def test_level_03_enciphers_the_command_as_published() -> None:
    vector = vectors()[0]
    host, card = opened(0x03)
    plain = command(vector["install_plain"])
    wrapped, _ = wrap_command(host, plain)
    data = CommandApdu.decode(wrapped).data
    assert data[:-8].hex().upper() == vector["install_cenc_data_level03"]
    unwrapped = unwrap_command(card, wrapped)
    assert not isinstance(unwrapped, StatusWord)
    assert unwrapped[0] == plain


@needs_shared
@pytest.mark.parametrize("name", ["level_11", "level_33"])
def test_a_whole_published_session_is_wrapped_and_opened(name: str) -> None:
    vector = vectors()[1]
    session = vector[name]
    keys = published_keys(vector, session["init"], session["resp"])
    answer = InitializeResponse.decode(bytes.fromhex(session["resp"]))
    authenticate, host = authenticate_by_host(keys, answer, int(name[-2:], 16))
    assert authenticate.hex().upper() == session["ext"]
    card = authenticate_by_card(Opening(keys, answer.sequence), command(session["ext"]))
    assert isinstance(card, Channel)
    wrapped = session.get("wrapped") or [session["wrapped_first"]]
    for number, expected in enumerate(wrapped):
        plain = command(vector["plain_sequence"][number])
        sent, host = wrap_command(host, plain)
        assert sent.hex().upper() == expected
        unwrapped = unwrap_command(card, bytes.fromhex(expected))
        assert not isinstance(unwrapped, StatusWord)
        assert unwrapped[0]._replace(le=plain.le) == plain
        card = unwrapped[1]
        if number == 0:
            raw = bytes.fromhex(session["first_response"])
            response = unwrap_response(host, ResponseApdu(raw, 0x9000).encode())
            assert response.data[:2].hex() == "bf3e"
            assert wrap_response(card, response) == ResponseApdu(raw, 0x9000).encode()


@pytest.mark.parametrize("level", sorted(LEVELS))
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=200)), max_size=4))
def test_what_goes_in_comes_out_at_every_level(
    level: int, exchanges: list[tuple[bytes, bytes]]
) -> None:
    host, card = opened(level)
    for data, answer in exchanges:
        plain = CommandApdu(0x80, 0xE2, 1, 2, data, le=256)
        sent, host = wrap_command(host, plain)
        assert len(sent) <= 261
        received = unwrap_command(card, sent)
        assert not isinstance(received, StatusWord)
        opened_command, card = received
        assert opened_command == plain
        response = ResponseApdu(answer, 0x9000)
        assert unwrap_response(host, wrap_response(card, response)) == response
        if level & Level.C_ENC and len(data) > 15:
            assert data not in sent


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_a_command_changed_in_one_bit_ends_the_channel(level: int) -> None:
    host, card = opened(level)
    raw = wrap_command(host, WRITE)[0]
    for bit in range(8 * len(raw)):
        if bit // 8 in (4, len(raw) - 1):  # Lc changes the form, Le stands under no MAC
            continue
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert isinstance(unwrap_command(card, bytes(changed)), StatusWord)


def test_a_command_cannot_be_repeated_left_out_or_moved() -> None:
    host, card = opened(0x03)
    first, host_then = wrap_command(host, WRITE)
    second, _ = wrap_command(host_then, READ)
    assert unwrap_command(card, second) is StatusWord.MAC_WRONG
    received = unwrap_command(card, first)
    assert not isinstance(received, StatusWord)
    assert unwrap_command(received[1], first) is StatusWord.MAC_WRONG
    assert not isinstance(unwrap_command(received[1], second), StatusWord)


def test_a_plain_command_in_a_channel_is_refused() -> None:
    _, card = opened(0x01)
    assert unwrap_command(card, WRITE.encode()) is StatusWord.MAC_MISSING
    for bare in (CommandApdu(0x84, 0xE2, 0, 0), CommandApdu(0x84, 0xE2, 0, 0, le=256)):
        assert unwrap_command(card, bare.encode()) is StatusWord.MAC_MISSING


@pytest.mark.parametrize(
    "raw", ["", "84", "84E20000", "84E2000000" + "11" * 9, "84E2000009" + "11" * 8]
)
def test_bytes_that_are_no_command_are_named_or_carry_no_mac(raw: str) -> None:
    _, card = opened(0x01)
    try:
        CommandApdu.decode(bytes.fromhex(raw))
    except DecodeError:
        with pytest.raises(DecodeError):
            unwrap_command(card, bytes.fromhex(raw))
    else:
        assert unwrap_command(card, bytes.fromhex(raw)) is StatusWord.MAC_MISSING


@pytest.mark.parametrize("level", [0x11, 0x33])
def test_an_answer_changed_in_one_bit_is_an_error(level: int) -> None:
    host, card = opened(level)
    sent, host = wrap_command(host, READ)
    received = unwrap_command(card, sent)
    assert not isinstance(received, StatusWord)
    response = ResponseApdu.decode(wrap_response(received[1], ResponseApdu(b"balance", 0x9000)))
    for bit in range(8 * len(response.data)):
        changed = bytearray(response.data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CryptogramError):
            unwrap_response(host, ResponseApdu(bytes(changed), 0x9000).encode())
    with pytest.raises(CryptogramError):
        unwrap_response(host, ResponseApdu(response.data, 0x6282).encode())
    with pytest.raises(CryptogramError):
        unwrap_response(host, ResponseApdu(b"", 0x9000).encode())
    with pytest.raises(DecodeError):
        unwrap_response(host, b"\x90")


def test_an_error_is_only_its_status_word() -> None:
    _, card = opened(0x33)
    refused = ResponseApdu(b"", StatusWord.FILE_NOT_FOUND)
    assert wrap_response(card, refused) == refused.encode()


def test_a_card_with_other_keys_is_not_authenticated() -> None:
    answer, _ = an_opening()
    keys = SessionKeys(STATIC.enc, Key(KeyUsage.CHANNEL_MAC, bytes(16)), HOST_CHALLENGE * 2)
    with pytest.raises(CryptogramError, match="other keys"):
        authenticate_by_host(keys, answer, 0x01)


def authenticate_with(
    change: bytes | None = None, *, level: int = 0x01, length: int = 16
) -> Channel | StatusWord:
    answer, opening = an_opening()
    keys = SessionKeys(STATIC.enc, STATIC.mac, HOST_CHALLENGE + answer.card_challenge)
    apdu = CommandApdu.decode(authenticate_by_host(keys, answer, 0x01)[0])
    data = bytes(a ^ b for a, b in zip(apdu.data, change or bytes(16), strict=True))
    return authenticate_by_card(opening, apdu._replace(p1=level, data=data[:length]))


@pytest.mark.parametrize(
    ("attempt", "word"),
    [
        ({"change": b"\x01" + bytes(15)}, StatusWord.HOST_CRYPTOGRAM_WRONG),
        ({"change": bytes(15) + b"\x01"}, StatusWord.MAC_WRONG),
        ({"level": 0x33}, StatusWord.MAC_WRONG),
        ({"level": 0x00}, StatusWord.P1P2_WRONG),
        ({"level": 0x13}, StatusWord.P1P2_WRONG),
        ({"length": 8}, StatusWord.WRONG_LENGTH),
    ],
)
def test_a_host_without_the_keys_is_refused(attempt: dict[str, Any], word: StatusWord) -> None:
    assert authenticate_with(**attempt) is word


def test_an_answer_of_another_protocol_is_named() -> None:
    raw = bytearray(an_opening()[0].encode())
    with pytest.raises(DecodeError, match="not 32"):
        InitializeResponse.decode(bytes(raw[:20]))
    raw[11] = 2
    with pytest.raises(DecodeError, match="protocol 02"):
        InitializeResponse.decode(bytes(raw))


def test_a_command_too_long_to_protect_is_named() -> None:
    host, _ = opened(0x03)
    with pytest.raises(ValueError, match="more than one"):
        wrap_command(host, CommandApdu(0x80, 0xE2, 0, 0, bytes(240)))


@pytest.mark.parametrize("wrong", [Key(KeyUsage.TAC, bytes(16)), Key(KeyUsage.CHANNEL_ENC, b"")])
def test_a_key_for_another_use_opens_no_channel(wrong: Key) -> None:
    with pytest.raises(KeyUsageError, match="channel-enc"):
        StaticKeys(wrong, STATIC.mac, STATIC.dek)


@given(st.binary(min_size=16, max_size=16), st.binary(min_size=8, max_size=8))
def test_keys_travel_wrapped_and_every_card_has_its_own(value: bytes, factor: bytes) -> None:
    assert key_unwrapper(STATIC.dek)(key_wrapper(STATIC.dek)(value)) == value
    assert key_wrapper(STATIC.dek)(value) != value
    other = bytes(byte ^ 1 for byte in factor)
    assert static_key(value, factor) != static_key(value, other)


def test_no_key_shows_in_a_repr() -> None:
    host, _ = opened(0x33)
    assert repr(host.keys) == "SessionKeys(hidden)"
    assert host.chain.hex() not in repr(host)
    assert "hidden" in repr(STATIC)
