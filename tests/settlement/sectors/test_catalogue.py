"""Sectors are files: the catalogue finds them, and a new one touches nothing else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.record import Sector
from settlement import sectors
from settlement.sectors.catalogue import read_rules, rule_of

SKATING = """
from cardcore.money import split_fen
from cardcore.text import Text
from settlement.sectors.rules import SectorRule, no_fare


def share(operator: int, amount_fen: int) -> dict[int, int]:
    rink, city = split_fen(amount_fen, (70, 30))
    return {operator: rink, 7: city}


SECTOR_RULES = (SectorRule(77, "skating", Text("滑冰", "skating"), no_fare, share),)
"""


@pytest.fixture
def skating(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A sector more, by one file in another folder."""
    (tmp_path / "skating.py").write_text(SKATING, encoding="utf-8")
    monkeypatch.setattr(sectors, "__path__", [*sectors.__path__, str(tmp_path)])
    yield
    sys.modules.pop("settlement.sectors.skating", None)


def test_every_sector_a_record_can_name_by_a_word_has_a_rule() -> None:
    assert set(Sector) <= read_rules().keys()


def test_every_rule_has_words_in_both_languages() -> None:
    assert all(each.title.zh and each.title.en for each in read_rules().values())


@pytest.mark.usefixtures("skating")
def test_one_new_file_is_a_new_sector() -> None:
    rule = rule_of(read_rules(), 77)
    assert (rule.name, rule.share(501, 101)) == ("skating", {501: 71, 7: 30})


@given(st.integers(0, 255), st.integers(1, 999), st.integers(0, 10**12))
def test_shares_sum_to_the_amount(sector: int, operator: int, amount_fen: int) -> None:
    shares_fen = rule_of(read_rules(), sector).share(operator, amount_fen)
    assert sum(shares_fen.values()) == amount_fen
    assert min(shares_fen.values()) >= 0
