"""One test for each reason: what gives it, and that a forged record never harms a true one."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from cardcore.concession import Concession
from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordFlag, RecordKind, Sector
from cardcore.records.record import encode_record
from cardcore.records.tac import record_digest
from settlement.dispositions import Disposition, Note, Reason, RecordMac
from settlement.facts import columnar
from settlement.facts.columns import PROOF_BITS
from settlement.registry.book import Dated
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


def notes_of(folder: Path, *rows: Proven) -> list[Note]:
    """The notes of rows that come in one file after the card's first load; all are accepted."""
    desk = Desk(folder)
    desk.run([*FIRST, *rows])
    verdicts = sorted(desk.verdicts().items())
    assert {verdict.disposition for _, verdict in verdicts} == {Disposition.ACCEPTED}
    return [Note(verdict.notes) for _, verdict in verdicts][1:]


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


def test_duplicate_of_a_claim_of_a_closed_day(tmp_path: Path) -> None:
    waiting = [with_proof(ProofReason.UNKNOWN_VERSION)]
    desk = Desk(tmp_path)
    desk.run([*FIRST, *waiting])
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
        (ProofReason.WRONG, Reason.TAC_WRONG),
    ],
)
def test_what_the_key_service_cannot_prove(
    tmp_path: Path, proof: ProofReason, reason: Reason
) -> None:
    assert judge(tmp_path, with_proof(proof)) == [reason]


@pytest.mark.parametrize("values", [{"flags": RecordFlag.TAC_MISSING}, {"tac": bytes(4)}])
def test_tac_missing(tmp_path: Path, values: dict[str, object]) -> None:
    assert judge(tmp_path, with_proof(ProofReason.WRONG, **values)) == [Reason.TAC_MISSING]


def test_a_tac_that_is_there_and_holds_is_not_missing_whatever_the_flag_says(
    tmp_path: Path,
) -> None:
    flagged = with_proof(ProofReason.PROVEN, flags=RecordFlag.TAC_MISSING)
    assert judge(tmp_path, flagged) == [Reason.NONE]


def test_a_torn_tap_that_the_card_proved_after_all_is_one_movement(tmp_path: Path) -> None:
    torn = with_proof(ProofReason.WRONG, flags=RecordFlag.TAC_MISSING, tac=bytes(4))
    proof = with_proof(ProofReason.PROVEN, flags=RecordFlag.RECOVERED, terminal_serial=2)
    assert judge(tmp_path / "together", torn, proof) == [Reason.VARIANT, Reason.NONE]
    desk = Desk(tmp_path)
    assert desk.run([*FIRST, torn]).clearing.totals.claims_fen == 160
    totals = desk.run([proof], day=DAY + timedelta(days=1)).clearing.totals
    assert (totals.accepted, totals.float_fen) == (1, 840)
    third = [torn, *proven(replace(RIDE, terminal_serial=3))]
    desk.run(third, day=DAY + timedelta(days=2))
    assert reasons_of(desk, third) == [Reason.VARIANT, Reason.VARIANT]


def test_a_tac_under_another_registered_version_is_paid_with_a_note(tmp_path: Path) -> None:
    assert notes_of(tmp_path, with_proof(ProofReason.WRONG_VERSION)) == [Note.KEY_VERSION_MISNAMED]


def test_terminal_unknown(tmp_path: Path) -> None:
    stranger = with_proof(ProofReason.PROVEN, terminal=STRANGER)
    assert judge(tmp_path, stranger) == [Reason.TERMINAL_UNKNOWN]


@pytest.mark.parametrize(
    "values", [{"operator": METRO_OPERATOR}, {"operator": 77}, {"sector": Sector.MERCHANT}]
)
def test_operator_and_sector_of_a_record_are_claims(
    tmp_path: Path, values: dict[str, object]
) -> None:
    assert notes_of(tmp_path, with_proof(ProofReason.PROVEN, **values)) == [Note.CLAIMS_DIFFER]


