"""Money is integer fen. Decides how an amount is split and rounded; leaves who gets a share out.

There is no class around the integer: names end in `_fen`, and every division says its rounding.
"""

from collections.abc import Sequence


def percent_floor(amount_fen: int, percent: int) -> int:
    """`percent` per cent of an amount, rounded down (toward zero; amounts are never negative).

    >>> percent_floor(250, 95)
    237
    """
    assert amount_fen >= 0, amount_fen
    assert percent >= 0, percent
    return amount_fen * percent // 100


def split_fen(amount_fen: int, weights: Sequence[int]) -> tuple[int, ...]:
    """Split an amount by weights: floor every share, then hand the remainder out in order.

    The shares always sum to the amount, and the order of `weights` is the stated order in which
    the left-over fen are given, one each.

    >>> split_fen(100, (1, 1, 1))
    (34, 33, 33)
    >>> split_fen(7, (0, 50, 50))
    (0, 4, 3)

    Raises `ValueError` when there is nobody to give it to.
    """
    total = sum(weights)
    if amount_fen < 0 or total <= 0 or min(weights) < 0:
        raise ValueError(f"cannot split {amount_fen} fen by weights {tuple(weights)}")
    shares = [amount_fen * weight // total for weight in weights]
    remainder = amount_fen - sum(shares)
    for index, weight in enumerate(weights):
        if remainder == 0:
            break
        if weight > 0:
            shares[index] += 1
            remainder -= 1
    assert sum(shares) == amount_fen
    return tuple(shares)


def yuan(amount_fen: int) -> str:
    """An amount as people read it.

    >>> yuan(6355425), yuan(-5)
    ('¥63,554.25', '-¥0.05')
    """
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}¥{abs(amount_fen) // 100:,}.{abs(amount_fen) % 100:02}"
