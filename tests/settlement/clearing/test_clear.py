"""Clearing: tallies of buckets become shares and totals, whatever buckets they came from."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from settlement.clearing.tally import BucketResult, Tally
from settlement.clearing.totals import clear, output_hash
from settlement.dispositions import Disposition, Note, Reason
from settlement.ledger.accounts import Account, AccountKind
from settlement.ledger.movements import Gross
from settlement.sectors.fares import FARE_CLASSES, NOT_A_FARE, UNEXPLAINED


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    reason = draw(st.sampled_from(Reason))
    is_load = draw(st.booleans())
    return Tally(
        disposition=int(reason.disposition),
        reason=int(reason),
        operator=draw(st.sampled_from([101, 201, 900])),
        is_load=is_load,
        fare_class=NOT_A_FARE
        if is_load
        else draw(st.sampled_from([NOT_A_FARE, UNEXPLAINED, *FARE_CLASSES])),
        notes=draw(st.integers(0, 63)),
        chained=reason is Reason.NONE or draw(st.booleans()),
        late=draw(st.booleans()),
        records=draw(st.integers(1, 9)),
        amount_fen=draw(st.integers(0, 10_000)),
        tariff_fen=draw(st.integers(0, 10_000)),
    )


def bucket(number: int, rows: list[Tally]) -> BucketResult:
    moved_fen = sum(row.float_fen for row in rows)
    return BucketResult(number, (), tuple(rows), 1, 700 + moved_fen, 2, -200, 500)


buckets = st.lists(st.lists(tallies(), max_size=6), max_size=4).map(
    lambda groups: [bucket(number, rows) for number, rows in enumerate(groups)]
)


@given(buckets)
def test_both_sides_of_the_money_agree_and_nets_sum_to_zero(results: list[BucketResult]) -> None:
    clearing = clear(results)
    cards = [gross for each in clearing.buckets.values() for gross in each.values()]
    others = [gross for each in clearing.participants.values() for gross in each.values()]
    assert sum(each.debit_fen for each in cards) == sum(each.credit_fen for each in others)
    assert sum(each.credit_fen for each in cards) == sum(each.debit_fen for each in others)
    assert clearing.totals.net_sum_fen == 0


@given(buckets)
def test_records_in_are_accepted_duplicate_suspended_or_rejected(
    results: list[BucketResult],
) -> None:
    clearing = clear(results)
    totals = clearing.totals
    rows = [row for result in results for row in result.tallies]
    assert totals.records == sum(row.records for row in rows)
    assert totals.records == (
        totals.accepted + totals.duplicates + totals.suspended + totals.rejected
    )
    assert sum(each.records for each in clearing.reasons) == totals.records
    assert sum(each.amount_fen for each in clearing.reasons) == sum(row.amount_fen for row in rows)


@given(buckets)
def test_the_float_is_balances_and_gaps(results: list[BucketResult]) -> None:
    totals = clear(results).totals
    assert totals.float_fen == totals.card_balance_fen + totals.open_gap_fen


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


def test_only_accepted_debits_are_charged_and_only_fares_have_a_class() -> None:
    def row(reason: Reason, fare_class: int, *, is_load: bool = False) -> Tally:
        return Tally(
            int(reason.disposition), int(reason), 101, is_load, fare_class,
            int(Note.STATION_MISSING), True, False, 2, 300, 400,
        )  # fmt: skip

    clearing = clear(
        [
            bucket(
                0,
                [
                    row(Reason.NONE, 1),
                    row(Reason.NONE, NOT_A_FARE),
                    row(Reason.HOTLISTED, 1),
                    row(Reason.NONE, NOT_A_FARE, is_load=True),
                    row(Reason.TAC_WRONG, 0),
                ],
            )
        ]
    )
    totals = clearing.totals
    assert (totals.charged_fen, totals.tariff_fen) == (600, 800)
    assert totals.notes["station_missing"] == 6
    (fares,) = clearing.classes
    assert (fares.fare_class, fares.record_count, fares.discount_fen) == ("adult", 2, 100)
    operator = clearing.operators[101]
    assert (operator.taps, operator.charged_fen, operator.loads) == (4, 600, 2)
    held = Account(AccountKind.SUSPENSE, 101)
    assert clearing.participants[101][held] == Gross(credit_fen=300)
    rejected = [e for e in clearing.reasons if e.reason.disposition is Disposition.REJECTED]
    assert [(each.records, each.amount_fen) for each in rejected] == [(2, 300)]


def test_the_output_hash_covers_names_hashes_and_totals_but_not_their_order() -> None:
    totals = clear([]).totals
    outputs = [("a.parquet", "11"), ("b.parquet", "22")]
    once = output_hash(outputs, totals)
    assert once == output_hash(reversed(outputs), totals)
    assert once != output_hash([("a.parquet", "22"), ("b.parquet", "11")], totals)
    assert once != output_hash(outputs, clear([bucket(0, [])]).totals)
