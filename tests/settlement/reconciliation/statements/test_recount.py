"""R5: the proof of the float is a check, not a printout: whatever figure is wrong, it fails.

The city of these tests has something of everything the proof speaks of, so that every figure is
there to be made wrong.
"""

import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from cardcore.keys import ProofReason
from cardcore.records.record import TransactionRecord, encode_record
from settlement.clearing.proof import AgeLine, FloatFigures, FloatLedger, ProofFault, check_proof
from settlement.clearing.totals import RunTotals
from settlement.reconciliation.inputs import file_number
from settlement.reconciliation.recount import Recount, recount
from tests.settlement.reconciliation.run_inputs import (
    DAY,
    STRANGER,
    Desk,
    Proven,
    card_text,
    chain,
    proven,
)

NEXT = DAY + timedelta(days=2)
CUTOVER_HOUR = 0


def two_days() -> tuple[list[Proven], list[Proven]]:
    """Something of everything, on two days."""
    lost = chain(1, 5000, -160, -200, 1000)
    no_load = chain(2, 1000, -160, 300, 50)
    known = chain(3, 5000, -160, 1000)
    extra = replace(known[1], psam_sequence=9001, terminal_serial=9001, offline_counter=7)
    taken = chain(4, 1000, 100, -60)
    again = replace(
        taken[0], amount_fen=700, balance_after_fen=6000, balance_before_fen=5300,
        terminal_serial=9002,
    )  # fmt: skip
    unopened = chain(5, 500, -160)
    since = chain(6, 5000, -160, -200, -70)
    jumped = chain(7, 2000, -160, 700, -90)
    torn = chain(8, 1000, -330)
    taken_over = chain(9, 400, 600)
    early = [
        *(lost[0], lost[2], lost[3]),
        *(no_load[0], no_load[1], no_load[3]),
        *known,
        *taken,
        unopened[1],
        *(since[0], since[1], since[3]),
        *(jumped[0], jumped[1], jumped[3]),
        torn[0],
        taken_over[1],
    ]
    claim = (proven(torn[1])[0][0], ProofReason.WRONG)
    return [*proven(*early), claim], proven(extra, again)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunTotals]:
    desk = Desk(tmp_path_factory.mktemp("runs"), buckets=2)
    first, second = two_days()
    desk.run(first)
    outcome = desk.run(second, day=NEXT)
    return desk.folder / "buckets", outcome.clearing.totals


def count(folder: Path) -> Recount:
    return recount(sorted(folder.iterdir()), NEXT, CUTOVER_HOUR, folder)


OF_A_TAKEOVER = {
    "opened_purses", "opened_fen", "handed_purses", "handed_fen", "disputed_purses", "due_purses",
    "due_fen",
}  # fmt: skip


def check(totals: RunTotals, again: Recount) -> tuple[ProofFault, ...]:
    return check_proof(
        totals.float_proof,
        again.figures,
        float_fen=totals.float_fen,
        ledger=FloatLedger(totals.float_fen, 0, 0),
        posted_fen=again.posted_fen,
        claimed_worth_fen=again.claimed_worth_fen,
        uneven=again.uneven,
    )


def test_the_proof_of_a_city_with_something_of_everything_holds(
    run: tuple[Path, RunTotals],
) -> None:
    folder, totals = run
    again = count(folder)
    assert check(totals, again) == ()
    # Those of cards taken over stand in a city that took some over: `tests/settlement/takeover`.
    assert {
        each.name for each in fields(FloatFigures) if not getattr(again.figures, each.name)
    } == OF_A_TAKEOVER
    assert totals.float_fen == totals.card_balance_fen + totals.open_gap_fen


