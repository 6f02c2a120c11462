"""pcscd itself: absent, without readers, killed in the middle of a tap."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cardcore.chip.card import Card
from terminals.link.pcsc import ReaderService, open_card
from terminals.link.reader_faults import ReaderError, ReaderProblem
from terminals.tap.terminal import Terminal
from terminals.taps import TapOutcome
from tests.pcsc.slots import READERS, Daemon, Slots, needs_pcscd, the_only_pcscd_test
from tests.terminals.equipment import (
    FARES,
    NOON,
    ROLES,
    a_card,
    a_device,
    a_psam,
    a_request,
    an_open_journal,
    balance,
    load,
)

pytestmark = needs_pcscd
DEBIT = 0x54


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with the_only_pcscd_test():
        yield


def problem_of(error: pytest.ExceptionInfo[ReaderError]) -> ReaderProblem:
    return error.value.problem


@pytest.fixture
def own_daemon() -> Iterator[Daemon]:
    daemon = Daemon.start()
    daemon.need_own()
    yield daemon
    daemon.stop()


def test_without_pcscd_the_message_says_how_to_start_it(own_daemon: Daemon) -> None:
    own_daemon.stop()
    with pytest.raises(ReaderError, match="pcscd --foreground") as error, open_card(None):
        pass
    assert problem_of(error) is ReaderProblem.SERVICE_NOT_RUNNING


def test_without_a_reader_the_message_says_where_to_get_one(
    own_daemon: Daemon, tmp_path: Path
) -> None:
    own_daemon.stop()
    bare = Daemon.start("--config", str(tmp_path))
    try:
        with ReaderService() as service:
            assert service.names() == []
            assert service.states() == []
        with pytest.raises(ReaderError, match="vsmartcard-vpcd") as error, open_card(None):
            pass
        assert problem_of(error) is ReaderProblem.NO_READER
    finally:
        bare.stop()


class StopsAtDebit:
    """A card whose reader's service dies while it does DEBIT."""

    def __init__(self, card: Card, daemon: Daemon) -> None:
        self._card = card
        self._daemon = daemon

    def reset(self) -> object:
        return self._card.reset()

    def transmit(self, command: bytes) -> bytes:
        answer = self._card.transmit(command)
        if command[1] == DEBIT and self._daemon.process is not None:
            self._daemon.process.kill()
            self._daemon.process.wait()
        return answer


def test_a_service_killed_at_debit_loses_nothing_and_charges_once(
    own_daemon: Daemon, tmp_path: Path
) -> None:
    card, psam = a_card(), a_psam("584000000001")
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal = Terminal(ROLES["bus"], a_device("bus", psam), journal, psam)
        request = a_request("ride", "bus")
        slots = Slots(own_daemon)
        slots.insert(StopsAtDebit(card, own_daemon))
        with pytest.raises(ReaderError) as error, open_card(READERS[0]) as connection:
            terminal.tap(connection, request, NOON)
        assert problem_of(error) is ReaderProblem.SERVICE_NOT_RUNNING
        slots.close()
        again = Daemon.start()
        try:
            slots = Slots(again)
            slots.insert(card)
            with open_card(READERS[0]) as connection:
                result = terminal.tap(connection, request, NOON)
            slots.close()
        finally:
            again.stop()
    assert result.outcome is TapOutcome.RECOVERED
    assert balance(card) == 10_000 - FARES["bus"].charged_fen
