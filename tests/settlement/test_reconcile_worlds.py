"""Small random worlds with faults, settled twice: by the product and by a plain auditor."""

import tempfile
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given, settings, strategies as st

from cardcore.keys import ProofReason
from cardcore.records import RecordFlag, TransactionRecord, encode_record
from cardcore.schemes import shenzhen
from settlement.dispositions import Disposition, Note
from settlement.engine.local import LocalEngine
from settlement.registry import HotlistRow
from tests.settlement.taps import DAY, STRANGER, TERMINALS, Desk, Proven, card_text, chain
from tests.support.auditor import Auditor

DAYS = 3
HOTLIST = {card_text(2): 4, card_text(3): 9}

amounts = st.lists(
    st.sampled_from([500, 1000, -160, -160, -80, -400, 0, 0]), min_size=1, max_size=7
)


def _forge(record: TransactionRecord, fault: str) -> list[Proven]:
    """What a fault makes of a true record; most leave the record itself where it was."""
    true = (encode_record(record), ProofReason.PROVEN)
    half = record.amount_fen // 2
    match fault:
        case "lost":
            return []
        case "copied":
            return [true, true]
        case "badly copied":
            return [(true[0], ProofReason.UNKNOWN_VERSION), true]
        case "tac missing":
            torn = replace(record, flags=RecordFlag.TAC_MISSING)
            return [(encode_record(torn), ProofReason.WRONG)]
        case "damaged":
            return [(true[0][:40] + b"\xff" + true[0][41:], ProofReason.PROVEN), true]
        case "proof":
            return [(true[0], ProofReason.WRONG_VERSION)]
        case "algorithm":
            return [(true[0], ProofReason.UNKNOWN_ALGORITHM)]
        case "forged beside":
            forged = replace(record, amount_fen=half, tac=b"\x09\x09\x09\x09")
            return [true, (encode_record(forged), ProofReason.WRONG)]
        case "cloned":
            clone = replace(record, terminal_serial=record.terminal_serial + 500, line=7)
            return [true, (encode_record(clone), ProofReason.PROVEN)]
        case "cloned by a stranger":
            clone = replace(record, terminal=STRANGER, line=8)
            return [true, (encode_record(clone), ProofReason.PROVEN)]
        case "serial reused":
            other = replace(record, line=9, offline_counter=40, online_counter=40)
            return [true, (encode_record(other), ProofReason.PROVEN)]
        case "stranger":
            return [(encode_record(replace(record, terminal=STRANGER)), ProofReason.PROVEN)]
        case "unbalanced":
            broken = replace(record, balance_after_fen=record.balance_after_fen + 7)
            return [(encode_record(broken), ProofReason.PROVEN)]
        case "clock ahead":
            ahead = replace(record, time=record.time + timedelta(days=400))
            return [(encode_record(ahead), ProofReason.PROVEN)]
        case "clock behind":
            behind = replace(record, time=datetime(1990, 1, 6))
            return [(encode_record(behind), ProofReason.PROVEN)]
        case "overcharged":
            cheap = replace(record, tariff_fen=half)
            return [(encode_record(cheap), ProofReason.PROVEN)]
        case "recovered":
            later = replace(record, flags=RecordFlag.RECOVERED, station=0)
            return [(encode_record(later), ProofReason.PROVEN)]
    return [true]


FAULTS = (
    "lost", "copied", "badly copied", "tac missing", "damaged", "proof", "algorithm",
    "forged beside", "cloned", "cloned by a stranger", "serial reused", "stranger", "unbalanced",
    "clock ahead", "clock behind", "overcharged", "recovered",
)  # fmt: skip
faults = st.one_of(st.just("none"), st.just("none"), st.sampled_from(FAULTS))


@st.composite
def worlds(draw: st.DrawFn) -> list[list[list[Proven]]]:
    """Days of files of rows."""
    days: list[list[list[Proven]]] = [[[], []] for _ in range(DAYS)]
    serials = {"0000000000b1": 1, "0000000000e1": 1, "0000000000c1": 1}
    for card in range(1, draw(st.integers(1, 3)) + 1):
        life = chain(card, 2000, *draw(amounts), serials=serials)
        for record in life:
            serials[record.terminal] = max(serials[record.terminal], record.terminal_serial + 1)
            rows = _forge(record, draw(faults))
            for row in rows:
                day = draw(st.sampled_from([0, 0, 0, 1, 2]))
                days[day][draw(st.integers(0, 1))].append(row)
    for files in days:
        for number, rows in enumerate(files):
            files[number] = draw(st.permutations(rows))
    return days


@settings(max_examples=20)
@given(worlds(), st.sampled_from([1, 2]))
def test_every_record_gets_the_auditors_verdict_and_the_float_is_exact(
    days: list[list[list[Proven]]], buckets: int
) -> None:
    auditor = Auditor(
        shenzhen.SCHEME, {each.terminal: each.participant for each in TERMINALS}, HOTLIST
    )
    hotlist = [HotlistRow(card, version) for card, version in HOTLIST.items()]
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder), buckets=buckets, hotlist=hotlist)
        for number, files in enumerate(days):
            day = DAY + timedelta(days=number)
            outcome = desk.run(*files, day=day)
            named = {int(desk.hash_of(rows)[:16], 16): rows for rows in files}
            entries = auditor.settle(day, named)
            verdicts = desk.verdicts()
            assert {key: (v.reason, v.chained, v.notes) for key, v in verdicts.items()} == {
                key: (e.reason, e.chained, e.notes) for key, e in entries.items()
            }
            totals = outcome.clearing.totals
            assert desk.missing() == auditor.missing()
            assert totals.float_fen == auditor.float_fen
            assert totals.card_balance_fen + totals.open_gap_fen == auditor.float_fen
            assert totals.net_sum_fen == 0
            accepted = [e for e in entries.values() if e.reason.disposition is Disposition.ACCEPTED]
            assert totals.accepted == len(accepted)
            assert totals.notes == {
                note.name.lower(): sum(note in each.notes for each in accepted)
                for note in Note
                if note.name is not None
            }