def test_its_figures_are_those_of_the_story(run: tuple[Path, RunTotals]) -> None:
    figures = count(run[0]).figures
    assert figures == FloatFigures(
        stated_purses=8,
        # All cards but the fifth, after the last load of each.
        stated_fen=5640 + 1190 + 5840 + 1100 + 5000 + 2000 + 1000 + 1000,
        tail_debits=5,
        tail_fen=60 + (160 + 70) + (160 + 90),
        unopened_purses=1,
        unopened_debits=1,
        unopened_fen=160,
        missing_debits_fen=160,
        missing_loads=1 + 1,
        missing_loads_fen=300 + 400,
        openings=1,
        openings_fen=400,
        contradictions=2,
        contradictions_out_fen=700,
        contradictions_in_fen=160,
        claimed_gaps=figures.claimed_gaps,
        claimed_debits_fen=figures.claimed_debits_fen,
        claimed_loads_fen=figures.claimed_loads_fen,
        claims=1,
        claims_fen=330,
        stated_by_age=figures.stated_by_age,
        claims_by_age=figures.claims_by_age,
    )
    assert sum(each.count for each in figures.stated_by_age) == 8


def test_contradictions_are_named_by_card(run: tuple[Path, RunTotals]) -> None:
    named = count(run[0]).contradictions
    assert [(each.card_number, each.price_fen, each.opened_day) for each in named] == [
        (card_text(4), 700, NEXT),
        (card_text(3), -160, NEXT),
    ]


@pytest.mark.parametrize("name", [each.name for each in fields(FloatFigures)])
def test_every_figure_made_wrong_makes_the_proof_fail(
    run: tuple[Path, RunTotals], name: str
) -> None:
    folder, totals = run
    right = getattr(totals.float_proof, name)
    wrong: Any = (right[0] + AgeLine(0, 1), *right[1:]) if isinstance(right, tuple) else right + 1
    forged = replace(totals, float_proof=replace(totals.float_proof, **{name: wrong}))
    assert name in {each.where for each in check(forged, count(folder))}


@pytest.mark.parametrize("name", ["float_fen", "ledger"])
def test_another_float_or_another_ledger_makes_the_proof_fail(
    run: tuple[Path, RunTotals], name: str
) -> None:
    folder, totals = run
    again = count(folder)
    fens = {"float_fen": totals.float_fen, "ledger": totals.float_fen}
    fens[name] += 1
    faults = check_proof(
        totals.float_proof,
        again.figures,
        float_fen=fens["float_fen"],
        ledger=FloatLedger(fens["ledger"], 0, 0),
        posted_fen=again.posted_fen,
        claimed_worth_fen=again.claimed_worth_fen,
        uneven=again.uneven,
    )
    assert [each.where for each in faults] == [name]


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("statements", "balance_fen = balance_fen + 1"),
        ("statements", "tail_fen = tail_fen + 1"),
        ("statements", "tail_count = tail_count + 1"),
        ("statements", "posted_fen = posted_fen - 1"),
        ("statements", "balance_fen = balance_fen + 1, tail_fen = tail_fen + 1"),
        ("statements", "time = time - INTERVAL 40 DAY"),
        ("statements", "time = NULL"),
        ("segments", "price_fen = price_fen + 1"),
        ("segments", "price_fen = -price_fen"),
        ("segments", "missing_loads = missing_loads + 1"),
        ("segments", "left_time = NULL, left_online = 0"),
        ("gaps", "price_fen = price_fen + 1"),
        ("gaps", "right_time = right_time - INTERVAL 40 DAY"),
        ("cards", "balance_fen = balance_fen - 1"),
        ("claims", "count = count + 1"),
        ("claims", "amount_fen = amount_fen + 1"),
        ("claims", "day = day - INTERVAL 40 DAY"),
    ],
)
def test_every_file_made_wrong_makes_the_proof_fail(
    run: tuple[Path, RunTotals], tmp_path: Path, file: str, change: str
) -> None:
    folder, totals = run
    forged = tmp_path / "buckets"
    shutil.copytree(folder, forged)
    for path in forged.rglob(f"{file}.parquet"):
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE t AS FROM read_parquet($path)", {"path": str(path)})
            connection.execute(f"UPDATE t SET {change}")
            connection.sql("FROM t").write_parquet(str(path))
    assert check(totals, count(forged)) != ()


