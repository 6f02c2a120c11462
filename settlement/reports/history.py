"""One record's whole story (一条记录的来龙去脉): where it came from and where its money went.

Decides which steps there are and where their figures come from. Leaves the wording to
`settlement.reports.wording`, the APDUs that made the record to whoever saw them, and the layout on
screen or page to the caller. A record that came in more than once has one telling for each time;
one that was decided again on a later day has every decision in its telling.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from cardcore.errors import RecordFormatError
from cardcore.keys import ProofReason
from cardcore.records.batch import HEADER, decode_header
from cardcore.records.record import RecordKind, TransactionRecord, decode_record
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.dispositions import Disposition, Note, Reason
from settlement.facts import columnar
from settlement.intake.answers import FileRow
from settlement.ledger.accounts import parse_account
from settlement.ledger.entries import Entry, EntryKind
from settlement.reconciliation.inputs import file_number
from settlement.registry import Registry
from settlement.reports.wording import (
    Decision,
    Judgement,
    Neighbour,
    Story,
    Telling,
    record_postings,
    tell,
)
from settlement.service.computation import decisions_path
from settlement.service.gathering import still_made_of
from settlement.service.review import review_size
from settlement.service.runs import fact_path
from settlement.store import days as day_store
from settlement.store.files import load_files
from settlement.store.registry import load_registry

_FIND = """
SELECT parse_filename(parse_dirpath(filename)) AS content_hash,
    parse_filename(filename, true)::INTEGER AS bucket, row, proof, card_number
FROM read_parquet($paths, filename = true)
WHERE terminal = $terminal AND terminal_serial = $serial
ORDER BY ALL
"""
_CARD = """
SELECT DISTINCT lower(printf('%012x-%08d', terminal, terminal_serial)), time,
    balance_before_fen, balance_after_fen
FROM read_parquet($paths, filename = true) AS fact
LEFT JOIN review
    ON review.file = ('0x' || parse_filename(parse_dirpath(fact.filename))[:16])::UBIGINT
    AND review.row = fact.row
WHERE issuer = $issuer AND card_number = $card_number AND application = $application
    AND format_fault = 0 AND list_contains($kinds, kind)
    AND coalesce(review.proof, fact.proof) = $proven
ORDER BY time, 1
"""
_REVIEWS = "SELECT file, row, proof, parse_filename(filename, true) AS sha256"
_DECISION = """
SELECT disposition, reason, notes, late, fare_class, chained
FROM read_parquet($path) WHERE file = $file AND row = $row
"""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a copy of the record stands: file, row in it, bucket of its card."""

    file: FileRow
    row: int
    bucket: int
    proof: ProofReason
    card_number: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that tells: a closed day's, or the provisional one."""

    folder: Path
    day: ClosedDay | None
    review_sha256: str | None


def explain(city: City, record_id: str) -> Story:
    """The story of a record, by its id `<terminal, 12 hexadecimal digits>-<serial>`.

    There is no telling when no kept file holds such a record. Raises `ValueError` when the text
    is no record id.
    """
    terminal, serial = parse_record_id(record_id)
    files = {row.file.content_hash: row for row in load_files(city.database)}
    registry = load_registry(city.database)
    runs = _runs(city)
    with columnar.connect(city.folder) as connection:
        _load_reviews(connection, city, runs)
        places = _find(connection, city, files, terminal, serial)
        tellings = [_tell(connection, city, files, registry, runs, place) for place in places]
    return Story(f"{terminal}-{serial:08d}", tuple(sorted(tellings, key=_accepted_first)))


def parse_record_id(text: str) -> tuple[str, int]:
    """Terminal and serial of a record id.

    >>> parse_record_id("0000000000B1-00000007")
    ('0000000000b1', 7)
    """
    terminal, dash, serial = text.strip().lower().rpartition("-")
    if not dash or len(bytes.fromhex(terminal)) != 6 or not serial.isdecimal():
        raise ValueError(f"{text!r} is no record id: terminal-serial, e.g. 0000000000b1-00000007")
    return terminal, int(serial)


def _accepted_first(telling: Telling) -> tuple[bool, str, int]:
    decision = telling.decision
    accepted = decision is not None and decision.disposition is Disposition.ACCEPTED
    return not accepted, telling.content_hash, telling.row


def _paths(city: City, files: dict[str, FileRow]) -> list[str]:
    return [
        str(fact_path(city, content_hash, fact.bucket))
        for content_hash, row in files.items()
        for fact in row.facts
    ]


def _find(
    connection: duckdb.DuckDBPyConnection,
    city: City,
    files: dict[str, FileRow],
    terminal: str,
    serial: int,
) -> list[_Place]:
    paths = _paths(city, files)
    if not paths:
        return []
    found = connection.execute(
        _FIND, {"paths": paths, "terminal": int(terminal, 16), "serial": serial}
    ).fetchall()
    return [
        _Place(files[content_hash], row, bucket, ProofReason(proof), card_number)
        for content_hash, bucket, row, proof, card_number in found
    ]


def _tell(
    connection: duckdb.DuckDBPyConnection,
    city: City,
    files: dict[str, FileRow],
    registry: Registry,
    runs: tuple[_Run, ...],
    place: _Place,
) -> Telling:
    record = _read_record(city, place)
    before: Neighbour | None = None
    after: Neighbour | None = None
    if record is not None:
        before, after = _neighbours(connection, _paths(city, files), place, record)
    return tell(
        file=place.file,
        row=place.row,
        proof=place.proof,
        record=record,
        registry=registry,
        judgements=tuple(_judgements(connection, city, runs, place, record)),
        before=before,
        after=after,
    )


