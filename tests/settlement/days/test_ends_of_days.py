"""Files exactly at the end of a day, a close that is out of date, and all that a seal covers."""

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar

import pytest

from settlement.clearing.tally import DiscountRow
from settlement.days.closing import ClearingState, ClosedDay, encode_seal, is_current, plan_close
from settlement.days.opening import DAYS_FROM_FILES_MAX, DayAnswer, day_of, files_until, open_day
from settlement.days.run import GapRow, RunInputs, RunReport, StoredRun
from settlement.intake.answers import CLOCK_AHEAD_MAX, FileRow
from settlement.ledger.accounts import CARD_FLOAT, Account, AccountKind
from settlement.ledger.entries import ChainEnd
from settlement.ledger.movements import Gross
from settlement.people.actions import Actor
from settlement.registry.book import RegistryEnd
from settlement.rulings.log import RulingsEnd
from tests.settlement.days.test_closing import ALONE, file_of, row_of

DAY, ONE_DAY = date(2018, 9, 2), timedelta(days=1)
LAST_SECOND, MIDNIGHT = time(23, 59, 59, 999_999, UTC), time(0, 0, 0, 0, UTC)


def a_row(business_day: date, received_at: datetime, content_hash: str = "0" * 64) -> FileRow:
    file = replace(
        file_of(business_day, received_at.date()),
        received_at=received_at,
        content_hash=content_hash,
    )
    return row_of(file)


@pytest.mark.parametrize("at", [MIDNIGHT, LAST_SECOND])
@pytest.mark.parametrize("ahead", range(-2, 4))
def test_a_file_belongs_to_its_business_day_as_far_as_a_clock_may_run_ahead(
    at: time, ahead: int
) -> None:
    received = datetime.combine(DAY, at)
    row = a_row(DAY + ahead * ONE_DAY, received)
    own = ahead * ONE_DAY <= CLOCK_AHEAD_MAX
    assert day_of(row.file) == (DAY + ahead * ONE_DAY if own else DAY)


def test_a_run_takes_the_files_of_its_day_and_before_and_none_of_the_next() -> None:
    rows = {
        offset: a_row(DAY + offset * ONE_DAY, datetime.combine(DAY + 5 * ONE_DAY, MIDNIGHT))
        for offset in (-2, -1, 0, 1, 2)
    }
    found = files_until(tuple(rows.values()), DAY)
    assert found == (rows[-2], rows[-1], rows[0])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_day_is_near_its_files_up_to_the_last_day_that_is_said(sign: int) -> None:
    file = file_of(DAY, DAY)
    at_the_bound = DAY + sign * DAYS_FROM_FILES_MAX
    assert open_day(None, [file], at_the_bound, ALONE) == at_the_bound
    beyond = at_the_bound + sign * ONE_DAY
    assert open_day(None, [file], beyond, ALONE) is DayAnswer.DAY_FAR_FROM_FILES


def test_tomorrow_can_be_opened_and_the_day_after_cannot() -> None:
    today = ALONE.now.date()
    file = file_of(today, today)
    assert open_day(None, [file], today + ONE_DAY, ALONE) == today + ONE_DAY
    answer = open_day(None, [file], today + 2 * ONE_DAY, ALONE)
    assert answer is DayAnswer.DAY_BEYOND_TOMORROW


MORNING = datetime.combine(DAY, MIDNIGHT)
OWN, OTHER = a_row(DAY, MORNING, "1" * 64), a_row(DAY, MORNING, "2" * 64)
BUS, CLEARING = Account(AccountKind.OPERATOR, 101), Account(AccountKind.CLEARING, day=DAY)
CLERK, SECOND = Actor("clerk"), Actor("second")
INPUTS = RunInputs(DAY, "shenzhen", None, 1, None, None, "a" * 64, None, (OWN,))
STATE = ClearingState(None, (OWN,), ChainEnd(), RegistryEnd(3, "b" * 64))


def closed(**values: object) -> ClosedDay:
    last = {
        "settlement_day": DAY - ONE_DAY, "number": 4, "run_id": "r" * 64, "output_hash": "o" * 64,
        "ledger_root": "l" * 64, "previous_seal": "p" * 64, "seal": "s" * 64,
        "key_version": 1, "signature": "0" * 128,
        "closed_at": MORNING, "closed_by": CLERK, "confirmed_by": None,
        "registry_changes": 3, "set_aside": (), "audit_entries": 2, "refused_files": 0,
    } | values  # fmt: skip
    return ClosedDay(**last)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (STATE, True),
        (replace(STATE, ready=()), False),
        (replace(STATE, ready=(OTHER,)), False),
        (replace(STATE, ready=(OWN, OTHER)), False),
        # A file of the next day waits for its own.
        (replace(STATE, ready=(OWN, a_row(DAY + ONE_DAY, MORNING, "3" * 64))), True),
        (replace(STATE, last_closed=closed()), False),
    ],
)
def test_a_run_is_out_of_date_when_a_file_or_a_day_came_between(
    state: ClearingState,
    expected: bool,  # noqa: FBT001 - what is expected
) -> None:
    assert is_current(INPUTS, state, {}) is expected


