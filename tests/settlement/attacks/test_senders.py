"""R7: who may deliver. What others send has no effect on chain, serial, register or account."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from cardcore.records.batch import DeviceRegister
from settlement.days.closing import ClosedDay
from settlement.intake.answers import FileAnswer
from settlement.registry.book import Dated
from settlement.registry.rows import TerminalRow
from settlement.service.registering import change_row, end_row
from settlement.store.days import load_gaps
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    METRO,
    METRO_COLLECTOR,
    NOT_YOUR_TERMINAL,
    TAC_WRONG,
    Card,
    Town,
    altered,
    at,
    build_town,
)
from tests.settlement.device_files import ACTION, BUS_TERMINAL, DAY

FARE_FEN, LOAD_FEN = 160, 10_000


def loaded(town: Town, number: int = 1) -> tuple[Card, bytes]:
    card = town.card(number)
    return card, card.load(town.kiosk, LOAD_FEN, at("07:00"))


def register_of(town: Town, records: int, **changes: int) -> DeviceRegister:
    values = {
        "first_serial": 1,
        "last_serial": town.bus.serial,
        "lifetime_records": records,
        "lifetime_debit_fen": records * FARE_FEN,
        "lifetime_load_fen": 0,
        "unresolved_records": 0,
        "unresolved_fen": 0,
    }
    return DeviceRegister(town.bus.number, **(values | changes))


def terminals_of(town: Town, day: ClosedDay) -> dict[str, object]:
    """What a closed day knows of all terminals: serials, gaps, registers, differences."""
    folder = town.city.run_folder(day.settlement_day, day.run_id) / "terminals"
    return {
        path.name: duckdb.read_parquet(str(path)).fetchall() for path in folder.glob("*.parquet")
    }


@pytest.mark.parametrize("is_first", [True, False])
def test_metro_s_collector_sends_bus_records(town: Town, is_first: bool) -> None:  # noqa: FBT001 - a case
    card, load = loaded(town)
    rides = [card.pay(town.bus, FARE_FEN, at(f"08:0{n}")) for n in range(4)]
    others = [altered(each, "operator", METRO) for each in rides]
    if is_first:
        town.settle((AGENT_HOST, [load]), (METRO_COLLECTOR, [*rides, *others]))
        assert {town.fate(each) for each in (*rides, *others)} == {NOT_YOUR_TERMINAL}
        assert town.told(rides[0]) == {}
        town.expect(billed={AGENT: LOAD_FEN})
        town.settle((BUS_COLLECTOR, rides))
        assert {town.fate(each) for each in rides} == {ACCEPTED}
    else:
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, rides))
        day = town.settle((METRO_COLLECTOR, others))
        assert {town.fate(each) for each in others} == {NOT_YOUR_TERMINAL}
        assert town.totals(day)["rejected"] == 4
    town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: LOAD_FEN})


def fuller_register(town: Town, _rides: list[bytes]) -> tuple[list[bytes], list[DeviceRegister]]:
    most = register_of(town, 90, last_serial=90, lifetime_debit_fen=90 * FARE_FEN)
    return [], [most]


def wrong_tacs(_town: Town, rides: list[bytes]) -> tuple[list[bytes], list[DeviceRegister]]:
    forged = [altered(rides[0], "terminal_serial", serial) for serial in range(1, 12)]
    return [altered(each, "tac", b"\x01\x02\x03\x04" + bytes(4)) for each in forged], []


def true_copies(_town: Town, rides: list[bytes]) -> tuple[list[bytes], list[DeviceRegister]]:
    return rides, []


def high_serials(_town: Town, rides: list[bytes]) -> tuple[list[bytes], list[DeviceRegister]]:
    return [altered(each, "terminal_serial", 2**31 + n) for n, each in enumerate(rides)], []


#: What the metro's collector says of a bus.
MEDDLING: list[Callable[[Town, list[bytes]], tuple[list[bytes], list[DeviceRegister]]]] = [
    fuller_register, wrong_tacs, true_copies, high_serials,
]  # fmt: skip


@pytest.mark.parametrize("meddle", MEDDLING)
def test_what_another_s_collector_says_of_a_bus_has_no_effect_on_its_books(
    tmp_path: Path,
    meddle: Callable[[Town, list[bytes]], tuple[list[bytes], list[DeviceRegister]]],
) -> None:
    """Serial 3 is missing and the register differs: both must show, meddled with or not."""
    found = []
    for is_meddled in (False, True):
        with (town := build_town(tmp_path / f"{is_meddled}")).city:
            card, load = loaded(town)
            rides = [card.pay(town.bus, FARE_FEN, at(f"08:0{n}")) for n in range(5)]
            sent, registers = meddle(town, rides) if is_meddled else ([], [])
            own = [each for n, each in enumerate(rides) if n != 2]
            register = register_of(town, 5)
            town.send(METRO_COLLECTOR, sent, registers=registers)
            town.send(BUS_COLLECTOR, own, registers=[register])
            first = town.settle((AGENT_HOST, [load]))
            town.send(METRO_COLLECTOR, sent[::-1])
            second = town.settle((BUS_COLLECTOR, []))
            found.append(
                [
                    (terminals_of(town, day), load_gaps(town.city.database, day.settlement_day))
                    for day in (first, second)
                ]
            )
            town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: LOAD_FEN})
    assert found[0] == found[1]
    assert found[0][0][0]["register_differences.parquet"]
    assert found[0][0][0]["terminal_gaps.parquet"]


def test_serials_filled_with_wrong_tacs_by_the_bus_s_own_collector_prove_nothing(
    town: Town,
) -> None:
    card, load = loaded(town)
    rides = [card.pay(town.bus, FARE_FEN, at(f"08:0{n}")) for n in range(5)]
    filler = altered(altered(rides[0], "terminal_serial", 3), "tac", b"\x01\x02\x03\x04" + bytes(4))
    own = [each for n, each in enumerate(rides) if n != 2]
    day = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [*own, filler]))
    assert town.fate(filler) == TAC_WRONG
    ((_, first, last, *_),) = duckdb.read_parquet(
        str(
            town.city.run_folder(day.settlement_day, day.run_id)
            / "terminals"
            / "terminal_gaps.parquet"
        )
    ).fetchall()
    assert (first, last) == (3, 3)
    town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_the_old_collector_delivers_its_own_days_only_and_the_new_one_those_before_too(
    town: Town,
) -> None:
    card, load = loaded(town)
    rides = [card.pay(town.bus, FARE_FEN, at("08:00", day)) for day in range(4)]
    change_row(
        town.city, ("terminal", BUS_TERMINAL), {"collector": METRO}, DAY + timedelta(days=2), None,
        ACTION,
    )  # fmt: skip
    town.now += timedelta(days=3)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [rides[0], rides[2], rides[3]]))
    assert town.fate(rides[0]) == ACCEPTED
    assert {town.fate(each) for each in rides[2:]} == {NOT_YOUR_TERMINAL}
    town.settle((METRO_COLLECTOR, rides[1:]))
    assert {town.fate(each) for each in rides[1:]} == {ACCEPTED}
    # Whoever delivers, the owner is paid.
    town.expect(paid={BUS: 4 * FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_what_was_not_the_sender_s_is_judged_again_when_the_registry_changes(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    town.settle((AGENT_HOST, [load]), (METRO_COLLECTOR, [ride]))
    assert town.fate(ride) == NOT_YOUR_TERMINAL
    change_row(
        town.city, ("terminal", BUS_TERMINAL), {"collector": METRO}, DAY, None, ACTION
    )  # fmt: skip
    town.close()
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_load_sent_by_a_stranger_leaves_the_agent_s_own_to_be_billed(town: Town) -> None:
    _, load = loaded(town)
    town.settle((BUS_COLLECTOR, [load, altered(load, "terminal_serial", 9)]))
    assert town.fate(load) == NOT_YOUR_TERMINAL
    town.settle((AGENT_HOST, [load]))
    assert town.fate(load) == ACCEPTED
    town.expect(billed={AGENT: LOAD_FEN})


def test_a_terminal_registered_only_later_does_not_open_the_days_before(tmp_path: Path) -> None:
    """Registered from the third day on: what it did before is of a terminal nobody knew."""
    row = Dated(TerminalRow(BUS_TERMINAL, BUS, "bus"), DAY + timedelta(days=2))
    with (town := build_town(tmp_path / "city", row)).city:
        card, load = loaded(town)
        early, late = (card.pay(town.bus, FARE_FEN, at("08:00", day)) for day in (0, 2))
        town.now += timedelta(days=2)
        town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [early, late]))
        town.expect(paid={BUS: FARE_FEN}, held={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_sender_key_is_revoked_and_signs_no_more(town: Town) -> None:
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at())
    town.settle((AGENT_HOST, [load]))
    end_row(town.city, ("sender", f"{BUS_COLLECTOR}/1"), DAY, ACTION)
    assert town.send(BUS_COLLECTOR, [ride]).answer is FileAnswer.SENDER_UNKNOWN
    town.expect(billed={AGENT: LOAD_FEN})
