"""All terminals of a run: serials used twice, serials missing, registers that do not add up.

Decides which (terminal, serial) keys stand for two different records, so that every bucket of
cards can suspend both, and what each terminal still owes. Leaves the records themselves to
`bucket`. A terminal starts at serial 1 and counts without holes; a missing serial
has no price, because the card's chain prices what is missing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from cardcore.records.batch import DeviceRegister
from cardcore.schemes import Scheme
from settlement.dispositions import GapState
from settlement.facts import columnar
from settlement.reconciliation.inputs import FactInput, Review, load_facts, load_registry


@dataclass(frozen=True, slots=True)
class TerminalTask:
    """What the terminals of a run are judged from; every path as in `BucketTask`.

    `facts` are those of all buckets, `registers` each with the participant whose sender sent it,
    `previous` this task's own output folder on the last closed day, `history` those of all closed
    days by their day.
    """

    settlement_day: date
    facts: tuple[FactInput, ...]
    registers: tuple[tuple[int, DeviceRegister], ...]
    previous: str | None
    history: tuple[tuple[date, str], ...]
    registry: str
    scheme: Scheme
    output: str
    review: Review | None = None


@dataclass(frozen=True, slots=True)
class TerminalResult:
    """The output files with their SHA-256."""

    outputs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, order=True)
class SerialGap:
    """Serials a terminal has not delivered: first to last, both missing."""

    first_serial: int
    last_serial: int
    opened_day: date


#: The output files and what stands in them, each in its own order.
_OUTPUTS = {
    "conflicts": "FROM conflict ORDER BY ALL",
    "psam_days": "FROM psam_day_after ORDER BY ALL",
    "psam_steps": "FROM psam_step ORDER BY terminal, psam, day",
    "psam_times": "FROM psam_time ORDER BY ALL",
    "psams": "FROM psam_after ORDER BY terminal, psam",
    "terminals": "FROM terminal_after ORDER BY terminal",
    "terminal_gaps": "FROM terminal_gap_after ORDER BY ALL",
    "register_differences": "FROM register_difference ORDER BY terminal",
}


#: Open gaps that a serial of today lies in, and the others of the same terminals as they were.
_TOUCHED_GAPS = """
CREATE TABLE touched_gap AS
SELECT DISTINCT gap.terminal, gap.first_serial, gap.last_serial, gap.opened_day
FROM (FROM serial_seen SEMI JOIN odd_terminal USING (terminal) WHERE proven > 0) AS seen
ASOF JOIN terminal_gap_before AS gap
    ON gap.terminal = seen.terminal AND gap.first_serial <= seen.terminal_serial
