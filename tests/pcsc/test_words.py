"""What is told of an exchange: status words in both languages, secrets in neither."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import StatusWord, describe
from terminals.errors import CardRemovedError
from terminals.reading.narration import (
    NarratingConnection,
    secret_in,
    show_command,
    show_response,
    show_status,
)

SECRET_HEADS = ["0020", "0420", "8024", "8424", "002C", "805E", "84D4", "80D8", "84D8", "84E2"]


@pytest.mark.parametrize("word", StatusWord)
def test_every_status_word_has_words_in_both_languages(word: StatusWord) -> None:
    assert describe(word).en != describe(0x1234).en
    assert describe(word).zh != describe(0x1234).zh


@given(st.integers(0, 0xFFFF))
def test_any_status_word_is_told(sw: int) -> None:
    for said in (show_status(sw).zh, show_status(sw).en):
        assert said.startswith(f"{sw:04X} ")
    assert describe(sw).zh
    assert describe(sw).en


@given(st.sampled_from(SECRET_HEADS), st.binary(min_size=4, max_size=40))
def test_the_data_of_a_secret_command_never_shows(head: str, rest: bytes) -> None:
    command = bytes.fromhex(head) + rest
    shown = show_command(command)
    for said in (shown.zh, shown.en):
        assert said.startswith(command[:4].hex(" ").upper() + " [")
    other = command[:4] + bytes(byte ^ 0xFF for byte in command[4:])
    assert show_command(other) == shown


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_any_exchange_can_be_told(command: bytes, response: bytes) -> None:
    assert show_response(response)
    if secret_in(command) is None:
        for said in (show_command(command).zh, show_command(command).en):
            assert said.replace(" ", "").startswith(command.hex().upper())


class Torn:
    def transmit(self, command: bytes) -> bytes:
        raise CardRemovedError(command.hex())


def test_a_command_that_tore_the_card_is_told_with_no_answer() -> None:
    told: list[str] = []
    with pytest.raises(CardRemovedError):
        NarratingConnection(Torn(), told.append).transmit(bytes.fromhex("805C000204"))
    assert told[0].startswith("> 80 5C 00 02 04")
    assert told[1].startswith("< no answer")