def test_not_your_terminal_until_the_registry_says_so(tmp_path: Path) -> None:
    metro = Desk(tmp_path)
    rows = [*FIRST, *proven(RIDE)]
    metro.run(rows, sender=METRO_OPERATOR)
    assert reasons_of(metro, rows) == [Reason.NOT_YOUR_TERMINAL] * 2
    # Once it collects, also of days before: what waited is judged again, and is no duplicate.
    until = Dated(TerminalRow(BUS, BUS_OPERATOR, "bus"), valid_to=DAY)
    since = TerminalRow(BUS, BUS_OPERATOR, "bus", collector=METRO_OPERATOR)
    metro.terminals = (*TERMINALS[1:], until, Dated(since, DAY + timedelta(days=1)))
    key = (int(metro.hash_of(rows)[:16], 16), 1)
    outcome = metro.run(day=DAY + timedelta(days=2), review={key: ProofReason.PROVEN})
    assert metro.verdicts()[key].reason == Reason.NONE
    assert (outcome.clearing.totals.accepted, outcome.clearing.totals.rejected) == (1, -1)


@pytest.mark.parametrize("after_fen", [841, 839, 1160, 1000])
def test_balance_broken(tmp_path: Path, after_fen: int) -> None:
    broken = with_proof(ProofReason.PROVEN, balance_after_fen=after_fen)
    assert notes_of(tmp_path, broken) == [Note.BALANCE_BROKEN]


def test_a_true_debit_with_a_wrong_balance_is_paid_and_leaves_no_gap(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160)
    rows = proven(*life[:2], replace(life[2], balance_before_fen=1), life[3])
    totals = Desk(tmp_path).run(rows).clearing.totals
    assert (totals.charged_fen, totals.gaps_open) == (480, 0)
    assert totals.float_fen == totals.card_balance_fen == 520


def test_terminal_serial_reused_is_noted_on_both_and_no_third(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160, -160)
    life[2] = replace(life[2], terminal_serial=1)
    assert notes_of(tmp_path, *proven(*life[1:])) == [
        Note.TERMINAL_SERIAL_REUSED,
        Note.TERMINAL_SERIAL_REUSED,
        Note(0),
    ]


def test_terminal_serial_reused_against_another_card_of_another_bucket(tmp_path: Path) -> None:
    rows = proven(load(), load(2, terminal_serial=2), RIDE, debit(2))
    desk = Desk(tmp_path, buckets=16)
    desk.run(rows)
    notes = [verdict.notes for _, verdict in sorted(desk.verdicts().items())]
    assert notes == [0, 0, Note.TERMINAL_SERIAL_REUSED, Note.TERMINAL_SERIAL_REUSED]


def test_terminal_serial_of_a_closed_day_reused_is_noted(tmp_path: Path) -> None:
    life = chain(1, 1000, -160, -160)
    desk = Desk(tmp_path)
    desk.run(proven(*life[:2]))
    later = proven(replace(life[2], terminal_serial=1))
    outcome = desk.run(later, day=DAY + timedelta(days=1))
    assert [verdict.notes for verdict in desk.verdicts().values()] == [Note.TERMINAL_SERIAL_REUSED]
    assert outcome.clearing.totals.card_balance_fen == 680


def test_a_card_counter_used_by_two_movements_is_noted_and_both_are_paid(tmp_path: Path) -> None:
    clone = replace(RIDE, terminal=GATE, operator=METRO_OPERATOR)
    assert notes_of(tmp_path, *proven(RIDE, clone)) == [Note.CARD_COUNTER_REUSED] * 2


