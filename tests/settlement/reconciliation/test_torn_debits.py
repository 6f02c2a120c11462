"""R4: what a card states before and after a torn debit can prove it, when nothing else can."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag
from cardcore.records.record import TransactionRecord, encode_record
from cardcore.schemes import LATE_DAYS_DEFAULT
from settlement.dispositions import Note, Reason
from settlement.registry.book import Dated
from settlement.registry.rows import HotlistRow
from tests.settlement.reconciliation.run_inputs import (
    DAY,
    Desk,
    Proven,
    card_text,
    chain,
    proven,
)

#: A load, three rides, a load: the rides lie between what the card stated twice.
LIFE = chain(1, 1000, -160, -400, -160, 500)
LATE = DAY + timedelta(days=LATE_DAYS_DEFAULT + 1)


def torn(record: TransactionRecord) -> Proven:
    bare = replace(record, tac=bytes(4), flags=RecordFlag.TAC_MISSING)
    return encode_record(bare), ProofReason.WRONG


def run_until_late(
    folder: Path,
    rows: list[Proven],
    *later: list[Proven],
    hotlist: Sequence[Dated[HotlistRow]] = (),
) -> tuple[Desk, list[Reason], list[tuple[int, int]]]:
    """The rows on the first day and some more on the next; then the day after the late days."""
    desk = Desk(folder, hotlist=hotlist)
    desk.run(rows)
    for number, more in enumerate(later, 1):
        desk.run(more, day=DAY + timedelta(days=number))
    found, money = [], []
    for day in (LATE - timedelta(days=1), LATE):
        totals = desk.run(day=day).clearing.totals
        found += [Reason(each.reason) for each in desk.verdicts().values()]
        money.append((totals.float_fen, totals.claims))
    return desk, found, money


def test_a_torn_debit_that_two_statements_fall_short_by_stands_after_the_late_days(
    tmp_path: Path,
) -> None:
    rows = [*proven(*LIFE[:2]), torn(LIFE[2]), *proven(*LIFE[3:])]
    desk, found, money = run_until_late(tmp_path, rows)
    assert found == [Reason.NONE]
    (verdict,) = desk.verdicts().values()
    assert Note.STATEMENT_PROVEN in Note(verdict.notes)
    assert money == [(1180, 0), (780, -1)]
    totals = desk.run(day=LATE + timedelta(days=1)).clearing.totals
    assert (totals.float_fen, totals.card_balance_fen, totals.gaps_open) == (780, 780, 0)


@pytest.mark.parametrize("lie", ["amount", "second claimant", "after the statement"])
def test_a_torn_debit_that_does_not_explain_what_is_missing_stays_a_claim(
    tmp_path: Path, lie: str
) -> None:
    claim = LIFE[2]
    rows = [*proven(*LIFE[:2]), *proven(*LIFE[3:])]
    if lie == "amount":
        rows.append(torn(replace(claim, amount_fen=401)))
    elif lie == "second claimant":
        rows += [torn(claim), torn(replace(claim, terminal_serial=99, psam_sequence=99))]
    else:
        rows.append(torn(replace(claim, time=datetime.fromisoformat("2018-09-01T09:00"))))
    _, found, money = run_until_late(tmp_path, rows)
    assert found == []
    assert money == [(1180, 0), (1180, 0)]


def test_the_true_debit_that_comes_before_the_late_days_are_over_leaves_the_claim_nothing(
    tmp_path: Path,
) -> None:
    other = replace(LIFE[2], terminal_serial=99, psam_sequence=99)
    rows = [*proven(*LIFE[:2]), torn(other), *proven(*LIFE[3:])]
    _, found, money = run_until_late(tmp_path, rows, proven(LIFE[2]))
    assert found == []
    assert money == [(780, 0), (780, 0)]


def test_the_proof_of_a_torn_debit_that_stands_already_moves_nothing_more(tmp_path: Path) -> None:
    rows = [*proven(*LIFE[:2]), torn(LIFE[2]), *proven(*LIFE[3:])]
    desk, _, money = run_until_late(tmp_path, rows)
    assert money[-1][0] == 780
    late = proven(replace(LIFE[2], flags=RecordFlag.RECOVERED))
    totals = desk.run(late, day=LATE + timedelta(days=1)).clearing.totals
    assert desk.reasons(late) == [Reason.VARIANT]
    assert (totals.float_fen, totals.accepted) == (780, 0)


@pytest.mark.parametrize(
    ("since", "claimed", "reason"),
    [
        (DAY - timedelta(days=1), 0, Reason.HOTLISTED),
        # Within the grace it binds the terminal that says it had the list.
        (DAY, 5, Reason.HOTLISTED),
        (DAY, 4, Reason.NONE),
        (DAY + timedelta(days=1), 5, Reason.NONE),
    ],
)
def test_a_torn_debit_of_a_listed_card_is_held_as_a_proven_one_would_be(
    tmp_path: Path, since: date, claimed: int, reason: Reason
) -> None:
    rows = [torn(replace(LIFE[2], hotlist_version=claimed))]
    rows += proven(*LIFE[:2], *LIFE[3:])
    listed = [Dated(HotlistRow(card_text(1), 5), since)]
    desk, found, money = run_until_late(tmp_path, rows, hotlist=listed)
    assert found == [reason]
    (verdict,) = desk.verdicts().values()
    assert Note.STATEMENT_PROVEN in Note(verdict.notes)
    # What is held has left the card all the same.
    assert money[-1] == (780, -1)


def test_a_copy_on_the_day_of_proof_is_a_copy_and_a_variant_of_it_waits_no_more(
    tmp_path: Path,
) -> None:
    claim = torn(LIFE[2])
    variant, later = (torn(replace(LIFE[2], terminal_serial=each)) for each in (77, 78))
    desk = Desk(tmp_path)
    desk.run([*proven(*LIFE[:2]), claim, variant, *proven(*LIFE[3:])])
    rows = [claim, variant, later]
    totals = desk.run(rows, day=LATE).clearing.totals
    assert (totals.float_fen, totals.accepted, totals.claims) == (780, 1, -1)
    assert Reason.NONE not in desk.reasons(rows)
    assert Reason.TAC_MISSING not in desk.reasons(rows)
    for day in (1, 2):
        totals = desk.run(rows, day=LATE + timedelta(days=day)).clearing.totals
        assert (totals.float_fen, totals.accepted, totals.claims) == (780, 0, 0)


def test_a_torn_debit_steps_back_once_and_rivals_no_other_afterwards(tmp_path: Path) -> None:
    """400 fen are missing. 160 of them come late, and the torn debit that is left is the rest."""
    story = torn(replace(LIFE[2], terminal_serial=99, psam_sequence=99))
    hidden = replace(LIFE[2], amount_fen=160, psam_sequence=98, terminal_serial=98)
    rest = torn(replace(LIFE[2], amount_fen=240, psam_sequence=97, terminal_serial=97))
    desk, found, money = run_until_late(tmp_path, [*proven(*LIFE[:2], *LIFE[3:]), story])
    assert (found, money[-1]) == ([Reason.NONE], (780, -1))
    again = torn(replace(LIFE[2], terminal_serial=96, psam_sequence=99))
    floats = []
    for day, rows in enumerate((proven(hidden), [again, rest], [], [])):
        totals = desk.run(rows, day=LATE + timedelta(days=day + 1)).clearing.totals
        floats.append(totals.float_fen)
    # The 400 of the torn one came back, the 160 went; then 240 of the other one.
    assert floats == [1020, 1020, 780, 780]


@pytest.mark.parametrize("rival", ["nowhere", "later key", "the same movement"])
def test_who_claims_a_missing_debit(tmp_path: Path, rival: str) -> None:
    other = replace(LIFE[2], terminal_serial=99, psam_sequence=99, amount_fen=1)
    if rival == "nowhere":
        beside = torn(replace(other, terminal="0" * 11 + "9"))
    elif rival == "later key":
        beside = encode_record(other), ProofReason.UNKNOWN_VERSION
    else:
        beside = torn(replace(LIFE[2], terminal_serial=99))
    rows = [*proven(*LIFE[:2]), torn(LIFE[2]), beside, *proven(*LIFE[3:])]
    _, found, money = run_until_late(tmp_path, rows)
    is_rival = rival == "later key"
    assert found == ([] if is_rival else [Reason.NONE])
    assert money[-1][0] == (1180 if is_rival else 780)
