"""The counters of a purse: 16 bits on the card, a position in its life here.

Decides where a counter stands that a card may have gone past more than once. Leaves what lies
between two positions to `settlement.reconciliation.chain`.
"""

#: Counters have 16 bits and are 1 again after 65535; a fresh card starts at 0.
COUNTER_CYCLE = 65_535


def unwrap(counter: int, near: int) -> int:
    """The position in a card's life of a 16-bit counter: the one nearest to `near`.

    >>> unwrap(7, 5), unwrap(1, 65_535), unwrap(65_535, 65_540), unwrap(65_000, 0)
    (7, 65536, 65535, 65000)
    """
    if counter == 0:  # only a fresh card has it; after 65535 comes 1
        return 0
    half = COUNTER_CYCLE // 2
    position = near + (counter - near + half) % COUNTER_CYCLE - half
    return position if position > 0 else position + COUNTER_CYCLE