def test_card_counter_of_a_closed_day_reused(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.run([*FIRST, *proven(RIDE)])
    clone = proven(replace(RIDE, terminal_serial=2, psam_sequence=77))
    outcome = desk.run(clone, day=DAY + timedelta(days=1))
    assert [each.notes for each in desk.verdicts().values()] == [Note.CARD_COUNTER_REGRESSED]
    totals = outcome.clearing.totals
    # The card signed twice, and shows that it paid once: the gap says so.
    assert (totals.float_fen, totals.card_balance_fen, totals.open_gap_fen) == (680, 840, -160)


#: Every field of a debit that its TAC does not cover, changed.
UNSIGNED: dict[str, object] = {
    "terminal_serial": 77,
    "offline_counter": 9,
    "online_counter": 9,
    "balance_before_fen": 2000,
    "balance_after_fen": 1,
    "flags": RecordFlag.TAC_MISSING,
    "operator": METRO_OPERATOR,
    "sector": Sector.MERCHANT,
    "tariff_fen": 2**32 - 1,
    "concession": Concession.FREE,
    "line": 9,
    "station": 9,
    "vehicle": 9,
    "business_day": DAY - timedelta(days=3),
    "hotlist_version": 0,
    "psam": "9" * 20,
    "previous_counter": 9,
    "card_kind": 9,
}


@pytest.mark.parametrize("days_between", [0, 1], ids=["one-file", "closed-day"])
@pytest.mark.parametrize("field", UNSIGNED)
def test_one_true_ride_sent_again_with_a_changed_byte_is_paid_once(
    tmp_path: Path, field: str, days_between: int
) -> None:
    """R1: the attack of one true 1.60 ride sent twenty times."""
    lie = proven(replace(RIDE, **{field: UNSIGNED[field]}))  # type: ignore[arg-type]
    following = proven(chain(1, 1000, -160, -160)[2])
    desk = Desk(tmp_path)
    if days_between:
        desk.run([*FIRST, *proven(RIDE)])
        outcome = desk.run([*lie, *following], day=DAY + timedelta(days=1))
        assert reasons_of(desk, [*lie, *following]) == [Reason.VARIANT, Reason.NONE]
    else:
        rows = [*FIRST, *proven(RIDE), *lie, *following]
        outcome = desk.run(rows)
        assert sorted(reasons_of(desk, rows)[1:3]) == sorted([Reason.NONE, Reason.VARIANT])
        assert reasons_of(desk, rows)[3] is Reason.NONE
    totals = outcome.clearing.totals
    assert totals.float_fen == 680
    assert totals.card_balance_fen + totals.open_gap_fen == 680


def test_of_variants_the_one_whose_record_mac_holds_stands_else_the_smallest_digest(
    tmp_path: Path,
) -> None:
    variants = [replace(RIDE, line=line) for line in range(1, 7)]
    rows = [*FIRST, *proven(*variants)]
    desk = Desk(tmp_path / "bare")
    desk.run(rows)
    standing = reasons_of(desk, rows)[1:].index(Reason.NONE)
    assert record_digest(encode_record(variants[standing])) == min(
        record_digest(encode_record(each)) for each in variants
    )
    held = (standing + 1) % len(variants)
    data, proof = rows[1 + held]
    rows[1 + held] = (data, proof | RecordMac.HELD << PROOF_BITS)
    for number, order in enumerate((rows, [*reversed(rows)])):
        desk = Desk(tmp_path / f"held-{number}")
        desk.run(order)
        reasons = dict(zip([row for row, _ in order], reasons_of(desk, order), strict=True))
        assert reasons[data] is Reason.NONE
        assert list(reasons.values()).count(Reason.VARIANT) == len(variants) - 1


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        # Received at 23:59:59 UTC, a minute before eight in the city: a day ahead of that.
        (datetime.fromisoformat("2018-09-03T07:59:59"), Reason.NONE),
        (datetime.fromisoformat("2018-09-03T08:00:00"), Reason.CLOCK_AHEAD),
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
    ("day", "version", "reason", "notes"),
    [
        (0, 4, Reason.HOTLISTED, Note(0)),
        (0, 5, Reason.HOTLISTED, Note(0)),
        # Listed since that day, and the terminal says that it had an older list: it may be so.
        (0, 6, Reason.NONE, Note.HOTLISTED_LATE),
        # From the grace on no terminal may say so.
        (-1, 6, Reason.HOTLISTED, Note(0)),
        (1, 4, Reason.NONE, Note(0)),
    ],
)
def test_hotlisted_when_the_terminal_had_to_know(
    tmp_path: Path, day: int, version: int, reason: Reason, notes: Note
) -> None:
    listed = Dated(HotlistRow(card_text(1), version), DAY + timedelta(days=day))
    desk = Desk(tmp_path, hotlist=[listed])
    desk.run(proven(RIDE))
    (verdict,) = desk.verdicts().values()
    assert (verdict.reason, verdict.notes) == (reason, notes)


