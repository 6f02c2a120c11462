"""What a sector shares out is checked record by record, and told of each record as it is posted."""

from pathlib import Path

import pytest

from settlement.city import City
from settlement.engine.local import LocalEngine
from settlement.reconciliation import bucket
from settlement.registry.book import since_ever
from settlement.registry.rows import TerminalRow
from settlement.reports.history import explain
from settlement.store.days import load_balances
from settlement.store.registry import register
from settlement.verification.verify import verify
from tests.settlement.device_files import ACTION, BUS, Street, key_service, make_office
from tests.settlement.sectors.skating import CITY, NUMBER, one_sector_more
from tests.settlement.service.test_service import close, receive

KEYS = key_service()
ENGINE = LocalEngine(1)
RINK = "0000000000d1"


def make_rink(folder: Path) -> City:
    """An office in whose city one terminal works for a rink, which the buses own."""
    city = make_office(folder)
    register(city.database, since_ever(TerminalRow(RINK, BUS, "rink", None, NUMBER)), ACTION)
    return city


def test_a_city_that_shares_out_is_sound_and_tells_each_share(tmp_path: Path) -> None:
    street = Street()
    card = street.card(1)
    # 160 fen each: 112 stay with the rink, 48 are the city's.
    records = [card.load(5000), *(card.bus(terminal=RINK) for _ in range(2)), card.bus()]
    with one_sector_more(tmp_path / "sectors"), make_rink(tmp_path / "city") as city:
        receive(city, street.file(records))
        close(city)
        balances = load_balances(city.database)
        assert (balances["operator/101"], balances[f"operator/{CITY}"]) == (-2 * 112 - 160, -2 * 48)
        assert verify(city, KEYS, ENGINE).findings == ()
        (told,) = explain(city, f"{RINK}-00000001").copies
        (ledger,) = [each for each in told.steps if each.name == "ledger"]
        assert ledger.data["postings"] == {
            "card_float": 160,
            f"operator/{CITY}": -48,
            "operator/101": -112,
        }
        positions = [each.data["account"] for each in told.steps if each.name == "position"]
        assert positions == ["operator/101", f"operator/{CITY}"]


def test_a_share_that_was_not_posted_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    street = Street()
    card = street.card(1)
    records = [card.load(5000), card.bus(terminal=RINK)]
    with one_sector_more(tmp_path / "sectors"), make_rink(tmp_path / "city") as city:
        receive(city, street.file(records))
        # A clearing that forgets to share out, when the day is closed and when it is checked.
        monkeypatch.setattr(bucket, "_share_out", lambda _connection, _rules: None)
        close(city)
        found = verify(city, KEYS, ENGINE)
    assert not found.invariants["I4"]
    named = [each.where.en for each in found.findings if each.invariant.name == "I4"]
    assert any("operator 101" in where for where in named)
    assert any(f"operator {CITY}" in where for where in named)
