"""Clearing: tallies of buckets become shares and totals, whatever buckets they came from."""

import json
from dataclasses import astuple
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.kinds import RecordKind
from settlement.clearing.proof import FloatFigures, read_figures
from settlement.clearing.tally import BucketResult, Tally
from settlement.clearing.totals import clear, output_hash
from settlement.dispositions import Disposition, Note, Reason
from settlement.ledger.accounts import CARD_FLOAT, HOLDER_DUE, Account, AccountKind
from settlement.ledger.movements import Gross
from settlement.sectors.fares import FARE_CLASSES, NOT_A_FARE, UNEXPLAINED


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    reason = draw(st.sampled_from(Reason))
    kind = draw(st.sampled_from(RecordKind))
    amount_fen = draw(st.integers(0, 10_000)) if kind.moves_purse else 0
    is_debit = reason is Reason.NONE and kind in {RecordKind.PURCHASE, RecordKind.EXIT}
    excess_fen = draw(st.just(0) | st.integers(0, amount_fen)) if is_debit else 0
    return Tally(
        disposition=int(reason.disposition),
        reason=int(reason),
        application=draw(st.sampled_from([0, 1])),
        sector=draw(st.sampled_from([1, 5, 99])),
        issuer=draw(st.sampled_from([7, 2**64 - 1])),
        kind=int(kind),
        operator=draw(st.sampled_from([101, 201, 900])),
        fare_class=NOT_A_FARE
        if kind in {RecordKind.LOAD, RecordKind.ENTRY} or not kind.moves_purse
        else draw(st.sampled_from([NOT_A_FARE, UNEXPLAINED, *FARE_CLASSES])),
        notes=draw(st.integers(0, 63)),
        late=draw(st.booleans()),
        by_log=kind is RecordKind.LOAD and draw(st.booleans()),
        centre=draw(st.sampled_from([0, 0, 31])),
        records=draw(st.integers(1, 9)),
        amount_fen=amount_fen,
        tariff_fen=draw(st.integers(0, 10_000)) if kind.moves_purse else 0,
        excess_fen=excess_fen,
        known_discount_fen=draw(st.integers(-100, 10_000)) if is_debit else 0,
        passed_on=((7, draw(st.integers(0, amount_fen - excess_fen))),) if is_debit else (),
    )


def bucket(number: int, rows: list[Tally]) -> BucketResult:
    moved_fen = sum(row.float_fen for row in rows)
    figures = FloatFigures(stated_purses=1, stated_fen=500 + moved_fen, missing_loads=number)
    return BucketResult(number, (), tuple(rows), 1, 700 + moved_fen, 2, -200, 500, figures)


buckets = st.lists(st.lists(tallies(), max_size=6), max_size=4).map(
    lambda groups: [bucket(number, rows) for number, rows in enumerate(groups)]
)


@given(buckets)
def test_both_sides_of_the_money_agree_and_nets_sum_to_zero(results: list[BucketResult]) -> None:
    clearing = clear(results)
    cards = [each.get(CARD_FLOAT, Gross()) for each in clearing.buckets.values()]
    held = [each.get(HOLDER_DUE, Gross()) for each in clearing.buckets.values()]
    owned = [item for each in clearing.participants.values() for item in each.items()]
    # What cards of another issuer paid is asked of its centre, not of the float.
    cards += [gross for account, gross in owned if account.kind is AccountKind.CENTRE]
    others = [gross for account, gross in owned if account.kind is not AccountKind.CENTRE]
    paid_fen = sum(each.debit_fen for each in cards) - sum(each.credit_fen for each in held)
    assert paid_fen == sum(each.credit_fen for each in others)
    assert sum(each.credit_fen for each in cards) == sum(each.debit_fen for each in others)
    assert clearing.totals.net_sum_fen == 0


@given(buckets)
def test_records_in_are_accepted_duplicate_suspended_claims_or_rejected(
    results: list[BucketResult],
) -> None:
    clearing = clear(results)
    totals = clearing.totals
    found = [row for result in results for row in result.tallies]
    rows = [row for row in found if not row.by_log]
    assert totals.records == sum(row.records for row in rows)
    assert totals.records == (
        totals.accepted + totals.duplicates + totals.suspended + totals.claims + totals.rejected
    )
    assert sum(each.records for each in clearing.reasons) == totals.records
    assert sum(each.amount_fen for each in clearing.reasons) == sum(row.amount_fen for row in rows)
    claims = [row for row in rows if row.disposition == Disposition.CLAIM]
    assert totals.claims_fen == sum(row.amount_fen for row in claims)
    assert totals.loads_by_log == sum(row.records for row in found) - totals.records


