"""R2: who is paid stands in the registry, for the day the card signed; never in the record."""

from dataclasses import dataclass

import pytest

from cardcore.concession import Concession
from settlement.registry.book import Dated
from settlement.registry.rows import TerminalRow
from settlement.service.registering import change_row, register_rows
from settlement.store.days import load_discounts
from tests.settlement.attacks.town import (
    ACCEPTED,
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    METRO,
    METRO_COLLECTOR,
    TERMINAL_UNKNOWN,
    Card,
    Terminal,
    Town,
    altered,
    at,
)
from tests.settlement.device_files import ACTION, BUS_TERMINAL, DAY

FARE_FEN, LOAD_FEN = 160, 100_000
NOBODY = 4_242
#: A terminal that nobody has registered.
STRAY = "0000000000d1"


def loaded(town: Town, number: int = 1) -> tuple[Card, bytes]:
    card = town.card(number)
    return card, card.load(town.kiosk, LOAD_FEN, at("07:00"))


@dataclass(frozen=True)
class Lie:
    """What a record says of the payee."""

    operator: int = BUS
    sector: int = 1


LIES = {
    "merchant": Lie(sector=5),
    "card service": Lie(sector=6),
    "a sector nobody has": Lie(sector=251),
    "the metro": Lie(operator=METRO),
    "the load agent": Lie(operator=AGENT),
    "nobody": Lie(operator=NOBODY),
    "nobody at all": Lie(operator=0),
    "nobody in no sector": Lie(operator=NOBODY, sector=0),
}


@pytest.mark.parametrize("name", LIES)
def test_operator_and_sector_of_a_bus_record_are_claims(town: Town, name: str) -> None:
    lie = LIES[name]
    card, load = loaded(town)
    ride = card.pay(town.bus, FARE_FEN, at(), operator=lie.operator, sector=lie.sector)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    assert "CLAIMS_DIFFER" in town.noted(ride).notes
    assert town.told(ride) == {"card_float": FARE_FEN, f"operator/{BUS}": -FARE_FEN}
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("name", LIES)
def test_the_agent_of_a_load_is_the_owner_of_its_kiosk(town: Town, name: str) -> None:
    lie = LIES[name]
    card = town.card(1)
    load = card.load(town.kiosk, LOAD_FEN, at(), operator=lie.operator, sector=lie.sector)
    town.settle((AGENT_HOST, [load]))
    assert town.fate(load) == ACCEPTED
    town.expect(billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("sector", [1, 5])
def test_charge_500_yuan_on_a_2_yuan_tariff_that_is_only_claimed(town: Town, sector: int) -> None:
    """Shenzhen has no fare table: what the card paid is paid, and noted."""
    card, load = loaded(town)
    ride = card.pay(town.bus, 50_000, at(), tariff_fen=200, sector=sector)
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    assert "OVERCHARGED" in town.noted(ride).notes
    town.expect(paid={BUS: 50_000}, billed={AGENT: LOAD_FEN})


@pytest.mark.parametrize("amount_fen", [0, 1, FARE_FEN])
@pytest.mark.parametrize("concession", [Concession.FREE, Concession.HALF])
def test_concession_free_with_tariff_2_to_the_32_less_1(
    town: Town, concession: Concession, amount_fen: int
) -> None:
    """No claim on a department comes of a tariff that only the record names: what a subsidy may
    start from is the part that rests on known tariffs.
    """
    card, load = loaded(town)
    ride = card.pay(
        town.bus, amount_fen, at(), tariff_fen=2**32 - 1, concession=concession, card_kind=7
    )
    closed = town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == ACCEPTED
    rows = load_discounts(town.city.database, closed.settlement_day)
    assert rows
    assert not any(each.known_discount_fen for each in rows)
    paid = {BUS: amount_fen} if amount_fen else {}
    town.expect(paid=paid, billed={AGENT: LOAD_FEN})


def test_an_operator_code_nobody_registered_has_no_account(town: Town) -> None:
    card, load = loaded(town)
    stray = Terminal(STRAY, NOBODY, 1, "4" * 20)
    ride = card.pay(stray, FARE_FEN, at())
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    assert town.fate(ride) == TERMINAL_UNKNOWN
    # Held under whoever answers for the file.
    town.expect(held={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_held_money_goes_to_whoever_registers_the_terminal_s_day(town: Town) -> None:
    card, load = loaded(town)
    stray = Terminal(STRAY, NOBODY, 1, "4" * 20)
    ride = card.pay(stray, FARE_FEN, at())
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    register_rows(town.city, [Dated(TerminalRow(STRAY, BUS, "bus"))], ACTION)
    town.close()
    assert town.fate(ride) == ACCEPTED
    town.expect(paid={BUS: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_held_money_of_a_terminal_that_turns_out_to_be_another_s_is_let_go_and_sent_again(
    town: Town,
) -> None:
    card, load = loaded(town)
    stray = Terminal(STRAY, METRO, 1, "4" * 20)
    ride = card.pay(stray, FARE_FEN, at())
    # The bus's collector came by it somehow, and hoped.
    town.settle((AGENT_HOST, [load]), (BUS_COLLECTOR, [ride]))
    register_rows(town.city, [Dated(TerminalRow(STRAY, METRO, "gate"))], ACTION)
    town.settle((METRO_COLLECTOR, [ride]))
    town.expect(paid={METRO: FARE_FEN}, billed={AGENT: LOAD_FEN})


def test_a_bus_moves_to_another_operator_and_its_old_collector_sends_last_week_s_records_late(
    town: Town,
) -> None:
    card, load = loaded(town)
    last_week = [card.pay(town.bus, FARE_FEN, at("08:00", n)) for n in range(3)]
    change_row(
        town.city, ("terminal", BUS_TERMINAL), {"participant": METRO}, DAY.replace(day=4), None,
        ACTION,
    )  # fmt: skip
    after = card.pay(town.bus, FARE_FEN, at("08:00", 3), operator=METRO)
    town.now = town.now.replace(day=4)
    town.settle((AGENT_HOST, [load]), (METRO_COLLECTOR, [after]))
    town.settle((BUS_COLLECTOR, [altered(each, "operator", METRO) for each in last_week]))
    assert town.fate(after) == ACCEPTED
    town.expect(paid={BUS: 3 * FARE_FEN, METRO: FARE_FEN}, billed={AGENT: LOAD_FEN})
