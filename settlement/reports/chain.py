"""A record between its neighbours: what its card did just before and just after.

Decides where they are looked for. No table has all the records of a city, but what a closed day
decided about the cards of a bucket is one file. So the days around the record's own are asked one
after the other, until the balances join, and never more than `DAYS_SEARCHED` on either side. Leaves
the words to `settlement.reports.wording`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import duckdb

from cardcore.records.kinds import RecordKind
from cardcore.records.record import TransactionRecord
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.dispositions import Reason
from settlement.reconciliation.inputs import file_prefix
from settlement.reports.places import read_record
from settlement.reports.told import Chain, Neighbour
from settlement.service.computation import decisions_path
from settlement.store.days import load_days_around
from settlement.store.files import load_file_lines

#: A month of settled days. Further apart two taps of a card say little about each other.
DAYS_SEARCHED = 31
_PURSE_KINDS = [int(each) for each in RecordKind if each.moves_purse]
#: The reasons of records whose TAC held and that stand.
PROVEN = [int(each) for each in Reason if each.disposition.is_posted]
_CARD = """
SELECT time, terminal, terminal_serial, file, row FROM read_parquet($path)
WHERE issuer = $issuer AND card_number = $card_number AND application = $application
    AND list_contains($proven, reason) AND list_contains($purse_kinds, kind)
"""


class _Seen(NamedTuple):
    """A record as a decision names it; the order is that of the card's life."""

    time: datetime
    record_id: str
    file: int
    row: int


@dataclass(slots=True)
class _Reader:
    """Reads records that decisions name, each once."""

    city: City
    read: dict[_Seen, Neighbour | None] = field(default_factory=dict)

    def neighbour(self, seen: _Seen | None) -> Neighbour | None:
        """The record that was seen; None when its raw bytes do not bear the decision out."""
        if seen is None:
            return None
        if seen not in self.read:
            self.read[seen] = self._read(seen)
        return self.read[seen]

    def _read(self, seen: _Seen) -> Neighbour | None:
        for line in load_file_lines(self.city.database, [file_prefix(seen.file)]):
            record = read_record(self.city, line.file.content_hash, seen.row)
            if record is not None and record.id == seen.record_id:
                before_fen, after_fen = record.balance_before_fen, record.balance_after_fen
                return Neighbour(record.id, record.time, before_fen, after_fen)
        return None


def find_chain(
    connection: duckdb.DuckDBPyConnection,
    city: City,
    record: TransactionRecord,
    bucket: int,
    runs: Sequence[Path],
) -> Chain:
    """The neighbours of a record among what was settled, and what `runs`, the folders of those that
    decided it, say beside it.
    """
    earlier, later = load_days_around(city.database, record.business_day, DAYS_SEARCHED)
    reader = _Reader(city)
    days_before = None if len(earlier) < DAYS_SEARCHED else DAYS_SEARCHED
    days_after = None if len(later) < DAYS_SEARCHED else DAYS_SEARCHED
    chain = Chain(None, None, days_before, days_after)
    own = (record.time, record.id)
    asked: set[Path] = set()
    seen: set[_Seen] = set()
    for folders in _rings(city, runs, earlier, later):
        for folder in folders - asked:
            seen |= _card_rows(connection, decisions_path(folder, bucket), record)
        asked |= folders
        chain = Chain(
            reader.neighbour(max((each for each in seen if each[:2] < own), default=None)),
            reader.neighbour(min((each for each in seen if each[:2] > own), default=None)),
            days_before,
            days_after,
        )
        if chain.before is not None and chain.after is not None and chain.joins(record):
            break
    return chain


def _rings(
    city: City, runs: Sequence[Path], earlier: Sequence[ClosedDay], later: Sequence[ClosedDay]
) -> Iterator[set[Path]]:
    """Folders of runs, nearest first: the record's own and its business day's, then one day more on
    either side.
    """

    def folders(*days: ClosedDay | None) -> set[Path]:
        return {city.run_folder(day.settlement_day, day.run_id) for day in days if day is not None}

    yield {*runs, *folders(*earlier[:1])}
    for pair in zip_longest(earlier[1:], later):
        yield folders(*pair)


def _card_rows(
    connection: duckdb.DuckDBPyConnection, path: Path, record: TransactionRecord
) -> set[_Seen]:
    """What a run decided about the card of a record, but for the record and its copies."""
    rows = connection.execute(
        _CARD,
        {
            "path": str(path),
            "issuer": int.from_bytes(record.issuer, "big"),
            "card_number": int(record.card_number),
            "application": record.application,
            "proven": PROVEN,
            "purse_kinds": _PURSE_KINDS,
        },
    ).fetchall()
    found = {
        _Seen(time, f"{terminal:012x}-{serial:08d}", file, row)
        for time, terminal, serial, file, row in rows
    }
    return {each for each in found if each.record_id != record.id}