def test_a_stolen_card_s_ride_dated_back_is_judged_as_of_the_psam_s_count(tmp_path: Path) -> None:
    """R9: the clock is the terminal's, the sequence is signed."""
    listed = Dated(HotlistRow(card_text(1), 9), DAY)
    honest = debit(2, psam_sequence=8, time=datetime.fromisoformat("2018-09-02T09:00"))
    backdated = replace(RIDE, psam_sequence=9, time=datetime.fromisoformat("2018-08-30T09:00"))
    earlier = replace(backdated, psam_sequence=7)
    for number, (ride, reason) in enumerate(
        ((backdated, Reason.HOTLISTED), (earlier, Reason.NONE))
    ):
        desk = Desk(tmp_path / f"one-{number}", hotlist=[listed])
        desk.run(proven(honest, ride), day=DAY + timedelta(days=1))
        assert reasons_of(desk, proven(honest, ride))[1] is reason
        desk = Desk(tmp_path / f"two-{number}", hotlist=[listed])
        desk.run(proven(honest), day=DAY + timedelta(days=1))
        desk.run(proven(ride), day=DAY + timedelta(days=2))
        assert reasons_of(desk, proven(ride)) == [reason]


def test_overcharged(tmp_path: Path) -> None:
    assert notes_of(tmp_path, with_proof(ProofReason.PROVEN, tariff_fen=159)) == [Note.OVERCHARGED]


def test_a_shop_names_its_own_price(tmp_path: Path) -> None:
    shop = TerminalRow(BUS, BUS_OPERATOR, "shop", sector=Sector.MERCHANT)
    purchase = with_proof(ProofReason.PROVEN, tariff_fen=0, sector=Sector.MERCHANT)
    desk = Desk(tmp_path, terminals=[*TERMINALS[1:], shop])
    desk.run([*FIRST, purchase])
    assert [each.notes for each in desk.verdicts().values()] == [0, 0]


def test_a_forged_record_never_holds_a_true_one(tmp_path: Path) -> None:
    forgeries = [
        with_proof(ProofReason.WRONG, line=2),
        with_proof(ProofReason.UNKNOWN_VERSION, line=3),
        with_proof(ProofReason.WRONG, line=4, terminal_serial=1, offline_counter=0),
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
        (ProofReason.PROVEN, everything | {"terminal": BUS}, Reason.CLOCK_AHEAD),
        (ProofReason.PROVEN, {"tariff_fen": 1, "balance_after_fen": 1}, Reason.NONE),
    ]
    for number, (proof, values, reason) in enumerate(steps):
        assert judge(tmp_path / str(number), with_proof(proof, **values)) == [reason]


def test_every_reason_says_what_it_means() -> None:
    for reason in Reason:
        chinese, english = reason.text.zh, reason.text.en
        assert chinese
        assert english
        assert isinstance(reason.disposition, Disposition)
        assert reason.remedy.zh
        assert reason.remedy.en
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


def test_sql_and_python_agree_which_reasons_are_held_and_which_wait(tmp_path: Path) -> None:
    with columnar.connect(tmp_path) as connection:
        columnar.define_words(connection)
        for reason in Reason:
            ((disposition, waits),) = connection.execute(
                "SELECT disposition($word), waits($word)", {"word": int(reason)}
            ).fetchall()
            assert disposition == reason.disposition, reason
            assert waits == reason.waits, reason
