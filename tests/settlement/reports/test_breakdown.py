"""A statement breaks the same movements down by application and by sector."""

from pathlib import Path

from settlement.clearing.totals import AcceptedTotals
from settlement.reports.statement import read_statement
from tests.settlement.device_files import DAY, Street, make_office
from tests.settlement.service.test_service import close, receive


def test_days_add_up_by_application_and_by_sector(tmp_path: Path) -> None:
    street = Street()
    card = street.card(1)
    with make_office(tmp_path / "city") as city:
        receive(city, street.file([card.load(5000), card.bus(), card.bus(sector=5)]))
        first = close(city)
        receive(city, street.file([card.bus(), card.bus(sector=99)]))
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
