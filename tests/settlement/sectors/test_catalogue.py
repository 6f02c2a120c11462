"""Sectors are files: the catalogue finds them, and every rule shares out what was paid."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.kinds import Sector
from cardcore.text import Text
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.rules import Payment, SectorRule, no_fare
from tests.settlement.sectors.skating import CITY, NUMBER, one_sector_more


def test_every_sector_that_has_a_word_has_a_rule() -> None:
    assert set(Sector) <= read_rules().keys()


def test_every_rule_has_words_in_both_languages() -> None:
    assert all(each.title.zh and each.title.en for each in read_rules().values())


def test_one_new_file_is_a_new_sector(tmp_path: Path) -> None:
    payment = Payment(application=1, operator=501, amount_fen=101)
    with one_sector_more(tmp_path):
        rule = rule_of(read_rules(), NUMBER)
        assert (rule.name, rule.passed_on(payment)) == ("skating", {CITY: 30})
    assert rule_of(read_rules(), NUMBER).passed_on(payment) == {}


@given(st.integers(0, 255), st.integers(1, 999), st.integers(0, 10**12))
def test_shares_sum_to_the_amount(sector: int, operator: int, amount_fen: int) -> None:
    shares_fen = rule_of(read_rules(), sector).share(Payment(0, operator, amount_fen))
    assert sum(shares_fen.values()) == amount_fen
    assert min(shares_fen.values()) >= 0


@pytest.mark.parametrize("shares_fen", [{101: 100}, {101: 161, 7: -1}, {7: 161}])
def test_a_rule_that_makes_or_loses_money_is_a_fault(shares_fen: dict[int, int]) -> None:
    rule = SectorRule(78, "wrong", Text("错", "wrong"), no_fare, lambda _: shares_fen)
    with pytest.raises(AssertionError):
        rule.passed_on(Payment(0, 101, 160))