@pytest.mark.parametrize("file", ["statements", "segments", "gaps", "cards", "claims"])
def test_a_row_that_is_gone_makes_the_proof_fail(
    run: tuple[Path, RunTotals], tmp_path: Path, file: str
) -> None:
    folder, totals = run
    forged = tmp_path / "buckets"
    shutil.copytree(folder, forged)
    for path in forged.rglob(f"{file}.parquet"):
        with duckdb.connect() as connection:
            connection.execute("CREATE TABLE t AS FROM read_parquet($path)", {"path": str(path)})
            connection.execute("DELETE FROM t")
            connection.sql("FROM t").write_parquet(str(path))
    assert check(totals, count(forged)) != ()


def test_what_lies_in_an_exact_segment_is_not_counted_as_a_claimed_gap(tmp_path: Path) -> None:
    lost = chain(1, 5000, -160, -200, 1000)
    desk = Desk(tmp_path)
    totals = desk.run(proven(lost[0], lost[2], lost[3])).clearing.totals
    assert totals.open_gap_fen == 160
    assert totals.float_proof.missing_debits_fen == 160
    assert (totals.float_proof.claimed_gaps, totals.float_proof.claimed_debits_fen) == (0, 0)


@pytest.mark.parametrize("seed", range(2))
def test_with_every_fault_mixed_the_proof_holds_day_after_day(tmp_path: Path, seed: int) -> None:
    """Records lost, late, forged, judged later, dated ahead, with counters and balances altered."""
    dice, desk = Random(seed), Desk(tmp_path, buckets=2)
    days: list[list[Proven]] = [[], [], []]
    for record in faulty_lives(dice):
        proof = dice.choices(
            (ProofReason.PROVEN, ProofReason.WRONG, ProofReason.UNKNOWN_VERSION), (17, 1, 2)
        )[0]
        dice.choice(days).append((encode_record(record), proof))
    review: dict[tuple[int, int], ProofReason] = {}
    for number, rows in enumerate(days):
        day = DAY + timedelta(days=number)
        totals = desk.run(rows, day=day, review=review).clearing.totals
        folders = sorted((desk.folder / "buckets").iterdir())
        again = recount(folders, day, CUTOVER_HOUR, tmp_path)
        assert check(totals, again) == ()
        file = file_number(desk.hash_of(rows))
        review = {
            (file, row): ProofReason.PROVEN
            for row, (_, proof) in enumerate(rows)
            if proof is ProofReason.UNKNOWN_VERSION
        }
    assert totals.float_proof.contradictions


def faulty_lives(dice: Random) -> Iterator[TransactionRecord]:
    """Cards of which one record in ten is lost, and one in five is not what it should be."""
    for card in range(40):
        amounts = [
            dice.randint(900, 2000),
            *dice.choices((-160, -70, 0, 500), k=dice.randint(0, 9)),
        ]
        for number, record in enumerate(chain(card, *amounts)[dice.choice((0, 0, 0, 1)) :]):
            serial = 1000 * card + number
            moved = replace(record, terminal_serial=serial, psam_sequence=serial)
            match dice.randint(0, 19):
                case 0 | 1:
                    continue
                case 2:
                    moved = replace(moved, balance_before_fen=moved.balance_before_fen + 7)
                case 3:
                    moved = replace(moved, terminal=STRANGER)
                case 4:
                    moved = replace(moved, time=moved.time + timedelta(days=30))
                case 5:
                    yield replace(
                        moved,
                        balance_after_fen=moved.balance_after_fen + 3,
                        terminal_serial=serial + 500,
                        psam_sequence=serial + 500,
                    )
            yield moved
