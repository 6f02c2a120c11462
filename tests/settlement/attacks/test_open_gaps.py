"""Attacks that still succeed: R9's order of PSAM sequences, R4's debits proven by statements.

Each is what the rule asks, expected to fail, strictly: whoever mends one takes its mark off.
The two README name the same gaps.
"""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from cardcore.records.kinds import Sector
from settlement.registry.book import Dated, since_ever
from settlement.registry.rows import HotlistRow, TerminalRow
from settlement.store.registry import register
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    METRO,
    METRO_COLLECTOR,
    TAC_MISSING,
    Card,
    Terminal,
    Town,
    altered,
    at,
    build_town,
)
from tests.settlement.device_files import ACTION, BUS_TERMINAL, DAY

FARE_FEN, LOAD_FEN, TOP_UP_FEN = 200, 10_000, 100
#: As far as the old PSAM of the bus has counted; a new one begins at 1.
COUNTED = 500
NEW_PSAM = "4" * 20
PER_TERMINAL = "the order of PSAM sequences is kept by terminal; R9 says within one PSAM"
EQUAL_SUM = "a torn debit steps back only for proven debits of exactly its amount"


#: How far the PSAM put in later has counted already: only one that begins anew is the attack.
LATER_PSAM = [
    pytest.param(COUNTED + 100, id="counts on"),
    pytest.param(
        0,
        id="begins anew",
        marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=PER_TERMINAL),
    ),
]


@pytest.mark.parametrize("counted", LATER_PSAM)
def test_the_new_owner_s_psam_draws_late_rides_of_the_old_owner(
    tmp_path: Path, counted: int
) -> None:
    """One tap of 1 fen, and 2,000 fen of another operator are paid to the one who tapped."""
    old = Dated(TerminalRow(BUS_TERMINAL, BUS, "bus"), valid_to=DAY + timedelta(days=1))
    new = Dated(TerminalRow(BUS_TERMINAL, METRO, "bus"), valid_from=DAY + timedelta(days=2))
    town = build_town(tmp_path / "city", old, new)
    with town.city:
        rider, thief = town.card(1), town.card(2)
        loads = [each.load(town.kiosk, LOAD_FEN, at("07:00")) for each in (rider, thief)]
        town.bus.sequence = COUNTED
        late = [rider.pay(town.bus, FARE_FEN, at(f"08:0{minute}")) for minute in range(10)]
        town.settle((AGENT_HOST, loads))
        town.settle((AGENT_HOST, [thief.load(town.kiosk, TOP_UP_FEN, at("07:00", 1))]))
        bus = Terminal(BUS_TERMINAL, METRO, Sector.TRANSIT, NEW_PSAM, sequence=counted)
        town.settle((METRO_COLLECTOR, [thief.pay(bus, 1, at("08:00", 2))]))
        town.settle((BUS_COLLECTOR, late))
        town.expect(
            paid={BUS: FARE_FEN * len(late), METRO: 1},
            billed={AGENT: 2 * LOAD_FEN + TOP_UP_FEN},
        )


@pytest.mark.parametrize("counted", LATER_PSAM)
def test_a_changed_psam_holds_late_rides_from_before_their_card_was_listed(
    town: Town, counted: int
) -> None:
    rider, other = town.card(1), town.card(2)
    loads = [each.load(town.kiosk, LOAD_FEN, at("07:00")) for each in (rider, other)]
    town.bus.sequence = COUNTED
    late = rider.pay(town.bus, FARE_FEN, at())
    town.settle((AGENT_HOST, loads))
    told = datetime.combine(DAY + timedelta(days=1), time(12), UTC)
    register(town.city.database, since_ever(HotlistRow(rider.number, 1)), replace(ACTION, at=told))
    days = range(1, 12)
    for day in days:
        town.settle((AGENT_HOST, [other.load(town.kiosk, TOP_UP_FEN, at("07:00", day))]))
    bus = Terminal(BUS_TERMINAL, BUS, Sector.TRANSIT, NEW_PSAM, sequence=counted)
    town.settle((BUS_COLLECTOR, [other.pay(bus, 1, at("08:00", 12))]))
    town.settle((BUS_COLLECTOR, [late]))
    assert town.fate(late) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN + 1}, billed={AGENT: 2 * LOAD_FEN + TOP_UP_FEN * len(days)})


@pytest.mark.parametrize(
    "hidden_fen",
    [
        pytest.param(0, id="nothing hidden"),
        pytest.param(
            1,
            id="1 fen hidden",
            marks=pytest.mark.xfail(strict=True, raises=AssertionError, reason=EQUAL_SUM),
        ),
    ],
)
def test_a_torn_claim_larger_than_the_late_debit_it_stands_for(town: Town, hidden_fen: int) -> None:
    """401 fen are paid where the card spent 201: a fen that is never delivered makes the claim
    differ from the debit whose TAC comes later.
    """
    thief, other = town.card(1), town.card(2)
    loads = [thief.load(town.kiosk, LOAD_FEN, at("07:00"))]
    late = thief.pay(town.gate, FARE_FEN, at("08:00"))
    if hidden_fen:
        thief.pay(town.bus, hidden_fen, at("08:30"))
    loads.append(thief.load(town.kiosk, LOAD_FEN, at("09:00")))
    story = Card(thief.number, 5_000, 2, 5).pay(town.bus, FARE_FEN + hidden_fen, at("08:40"))
    torn = altered(story, "tac", bytes(8))
    town.settle((AGENT_HOST, loads), (BUS_COLLECTOR, [torn]))
    town.now += timedelta(days=35)
    days = (36, 37, 38)
    for day in days:
        town.settle((AGENT_HOST, [other.load(town.kiosk, TOP_UP_FEN, at("07:00", day))]))
    if town.fate(torn) != ACCEPTED or "STATEMENT_PROVEN" not in town.noted(torn).notes:
        pytest.fail("the claim was never proven by statements: this is no longer the attack")
    town.settle((METRO_COLLECTOR, [late]))
    assert town.fate(late) == ACCEPTED
    assert town.fate(torn) == TAC_MISSING
    town.expect(paid={METRO: FARE_FEN}, billed={AGENT: 2 * LOAD_FEN + TOP_UP_FEN * len(days)})
