"""A PSAM in slot 1 that speaks T=0, as a real one does, over pcscd and a virtual reader."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cardcore.apdu import StatusWord
from cardcore.keys import ProofReason
from hsm_sim.psam import MAC2_TRIES_MAX, Psam
from terminals.link.connection import CardConnection, Peer, decode_trace, exchange
from terminals.link.pcsc import open_card
from terminals.tap.terminal import Terminal, read_psam
from terminals.taps import TapOutcome
from tests.hsm_sim.psam.psams import (
    PROFILE,
    VAULT,
    a_psam,
    card_mac2,
    credit,
    initialise,
    sequence_of,
)
from tests.hsm_sim.psam.t0 import T0_ATR, T0Chip
from tests.hsm_sim.psam.test_psam_lock import maintainer_mac
from tests.pcsc.slots import READERS, Slots, needs_pcscd, run
from tests.terminals.equipment import (
    FARES,
    NOON,
    ROLES,
    a_card,
    a_device,
    a_request,
    an_open_journal,
    balance,
    load,
    proof,
)
from tests.terminals.equipment import a_psam as a_city_psam

pytestmark = needs_pcscd
Insert = Callable[[Psam], CardConnection]


@pytest.fixture
def insert(slots: Slots) -> Iterator[Insert]:
    """Put a PSAM behind T=0 into slot 1 and open the reader."""
    opened = []

    def into_slot_1(psam: Psam) -> CardConnection:
        slots.insert(T0Chip(psam), 1, T0_ATR)
        visit = open_card(READERS[1])
        opened.append(visit)
        return visit.__enter__()

    yield into_slot_1
    for visit in opened:
        visit.__exit__(None, None, None)


def test_a_purchase_goes_through_get_response(insert: Insert) -> None:
    psam = insert(a_psam())
    for expected in (1, 2):
        answer = exchange(psam, initialise())
        assert sequence_of(answer) == expected
        assert len(answer.data) == 8
        assert exchange(psam, credit(card_mac2(expected))).ok


def test_a_wrong_length_of_a_file_is_corrected_by_the_link(insert: Insert) -> None:
    psam = insert(a_psam())
    assert psam.transmit(bytes.fromhex("00B0950000"))[-2:] == b"\x90\x00"
    assert len(psam.transmit(bytes.fromhex("00B0970000"))) == 25 + 2


def test_another_program_fetches_the_answer_by_itself(slots: Slots) -> None:
    slots.insert(T0Chip(a_psam()), 1, T0_ATR)
    command = initialise().encode().hex(":")
    # It looks around on every card it does not know, and leaves the MF selected.
    sent = ("00:B0:96:00:06", "00:A4:00:00:02:DF:01", command)
    said = run("opensc-tool", "-r", "1", *(word for each in sent for word in ("-s", each)))
    words = "".join(said.split()).lower()
    assert PROFILE.terminal in words
    assert words.count("(sw1=0x90,sw2=0x00)") == 3
    mac1 = a_psam().transmit(initialise().encode())[4:8]
    assert f"00000001{mac1.hex()}" in words


def test_a_bus_ride_with_a_psam_that_speaks_t0(
    slots: Slots, insert: Insert, tmp_path: Path
) -> None:
    card = a_card()
    slots.insert(card)
    psam = insert(a_city_psam("584000000001"))
    assert read_psam(psam).terminal == "584000000001"
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal = Terminal(ROLES["bus"], a_device("bus", psam), journal, psam)
        with open_card(READERS[0]) as connection:
            result = terminal.tap(connection, a_request("ride", "bus"), NOON)
        assert result.outcome is TapOutcome.APPROVED
        assert result.record is not None
        trace = decode_trace(journal.trace(result.record.terminal, result.record.terminal_serial))
    assert proof(result.record) is ProofReason.PROVEN
    assert sum(each.peer is Peer.PSAM for each in trace) == 2
    assert balance(card) == 10_000 - FARES["bus"].charged_fen


def test_forged_cards_lock_it_and_the_maintainer_opens_it_in_its_slot(insert: Insert) -> None:
    chip = a_psam()
    psam = insert(chip)
    for _ in range(MAC2_TRIES_MAX):
        assert exchange(psam, initialise()).ok
        assert exchange(psam, credit(bytes(4))).sw == StatusWord.PURSE_MAC_WRONG
    assert exchange(psam, initialise()).sw == StatusWord.FUNCTION_NOT_SUPPORTED
    challenge = psam.transmit(bytes.fromhex("0084000008"))[:-2]
    assert psam.transmit(bytes.fromhex("8418000004") + maintainer_mac(challenge)) == b"\x90\x00"
    assert exchange(psam, initialise()).ok
    assert Psam.from_image(chip.image(), VAULT).image() == chip.image()