@given(buckets)
def test_the_float_is_balances_and_gaps(results: list[BucketResult]) -> None:
    totals = clear(results).totals
    assert totals.float_fen == totals.card_balance_fen + totals.open_gap_fen


@given(buckets)
def test_the_proof_of_the_float_is_that_of_all_buckets(results: list[BucketResult]) -> None:
    totals = clear(results).totals
    assert totals.float_proof.explained_fen == totals.float_fen
    assert totals.float_proof.stated_purses == len(results)
    assert read_figures(json.loads(json.dumps(totals.float_proof.document()))) == totals.float_proof


@given(buckets, st.randoms())
def test_order_and_number_of_buckets_do_not_show(results: list[BucketResult], dice: Random) -> None:
    shuffled = list(results)
    dice.shuffle(shuffled)
    assert clear(shuffled) == clear(results)
    split = [bucket(n, [row]) for n, row in enumerate(r for each in results for r in each.tallies)]
    once, apart = clear(results), clear(split)
    assert (once.participants, once.operators, once.classes, once.reasons) == (
        apart.participants,
        apart.operators,
        apart.classes,
        apart.reasons,
    )


@given(buckets)
def test_applications_and_sectors_are_other_cuts_of_the_same_records(
    results: list[BucketResult],
) -> None:
    clearing = clear(results)
    cuts = [
        [sum(column) for column in zip(*map(astuple, cut.values()), strict=True)]
        for cut in (clearing.operators, clearing.applications, clearing.sectors)
    ]
    assert cuts[0] == cuts[1] == cuts[2]
    assert sum(cuts[0][2:3]) == clearing.totals.charged_fen


def test_only_accepted_debits_are_charged_and_only_fares_have_a_class() -> None:
    def row(reason: Reason, fare_class: int, kind: RecordKind = RecordKind.EXIT) -> Tally:
        money = (300, 400) if kind.moves_purse else (0, 0)
        return Tally(
            int(reason.disposition), int(reason), 1, 5, 7, kind, 101, fare_class,
            int(Note.STATION_MISSING), False, False, 0, 2, *money, 0, 100, (),
        )  # fmt: skip

    clearing = clear(
        [
            bucket(
                0,
                [
                    row(Reason.NONE, 1),
                    row(Reason.NONE, NOT_A_FARE),
                    row(Reason.HOTLISTED, 1),
                    row(Reason.NONE, NOT_A_FARE, RecordKind.LOAD),
                    row(Reason.NONE, NOT_A_FARE, RecordKind.VISIT),
                    row(Reason.TAC_WRONG, 0),
                ],
            )
        ]
    )
    totals = clearing.totals
    assert (totals.charged_fen, totals.tariff_fen) == (600, 800)
    assert totals.notes["station_missing"] == 8
    (fares,) = clearing.classes
    assert (fares.fare_class, fares.record_count, fares.discount_fen) == ("adult", 2, 100)
    assert fares.known_discount_fen == 100
    operator = clearing.operators[101]
    assert (operator.taps, operator.charged_fen, operator.loads) == (4, 600, 2)
    assert clearing.applications == {1: operator}
    assert clearing.sectors == {5: operator}
    held = Account(AccountKind.SUSPENSE, 101)
    assert clearing.participants[101][held] == Gross(credit_fen=300)
    claims = [e for e in clearing.reasons if e.reason.disposition is Disposition.CLAIM]
    assert [(each.records, each.amount_fen) for each in claims] == [(2, 300)]
    assert (totals.claims, totals.claims_fen, totals.rejected) == (2, 300, 0)


def test_the_output_hash_covers_names_hashes_and_totals_but_not_their_order() -> None:
    totals = clear([]).totals
    outputs = [("a.parquet", "11"), ("b.parquet", "22")]
    once = output_hash(outputs, totals)
    assert once == output_hash(reversed(outputs), totals)
    assert once != output_hash([("a.parquet", "22"), ("b.parquet", "11")], totals)
    assert once != output_hash(outputs, clear([bucket(0, [])]).totals)
