"""Random worlds of faults: order and buckets change nothing, and what days report adds up."""

import tempfile
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag
from cardcore.records.record import encode_record
from settlement.dispositions import Disposition, Reason
from settlement.registry.rows import HotlistRow
from tests.settlement.reconciliation.random_worlds import HOTLIST, worlds
from tests.settlement.reconciliation.run_inputs import (
    DAY,
    Desk,
    Proven,
    Verdict,
    chain,
    proven,
)

COUNTED = {
    Disposition.ACCEPTED: "accepted",
    Disposition.DUPLICATE: "duplicates",
    Disposition.SUSPENDED: "suspended",
    Disposition.CLAIM: "claims",
    Disposition.REJECTED: "rejected",
}


@settings(max_examples=8)
@given(worlds(), st.sampled_from([ProofReason.PROVEN, ProofReason.WRONG]))
def test_order_and_buckets_change_nothing_and_days_add_up(
    days: list[list[list[Proven]]], judged_later: ProofReason
) -> None:
    hotlist = [HotlistRow(card, version) for card, version in HOTLIST.items()]
    received: set[str] = set()
    latest: dict[tuple[int, int], Verdict] = {}
    counts: Counter[Disposition] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        desks = []
        for buckets in (1, 2):
            (Path(folder) / f"{buckets}").mkdir()
            desks.append(Desk(Path(folder) / f"{buckets}", buckets=buckets, hotlist=hotlist))
        for number, files in enumerate([*days, []]):
            # One content comes once: intake answers the second with the first's answer.
            named = {Desk.hash_of(rows): rows for rows in files}
            new = [rows for name, rows in named.items() if name not in received]
            received |= named.keys()
            waiting = [key for key, each in latest.items() if Reason(each.reason).waits]
            review = dict.fromkeys(waiting, judged_later) if not files else {}
            day = DAY + timedelta(days=number)
            one = desks[0].run(*new, day=day, review=review).clearing.totals
            other = desks[1].run(*reversed(new), day=day, review=review).clearing.totals
            assert one.document() == other.document()
            assert desks[0].verdicts() == desks[1].verdicts()
            assert desks[0].gaps() == desks[1].gaps()
            assert one.records == sum(map(len, new))
            assert one.float_fen == one.card_balance_fen + one.open_gap_fen
            assert one.net_sum_fen == 0
            latest |= desks[0].verdicts()
            for disposition, name in COUNTED.items():
                counts[disposition] += getattr(one, name)
    # What was decided again was subtracted where it had stood.
    standing = Counter(Disposition(each.disposition) for each in latest.values())
    assert {each: counts[each] for each in COUNTED} == {each: standing[each] for each in COUNTED}


@pytest.mark.parametrize("buckets", [1, 2])
@pytest.mark.parametrize(("late_card", "reason"), [(2, Reason.TAC_MISSING), (1, Reason.VARIANT)])
def test_what_other_cards_signed_says_nothing_of_a_torn_record(
    tmp_path: Path, buckets: int, late_card: int, reason: Reason
) -> None:
    """A torn copy that comes after its proof is known beside what its own card proved of that day,
    and beside nothing that shares the bucket with it.
    """
    lives = {card: chain(card, 1000, -160, -170) for card in (1, 2)}
    desk = Desk(tmp_path, buckets=buckets)
    desk.run(proven(*lives[1][:2], *lives[2][:2]))
    torn = encode_record(replace(lives[1][1], flags=RecordFlag.TAC_MISSING)), ProofReason.WRONG
    rows = [torn, *proven(lives[late_card][2])]
    desk.run(rows, day=DAY + timedelta(days=1))
    assert desk.reasons(rows) == [reason, Reason.NONE]