def _judgements(
    connection: duckdb.DuckDBPyConnection,
    city: City,
    runs: tuple[_Run, ...],
    place: _Place,
    record: TransactionRecord | None,
) -> Iterator[Judgement]:
    """What each run made of the record: the one that settled its file, then those that took it up
    again.
    """
    settled = place.file.settlement_day
    values = {"file": file_number(place.file.file.content_hash), "row": place.row}
    reviewed = dict(
        connection.execute(
            "SELECT DISTINCT sha256, proof FROM review WHERE file = $file AND row = $row", values
        ).fetchall()
    )
    before: Decision | None = None
    for run in runs:
        day = None if run.day is None else run.day.settlement_day
        is_own = settled == day and (place.file.is_ready or day is not None)
        is_later = settled is not None and (day is None or day > settled)
        if not is_own and not (is_later and run.review_sha256 in reviewed):
            continue
        decision = _read_decision(connection, run, place)
        if decision is None:
            continue
        proof = reviewed.get(run.review_sha256)
        judgement = Judgement(decision, None if proof is None else ProofReason(proof), run.day)
        if run.day is not None and record is not None:
            money = record_postings(record, before, decision)
            participants = {parse_account(account).participant for account in money}
            judgement = replace(
                judgement,
                entries=_entries(city, run.day, place.bucket, participants),
                positions=day_store.load_positions(city.database, run.day.settlement_day),
            )
        before = decision
        yield judgement


def _read_record(city: City, place: _Place) -> TransactionRecord | None:
    with city.raw_path(place.file.file.content_hash).open("rb") as file:
        header = decode_header(file.read(HEADER.size))
        file.seek(HEADER.size + place.row * header.record_bytes)
        data = file.read(header.record_bytes)
    try:
        return decode_record(data)
    except RecordFormatError:
        return None


def _runs(city: City) -> tuple[_Run, ...]:
    """The runs of the closed days, in order, then the provisional one that tells, if any."""
    runs = []
    for day in day_store.load_closed_days(city.database):
        run = day_store.load_run(city.database, day.run_id)
        assert run is not None, day  # the database refers to it
        folder = city.run_folder(day.settlement_day, day.run_id)
        runs.append(_Run(folder, day, run.review_sha256))
    # Of the runs computed so far, only one over exactly the files ready now tells; of several, the
    # one that could judge most.
    provisional = [
        run for run in day_store.load_provisional_runs(city.database) if still_made_of(city, run)
    ]
    if provisional:
        run = max(provisional, key=lambda each: review_size(city, each.review_sha256))
        folder = city.run_folder(run.settlement_day, run.run_id)
        runs.append(_Run(folder, None, run.review_sha256))
    return tuple(runs)


def _load_reviews(
    connection: duckdb.DuckDBPyConnection, city: City, runs: tuple[_Run, ...]
) -> None:
    paths = {str(city.review_path(run.review_sha256)) for run in runs if run.review_sha256}
    if paths:
        columnar.set_variables(connection, reviews=sorted(paths))
        source = "read_parquet(getvariable('reviews'), filename = true)"
        connection.execute(f"CREATE VIEW review AS {_REVIEWS} FROM {source}")
    else:
        connection.execute(
            "CREATE TABLE review (file UBIGINT, row UINTEGER, proof UTINYINT, sha256 VARCHAR)"
        )


def _read_decision(
    connection: duckdb.DuckDBPyConnection, run: _Run, place: _Place
) -> Decision | None:
    values: dict[str, Any] = {
        "path": str(decisions_path(run.folder, place.bucket)),
        "file": file_number(place.file.file.content_hash),
        "row": place.row,
    }
    found = connection.execute(_DECISION, values).fetchone()
    if found is None:
        return None
    disposition, reason, notes, late, fare_class, chained = found
    return Decision(
        Disposition(disposition), Reason(reason), Note(notes), late, fare_class, chained
    )


def _neighbours(
    connection: duckdb.DuckDBPyConnection,
    paths: list[str],
    place: _Place,
    record: TransactionRecord,
) -> tuple[Neighbour | None, Neighbour | None]:
    """The card's proven records just before and after this one, by their own times."""
    rows = connection.execute(
        _CARD,
        {
            "paths": paths,
            "issuer": int.from_bytes(record.issuer, "big"),
            "card_number": place.card_number,
            "application": record.application,
            "kinds": [int(each) for each in RecordKind if each.moves_purse],
            "proven": int(ProofReason.PROVEN),
        },
    ).fetchall()
    found = [Neighbour(*row) for row in rows if row[0] != record.id]
    earlier = [each for each in found if (each.time, each.record_id) < (record.time, record.id)]
    later = [each for each in found if (each.time, each.record_id) > (record.time, record.id)]
    return (earlier[-1] if earlier else None, later[0] if later else None)


def _entries(
    city: City, day: ClosedDay, bucket: int, participants: Collection[int | None]
) -> tuple[Entry, ...]:
    """The entries of the day in which the record's money stands: the cards' and each
    participant's.
    """
    wanted: set[tuple[EntryKind, int | None, int | None]] = {(EntryKind.COLLECT, bucket, None)}
    wanted |= {(EntryKind.DISTRIBUTE, None, each) for each in participants}
    return tuple(
        entry
        for entry in day_store.load_entries(city.database)
        if entry.settlement_day == day.settlement_day
        and (entry.kind, entry.bucket, entry.participant) in wanted
    )
