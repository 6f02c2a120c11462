"""The proof of the float of a closed day, from the files of its run computed again (I3).

Decides whether the figures are what the purses add up to, and whether they explain the ledger, what
was posted, and what records claim. Leaves the sums to `settlement.reconciliation.recount`, and
whether every purse moved as its records say to `records`.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from cardcore.money import yuan
from cardcore.text import Text
from settlement.city import City
from settlement.clearing.proof import check_proof, read_figures, read_ledger
from settlement.days.run import RunInputs, StoredRun
from settlement.ledger.entries import Entry
from settlement.reconciliation.recount import recount
from settlement.service.computation import bucket_path
from settlement.verification.findings import Findings, Invariant


def verify_float(
    city: City,
    folder: Path,
    inputs: RunInputs,
    run: StoredRun,
    posted: Sequence[Entry],
    findings: Findings,
) -> None:
    """Check the day of a run that stands in `folder`. `posted` are the entries up to and with that
    day, as stored.
    """
    again = recount(
        [bucket_path(folder, bucket) for bucket in range(inputs.bucket_count)],
        inputs.settlement_day,
        city.scheme.cutover_hour,
        folder,
    )
    balances_fen: Counter[str] = Counter()
    for entry in posted:
        for posting in entry.postings:
            balances_fen[posting.account] += posting.amount_fen
    float_fen = run.totals["float_fen"]
    assert isinstance(float_fen, int), run
    for fault in check_proof(
        read_figures(run.totals["float_proof"]),
        again.figures,
        float_fen=float_fen,
        ledger=read_ledger(balances_fen),
        posted_fen=again.posted_fen,
        claimed_worth_fen=again.claimed_worth_fen,
        uneven=again.uneven,
    ):
        day, at = inputs.settlement_day, fault.place
        where = Text(f"{day} 后的备付金，{at.zh}", f"float after {day}, {at.en}")
        amounts = f"{yuan(fault.stated_fen)} / {yuan(fault.found_fen)}"
        text = Text(f"{amounts}：{fault.text.zh}", f"{amounts}: {fault.text.en}")
        findings.add(Invariant.I3, where, text)
