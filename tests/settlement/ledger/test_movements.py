"""What a decision moves is said once: record by record, summed up, posted and told, it agrees."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.records.kinds import RecordKind, Sector
from cardcore.records.record import TransactionRecord
from settlement.clearing.proof import FloatFigures
from settlement.clearing.tally import KEY_FIELDS, BucketResult, Tally
from settlement.clearing.totals import clear
from settlement.dispositions import Note, Reason
from settlement.ledger.accounts import CARD_FLOAT, AccountKind, parse_account
from settlement.ledger.entries import ChainEnd, Entry, EntryKind, post_day
from settlement.ledger.movements import decide_movements
from settlement.reports.told import Decision
from settlement.reports.wording import record_postings
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.rules import Payment
from tests.settlement.reconciliation.run_inputs import debit

DAY = date(2018, 9, 1)

# reason               moves    | source          destination
SCENARIOS = """
NONE                   purchase | card_float      operator/101
NONE                   exit     | card_float      operator/101+operator/7
NONE                   load     | load_agent/101  card_float
NONE                   visit    | -               -
NONE                   external | -               -
HOTLISTED              purchase | card_float      suspense/101
HOTLISTED              loan     | -               -
CLOCK_AHEAD            load     | suspense/101    card_float
TERMINAL_UNKNOWN       purchase | card_float      suspense/101
TERMINAL_UNKNOWN       load     | suspense/101    card_float
KEY_VERSION_UNKNOWN    purchase | -               -
KEY_VERSION_UNKNOWN    load     | -               -
FOREIGN_CARD           purchase | -               -
CENTRE_PENDING         purchase | card_float      suspense/101
TAC_MISSING            purchase | -               -
TAC_WRONG              purchase | -               -
TAC_WRONG              load     | -               -
DUPLICATE              purchase | -               -
VARIANT                load     | -               -
NOT_YOUR_TERMINAL      purchase | -               -
FORMAT_WRONG           load     | -               -
"""


@pytest.mark.parametrize("line", SCENARIOS.strip().splitlines())
def test_what_each_decision_moves(line: str) -> None:
    reason, moves, _, source, destination = line.split()
    found = decide_movements(
        Reason[reason],
        kind=RecordKind[moves.upper()],
        operator=101,
        centre=0,
        amount_fen=160,
        excess_fen=0,
        passed_on_fen={7: 30, 8: 0} if moves == "exit" else {},
    )
    payees = [] if destination == "-" else destination.split("+")
    amounts_fen = [130, 30] if len(payees) == 2 else [160] * len(payees)
    assert [(each.source.text, each.destination.text, each.amount_fen) for each in found] == [
        (source, payee, amount_fen) for payee, amount_fen in zip(payees, amounts_fen, strict=True)
    ]


def test_what_is_charged_above_a_known_tariff_pays_nobody_and_is_held_for_the_holder() -> None:
    found = decide_movements(
        Reason.NONE,
        kind=RecordKind.PURCHASE,
        operator=101,
        centre=0,
        amount_fen=50_000,
        excess_fen=49_800,
        passed_on_fen={7: 60},
    )
    assert [(each.source.text, each.destination.text, each.amount_fen) for each in found] == [
        ("card_float", "operator/101", 140),
        ("card_float", "operator/7", 60),
        ("card_float", "holder_due", 49_800),
    ]
    # Nobody is paid yet, so nothing is too much yet.
    (held,) = decide_movements(
        Reason.HOTLISTED,
        kind=RecordKind.PURCHASE,
        operator=101,
        centre=0,
        amount_fen=50_000,
        excess_fen=0,
        passed_on_fen={},
    )
    assert (held.destination.text, held.amount_fen) == ("suspense/101", 50_000)


def test_more_than_the_charge_cannot_be_passed_on() -> None:
    with pytest.raises(AssertionError):
        decide_movements(
            Reason.NONE,
            kind=RecordKind.PURCHASE,
            operator=101,
            centre=0,
            amount_fen=160,
            excess_fen=0,
            passed_on_fen={7: 161},
        )


@dataclass(frozen=True)
class Case:
    """A record, where its card is, and what was decided of it, perhaps a second time."""

    record: TransactionRecord
    bucket: int
    before: Decision | None
    now: Decision


@st.composite
def decisions(draw: st.DrawFn, reasons: Sequence[Reason]) -> Decision:
    """Whom the registry has paid and for which sector: not what the record says."""
    reason = draw(st.sampled_from(reasons))
    operator = draw(st.sampled_from([101, 201, 900]))
    sector = draw(st.sampled_from([Sector.TRANSIT, Sector.MERCHANT, 77, 99]))
    late, centre = draw(st.booleans()), draw(st.sampled_from([0, 0, 31]))
    return Decision(reason.disposition, reason, Note(0), late, 0, operator, sector, 0, centre)


WAITING = [reason for reason in Reason if reason.waits]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    record = replace(
        debit(),
        kind=draw(st.sampled_from(RecordKind)),
        application=draw(st.sampled_from([0, 1])),
        sector=draw(st.sampled_from([Sector.TRANSIT, Sector.MERCHANT, 77, 99])),
        operator=draw(st.sampled_from([101, 201, 900])),
        amount_fen=draw(st.integers(0, 500)),
    )
    before = draw(st.none() | decisions(WAITING))
    now = draw(decisions(list(Reason)))
    if now.reason is Reason.NONE and record.kind.moves_purse and not record.is_load:
        now = replace(now, excess_fen=draw(st.just(0) | st.integers(0, record.amount_fen)))
    return Case(record, draw(st.integers(0, 2)), before, now)


def tallies(decided: Sequence[tuple[TransactionRecord, Decision, int]]) -> tuple[Tally, ...]:
    """As SQL groups them; the sign is -1 for what is taken back."""
    rows: dict[tuple[object, ...], Tally] = {}
    for record, each, sign in decided:
        amount_fen = sign * record.amount_fen if record.kind.moves_purse else 0
        paid_fen = record.amount_fen - each.excess_fen
        payment = Payment(record.application, each.operator, paid_fen)
        passed_on = rule_of(read_rules(), each.sector).passed_on(payment)
        one = Tally(
            each.disposition, each.reason, record.application, each.sector, 7, record.kind,
            each.operator, each.fare_class, each.notes, each.late, False, each.centre, sign,
            amount_fen, 0, sign * each.excess_fen, 0, tuple(passed_on.items()),
        )  # fmt: skip
        key = (*astuple(one)[:KEY_FIELDS], sign)
        if key in rows:
            old = rows[key]
            one = replace(
                old,
                records=old.records + sign,
                amount_fen=old.amount_fen + amount_fen,
                excess_fen=old.excess_fen + sign * each.excess_fen,
                passed_on=tuple((Counter(dict(old.passed_on)) + Counter(passed_on)).items()),
            )
        rows[key] = one
    return tuple(rows.values())


def post(found: Sequence[Case]) -> tuple[Entry, ...]:
    results = []
    for bucket in range(3):
        mine = [each for each in found if each.bucket == bucket]
        rows = tallies(
            [(each.record, each.now, 1) for each in mine]
            + [(each.record, each.before, -1) for each in mine if each.before is not None]
        )
        moved_fen = sum(row.float_fen for row in rows)
        results.append(BucketResult(bucket, (), rows, 1, moved_fen, 0, 0, 0, FloatFigures()))
    clearing = clear(results)
    assert clearing.totals.net_sum_fen == 0
    return post_day(DAY, clearing.buckets, clearing.participants, ChainEnd())


@given(st.lists(cases(), max_size=12))
def test_the_entries_of_a_day_are_the_sum_of_what_is_told_of_its_records(found: list[Case]) -> None:
    told: Counter[tuple[EntryKind, int, str]] = Counter()
    for each in found:
        for account, amount_fen in record_postings(each.record, each.before, each.now).items():
            code = parse_account(account).participant
            if code is None:
                told[EntryKind.COLLECT, each.bucket, account] += amount_fen
            else:
                told[EntryKind.DISTRIBUTE, code, account] += amount_fen
    posted: Counter[tuple[EntryKind, int, str]] = Counter()
    for entry in post(found):
        owner = entry.bucket if entry.kind is EntryKind.COLLECT else entry.participant
        assert owner is not None
        for posting in entry.postings:
            if parse_account(posting.account).kind is not AccountKind.CLEARING:
                posted[entry.kind, owner, posting.account] += posting.amount_fen
    assert {key: fen for key, fen in posted.items() if fen} == {
        key: fen for key, fen in told.items() if fen
    }


@given(st.lists(cases(), max_size=12))
def test_what_is_taken_back_as_it_was_decided_leaves_only_gross_figures(found: list[Case]) -> None:
    undone = [replace(each, before=each.now) for each in found]
    assert all(not record_postings(each.record, each.before, each.now) for each in undone)
    for entry in post(undone):
        for account in {posting.account for posting in entry.postings}:
            lines = [each.amount_fen for each in entry.postings if each.account == account]
            assert sorted(lines) == [-max(lines), max(lines)]


@given(st.lists(cases(), max_size=12))
def test_the_float_is_what_its_account_says(found: list[Case]) -> None:
    posted_fen = sum(
        posting.amount_fen
        for entry in post(found)
        for posting in entry.postings
        if posting.account == CARD_FLOAT.text
    )
    told_fen = 0
    for each in found:
        money = record_postings(each.record, each.before, each.now)
        told_fen += money.get(CARD_FLOAT.text, 0)
    assert posted_fen == told_fen
