"""R13: from whatever went wrong two people come to a city without open items, and it is proven."""

from pathlib import Path

import pytest

from settlement.store.days import load_balances
from tests.settlement.rulings.no_dead_end.troubled_city import clear_up, make_troubled, open_items
from tests.settlement.verification.test_verify import check

SEEDS = 6


@pytest.mark.parametrize("seed", range(SEEDS))
def test_no_dead_end(tmp_path: Path, seed: int) -> None:
    with make_troubled(tmp_path / "city", seed) as city:
        made = clear_up(city)
        assert made > 0
        assert open_items(city) == {}
        held = {name: fen for name, fen in load_balances(city.database).items() if fen}
        assert not [name for name in held if name.startswith(("suspense/", "holder_due"))]
    found = check(tmp_path / "city")
    assert found.is_sound, found.findings
