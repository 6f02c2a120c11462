"""A PSAM behind T=0: 61xx, GET RESPONSE and 6Cxx, and a terminal's link that puts it together."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import ResponseApdu, StatusWord
from cardcore.keys import ProofReason
from hsm_sim.psam import Psam
from terminals.link.connection import InProcessConnection, whole_answer
from terminals.tap.terminal import Terminal, read_psam
from terminals.taps import TapOutcome
from tests.hsm_sim.psam.psams import a_psam, card_mac2, credit, initialise, send
from tests.hsm_sim.psam.t0 import T0_ATR, T0Chip
from tests.terminals.equipment import (
    NOON,
    ROLES,
    a_card,
    a_device,
    a_request,
    an_open_journal,
    load,
    proof,
)
from tests.terminals.equipment import a_psam as a_city_psam

INIT = initialise().encode()


@dataclass
class Wire:
    """The reader's side of T=0: what was said, in hexadecimal digits."""

    chip: T0Chip
    said: list[str] = field(default_factory=list)

    def transmit(self, command: bytes) -> bytes:
        """As a terminal's link to a reader that speaks T=0."""
        return whole_answer(self._send, command, t0=True)

    def _send(self, command: bytes) -> bytes:
        answer = self.chip.transmit(command)
        self.said += (command.hex().upper(), answer.hex().upper())
        return answer


@pytest.fixture
def psam() -> Psam:
    return a_psam()


@pytest.fixture
def chip(psam: Psam) -> T0Chip:
    return T0Chip(psam)


def words(chip: T0Chip, command: str | bytes) -> str:
    raw = bytes.fromhex(command) if isinstance(command, str) else command
    return chip.transmit(raw).hex().upper()


def test_init_sam_for_purchase_answers_6108_and_get_response_the_eight_bytes(
    chip: T0Chip,
) -> None:
    expected = a_psam().transmit(INIT).hex().upper()
    assert words(chip, INIT[:-1]) == "6108"
    assert words(chip, "00C0000008") == expected
    assert words(chip, "00C0000008") == "6985"


def test_le_behind_the_data_is_not_part_of_t0(chip: T0Chip) -> None:
    assert words(chip, INIT) == "6108"
    assert words(chip, INIT[:-1] + b"\x04") == "6108"
    assert words(chip, "80C0000000") == "6C08"
    assert words(chip, "80C0000008").startswith("00000002")


# What is asked, what is answered, in one conversation.
CONVERSATION = """
00C0000008           6985
00B095000E           000000000409000100010101 0000 9000
00B0950000           6C0E
00B09500             6C0E
00B0950006           000000000409 9000
00A4000002DF01       9000
INIT                 6108
00C0000005           00000001?? 6103
00C0000008           6C03
00C0000003           ?????? 9000
00C0000001           6985
INIT                 6108
00C0010008           6A86
00C0000008           00000002???????? 9000
INIT                 6108
00B0960000           6C06
00C0000008           6985
80720000040011223344 9302
80720000040011223344 6985
INIT                 6108
RESET                -
00C0000008           6985
8070                 6700
00C0000001AA         6D00
"""


def test_a_conversation_in_t0(chip: T0Chip) -> None:
    for line in CONVERSATION.strip().splitlines():
        command, *expected = line.split()
        if command == "RESET":
            chip.reset()
            continue
        answer = words(chip, INIT if command == "INIT" else command)
        pattern = "".join(expected)
        shown = "".join(
            "?" if one == "?" else other for one, other in zip(pattern, answer, strict=True)
        )
        assert shown == pattern, line


def test_the_link_of_a_terminal_puts_a_purchase_together(psam: Psam, chip: T0Chip) -> None:
    wire = Wire(chip)
    answer = ResponseApdu.decode(wire.transmit(INIT))
    assert (len(answer.data), answer.sw) == (8, StatusWord.OK)
    assert wire.said[1] == "6108"
    assert wire.said[2] == "00C0000008"
    sequence = int.from_bytes(answer.data[:4], "big")
    assert wire.transmit(credit(card_mac2(sequence)).encode()) == b"\x90\x00"
    assert wire.transmit(bytes.fromhex("00B0950000"))[:-2] == send(psam, "00B0950000").data
    assert wire.said[-4:-2] == ["00B0950000", "6C0E"]


@given(st.binary(max_size=40))
def test_any_bytes_come_through_the_adapter_as_they_come_without_it(command: bytes) -> None:
    """Refusals are the chip's own; answers with data are announced or corrected."""
    plain = ResponseApdu.decode(a_psam().transmit(command))
    adapted = ResponseApdu.decode(T0Chip(a_psam()).transmit(command))
    is_get_response = command[1:2] == b"\xc0"
    assert is_get_response or adapted.sw == plain.sw or adapted.sw >> 8 in {0x61, 0x6C}


def test_a_bus_ride_with_a_psam_behind_t0(tmp_path: Path) -> None:
    wire = Wire(T0Chip(a_city_psam("584000000001")))
    card = a_card()
    assert read_psam(wire).terminal == "584000000001"
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal = Terminal(ROLES["bus"], a_device("bus", wire), journal, wire)
        result = terminal.tap(InProcessConnection(card), a_request("ride", "bus"), NOON)
    assert result.outcome is TapOutcome.APPROVED
    assert result.record is not None
    assert proof(result.record) is ProofReason.PROVEN
    assert wire.said.count("6108") == 1


def test_the_answer_to_reset_names_no_protocol_but_t0() -> None:
    """TS, T0 with TB1, TC1 and four historical bytes; no TD1, so T=0 and no check byte."""
    assert T0_ATR[:2] == bytes.fromhex("3B64")
    assert len(T0_ATR) == 2 + 2 + 4
    assert T0_ATR[4:] == b"PSAM"
