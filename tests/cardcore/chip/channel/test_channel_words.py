"""Which status words travel under the channel's protection: 9000 and both families of warnings."""

import pytest

from cardcore.apdu import ResponseApdu, StatusWord
from cardcore.chip.scp03 import (
    Channel,
    unwrap_command,
    unwrap_response,
    wrap_command,
    wrap_response,
)
from cardcore.errors import CryptogramError
from tests.cardcore.chip.channel.test_scp03 import READ, opened

PROTECTED = (0x9000, 0x6200, 0x6283, 0x62FF, 0x6300, 0x63C2, 0x63FF)
PLAIN = (0x6100, 0x6400, 0x6581, 0x6982, 0x6A82, 0x6D00, 0x6F00, 0x9001, 0x9303, 0x9401)


def asked(level: int) -> tuple[Channel, Channel]:
    """Host and card of a channel in which a command has just gone over."""
    host, card = opened(level)
    sent, host = wrap_command(host, READ)
    received = unwrap_command(card, sent)
    assert not isinstance(received, StatusWord)
    _, card = received
    return host, card


@pytest.mark.parametrize("data", [b"", b"answer", bytes(range(64))], ids=len)
@pytest.mark.parametrize("level", [0x11, 0x33])
@pytest.mark.parametrize("sw", PROTECTED)
def test_an_answer_with_a_word_of_success_or_warning_is_protected(
    sw: int, level: int, data: bytes
) -> None:
    host, card = asked(level)
    answer = wrap_response(card, ResponseApdu(data, sw))
    assert len(answer) >= len(data) + 8 + 2
    assert unwrap_response(host, answer) == ResponseApdu(data, sw)
    for position in range(len(answer) - 2):
        altered = bytearray(answer)
        altered[position] ^= 1
        with pytest.raises(CryptogramError):
            unwrap_response(host, bytes(altered))


@pytest.mark.parametrize("level", [0x11, 0x33])
@pytest.mark.parametrize("sw", PROTECTED[1:])
def test_a_warning_is_not_taken_for_another_word_of_its_kind(sw: int, level: int) -> None:
    host, card = asked(level)
    answer = wrap_response(card, ResponseApdu(b"answer", sw))
    with pytest.raises(CryptogramError):
        unwrap_response(host, answer[:-2] + b"\x90\x00")


@pytest.mark.parametrize("level", [0x11, 0x33])
@pytest.mark.parametrize("sw", PLAIN)
def test_an_answer_with_a_word_of_refusal_comes_as_it_is(sw: int, level: int) -> None:
    host, card = asked(level)
    answer = wrap_response(card, ResponseApdu(b"", sw))
    assert answer == sw.to_bytes(2, "big")
    assert unwrap_response(host, answer) == ResponseApdu(b"", sw)