WHERE seen.terminal_serial <= gap.last_serial;
INSERT INTO terminal_gap_after
FROM terminal_gap_before SEMI JOIN odd_terminal USING (terminal)
ANTI JOIN touched_gap USING (terminal, first_serial);
"""


def reconcile_terminals(task: TerminalTask) -> TerminalResult:
    """Write `<output>/{conflicts,psam_days,psam_steps,psam_times,psams,terminals,terminal_gaps,
    register_differences}.parquet`.

    Raises `duckdb.Error` or `OSError` when a file cannot be read or written.
    """
    output = Path(task.output)
    output.mkdir(parents=True, exist_ok=True)
    with columnar.connect(output) as connection:
        columnar.define_words(connection)
        columnar.run_script(connection, "terminals_tables")
        _load(connection, task)
        columnar.run_script(connection, "terminals_seen")
        _order_by_psams(connection, task)
        columnar.insert(connection, "terminal_gap_after", _find_gaps(connection, task))
        columnar.run_script(connection, "terminals_decide")
        return TerminalResult(columnar.write_tables(connection, _OUTPUTS, output))


def _order_by_psams(connection: duckdb.DuckDBPyConnection, task: TerminalTask) -> None:
    """R9: which debits are judged as of a later day. Closed days are opened only where a debit that
    came late may follow one that they settled.
    """
    columnar.set_variables(connection, settlement_day=task.settlement_day)
    columnar.run_script(connection, "terminals_psams")
    days = connection.execute("FROM psam_day_asked ORDER BY ALL").fetchall()
    if days:
        folders = dict(task.history)
        paths = [str(Path(folders[day]) / "psam_steps.parquet") for (day,) in days]
        connection.execute("INSERT INTO psam_past FROM read_parquet($paths)", {"paths": paths})
    columnar.run_script(connection, "terminals_effective")


def continue_serials(
    gaps: Sequence[SerialGap], last_before: int, serials: Iterable[int], day: date
) -> tuple[SerialGap, ...]:
    """The gaps that are open after these serials (each once, in order) have come in.

    >>> monday = date(2018, 9, 3)
    >>> continue_serials((), 4, [5, 8], monday)
    (SerialGap(first_serial=6, last_serial=7, opened_day=datetime.date(2018, 9, 3)),)
    >>> continue_serials(_, 8, [6, 7, 9], monday)
    ()
    """
    late, opened = [], []
    following = last_before + 1
    for serial in serials:
        if serial <= last_before:
            late.append(serial)
            continue
        if serial > following:
            opened.append(SerialGap(following, serial - 1, day))
        following = serial + 1
    return (*(piece for gap in gaps for piece in _without(gap, late)), *opened)


def _without(gap: SerialGap, late: Sequence[int]) -> Iterator[SerialGap]:
    """What is left of a gap: serials that lie elsewhere are not looked at."""
    first = gap.first_serial
    for place in range(bisect_left(late, first), bisect_right(late, gap.last_serial)):
        if late[place] > first:
            yield SerialGap(first, late[place] - 1, gap.opened_day)
        first = late[place] + 1
    if first <= gap.last_serial:
        yield SerialGap(first, gap.last_serial, gap.opened_day)


def _load(connection: duckdb.DuckDBPyConnection, task: TerminalTask) -> None:
    load_facts(connection, task.facts, task.review)
    load_registry(connection, Path(task.registry), task.scheme)
    last: dict[str, DeviceRegister] = {}
    for register in _of_collectors(connection, task.registers):
        known = last.get(register.terminal)
        # Totals only grow, so the fullest register is the latest, however files were ordered.
        if known is None or _fullness(register) > _fullness(known):
            last[register.terminal] = register
    rows = [(int(each.terminal, 16), *_fullness(each)) for each in last.values()]
    columnar.insert(connection, "register", rows)
    if task.previous is not None:
        folder = Path(task.previous)
        columnar.set_variables(
            connection,
            terminals=str(folder / "terminals.parquet"),
            gaps=str(folder / "terminal_gaps.parquet"),
            psams=str(folder / "psams.parquet"),
            psam_days=str(folder / "psam_days.parquet"),
        )
        columnar.run_script(connection, "terminals_resume")


def _of_collectors(
    connection: duckdb.DuckDBPyConnection, registers: Iterable[tuple[int, DeviceRegister]]
) -> Iterator[DeviceRegister]:
    """Registers that came from whoever collects for the device, or from anybody where nobody does
    (R7).
    """
    registers = tuple(registers)
    collectors: dict[int, set[int]] = {}
    for terminal, collector in connection.execute(
        "SELECT DISTINCT terminal, collector FROM terminal "
        "WHERE terminal IN (SELECT unnest($named::UBIGINT[]))",
        {"named": sorted({int(register.terminal, 16) for _, register in registers})},
    ).fetchall():
        collectors.setdefault(terminal, set()).add(collector)
    for participant, register in registers:
        known = collectors.get(int(register.terminal, 16))
        if known is None or participant in known:
            yield register


def _fullness(register: DeviceRegister) -> tuple[int, int, int, int]:
    return (
        register.last_serial,
        register.lifetime_records,
        register.lifetime_debit_fen,
        register.lifetime_load_fen,
    )


def _find_gaps(
    connection: duckdb.DuckDBPyConnection, task: TerminalTask
) -> list[tuple[int, int, int, date, int]]:
    """The gaps of terminals whose serials do not simply go on, open and just filled ones; but not
    those that nothing of today lies in: they stay as they are.
    """
    before: dict[int, list[SerialGap]] = {}
    if connection.table("terminal_gap_before").limit(1).fetchall():
        connection.execute(_TOUCHED_GAPS)
        for terminal, first, last, opened in connection.execute(
            "FROM touched_gap ORDER BY ALL"
        ).fetchall():
            before.setdefault(terminal, []).append(SerialGap(first, last, opened))
    rows = []
    for terminal, last_before, serials in connection.execute(
        "SELECT terminal, any_value(last_before), list(terminal_serial) "
        "FROM serial_seen JOIN odd_terminal USING (terminal) WHERE proven > 0 GROUP BY terminal"
    ).fetchall():
        gaps = before.get(terminal, [])
        after = continue_serials(gaps, last_before, sorted(serials), task.settlement_day)
        rows += [_row(terminal, gap, GapState.OPEN) for gap in after]
        # What is left of a gap begins in it. Gaps stand in the order of their serials.
        begins = [each.first_serial for each in after]
        rows += [
            _row(terminal, gap, GapState.FILLED)
            for gap in gaps
            if bisect_left(begins, gap.first_serial) == bisect_right(begins, gap.last_serial)
        ]
    return rows


def _row(terminal: int, gap: SerialGap, state: GapState) -> tuple[int, int, int, date, int]:
    return terminal, gap.first_serial, gap.last_serial, gap.opened_day, int(state)
