"""What closed days decided of one record, and what their runs found of one device.

Decides nothing: the last closed day that decided a record tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from settlement.city import City
from settlement.facts import columnar
from settlement.reconciliation.inputs import file_number, file_prefix
from settlement.service.computation import decisions_path
from settlement.store import days as day_store
from settlement.store.files import load_file_lines

_DECISION = """
SELECT disposition, reason, notes, operator, is_load, amount_fen, excess_fen
FROM read_parquet($paths)
WHERE file = $file AND row = $row
"""
_REGISTER = "SELECT * FROM read_parquet($path) WHERE terminal = $terminal"


@dataclass(frozen=True, slots=True)
class DecidedRecord:
    """A record of a kept file, and what was decided of it last, in the numbers of the run; but that
    of `operator` is whoever the registry has paid.
    """

    content_hash: str
    settlement_day: date
    disposition: int
    reason: int
    notes: int
    operator: int
    is_load: bool
    amount_fen: int
    excess_fen: int  # held for the holder


def read_decision(city: City, prefix: str, row: int) -> DecidedRecord | None:
    """The record in this row of the file whose hash begins so; None where there is none, or no
    closed day decided it.
    """
    lines = load_file_lines(city.database, [prefix])
    settled = lines[0].settlement_day if len(lines) == 1 else None
    if settled is None:
        return None
    content_hash = lines[0].file.content_hash
    values = {"file": file_number(content_hash), "row": row}
    with columnar.connect(city.folder) as connection:
        for day, paths in _runs_from(city, settled):
            asked = {**values, "paths": [str(each) for each in paths]}
            found = connection.execute(_DECISION, asked).fetchone()
            if found is not None:
                return DecidedRecord(content_hash, day, *found)
    return None


def read_held(city: City, before: date, file: int, row: int) -> int:
    """What the days before one held for the holder of a record's card, in fen."""
    (line,) = load_file_lines(city.database, [file_prefix(file)])
    if line.settlement_day is None:
        return 0
    values = {"file": file, "row": row}
    with columnar.connect(city.folder) as connection:
        for day, paths in _runs_from(city, line.settlement_day):
            if day < before:
                asked = {**values, "paths": [str(each) for each in paths]}
                found = connection.execute(_DECISION, asked).fetchone()
                if found is not None:
                    return DecidedRecord("", day, *found).excess_fen
    return 0


def read_register_difference(city: City, day: date, terminal: str) -> tuple[int, ...] | None:
    """What a closed day found of a device register that differs; None where none does."""
    closed = day_store.load_day(city.database, day)
    if closed is None:
        return None
    folder = city.run_folder(day, closed.run_id)
    path = folder / "terminals" / "register_differences.parquet"
    with columnar.connect(city.folder) as connection:
        asked = {"path": str(path), "terminal": int(terminal, 16)}
        found = connection.execute(_REGISTER, asked).fetchone()
    return None if found is None else tuple(found)


def _runs_from(city: City, settled: date) -> Iterator[tuple[date, list[Path]]]:
    """The days that may have decided a record of a file that was settled then, the last first."""
    (own,) = day_store.load_days(city.database, [settled])
    for day in (*reversed(day_store.load_reviewing_days(city.database, settled)), own):
        folder = city.run_folder(day.settlement_day, day.run_id)
        buckets = range(city.bucket_count)
        yield day.settlement_day, [decisions_path(folder, bucket) for bucket in buckets]
