"""Cards of three generations in one city: triple DES, SM4 and AES through the same terminals, and
what a terminal does with a card that shows another algorithm than it has.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.keys import Algorithm, ProofReason
from cardcore.records.record import decode_record
from terminals.link.connection import InProcessConnection
from terminals.taps import Fare, TapOutcome
from tests.terminals.equipment import (
    ALGORITHMS,
    NOON,
    a_card,
    a_request,
    a_terminal,
    an_open_journal,
    balance,
    load,
    proof,
    records_of,
)
from tests.terminals.faults import TornConnection, check_money

DAY = [("kiosk", 5_000), ("entry", 0), ("exit", 380), ("bus", 160), ("shop", 1_250)]
INITIALISE = 0x50
#: Where INITIALIZE shows the algorithm: of a load, of a debit.
_ALGORITHM_AT = {0x00: 7, 0x01: 10, 0x03: 10}

every_version = pytest.mark.parametrize("version", ALGORITHMS)


@dataclass
class ShowsAnother:
    """A connection on which the card shows another algorithm than it has."""

    inner: InProcessConnection
    shown: int

    def transmit(self, command: bytes) -> bytes:
        answer = bytearray(self.inner.transmit(command))
        if command[:2] == bytes((0x80, INITIALISE)) and answer[-2:] == b"\x90\x00":
            answer[_ALGORITHM_AT[command[2]]] = self.shown
        return bytes(answer)


@every_version
def test_a_day_of_one_card_in_every_role(tmp_path: Path, version: int) -> None:
    card = a_card(key_version=version)
    with an_open_journal(tmp_path) as journal:
        for number, (role, amount) in enumerate(DAY):
            request = a_request(str(number), role, Fare(amount, amount))
            moment = NOON + timedelta(minutes=number)
            result = a_terminal(role, journal).tap(InProcessConnection(card), request, moment)
            assert result.outcome is TapOutcome.APPROVED, role
        records = [decode_record(each) for each in records_of(journal)]
        shown = {(each.algorithm, each.key_version) for each in records}
        assert shown == {(ALGORITHMS[version], version)}
        assert len(records) == len(DAY)
        assert balance(card) == 5_000 - 380 - 160 - 1_250
        check_money(journal, card)


def test_one_terminal_and_one_psam_serve_all_of_them(tmp_path: Path) -> None:
    cards = {version: a_card(version, key_version=version) for version in ALGORITHMS}
    with an_open_journal(tmp_path) as journal:
        for version, card in cards.items():
            assert load(card, journal, name=f"load {version}").outcome.done
        terminal = a_terminal("bus", journal)
        for version, card in cards.items():
            request = a_request(f"ride {version}", "bus")
            assert terminal.tap(InProcessConnection(card), request, NOON).outcome.done
        check_money(journal, *cards.values())


@every_version
def test_a_record_under_another_suite_than_its_own_is_not_proven(
    tmp_path: Path, version: int
) -> None:
    card = a_card(key_version=version)
    with an_open_journal(tmp_path) as journal:
        record = load(card, journal).record
    assert record is not None
    assert proof(record) is ProofReason.PROVEN
    for other in ALGORITHMS:
        if other != version:
            lied = replace(record, algorithm=ALGORITHMS[other], key_version=other)
            assert proof(lied) is ProofReason.WRONG_VERSION
    forged = replace(record, tac=bytes(byte ^ 0xFF for byte in record.tac))
    assert proof(forged) is ProofReason.WRONG


@every_version
def test_a_torn_tap_is_recovered_whatever_the_suite(tmp_path: Path, version: int) -> None:
    card = a_card(key_version=version)
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        terminal, request = a_terminal("shop", journal), a_request("one", "shop")
        torn = TornConnection(card, 4, after=True)
        assert terminal.tap(torn, request, NOON).outcome is TapOutcome.CARD_REMOVED
        result = terminal.tap(InProcessConnection(card), request, NOON)
        assert result.outcome is TapOutcome.RECOVERED
        assert result.record is not None
        assert result.record.algorithm == ALGORITHMS[version]
        check_money(journal, card)


def test_triple_des_shown_as_00_stands_as_01_in_the_record(tmp_path: Path) -> None:
    card = a_card()
    with an_open_journal(tmp_path) as journal:
        for role, amount in DAY:
            result = a_terminal(role, journal).tap(
                ShowsAnother(InProcessConnection(card), 0x00),
                a_request(role, role, Fare(amount, amount)),
                NOON,
            )
            assert result.outcome is TapOutcome.APPROVED, role
            assert result.record is not None
            assert result.record.algorithm == Algorithm.PBOC_3DES
        check_money(journal, card)


@pytest.mark.parametrize("role", ["bus", "entry", "shop"])
@every_version
def test_another_algorithm_than_that_of_the_key_is_refused_by_the_psam(
    tmp_path: Path, version: int, role: str
) -> None:
    card = a_card(key_version=version)
    with an_open_journal(tmp_path) as journal:
        load(card, journal)
        before = card.image()
        for shown in {*ALGORITHMS.values(), 0, 2, 9, 0xFF} - {ALGORITHMS[version]}:
            if (version, shown) == (1, 0):
                continue
            result = a_terminal(role, journal).tap(
                ShowsAnother(InProcessConnection(card), shown), a_request(role, role), NOON
            )
            assert result.outcome is TapOutcome.CARD_KEY_UNKNOWN, shown
            assert result.record is None
            assert card.image() == before
        result = a_terminal(role, journal).tap(
            InProcessConnection(card), a_request("honest", role), NOON
        )
        assert result.outcome is TapOutcome.APPROVED
        check_money(journal, card)


def test_an_algorithm_of_no_suite_is_refused_before_the_load_host_is_asked(
    tmp_path: Path,
) -> None:
    card = a_card()
    before = card.image()
    with an_open_journal(tmp_path) as journal:
        for shown in (2, 6, 9, 0xFF):
            result = a_terminal("kiosk", journal).tap(
                ShowsAnother(InProcessConnection(card), shown), a_request("load", "kiosk"), NOON
            )
            assert result.outcome is TapOutcome.CARD_KEY_UNKNOWN
            assert (result.record, card.image()) == (None, before)
