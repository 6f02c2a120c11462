"""Whole taps through pcscd: card in slot 0, PSAM in slot 1, journal on disk."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.chip.card import Card
from cardcore.errors import PowerLossError
from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag
from terminals.journal.journal import Journal
from terminals.link.connection import Peer, decode_trace
from terminals.link.pcsc import open_card
from terminals.roles.load_kiosk import KIOSK
from terminals.tap.terminal import Terminal
from terminals.taps import TapOutcome, TapRequest, TapResult
from tests.pcsc.slots import PSAM_ATR, READERS, Slots, needs_pcscd
from tests.terminals.equipment import (
    FARES,
    NOON,
    ROLES,
    a_card,
    a_device,
    a_load_host,
    a_psam,
    a_request,
    an_open_journal,
    balance,
    proof,
)

pytestmark = needs_pcscd
DEBIT = 0x54
CARD_APDUS = {"bus": 6, "entry": 8, "exit": 8, "shop": 5}


@dataclass
class Tearing:
    """A card that is torn out at DEBIT, before or after it has done the command."""

    card: Card
    is_done_first: bool

    def reset(self) -> object:
        return self.card.reset()

    def transmit(self, command: bytes) -> bytes:
        if command[1] != DEBIT:
            return self.card.transmit(command)
        if self.is_done_first:
            self.card.transmit(command)
        raise PowerLossError("torn out at DEBIT")


@dataclass
class Street:
    """Terminals that reach card and PSAM through pcscd only."""

    slots: Slots
    journal: Journal
    stack: ExitStack
    minutes: int = 0

    def load(self, amount_fen: int = 10_000) -> TapResult:
        kiosk = Terminal(KIOSK, a_device("kiosk"), self.journal, a_load_host())
        fare = replace(FARES["kiosk"], tariff_fen=amount_fen, charged_fen=amount_fen)
        return self._visit(kiosk, a_request(f"load {amount_fen}", "kiosk", fare))

    def terminal(self, role: str) -> Terminal:
        number = list(ROLES).index(role) + 1
        psam_card = self.slots.insert(a_psam(f"5840000000{number:02d}", number), 1, PSAM_ATR)
        psam = self.stack.enter_context(open_card(READERS[1]))
        self.stack.callback(self.slots.take_out, psam_card, 1)
        return Terminal(ROLES[role], a_device(role, psam), self.journal, psam)

    def tap(self, terminal: Terminal, role: str, name: str | None = None) -> TapResult:
        return self._visit(terminal, a_request(name or f"{role} {self.minutes}", role))

    def _visit(self, terminal: Terminal, request: TapRequest) -> TapResult:
        self.minutes += 1
        with open_card(READERS[0]) as card:
            return terminal.tap(card, request, NOON + timedelta(minutes=self.minutes))


@pytest.fixture
def street(slots: Slots, tmp_path: Path) -> Iterator[Street]:
    with ExitStack() as stack, an_open_journal(tmp_path) as journal:
        yield Street(slots, journal, stack)


@pytest.mark.parametrize("role", ["bus", "entry", "shop"])
def test_a_loaded_card_pays_through_the_reader(street: Street, role: str) -> None:
    card = a_card()
    street.slots.insert(card)
    assert street.load().outcome is TapOutcome.APPROVED
    result = street.tap(street.terminal(role), role)
    assert result.outcome is TapOutcome.APPROVED
    assert result.record is not None
    assert proof(result.record) is ProofReason.PROVEN
    assert balance(card) == 10_000 - FARES[role].charged_fen
    trace = street.journal.trace(result.record.terminal, result.record.terminal_serial)
    spoken = [exchange.peer for exchange in decode_trace(trace)]
    assert spoken.count(Peer.CARD) == CARD_APDUS[role]
    assert spoken.count(Peer.PSAM) == 2


def test_a_passenger_goes_in_and_out_through_the_reader(street: Street) -> None:
    card = a_card()
    street.slots.insert(card)
    street.load()
    with ExitStack() as at_entry:
        gate = replace(street, stack=at_entry)
        assert gate.tap(gate.terminal("entry"), "entry").outcome is TapOutcome.APPROVED
    street.minutes += 20
    left = street.tap(street.terminal("exit"), "exit")
    assert left.outcome is TapOutcome.APPROVED
    assert balance(card) == 10_000 - FARES["exit"].charged_fen


@pytest.mark.parametrize("is_done_first", [True, False], ids=["debited", "not debited"])
def test_a_card_torn_out_at_debit_pays_once_and_only_once(
    street: Street, *, is_done_first: bool
) -> None:
    card = a_card()
    whole = street.slots.insert(card)
    street.load()
    terminal = street.terminal("bus")
    street.slots.take_out(whole)
    street.slots.insert(Tearing(card, is_done_first))
    assert street.tap(terminal, "bus", "ride").outcome is TapOutcome.CARD_REMOVED
    street.slots.wait_empty()
    assert balance(card) == 10_000 - FARES["bus"].charged_fen * is_done_first
    street.slots.insert(card)
    result = street.tap(terminal, "bus", "ride")
    assert result.outcome is (TapOutcome.RECOVERED if is_done_first else TapOutcome.APPROVED)
    assert result.record is not None
    assert (RecordFlag.RECOVERED in result.record.flags) == is_done_first
    assert proof(result.record) is ProofReason.PROVEN
    assert balance(card) == 10_000 - FARES["bus"].charged_fen
