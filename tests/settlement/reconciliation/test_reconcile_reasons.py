"""One test for each reason: what gives it, and that a forged record never harms a true one."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cardcore.concession import Concession
from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag, RecordKind, Sector
from cardcore.records.record import encode_record
from settlement.dispositions import Disposition, Note, Reason
from settlement.facts import columnar
from settlement.registry.rows import HotlistRow, TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    DAY,
    GATE,
    METRO_OPERATOR,
    STRANGER,
    TERMINALS,
    Desk,
    Proven,
    card_text,
    chain,
    debit,
    load,
    proven,
)

RIDE = debit()
FIRST = proven(load())


def reasons_of(desk: Desk, rows: list[Proven]) -> list[Reason]:
    return [Reason(reason) for reason in desk.reasons(rows)]


def judge(folder: Path, *rows: Proven) -> list[Reason]:
    """The reasons of rows that come in one file after the card's first load."""
    desk = Desk(folder)
    desk.run([*FIRST, *rows])
    return reasons_of(desk, [*FIRST, *rows])[1:]


def with_proof(proof: ProofReason, **values: object) -> Proven:
    return encode_record(replace(RIDE, **values)), proof  # type: ignore[arg-type]


def test_a_true_record_is_accepted(tmp_path: Path) -> None:
    assert judge(tmp_path, *proven(RIDE)) == [Reason.NONE]


def test_format_wrong(tmp_path: Path) -> None:
    data = encode_record(RIDE)
    assert judge(tmp_path, (data[:1] + b"\x09" + data[2:], ProofReason.PROVEN)) == [
        Reason.FORMAT_WRONG
    ]


def test_duplicate_in_one_file(tmp_path: Path) -> None:
    assert judge(tmp_path, *proven(RIDE, RIDE)) == [Reason.NONE, Reason.DUPLICATE]


def test_duplicate_of_an_accepted_record_of_a_closed_day(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.run([*FIRST, *proven(RIDE)])
    again = proven(RIDE)
    outcome = desk.run(again, day=DAY + timedelta(days=1))
    assert reasons_of(desk, again) == [Reason.DUPLICATE]
    assert outcome.clearing.totals.float_fen == 840


def test_duplicate_of_a_suspended_record_of_a_closed_day(tmp_path: Path) -> None:
    held = [with_proof(ProofReason.UNKNOWN_VERSION)]
    desk = Desk(tmp_path)
    desk.run([*FIRST, *held])
    now_proven = proven(RIDE)
    desk.run(now_proven, day=DAY + timedelta(days=1))
    assert reasons_of(desk, now_proven) == [Reason.DUPLICATE]


def test_of_two_copies_the_one_that_could_be_proven_counts(tmp_path: Path) -> None:
    early = with_proof(ProofReason.UNKNOWN_VERSION)  # taken in before its key was loaded
    assert judge(tmp_path, early, *proven(RIDE)) == [Reason.DUPLICATE, Reason.NONE]


@pytest.mark.parametrize(
    ("proof", "reason"),
    [
        (ProofReason.UNKNOWN_ALGORITHM, Reason.ALGORITHM_UNKNOWN),
        (ProofReason.UNKNOWN_VERSION, Reason.KEY_VERSION_UNKNOWN),
        (ProofReason.WRONG_VERSION, Reason.KEY_VERSION_WRONG),
        (ProofReason.WRONG, Reason.TAC_WRONG),
    ],
)
def test_what_the_key_service_cannot_prove(
    tmp_path: Path, proof: ProofReason, reason: Reason
) -> None:
    assert judge(tmp_path, with_proof(proof)) == [reason]


def test_tac_missing(tmp_path: Path) -> None:
    torn = with_proof(ProofReason.WRONG, flags=RecordFlag.TAC_MISSING)
    assert judge(tmp_path, torn) == [Reason.TAC_MISSING]


@pytest.mark.parametrize(
    "values", [{"terminal": STRANGER}, {"operator": METRO_OPERATOR}, {"operator": 77}]
)
def test_terminal_unknown(tmp_path: Path, values: dict[str, object]) -> None:
    assert judge(tmp_path, with_proof(ProofReason.PROVEN, **values)) == [Reason.TERMINAL_UNKNOWN]


@pytest.mark.parametrize("after_fen", [841, 839, 1160, 1000])
def test_balance_broken(tmp_path: Path, after_fen: int) -> None:
    broken = with_proof(ProofReason.PROVEN, balance_after_fen=after_fen)
    assert judge(tmp_path, broken) == [Reason.BALANCE_BROKEN]


def test_terminal_serial_reused_suspends_both_and_no_third(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160)
    life[2] = replace(life[2], terminal_serial=1)
    assert judge(tmp_path, *proven(*life[1:])) == [
        Reason.TERMINAL_SERIAL_REUSED,
        Reason.TERMINAL_SERIAL_REUSED,
        Reason.NONE,
    ]


def test_terminal_serial_reused_against_another_card_of_another_bucket(tmp_path: Path) -> None:
    rows = proven(load(), load(2, terminal_serial=2), RIDE, debit(2))
    desk = Desk(tmp_path, buckets=16)
    desk.run(rows)
    assert reasons_of(desk, rows)[2:] == [Reason.TERMINAL_SERIAL_REUSED] * 2


def test_terminal_serial_of_a_closed_day_reused_leaves_the_closed_record_alone(
    tmp_path: Path,
) -> None:
    life = chain(1, 1000, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(*life[:2]))
    later = proven(replace(life[2], terminal_serial=1))
    outcome = desk.run(later, day=DAY + timedelta(days=1))
    assert reasons_of(desk, later) == [Reason.TERMINAL_SERIAL_REUSED]
    assert outcome.clearing.totals.card_balance_fen == 680  # the card was debited all the same


def test_card_counter_reused_by_a_clone_suspends_both(tmp_path: Path) -> None:
    clone = replace(RIDE, terminal=GATE, operator=METRO_OPERATOR)
    assert judge(tmp_path, *proven(RIDE, clone)) == [Reason.CARD_COUNTER_REUSED] * 2


def test_card_counter_of_a_closed_day_reused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.run([*FIRST, *proven(RIDE)])
    clone = proven(replace(RIDE, terminal_serial=2))
    outcome = desk.run(clone, day=DAY + timedelta(days=1))
    assert reasons_of(desk, clone) == [Reason.CARD_COUNTER_REUSED]
    totals = outcome.clearing.totals
    # The operator's claim is held; the card shows that it did not pay twice.
    assert (totals.float_fen, totals.card_balance_fen, totals.open_gap_fen) == (680, 840, -160)


def test_a_third_record_of_a_counter_that_two_were_suspended_for_is_suspended_too(
    tmp_path: Path,
) -> None:
    clones = [replace(RIDE, terminal_serial=serial, line=serial) for serial in (1, 2, 3)]
    desk = Desk(tmp_path)
    desk.run([*FIRST, *proven(*clones[:2])])
    third = proven(clones[2])
    desk.run(third, day=DAY + timedelta(days=1))
    assert reasons_of(desk, third) == [Reason.CARD_COUNTER_REUSED]


def test_card_counter_regressed(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    torn = [with_proof(ProofReason.PROVEN, terminal=STRANGER)]
    desk.run([*FIRST, *torn])  # in the chain, but suspended before its counter was looked at
    late = proven(replace(RIDE, terminal_serial=9))
    desk.run(late, day=DAY + timedelta(days=1))
    assert reasons_of(desk, late) == [Reason.CARD_COUNTER_REGRESSED]


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (datetime.fromisoformat("2018-09-02T23:59:59"), Reason.NONE),
        (datetime.fromisoformat("2018-09-03"), Reason.CLOCK_AHEAD),
        (datetime.fromisoformat("1990-01-06"), Reason.NONE),
    ],
)
def test_clock_ahead(tmp_path: Path, moment: datetime, reason: Reason) -> None:
    assert judge(tmp_path, with_proof(ProofReason.PROVEN, time=moment)) == [reason]


