"""The link: a trace that reads back, and an answer that is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.errors import DecodeError
from cardcore.layouts.transit import AID_PURSE
from terminals.dialogue.commands import select
from terminals.errors import CardRemovedError
from terminals.link.connection import (
    Exchange,
    Peer,
    RecordingConnection,
    Trace,
    decode_trace,
    exchange,
    whole_answer,
)

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
        exchange(Mute(), select(AID_PURSE))


class Script:
    """A chip on a wire that has its answers written down, and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers = [bytes.fromhex(each) for each in answers]
        self.asked: list[str] = []

    def send(self, command: bytes) -> bytes:
        self.asked.append(command.hex().upper())
        return self.answers.pop(0)


# Protocol, command, what the chip says, what it is asked, what comes of it.
PIECES = """
T0  8070000002AABB08  9000                  8070000002AABB                        9000
T0  8070000002AABB08  6102,01029000         8070000002AABB,00C0000002              01029000
T1  8070000002AABB08  01029000              8070000002AABB08                       01029000
T1  8070000002AABB08  6102,01029000         8070000002AABB08,00C0000002            01029000
T0  8470000002AABB    6102,01029000         8470000002AABB,00C0000002              01029000
T0  0170000002AABB    6102,01029000         0170000002AABB,01C0000002              01029000
T0  00B0950000        6C02,01029000         00B0950000,00B0950002                  01029000
T0  00B09500          6C02,01029000         00B09500,00B0950002                    01029000
T0  00B0950000        6C02,6C03             00B0950000,00B0950002                  6C03
T1  00B0950000        6C02                  00B0950000                             6C02
T0  8070000002AABB    6C02                  8070000002AABB                         6C02
T0  8070000002AABB    6104,01026102,03049000 8070000002AABB,00C0000004,00C0000002   010203049000
T0  8070000002AABB    6100,6C04,010203049000 8070000002AABB,00C0000000,00C0000004   010203049000
T1  8070000002AABB08  6100,6C04,010203049000 8070000002AABB08,00C0000000,00C0000004 010203049000
T0  00B0950000        6C02,6102,01029000    00B0950000,00B0950002,00C0000002       01029000
T1 8070000002 6102,01026100,6C01,039000 8070000002,00C0000002,00C0000000,00C0000001 0102039000
T0  8070000002AABB    6100,6C04,6C03        8070000002AABB,00C0000000,00C0000004   6C03
T0  8070000002AABB    6104,6104             8070000002AABB,00C0000004              6104
T0  8070              6700                  8070                                   6700
"""


@pytest.mark.parametrize(
    "line", PIECES.strip().splitlines(), ids=lambda line: " ".join(line.split()[:3])
)
def test_an_answer_is_put_together_from_the_pieces_of_the_wire(line: str) -> None:
    protocol, command, says, asked, whole = line.split()
    chip = Script(*says.split(","))
    answer = whole_answer(chip.send, bytes.fromhex(command), t0=protocol == "T0")
    assert (chip.asked, answer.hex().upper()) == (asked.split(","), whole)


def test_a_chip_that_never_comes_to_an_end_is_not_believed() -> None:
    asked = 0

    def send(_: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return bytes(256) + b"\x61\x00"

    assert len(whole_answer(send, bytes.fromhex("8070000000"), t0=True)) < 1 << 17
    assert asked <= 257


@pytest.mark.parametrize("answer", [b"", b"\x61", b"\x6c"])
def test_less_than_a_status_word_is_passed_on_as_it_is(answer: bytes) -> None:
    assert whole_answer(lambda _: answer, bytes.fromhex("00B0950000"), t0=True) == answer


def test_torn_command_stands_in_the_trace_without_an_answer() -> None:
    class Gone:
        def transmit(self, _: bytes) -> bytes:
            raise CardRemovedError

    trace = Trace()
    with pytest.raises(CardRemovedError):
        exchange(RecordingConnection(Gone(), Peer.CARD, trace), select(AID_PURSE))
    assert decode_trace(trace.take()) == (Exchange(Peer.CARD, select(AID_PURSE).encode(), b""),)
