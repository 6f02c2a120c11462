"""A statement breaks the same movements down by application and by sector."""

from pathlib import Path

from settlement.clearing.totals import AcceptedTotals
from settlement.registry.book import since_ever
from settlement.registry.rows import TerminalRow
from settlement.reports.statement import read_statement
from settlement.store.registry import register
from tests.settlement.device_files import ACTION, BUS, DAY, Street, make_office
from tests.settlement.service.test_service import close, receive

SHOP, RINK = "0000000000d1", "0000000000d2"


def test_days_add_up_by_application_and_by_sector(tmp_path: Path) -> None:
    street = Street()
    card = street.card(1)
    with make_office(tmp_path / "city") as city:
        tills = since_ever(
            TerminalRow(SHOP, BUS, "shop", None, 5), TerminalRow(RINK, BUS, "x", None, 99)
        )
        register(city.database, tills, ACTION)
        receive(city, street.file([card.load(5000), card.bus(), card.bus(terminal=SHOP, sector=5)]))
        first = close(city)
        # The registered sector is the one that counts.
        receive(city, street.file([card.bus(), card.bus(terminal=RINK, sector=5)]))
        second = close(city)
        told = read_statement(city, [first.settlement_day, second.settlement_day])
        assert first.settlement_day == DAY
    assert told.applications == {"transit": AcceptedTotals(4, 800, 640, 1, 5000)}
    assert told.sectors == {
        "transit": AcceptedTotals(2, 400, 320, 0, 0),
        "merchant": AcceptedTotals(1, 200, 160, 0, 0),
        "card_service": AcceptedTotals(0, 0, 0, 1, 5000),
        "sector_99": AcceptedTotals(1, 200, 160, 0, 0),
    }