def test_a_clock_is_held_against_the_receipt_and_again_when_its_day_comes(tmp_path: Path) -> None:
    """R9: not against the settlement day, whichever it is; and what waits for its day is released
    by itself, once.
    """
    ahead = with_proof(ProofReason.PROVEN, time=datetime.fromisoformat("2018-09-04T09:00"))
    desk = Desk(tmp_path)
    desk.run([*FIRST, ahead])
    key = (int(desk.hash_of([*FIRST, ahead])[:16], 16), len(FIRST))
    assert desk.verdicts()[key].reason == Reason.CLOCK_AHEAD
    found = []
    for offset in range(1, 4):
        day = DAY + timedelta(days=offset)
        outcome = desk.run(day=day, review={key: ProofReason.PROVEN})
        totals = outcome.clearing.totals
        found.append((desk.verdicts()[key].reason, totals.accepted, totals.suspended))
    assert found == [
        (Reason.CLOCK_AHEAD, 0, 0), (Reason.CLOCK_AHEAD, 0, 0), (Reason.NONE, 1, -1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("version", "reason", "notes"),
    [
        (4, Reason.HOTLISTED, Note(0)),
        (5, Reason.HOTLISTED, Note(0)),
        (6, Reason.NONE, Note.HOTLISTED_LATE),
    ],
)
def test_hotlisted_when_the_terminal_could_know(
    tmp_path: Path, version: int, reason: Reason, notes: Note
) -> None:
    desk = Desk(tmp_path, hotlist=[HotlistRow(card_text(1), version)])
    desk.run(proven(RIDE))
    (verdict,) = desk.verdicts().values()
    assert (verdict.reason, verdict.notes) == (reason, notes)


def test_overcharged(tmp_path: Path) -> None:
    assert judge(tmp_path, with_proof(ProofReason.PROVEN, tariff_fen=159)) == [Reason.OVERCHARGED]


def test_a_shop_names_its_own_price(tmp_path: Path) -> None:
    purchase = with_proof(ProofReason.PROVEN, tariff_fen=0, sector=Sector.MERCHANT)
    assert judge(tmp_path, purchase) == [Reason.NONE]


def test_a_forged_record_never_suspends_a_true_one(tmp_path: Path) -> None:
    forgeries = [
        with_proof(ProofReason.WRONG, line=2),
        with_proof(ProofReason.UNKNOWN_VERSION, line=3),
        with_proof(ProofReason.PROVEN, line=4, operator=77),
        with_proof(ProofReason.PROVEN, line=5, balance_after_fen=1),
    ]
    assert judge(tmp_path, *forgeries, *proven(RIDE))[-1] is Reason.NONE


def test_the_first_reason_in_the_order_of_precedence_is_the_only_one(tmp_path: Path) -> None:
    everything: dict[str, object] = {
        "terminal": STRANGER,
        "balance_after_fen": 1,
        "time": datetime.fromisoformat("2030-01-01"),
        "tariff_fen": 1,
    }
    steps: list[tuple[ProofReason, dict[str, object], Reason]] = [
        (ProofReason.UNKNOWN_VERSION, everything, Reason.KEY_VERSION_UNKNOWN),
        (ProofReason.PROVEN, everything, Reason.TERMINAL_UNKNOWN),
        (ProofReason.PROVEN, everything | {"terminal": BUS}, Reason.BALANCE_BROKEN),
        (
            ProofReason.PROVEN,
            {"time": datetime.fromisoformat("2030-01-01"), "tariff_fen": 1},
            Reason.CLOCK_AHEAD,
        ),
        (ProofReason.PROVEN, {"tariff_fen": 1}, Reason.OVERCHARGED),
    ]
    for number, (proof, values, reason) in enumerate(steps):
        assert judge(tmp_path / str(number), with_proof(proof, **values)) == [reason]
    assert list(Reason) == sorted(Reason)


def test_every_reason_says_what_it_means() -> None:
    for reason in Reason:
        chinese, english = reason.text.zh, reason.text.en
        assert chinese
        assert english
        assert isinstance(reason.disposition, Disposition)
        if reason.retry_may_help:
            assert reason.disposition is Disposition.SUSPENDED
    assert Reason.NONE.disposition is Disposition.ACCEPTED


@pytest.mark.parametrize(
    ("values", "notes"),
    [
        ({"tariff_fen": 200, "amount_fen": 160}, Note(0)),
        ({"tariff_fen": 200, "amount_fen": 120}, Note.TRANSFER_MARK_MISSING),
        ({"tariff_fen": 200, "amount_fen": 120, "flags": RecordFlag.TRANSFER}, Note(0)),
        ({"tariff_fen": 200, "amount_fen": 123}, Note.FARE_UNEXPLAINED),
        ({"tariff_fen": 200, "amount_fen": 100}, Note.CLASS_DIFFERS),
        ({"tariff_fen": 200, "amount_fen": 100, "concession": Concession.HALF}, Note(0)),
        ({"amount_fen": 160, "flags": RecordFlag.RECOVERED}, Note.RECOVERED),
        (
            {"kind": RecordKind.ENTRY, "amount_fen": 0, "tariff_fen": 0, "station": 0},
            Note.STATION_MISSING,
        ),
        ({"amount_fen": 160, "station": 0}, Note(0)),
    ],
)
def test_notes_of_accepted_records(tmp_path: Path, values: dict[str, object], notes: Note) -> None:
    amount_fen = values["amount_fen"]
    assert isinstance(amount_fen, int)
    ride = with_proof(ProofReason.PROVEN, balance_after_fen=1000 - amount_fen, **values)
    desk = Desk(tmp_path)
    desk.run([*FIRST, ride])
    verdict = [each for each in desk.verdicts().values() if each.reason][-1]
    assert Note(max(each.notes for each in desk.verdicts().values())) == notes
    assert verdict.disposition == Disposition.ACCEPTED


def test_late_records_are_posted_today_and_counted_late(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    outcome = desk.run([*FIRST, *proven(RIDE)], day=DAY + timedelta(days=1))
    totals = outcome.clearing.totals
    assert (totals.accepted, totals.late) == (2, 2)


def test_a_terminal_registered_late_is_known_from_then_on(tmp_path: Path) -> None:
    desk = Desk(tmp_path, terminals=TERMINALS[1:])
    early, late = chain(1, 1000, -160, -160)[1:]
    desk.run([*FIRST, *proven(early)])
    assert Reason.TERMINAL_UNKNOWN in reasons_of(desk, [*FIRST, *proven(early)])
    desk.terminals = (*TERMINALS[1:], TerminalRow(BUS, BUS_OPERATOR, "bus"))
    desk.run(proven(late), day=DAY + timedelta(days=1))
    assert reasons_of(desk, proven(late)) == [Reason.NONE]


def test_sql_and_python_agree_which_reasons_are_held_and_which_may_go_away(tmp_path: Path) -> None:
    with columnar.connect(tmp_path) as connection:
        columnar.define_words(connection)
        for reason in Reason:
            ((disposition, retry),) = connection.execute(
                "SELECT disposition($word), retry_may_help($word)", {"word": int(reason)}
            ).fetchall()
            assert disposition == reason.disposition, reason
            assert retry == reason.retry_may_help, reason
