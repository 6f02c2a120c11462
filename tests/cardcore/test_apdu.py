import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord, describe
from cardcore.errors import DecodeError

BYTE = st.integers(0, 255)


@given(
    st.builds(
        CommandApdu,
        cla=BYTE,
        ins=BYTE,
        p1=BYTE,
        p2=BYTE,
        data=st.binary(max_size=255),
        le=st.none() | st.integers(1, 256),
    )
)
def test_every_short_command_comes_back(command: CommandApdu) -> None:
    assert CommandApdu.decode(command.encode()) == command


@given(st.binary(max_size=300))
def test_any_bytes_are_a_command_or_refused_with_a_place(raw: bytes) -> None:
    try:
        command = CommandApdu.decode(raw)
    except DecodeError as error:
        assert 0 <= error.offset <= len(raw)  # noqa: PT017 - both ways are right
    else:
        assert command.encode() == raw


@given(st.binary(max_size=256), st.integers(0, 0xFFFF))
def test_every_response_comes_back(data: bytes, sw: int) -> None:
    response = ResponseApdu(data, sw)
    assert ResponseApdu.decode(response.encode()) == response
    assert response.ok == (sw == 0x9000)


@pytest.mark.parametrize("raw", [b"", b"\x90"])
def test_an_answer_without_a_status_word_is_refused(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        ResponseApdu.decode(raw)


def test_every_status_word_has_words() -> None:
    texts = {describe(sw) for sw in StatusWord}
    assert len(texts) == len(StatusWord)
    assert not any("unknown" in text.en for text in texts)
