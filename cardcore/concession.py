"""The fare class (优惠类别) of a passenger: one word on cards, in records and in tariffs."""

from enum import IntEnum


class Concession(IntEnum):
    """The fare class the terminal applied (优惠类别)."""

    ADULT = 0  # 普通
    HALF = 1  # 半价
    FREE = 2  # 免费
    FULL = 3  # 不打折
