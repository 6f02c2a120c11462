"""The proof of the float as it stands (I3, R5): what the last closed day says, and what is wrong.

Decides nothing about money: figures are the run's, `recount` adds them up anew from the purses, the
ledger says what is owed to cards. What does not agree is named.
"""

from dataclasses import dataclass
from datetime import date

from settlement.city import City
from settlement.clearing.proof import (
    Contradiction,
    FloatFigures,
    ProofFault,
    check_proof,
    read_figures,
    read_ledger,
)
from settlement.reconciliation.recount import recount
from settlement.service.computation import bucket_path
from settlement.store.days import load_balances, load_closed_days, load_run


@dataclass(frozen=True, slots=True)
class FloatReport:
    """How strong the float is. It holds when nothing was found wrong."""

    day: date
    float_fen: int
    figures: FloatFigures
    oldest_statement: date | None
    oldest_claim: date | None
    contradictions: tuple[Contradiction, ...]
    faults: tuple[ProofFault, ...]

    @property
    def holds(self) -> bool:
        """Whether every sum is what it has to be. Contradictions are named, and do not break it."""
        return not self.faults


def read_float_proof(city: City) -> FloatReport | None:
    """The proof after the last closed day; None when no day is closed."""
    closed = load_closed_days(city.database)
    if not closed:
        return None
    day = closed[-1]
    run = load_run(city.database, day.run_id)
    assert run is not None, day  # the database refers to it
    folder = city.run_folder(day.settlement_day, day.run_id)
    again = recount(
        [bucket_path(folder, bucket) for bucket in range(city.bucket_count)],
        day.settlement_day,
        city.scheme.cutover_hour,
        city.folder,
    )
    figures, float_fen = read_figures(run.totals["float_proof"]), run.totals["float_fen"]
    assert isinstance(float_fen, int), run
    faults = check_proof(
        figures,
        again.figures,
        float_fen=float_fen,
        ledger=read_ledger(load_balances(city.database)),
        posted_fen=again.posted_fen,
        claimed_worth_fen=again.claimed_worth_fen,
        uneven=again.uneven,
    )
    return FloatReport(
        day.settlement_day,
        float_fen,
        figures,
        again.oldest_statement,
        again.oldest_claim,
        again.contradictions,
        faults,
    )
