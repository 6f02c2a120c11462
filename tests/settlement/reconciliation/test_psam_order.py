"""R9: within one PSAM the signed sequence orders debits, whenever each of them came in."""

import tempfile
from datetime import date, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from settlement.dispositions import Reason, RecordMac
from settlement.facts.columns import PROOF_BITS
from settlement.reconciliation.inputs import file_number
from settlement.registry.book import Dated
from settlement.registry.rows import HotlistRow, TerminalRow
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    DAY,
    GATE,
    METRO_OPERATOR,
    TERMINALS,
    Desk,
    Proven,
    card_text,
    debit,
    proven,
)

#: (terminal, PSAM sequence, day of the clock, PSAM that it names, what its record MAC says).
Tap = tuple[str, int, int, int, RecordMac]
TAPS = st.tuples(
    st.sampled_from([BUS, GATE]),
    st.integers(1, 9),
    st.integers(0, 5),
    st.integers(1, 2),
    st.sampled_from([RecordMac.NONE, RecordMac.HELD, RecordMac.HELD, RecordMac.HELD_WEAKLY]),
)


def tap(
    card: int,
    terminal: str,
    sequence: int,
    day: int,
    psam: int = 1,
    mac: RecordMac = RecordMac.NONE,
) -> Proven:
    """A debit of a card of its own."""
    moment = datetime.fromisoformat("2018-09-01T09:00") + timedelta(days=day)
    values: dict[str, object] = {"terminal": terminal, "psam_sequence": sequence, "time": moment}
    ((data, proof),) = proven(debit(card, terminal_serial=card, psam=f"{psam:020}", **values))
    return data, proof | mac << PROOF_BITS


@settings(max_examples=20)
@given(st.lists(st.lists(TAPS, max_size=4), min_size=2, max_size=4))
def test_a_debit_is_as_late_as_any_of_a_lower_sequence_that_ever_came(
    arrivals: list[list[Tap]],
) -> None:
    seen: list[Tap] = []
    with tempfile.TemporaryDirectory() as folder:
        desk = Desk(Path(folder))
        for number, taps in enumerate(arrivals):
            rows = [tap(100 * number + n, *each) for n, each in enumerate(taps, 1)]
            desk.run(rows, day=DAY + timedelta(days=6 + number))
            seen += taps
            file = file_number(desk.hash_of(rows))
            found = {(name, row): day for name, row, day in desk.table("psam_times")}
            expected = {}
            for row, (terminal, sequence, day, psam, mac) in enumerate(taps):
                # Which PSAM it was a MAC proves that no other one can make.
                is_known = mac is RecordMac.HELD
                lower = [
                    each[2]
                    for each in seen
                    if each[:1] == (terminal,)
                    and each[1] < sequence
                    and (not is_known or each[3:] == (psam, mac))
                ]
                if max(lower, default=day) > day:
                    expected[file, row] = DAY + timedelta(days=max(lower))
            assert found == expected


def settle(folder: Path, *days: list[Proven], listed: date | None = None) -> Desk:
    """Days one after the other on which these come in, at a gate that is sold on the fourth day."""
    sold: tuple[TerminalRow | Dated[TerminalRow], ...] = (
        *(each for each in TERMINALS if each.terminal != BUS),
        Dated(TerminalRow(BUS, BUS_OPERATOR, "bus"), valid_to=DAY + timedelta(days=2)),
        Dated(TerminalRow(BUS, METRO_OPERATOR, "bus"), DAY + timedelta(days=3)),
    )
    hotlist = [] if listed is None else [Dated(HotlistRow(card_text(9), 1), listed)]
    desk = Desk(folder, terminals=sold, hotlist=hotlist)
    for number, rows in enumerate(days):
        desk.run(rows, day=DAY + timedelta(days=6 + number))
    return desk


def test_a_late_debit_is_judged_by_the_days_between_and_not_by_the_latest(tmp_path: Path) -> None:
    """Listed and sold on the fourth day: sequences 11 and 14 were signed on the days around it."""
    before, after, latest = tap(1, BUS, 11, 1), tap(2, BUS, 14, 4), tap(3, BUS, 20, 5)
    for sequence, reason, operator in (
        (10, Reason.NONE, BUS_OPERATOR),
        (12, Reason.NONE, BUS_OPERATOR),
        (15, Reason.HOTLISTED, METRO_OPERATOR),
        (21, Reason.HOTLISTED, METRO_OPERATOR),
    ):
        late = tap(9, BUS, sequence, 0)
        days = [[before, after], [latest], list[Proven](), [late]]
        desk = settle(tmp_path / str(sequence), *days, listed=DAY + timedelta(days=3))
        (verdict,) = desk.verdicts().values()
        assert (verdict.reason, verdict.operator) == (reason, operator)


def test_two_debits_of_one_sequence_say_nothing_of_each_other(tmp_path: Path) -> None:
    one, other = tap(1, BUS, 7, 5), tap(9, BUS, 7, 0)
    desk = settle(tmp_path, [one, other], listed=DAY + timedelta(days=3))
    assert {verdict.reason for verdict in desk.verdicts().values()} == {Reason.NONE}


def test_closed_days_are_opened_only_for_what_came_late(tmp_path: Path) -> None:
    """R14: a day whose file is gone is missed by nobody who follows the latest one."""
    days = [[tap(n, BUS, n, n)] for n in range(1, 6)]
    desk = settle(tmp_path, *days[:4])
    for each in tmp_path.rglob("psam_steps.parquet"):
        each.unlink()
    desk.run(days[4], day=DAY + timedelta(days=12))
    assert desk.table("psam_times") == []
    # Behind the latest day whatever its clock says.
    desk.run([tap(9, BUS, 8, -300)], day=DAY + timedelta(days=13))
    assert [day for *_, day in desk.table("psam_times")] == [DAY + timedelta(days=5)]
