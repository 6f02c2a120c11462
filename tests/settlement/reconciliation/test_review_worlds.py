"""Random worlds in which keys and registrations come late, settled by the product and the auditor.

Records that could not be judged are taken up again on a later day, or still on their own; whatever
order that happens in, both must end with the same verdicts, and the same fen.
"""

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.keys import ProofReason
from cardcore.schemes.catalogue import SCHEMES
from settlement.dispositions import Disposition, Reason
from settlement.facts.columns import UNJUDGED
from settlement.registry.rows import TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS_OPERATOR,
    DAY,
    STRANGER,
    TERMINALS,
    Desk,
    Proven,
)
from tests.settlement.reconciliation.test_reconcile_worlds import worlds
from tests.support.auditor import Auditor

LATE_FAULTS = (
    "key lost and serial reused", "key lost and cloned", "badly copied", "unknown algorithm",
    "stranger", "cloned by a stranger", "serial reused", "cloned", "lost", "none",
    "clock two days ahead", "clock ahead",
)  # fmt: skip
verdicts_of_a_key = st.sampled_from(
    [ProofReason.PROVEN] * 4 + [ProofReason.WRONG, ProofReason.WRONG_VERSION]
)


@st.composite
def late_worlds(draw: st.DrawFn) -> list[list[list[Proven]]]:
    faults = st.one_of(st.just("key lost"), st.sampled_from(LATE_FAULTS))
    return draw(worlds(faults))


def may_be_taken_up(auditor: Auditor, reason: Reason, terminal: str, operator: int) -> bool:
    return reason is not Reason.TERMINAL_UNKNOWN or auditor.terminals.get(terminal) == operator


@settings(max_examples=15)
@given(late_worlds(), st.sampled_from([1, 2]), st.data())
def test_records_judged_later_end_as_the_auditor_says_and_the_float_is_exact(
    days: list[list[list[Proven]]], buckets: int, data: st.DataObject
) -> None:
    auditor = Auditor(
        SCHEMES["shenzhen"], {each.terminal: each.participant for each in TERMINALS}, {}
    )
    counts = dict.fromkeys(Disposition, 0)
    received: dict[int, list[Proven]] = {}
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), buckets=buckets)
        for number, files in enumerate([*days, []]):
            if number == 1:
                desk.terminals += (TerminalRow(STRANGER, BUS_OPERATOR, "bus"),)
                auditor.terminals[STRANGER] = BUS_OPERATOR
            named = {int(desk.hash_of(rows)[:16], 16): rows for rows in files}
            # One content comes once: intake answers the second with the first's answer.
            named = {file: rows for file, rows in named.items() if file not in received}
            received |= named
            taken_up = {
                key: data.draw(verdicts_of_a_key)
                if entry.reason not in {Reason.TERMINAL_UNKNOWN, Reason.CLOCK_AHEAD}
                else ProofReason.PROVEN
                for key, entry in sorted(auditor.waiting().items())
                if may_be_taken_up(
                    auditor, entry.reason, entry.sound.terminal, entry.sound.operator
                )
                and data.draw(st.booleans() if number < len(days) else st.just(value=True))
            }
            at_once = {
                (file, row): data.draw(verdicts_of_a_key)
                for file, rows in named.items()
                for row, (_, proof) in enumerate(rows)
                if proof in UNJUDGED and data.draw(st.booleans())
            }
            outcome = desk.run(
                *named.values(), day=DAY + timedelta(days=number), review=taken_up | at_once
            )
            judged = {
                file: [(row, at_once.get((file, n), proof)) for n, (row, proof) in enumerate(rows)]
                for file, rows in named.items()
            }
            entries = auditor.settle(DAY + timedelta(days=number), judged, taken_up)
            assert {key: (v.reason, v.chained) for key, v in desk.verdicts().items()} == {
                key: (e.reason, e.chained) for key, e in entries.items()
            }
            totals = outcome.clearing.totals
            assert desk.missing() == auditor.missing()
            assert totals.float_fen == auditor.float_fen
            assert totals.card_balance_fen + totals.open_gap_fen == auditor.float_fen
            assert totals.net_sum_fen == 0
            # Days add up: what was taken back is subtracted where it stood.
            assert totals.records == sum(len(rows) for rows in named.values())
            for disposition, name in (
                (Disposition.ACCEPTED, "accepted"), (Disposition.DUPLICATE, "duplicates"),
                (Disposition.SUSPENDED, "suspended"), (Disposition.REJECTED, "rejected"),
            ):  # fmt: skip
                counts[disposition] += getattr(totals, name)
        assert sum(counts.values()) == sum(len(rows) for rows in received.values())
        held = [e for e in auditor.past if e.reason.disposition is Disposition.SUSPENDED]
        assert counts[Disposition.SUSPENDED] == len(held)
        accepted = [e for e in auditor.past if e.reason is Reason.NONE]
        assert counts[Disposition.ACCEPTED] == len(accepted)
