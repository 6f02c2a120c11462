"""What records say of loads: those of closed days as they were decided, those of open files as they
were proven when they came.

Decides which columns speak, and when a record counts as proven: when it stands, and not by the word
of log and card alone. Of the decisions of a day only loads are read; no raw file is opened.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path

import duckdb

from cardcore.keys import ProofReason
from cardcore.records.kinds import RecordKind
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.dispositions import Reason
from settlement.facts import columnar
from settlement.intake.answers import FileRow
from settlement.loads.decide import RecordedLoad
from settlement.registry.book import civil_day
from settlement.reports.chain import PROVEN
from settlement.service.computation import decisions_path
from settlement.service.proven import fact_path
from settlement.store.days import load_closed_days
from settlement.store.files import load_open_files

_DECIDED = """
SELECT application, card_number, counter, amount_fen, terminal, time,
    list_contains($proven, reason) AND tac <> 0, terminal_serial
FROM read_parquet($paths) WHERE kind = $load AND reason <> $damaged AND NOT by_log
"""
_RECEIVED = """
SELECT application, card_number, online_counter, amount_fen, terminal, time,
    proof = $proven, terminal_serial
FROM read_parquet($paths) WHERE kind = $load AND format_fault = 0
"""
_BY_LOG = "SELECT file, row FROM read_parquet($paths) WHERE by_log"
_Row = tuple[int, int, int, int, int, datetime, bool, int]


def read_recorded_loads(city: City, first: date, last: date) -> Iterator[RecordedLoad]:
    """Every load in the decisions of the days closed from one settlement day to another, and in the
    files that no day has settled.
    """
    with columnar.connect(city.folder) as connection:
        for day in load_closed_days(city.database):
            if not first <= day.settlement_day <= last:
                continue
            asked = {"proven": PROVEN, "damaged": int(Reason.FORMAT_WRONG)}
            for row in _rows(connection, _DECIDED, _decisions(city, day), asked):
                yield _recorded(row, day.settlement_day)
        for file in load_open_files(city.database):
            asked = {"proven": int(ProofReason.PROVEN)}
            for row in _rows(connection, _RECEIVED, _fact_paths(city, file), asked):
                yield _recorded(row, civil_day(file.file.received_at))


def read_billed_by_log(city: City, first: date, last: date) -> dict[tuple[str, int], date]:
    """The entries of logs, by issuer and number, whose loads were billed without a record by the
    days closed from one settlement day to another.
    """
    found: dict[tuple[str, int], date] = {}
    with columnar.connect(city.folder) as connection:
        for day in load_closed_days(city.database):
            if first <= day.settlement_day <= last:
                asked = {"paths": [str(each) for each in _decisions(city, day)]}
                for issuer, number in connection.execute(_BY_LOG, asked).fetchall():
                    found[f"{issuer:016X}", number] = day.settlement_day
    return found


def _decisions(city: City, day: ClosedDay) -> list[Path]:
    folder = city.run_folder(day.settlement_day, day.run_id)
    return [decisions_path(folder, bucket) for bucket in range(city.bucket_count)]


def _fact_paths(city: City, file: FileRow) -> list[Path]:
    return [fact_path(city, file.file.content_hash, each.bucket) for each in file.facts]


def _rows(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    paths: Sequence[Path],
    asked: dict[str, object],
) -> Iterable[_Row]:
    if not paths:
        return ()
    named = {"paths": [str(each) for each in paths], "load": int(RecordKind.LOAD)}
    rows: list[_Row] = connection.execute(query, named | asked).fetchall()
    return rows


def _recorded(row: _Row, known_on: date) -> RecordedLoad:
    application, card_number, counter, amount_fen, terminal, time, is_proven, serial = row
    number = f"{terminal:012x}"
    return RecordedLoad(
        application,
        f"{card_number:020}",
        counter,
        amount_fen,
        number,
        time,
        is_proven,
        known_on,
        (f"{number}-{serial:08d}",),
    )
