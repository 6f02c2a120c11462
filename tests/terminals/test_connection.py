"""The link: a trace that reads back, and an answer that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import DecodeError
from terminals import commands
from terminals.connection import Exchange, Peer, RecordingConnection, Trace, decode_trace, exchange
from terminals.errors import CardRemovedError

EXCHANGES = st.builds(
    Exchange, st.sampled_from(Peer), st.binary(max_size=260), st.binary(max_size=258)
)


@given(st.lists(EXCHANGES, max_size=12))
def test_trace_reads_back_what_was_said(said: list[Exchange]) -> None:
    trace = Trace()
    for each in said:
        trace.add(each.peer, each.command, each.response)
    data = trace.take()
    assert decode_trace(data) == tuple(said)
    assert trace.take() == b""


@given(EXCHANGES, st.data())
def test_cut_trace_is_named(said: Exchange, data: st.DataObject) -> None:
    trace = Trace()
    trace.add(said.peer, said.command, said.response)
    whole = trace.take()
    with pytest.raises(DecodeError, match="APDU trace"):
        decode_trace(whole[: data.draw(st.integers(1, len(whole) - 1))])


@pytest.mark.parametrize("answer", [b"", b"\x90"])
def test_answer_without_status_word_means_the_card_is_gone(answer: bytes) -> None:
    class Mute:
        def transmit(self, _: bytes) -> bytes:
            return answer

    with pytest.raises(CardRemovedError):
        exchange(Mute(), commands.select())


def test_torn_command_stands_in_the_trace_without_an_answer() -> None:
    class Gone:
        def transmit(self, _: bytes) -> bytes:
            raise CardRemovedError

    trace = Trace()
    with pytest.raises(CardRemovedError):
        exchange(RecordingConnection(Gone(), Peer.CARD, trace), commands.select())
    assert decode_trace(trace.take()) == (Exchange(Peer.CARD, commands.select().encode(), b""),)
