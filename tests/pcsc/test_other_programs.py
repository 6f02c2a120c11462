"""Programs that others wrote see our card as a card."""

import subprocess
import sys
from pathlib import Path

import pytest

from cardcore.chip.card import Card
from tests.cardcore.chip.reference_terminal import ReferenceTerminal
from tests.cardcore.transit_cards import LOAD_KEY, PROFILE, PURCHASE_KEY, TAC_KEY
from tests.cardcore.transit_cards import a_card as a_keyed_card
from tests.pcsc.slots import CARD_ATR, READERS, Slots, needs_pcscd, run
from tests.support.patience import SLOW_S

pytestmark = needs_pcscd
SELECT = "00 A4 04 00 08 A0 00 00 06 32 01 01 05 00"
PPSE = "00 A4 04 00 0E 32 50 41 59 2E 53 59 53 2E 44 44 46 30 31 00"


def squeezed(text: str) -> str:
    """Hexadecimal text without blanks and line ends, so that wrapping does not matter."""
    return "".join(text.split()).upper()


def dumped(answer: str) -> str:
    """The bytes of a dump of opensc-tool: 16 a line, and the same as text to the right of them."""
    return squeezed("".join(line[:47] for line in answer.splitlines()[1:]))


@pytest.fixture
def card(slots: Slots) -> Card:
    """A card with 100 yuan and one load in its log."""
    card = a_keyed_card()
    terminal = ReferenceTerminal(card.transmit, PURCHASE_KEY, LOAD_KEY, TAC_KEY)
    terminal.select()
    terminal.load(10_000)
    slots.insert(card)
    return card


@pytest.mark.usefixtures("card")
def test_opensc_tool_reads_atr_ppse_ef15_balance_and_log() -> None:
    assert run("opensc-tool", "-r", "0", "-a").strip() == CARD_ATR.hex(":")
    said = run(
        "opensc-tool", "-r", "0",
        *("-s", PPSE), *("-s", SELECT), *("-s", "00 B0 95 00 1E"),
        *("-s", "80 5C 00 02 04"), *("-s", "00 B2 01 C4 17"),
    )  # fmt: skip
    answers = said.split("Received")[1:]
    assert len(answers) == 5
    assert all("SW1=0x90, SW2=0x00" in answer for answer in answers)
    assert "A000000632010105" in dumped(answers[0])
    assert dumped(answers[2]).startswith(PROFILE.public.encode().hex().upper())
    assert dumped(answers[3]).startswith("00002710")
    assert "0000271002112233445566" in dumped(answers[4])


@pytest.mark.usefixtures("card")
def test_scriptor_reads_ppse_ef15_balance_and_log() -> None:
    commands = ("00 B0 95 00 1E", "80 5C 00 02 04", "00 B2 01 C4 17", "00 B2 02 C4 17")
    script = "\n".join(("reset", PPSE, SELECT, *commands))
    said = run("scriptor", "-r", READERS[0], stdin=script)
    answers = said.split("\n< ")[2:]
    assert [squeezed(answer.split(":")[0])[-4:] for answer in answers] == ["9000"] * 5 + ["6A83"]
    assert PROFILE.public.encode().hex().upper() in squeezed(answers[2])
    assert squeezed(answers[3]).startswith("000027109000")


@pytest.mark.usefixtures("card")
def test_pcsc_scan_sees_the_card_in_its_reader() -> None:
    said = run("pcsc_scan", "-n", "-t", "1")
    assert "Virtual PCD 00 00" in said
    assert "Card inserted" in said
    assert CARD_ATR.hex(" ").upper() in said


@pytest.mark.usefixtures("slots")
def test_an_independent_terminal_loads_and_buys_and_checks_every_cryptogram(card: Card) -> None:
    script = Path(__file__).with_name("independent_terminal.py")
    keys = [key.hex() for key in (PURCHASE_KEY, LOAD_KEY, TAC_KEY)]
    done = subprocess.run(
        [sys.executable, "-I", str(script), READERS[0], *keys],
        capture_output=True, text=True, timeout=SLOW_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["balance", "13650"]
    terminal = ReferenceTerminal(card.transmit, PURCHASE_KEY, LOAD_KEY, TAC_KEY)
    terminal.select()
    assert terminal.balance() == 13_650
