"""Swimming (游泳), as a file of `settlement.sectors`: a fifth goes to the bus to the pool."""

from cardcore.money import split_fen
from cardcore.text import Text
from settlement.sectors.rules import Payment, SectorRule, no_fare

BUS = 101


def share(payment: Payment) -> dict[int, int]:
    """Four fifths are the pool's, who keeps the odd fen."""
    pool_fen, bus_fen = split_fen(payment.amount_fen, (80, 20))
    return {payment.operator: pool_fen, BUS: bus_fen}


SECTOR_RULES = (SectorRule(88, "swimming", Text("游泳", "swimming"), no_fare, share),)