def test_a_run_stands_on_the_day_that_was_closed_last_and_no_earlier_one() -> None:
    inputs = replace(INPUTS, previous_run="r" * 64, previous_output_hash="o" * 64)
    assert is_current(inputs, replace(STATE, last_closed=closed()), {})
    assert not is_current(inputs, replace(STATE, last_closed=closed(run_id="q" * 64)), {})
    assert not is_current(inputs, STATE, {})


GAP = GapRow("0" * 16, "0" * 20, 0, 0, DAY, 0, 4, 5, 160, 1)
DISCOUNT = DiscountRow(101, "adult", 3, 600, 480, 120)
RUN = StoredRun(
    run_id=INPUTS.run_id,
    settlement_day=DAY,
    registry_sha256="a" * 64,
    review_sha256=None,
    outputs=(("bucket/0000/cards.parquet", "c" * 64),),
    totals={"records": 3},
    output_hash="d" * 64,
    load_logs=(),
)
REPORT = RunReport(
    run=RUN,
    buckets={0: {CARD_FLOAT: Gross(480, 0)}},
    participants={101: {BUS: Gross(0, 480)}},
    gaps=(GAP,),
    discounts=(DISCOUNT,),
)


def other_value(value: object) -> object:
    """Another value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case date():
            return value + ONE_DAY
        case str():
            return f"{value[:-1]}{'1' if value[-1] != '1' else '2'}"
    raise AssertionError(value)


def seal_of(report: RunReport = REPORT, **changes: object) -> str:
    values: dict[str, object] = {
        "inputs": INPUTS, "state": STATE, "closed_at": MORNING, "closed_by": CLERK,
        "confirmed_by": None,
    } | changes  # fmt: skip
    plan = plan_close(report, **values)  # type: ignore[arg-type]
    assert plan.day.seal.encode() in encode_seal(plan)
    return plan.day.seal


Row = TypeVar("Row", GapRow, DiscountRow)


def with_other(row: Row, name: str) -> Row:
    """The row with another value in one field."""
    values: dict[str, Any] = {name: other_value(getattr(row, name))}
    return replace(row, **values)


Change = Callable[[], str]
ALTERED: dict[str, Change] = {
    "a gap left out": lambda: seal_of(replace(REPORT, gaps=())),
    "a gap twice": lambda: seal_of(replace(REPORT, gaps=(GAP, replace(GAP, gap=1)))),
    **{
        f"gap {each.name}": lambda name=each.name: seal_of(  # type: ignore[misc]
            replace(REPORT, gaps=(with_other(GAP, name),))
        )
        for each in fields(GapRow)
    },
    "a discount left out": lambda: seal_of(replace(REPORT, discounts=())),
    **{
        f"discount {each.name}": lambda name=each.name: seal_of(  # type: ignore[misc]
            replace(REPORT, discounts=(with_other(DISCOUNT, name),))
        )
        for each in fields(DiscountRow)
    },
    "totals": lambda: seal_of(replace(REPORT, run=replace(RUN, totals={"records": 4}))),
    "output hash": lambda: seal_of(replace(REPORT, run=replace(RUN, output_hash="e" * 64))),
    "an output's hash": lambda: seal_of(
        replace(REPORT, run=replace(RUN, outputs=((RUN.outputs[0][0], "e" * 64),)))
    ),
    "an output's name": lambda: seal_of(
        replace(REPORT, run=replace(RUN, outputs=(("bucket/0000/gaps.parquet", "c" * 64),)))
    ),
    "no output": lambda: seal_of(replace(REPORT, run=replace(RUN, outputs=()))),
    "money": lambda: seal_of(
        replace(
            REPORT,
            buckets={0: {CARD_FLOAT: Gross(481, 0)}},
            participants={101: {BUS: Gross(0, 481)}},
        )
    ),
    "whose money": lambda: seal_of(
        replace(REPORT, participants={201: {Account(AccountKind.OPERATOR, 201): Gross(0, 480)}})
    ),
    "the day before": lambda: seal_of(state=replace(STATE, last_closed=closed())),
    "the end of the ledger": lambda: seal_of(
        state=replace(STATE, ledger_end=ChainEnd(2, "f" * 64))
    ),
    "the number of changes of the registry": lambda: seal_of(
        state=replace(STATE, registry_end=RegistryEnd(4, "b" * 64))
    ),
    "the registry's last link": lambda: seal_of(
        state=replace(STATE, registry_end=RegistryEnd(3, "c" * 64))
    ),
    "the number of entries of the audit log": lambda: seal_of(
        state=replace(STATE, rulings_end=RulingsEnd(1))
    ),
    "the audit log's last link": lambda: seal_of(
        state=replace(STATE, rulings_end=RulingsEnd(0, "c" * 64))
    ),
    "when": lambda: seal_of(closed_at=MORNING + timedelta(microseconds=1)),
    "who": lambda: seal_of(closed_by=SECOND),
    "who else": lambda: seal_of(confirmed_by=SECOND),
    "a row of a file": lambda: seal_of(
        inputs=replace(INPUTS, files=(replace(OWN, row_hash="9" * 64),))
    ),
}


@pytest.mark.parametrize("what", ALTERED)
def test_whatever_a_seal_covers_changes_it(what: str) -> None:
    assert seal_of() == seal_of()
    assert ALTERED[what]() != seal_of()
