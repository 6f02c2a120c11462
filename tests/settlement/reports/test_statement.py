"""The statement adds closed days up, and calls every participant by the registry's name."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from cardcore.records.kinds import Sector
from cardcore.schemes import ParticipantKind
from settlement.city import City
from settlement.registry.book import since_ever
from settlement.registry.rows import ParticipantRow, TerminalRow
from settlement.reports.statement import OperatorLine, read_statement
from settlement.store.registry import register
from tests.settlement.device_files import ACTION, BUS, DAY, Street, make_office
from tests.settlement.service.test_service import close, receive

LATECOMER, NAMESAKE = 155, 156
TERMINALS = {LATECOMER: "0000000000d1", NAMESAKE: "0000000000d2"}


@pytest.fixture
def office(tmp_path: Path) -> Iterator[City]:
    with make_office(tmp_path / "city") as city:
        yield city


def admit(city: City, code: int, name: str) -> None:
    register(
        city.database,
        since_ever(
            ParticipantRow(code, name, ParticipantKind.OPERATOR, Sector.TRANSIT),
            TerminalRow(TERMINALS[code], code, "bus", BUS),
        ),
        ACTION,
    )


def test_who_was_registered_later_than_the_scheme_stands_under_the_registered_name(
    office: City,
) -> None:
    admit(office, LATECOMER, "新线路公司")
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    ride = card.bus(operator=LATECOMER, terminal=TERMINALS[LATECOMER])
    receive(office, street.file([load, ride]))
    close(office)
    statement = read_statement(office, (DAY,))
    assert statement.operators["新线路公司"] == OperatorLine(1, 200, 160)


def test_two_participants_of_one_name_are_told_apart(office: City) -> None:
    for code in (LATECOMER, NAMESAKE):
        admit(office, code, "便民店")
    street = Street()
    card = street.card(1)
    load = card.load(5000)
    rides = [card.bus(operator=code, terminal=TERMINALS[code]) for code in (LATECOMER, NAMESAKE)]
    receive(office, street.file([load, *rides]))
    close(office)
    operators = read_statement(office, (DAY,)).operators
    assert set(operators) == {f"便民店 {LATECOMER}", f"便民店 {NAMESAKE}"}


def test_days_add_up_and_one_that_is_not_closed_is_left_out(office: City) -> None:
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5000), card.bus()]))
    first = close(office)
    street.now += timedelta(days=1)
    receive(office, street.file([card.bus(), card.bus()]))
    second = close(office)
    statement = read_statement(office, [DAY + timedelta(days=day) for day in range(3)])
    assert (statement.totals["accepted"], statement.totals["charged_fen"]) == (4, 480)
    assert statement.totals["float_fen"] == 5000 - 480
    assert statement.days == {
        first.settlement_day: first.output_hash,
        second.settlement_day: second.output_hash,
    }
    assert list(statement.operators.values()) == [OperatorLine(3, 600, 480)]


def test_what_is_held_stands_under_whoever_sent_it_and_all_of_it_sums_to_zero(
    office: City,
) -> None:
    street = Street()
    card = street.card(1)
    receive(office, street.file([card.load(5000), card.bus(), card.bus(terminal="0000000000ff")]))
    close(office)
    statement = read_statement(office, (DAY,))
    (held,) = statement.suspense.values()
    assert (held, statement.totals["suspended"], statement.holder_due_fen) == (160, 1, 0)
    paid = sum(line.charged_fen for line in statement.operators.values())
    assert statement.totals["float_fen"] + paid + held == sum(statement.loads.values()) == 5000
