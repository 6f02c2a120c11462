"""A sector nobody planned for: one new file, and its records run through to the ledger."""

from collections.abc import Iterator
from dataclasses import astuple, replace
from datetime import date
from pathlib import Path

import pytest

from cardcore.records.kinds import RecordKind, Sector
from cardcore.records.record import TransactionRecord
from settlement.clearing.totals import clear
from settlement.dispositions import Disposition, Note, Reason
from settlement.engine.local import LocalEngine
from settlement.ledger.accounts import Account, AccountKind
from settlement.ledger.entries import ChainEnd, post_day
from settlement.ledger.positions import net_positions
from settlement.reports.told import Decision
from settlement.reports.wording import record_postings
from settlement.service.computation import read_outcome
from tests.settlement.reconciliation.run_inputs import TERMINALS, Desk, debit, load, proven
from tests.settlement.sectors.skating import CITY, NUMBER, one_sector_more

DAY = date(2018, 9, 1)


@pytest.fixture(autouse=True)
def skating(tmp_path: Path) -> Iterator[None]:
    with one_sector_more(tmp_path / "sectors"):
        yield


def rink(folder: Path, sector: int = NUMBER) -> Desk:
    """A desk of a city in which the terminal of the tickets works for a rink."""
    terminals = (*TERMINALS[1:], replace(TERMINALS[0], sector=sector))
    return Desk(folder, terminals=terminals, engine=LocalEngine(1))


def ticket(number: int = 0, tariff_fen: int = 101, sector: int = NUMBER) -> TransactionRecord:
    """A card's tickets of 101 fen, one after the other."""
    balance_fen = 1000 - 101 * number
    return debit(
        kind=RecordKind.PURCHASE,
        sector=sector,
        offline_counter=number,
        terminal_serial=number + 1,
        psam_sequence=number + 1,
        balance_before_fen=balance_fen,
        balance_after_fen=balance_fen - 101,
        amount_fen=101,
        tariff_fen=tariff_fen,
    )


def test_a_share_is_rounded_for_each_record_and_posted_as_it_is_told(tmp_path: Path) -> None:
    # Three tickets of 101 fen: the city gets 3 * 30, not a rounded share of 303.
    tickets = [ticket(n) for n in range(3)]
    desk = rink(tmp_path)
    outcome = desk.run(proven(load(), *tickets))
    assert desk.reasons(proven(load(), *tickets)) == [Reason.NONE] * 4
    assert read_outcome(desk.folder, outcome.outputs).buckets == outcome.buckets
    clearing = clear(outcome.buckets)
    entries = post_day(DAY, clearing.buckets, clearing.participants, ChainEnd())
    assert [astuple(each) for each in net_positions(entries)] == [
        ("card_float", 303, 1000, -697),
        ("load_agent/900", 1000, 0, 1000),
        ("operator/101", 0, 213, -213),
        (f"operator/{CITY}", 0, 90, -90),
    ]
    accepted = Decision(Disposition.ACCEPTED, Reason.NONE, Note(0), False, 0, 101, NUMBER, 0, 0)
    assert record_postings(tickets[0], None, accepted) == {
        "card_float": 101,
        "operator/7": -30,
        "operator/101": -71,
    }


def test_its_own_rule_says_what_is_charged_too_much(tmp_path: Path) -> None:
    desk = rink(tmp_path)
    rows = proven(load(), ticket(tariff_fen=100))
    outcome = desk.run(rows)
    assert desk.reasons(rows) == [Reason.NONE, Reason.NONE]
    assert outcome.clearing.totals.notes["overcharged"] == 1


def test_the_sector_is_the_registered_one_whatever_a_record_says(tmp_path: Path) -> None:
    desk = rink(tmp_path)
    rows = proven(load(), ticket(sector=Sector.MERCHANT))
    outcome = desk.run(rows)
    assert desk.reasons(rows) == [Reason.NONE, Reason.NONE]
    assert outcome.clearing.totals.notes["claims_differ"] == 1
    assert outcome.clearing.participants[CITY][Account(AccountKind.OPERATOR, CITY)].credit_fen == 30


def test_of_a_sector_nobody_described_nothing_is_known_and_nothing_is_held(tmp_path: Path) -> None:
    desk = rink(tmp_path, sector=78)
    rows = proven(load(), ticket(tariff_fen=100, sector=78))
    outcome = desk.run(rows)
    assert desk.reasons(rows) == [Reason.NONE, Reason.NONE]
    assert set(outcome.clearing.participants) == {101, 900}
