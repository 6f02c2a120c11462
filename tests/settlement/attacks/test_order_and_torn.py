"""R9's order of PSAM sequences is each PSAM's own, and R4's torn debit steps back for a proven one.

Which PSAM a record is of its record MAC proves, and nothing else: what has none is judged by the
order of its whole terminal, and puts no record of a proven PSAM behind it.
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
    HOTLISTED,
    METRO,
    METRO_COLLECTOR,
    TAC_MISSING,
    Card,
    Terminal,
    Town,
    altered,
    at,
    build_town,
    vouched,
)
from tests.settlement.device_files import ACTION, BUS_TERMINAL, DAY

FARE_FEN, LOAD_FEN, TOP_UP_FEN = 200, 10_000, 100
#: As far as the old PSAM of the bus has counted; a new one begins at 1.
COUNTED = 500
#: When the registry is told of a listed card.
TOLD = datetime.combine(DAY + timedelta(days=1), time(12), UTC)
OLD_PSAM, NEW_PSAM = "1" * 20, "4" * 20


#: How far the PSAM put in later has counted already, and what its tap shows of it.
LATER_PSAM = [
    pytest.param(counted, named, is_vouched, id=f"{how}, {shown}")
    for counted, how in ((COUNTED + 100, "counts on"), (0, "begins anew"))
    for named, is_vouched, shown in (
        (NEW_PSAM, True, "its MAC"),
        (NEW_PSAM, False, "no MAC"),
        (OLD_PSAM, False, "the old number without a MAC"),
    )
    # What counts on is the control: it was never the attack.
    if is_vouched or not counted
]


@pytest.mark.parametrize(("counted", "named", "is_vouched"), LATER_PSAM)
def test_the_new_owner_s_psam_draws_no_late_rides_of_the_old_owner(
    tmp_path: Path,
    counted: int,
    named: str,
    is_vouched: bool,  # noqa: FBT001 - a case
) -> None:
    """One tap of 1 fen, and 2,000 fen of another operator are paid to the one who tapped."""
    old = Dated(TerminalRow(BUS_TERMINAL, BUS, "bus"), valid_to=DAY + timedelta(days=1))
    new = Dated(TerminalRow(BUS_TERMINAL, METRO, "bus"), valid_from=DAY + timedelta(days=2))
    town = build_town(tmp_path / "city", old, new)
    with town.city:
        rider, thief = town.card(1), town.card(2)
        loads = [each.load(town.kiosk, LOAD_FEN, at("07:00")) for each in (rider, thief)]
        town.bus.sequence = COUNTED
        late = [
            vouched(rider.pay(town.bus, FARE_FEN, at(f"08:0{minute}")), OLD_PSAM)
            for minute in range(10)
        ]
        town.settle((AGENT_HOST, loads))
        town.settle((AGENT_HOST, [thief.load(town.kiosk, TOP_UP_FEN, at("07:00", 1))]))
        bus = Terminal(BUS_TERMINAL, METRO, Sector.TRANSIT, named, sequence=counted)
        tap = thief.pay(bus, 1, at("08:00", 2))
        town.settle((METRO_COLLECTOR, [vouched(tap, named) if is_vouched else tap]))
        town.settle((BUS_COLLECTOR, late))
        town.expect(
            paid={BUS: FARE_FEN * len(late), METRO: 1},
            billed={AGENT: 2 * LOAD_FEN + TOP_UP_FEN},
        )


@pytest.mark.parametrize(("counted", "named", "is_vouched"), LATER_PSAM)
def test_a_changed_psam_holds_no_late_rides_from_before_their_card_was_listed(
    town: Town,
    counted: int,
    named: str,
    is_vouched: bool,  # noqa: FBT001 - a case
) -> None:
    rider, other = town.card(1), town.card(2)
    loads = [each.load(town.kiosk, LOAD_FEN, at("07:00")) for each in (rider, other)]
    town.bus.sequence = COUNTED
    late = vouched(rider.pay(town.bus, FARE_FEN, at()), OLD_PSAM)
    town.settle((AGENT_HOST, loads))
    register(town.city.database, since_ever(HotlistRow(rider.number, 1)), replace(ACTION, at=TOLD))
    town.now += timedelta(days=11)
    bus = Terminal(BUS_TERMINAL, BUS, Sector.TRANSIT, named, sequence=counted)
    tap = other.pay(bus, 1, at("08:00", 12))
    town.settle((BUS_COLLECTOR, [vouched(tap, named) if is_vouched else tap]))
    town.settle((BUS_COLLECTOR, [late]))
    assert town.fate(late) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN + 1}, billed={AGENT: 2 * LOAD_FEN})


@pytest.mark.parametrize("is_vouched", [True, False])
def test_a_number_that_no_mac_proves_takes_a_stolen_card_s_ride_out_of_no_order(
    town: Town,
    is_vouched: bool,  # noqa: FBT001 - a case
) -> None:
    """The owner of the bus names another PSAM in the ride that its clock dates back."""
    stolen, other = town.card(1), town.card(2)
    loads = [each.load(town.kiosk, LOAD_FEN, at("07:00")) for each in (stolen, other)]
    register(town.city.database, since_ever(HotlistRow(stolen.number, 1)), replace(ACTION, at=TOLD))
    true = other.pay(town.bus, 1, at("08:00", 12))
    ride = altered(stolen.pay(town.bus, FARE_FEN, at()), "psam", bytes.fromhex(NEW_PSAM))
    town.now += timedelta(days=12)
    town.settle((AGENT_HOST, loads))
    town.settle((BUS_COLLECTOR, [vouched(true, OLD_PSAM) if is_vouched else true]))
    town.settle((BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == HOTLISTED
    town.expect(paid={BUS: 1}, held={BUS: FARE_FEN}, billed={AGENT: 2 * LOAD_FEN})


@pytest.mark.parametrize("hidden_fen", [0, 1])
def test_a_torn_claim_larger_than_the_late_debit_it_stands_for(town: Town, hidden_fen: int) -> None:
    """A fen that is never delivered makes the claim differ from the debit whose TAC comes later."""
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
