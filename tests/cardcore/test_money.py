import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.money import percent_floor, split_fen, yuan

WEIGHTS = st.lists(st.integers(0, 1_000), min_size=1, max_size=8).filter(any)


@given(st.integers(0, 10**12), WEIGHTS)
def test_shares_sum_to_the_amount(amount: int, weights: list[int]) -> None:
    assert sum(split_fen(amount, weights)) == amount


@given(st.integers(0, 10**9), WEIGHTS)
def test_a_share_is_its_part_rounded_down_or_one_fen_more(amount: int, weights: list[int]) -> None:
    for share, weight in zip(split_fen(amount, weights), weights, strict=True):
        exact = amount * weight // sum(weights)
        assert share in (exact, exact + 1)
        assert share == 0 or weight > 0


@given(st.integers(0, 10**9), WEIGHTS)
def test_the_remainder_goes_to_the_first(amount: int, weights: list[int]) -> None:
    extra = [
        share - amount * weight // sum(weights)
        for share, weight in zip(split_fen(amount, weights), weights, strict=True)
        if weight
    ]
    assert extra == sorted(extra, reverse=True)


@pytest.mark.parametrize(("amount", "weights"), [(-1, [1]), (1, [0]), (1, [2, -1]), (1, [0, 0])])
def test_a_split_among_nobody_is_refused(amount: int, weights: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot split"):
        split_fen(amount, weights)


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_a_percentage_rounds_down(amount: int, percent: int) -> None:
    part = percent_floor(amount, percent)
    assert part * 100 <= amount * percent < (part + 1) * 100


@pytest.mark.parametrize(
    ("amount", "text"), [(0, "¥0.00"), (5, "¥0.05"), (123456789, "¥1,234,567.89"), (-150, "-¥1.50")]
)
def test_amounts_read_as_people_write_them(amount: int, text: str) -> None:
    assert yuan(amount) == text
