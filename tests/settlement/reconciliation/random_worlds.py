"""Small random worlds: days of files in which true records of a few cards suffer every fault."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag
from cardcore.records.record import TransactionRecord, encode_record
from tests.settlement.reconciliation.run_inputs import (
    STRANGER,
    Proven,
    card_text,
    chain,
)

DAYS = 3
HOTLIST = {card_text(2): 4, card_text(3): 9}

amounts = st.lists(
    st.sampled_from([500, 1000, -160, -160, -80, -400, 0, 0]), min_size=1, max_size=7
)


def _row(record: TransactionRecord, proof: ProofReason = ProofReason.PROVEN) -> Proven:
    return encode_record(record), proof


def _half(record: TransactionRecord) -> int:
    return record.amount_fen // 2


#: What each fault makes of a true record.
FAULTS: dict[str, Callable[[TransactionRecord], list[Proven]]] = {
    "none": lambda r: [_row(r)],
    "lost": lambda _: [],
    "copied": lambda r: [_row(r), _row(r)],
    "badly copied": lambda r: [_row(r, ProofReason.UNKNOWN_VERSION), _row(r)],
    "tac missing": lambda r: [_row(replace(r, flags=RecordFlag.TAC_MISSING), ProofReason.WRONG)],
    "damaged": lambda r: [
        (encode_record(r)[:40] + b"\xff" + encode_record(r)[41:], ProofReason.PROVEN),
        _row(r),
    ],
    "key lost": lambda r: [_row(r, ProofReason.UNKNOWN_VERSION)],
    "key lost and serial reused": lambda r: [
        _row(r, ProofReason.UNKNOWN_VERSION),
        _row(replace(r, line=9, offline_counter=40, online_counter=40)),
    ],
    "key lost and cloned": lambda r: [
        _row(r, ProofReason.UNKNOWN_VERSION),
        _row(replace(r, terminal_serial=r.terminal_serial + 500)),
    ],
    "wrong key version": lambda r: [_row(r, ProofReason.WRONG_VERSION)],
    "unknown algorithm": lambda r: [_row(r, ProofReason.UNKNOWN_ALGORITHM)],
    "forged beside": lambda r: [
        _row(r),
        _row(replace(r, amount_fen=_half(r), tac=b"\x09\x09\x09\x09"), ProofReason.WRONG),
    ],
    "cloned": lambda r: [_row(r), _row(replace(r, terminal_serial=r.terminal_serial + 500))],
    "cloned by a stranger": lambda r: [_row(r), _row(replace(r, terminal=STRANGER))],
    "serial reused": lambda r: [
        _row(r),
        _row(replace(r, line=9, offline_counter=40, online_counter=40)),
    ],
    "stranger": lambda r: [_row(replace(r, terminal=STRANGER))],
    "unbalanced": lambda r: [_row(replace(r, balance_after_fen=r.balance_after_fen + 7))],
    "clock ahead": lambda r: [_row(replace(r, time=r.time + timedelta(days=400)))],
    "clock two days ahead": lambda r: [_row(replace(r, time=r.time + timedelta(days=2)))],
    "clock behind": lambda r: [_row(replace(r, time=r.time - timedelta(days=9000)))],
    "overcharged": lambda r: [_row(replace(r, tariff_fen=_half(r)))],
    "recovered": lambda r: [_row(replace(r, flags=RecordFlag.RECOVERED, station=0))],
}
faults = st.one_of(st.just("none"), st.just("none"), st.sampled_from(list(FAULTS)))


@st.composite
def worlds(draw: st.DrawFn, faults: st.SearchStrategy[str] = faults) -> list[list[list[Proven]]]:
    """Days of files of rows."""
    days: list[list[list[Proven]]] = [[[], []] for _ in range(DAYS)]
    serials = {"0000000000b1": 1, "0000000000e1": 1, "0000000000c1": 1}
    for card in range(1, draw(st.integers(1, 3)) + 1):
        life = chain(card, 2000, *draw(amounts), serials=serials)
        for record in life:
            serials[record.terminal] = max(serials[record.terminal], record.terminal_serial + 1)
            rows = FAULTS[draw(faults)](record)
            for row in rows:
                day = draw(st.sampled_from([0, 0, 0, 1, 2]))
                days[day][draw(st.integers(0, 1))].append(row)
    for files in days:
        for number, rows in enumerate(files):
            files[number] = draw(st.permutations(rows))
    return days
