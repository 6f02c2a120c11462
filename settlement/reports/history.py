"""One record's whole history (一条记录的来龙去脉): where it came from and where its money went.

Decides which steps there are and where their figures come from. What is asked for is the record's
own: its files, the days that decided it, the accounts it moved; a larger city makes no longer
history. Leaves finding the record to `settlement.reports.places`, its card's other records to
`settlement.reports.chain`, the wording to `settlement.reports.wording`, the APDUs that made the
record to whoever saw them, and the layout on screen or page to the caller. A record that came in
more than once has one copy for each time; one that was decided again on a later day has every
decision in its copy.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb

from cardcore.keys import ProofReason
from cardcore.records.record import TransactionRecord
from cardcore.text import Text, shorten
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.rulings import AppliedRuling
from settlement.dispositions import Disposition, Note, Reason
from settlement.facts import columnar
from settlement.intake.answers import FileLine
from settlement.ledger.entries import Entry
from settlement.reconciliation.inputs import file_number
from settlement.registry.book import Dated, Registry
from settlement.reports.chain import find_chain
from settlement.reports.places import Place, find_places
from settlement.reports.told import CopyHistory, Decision, Judgement, RecordHistory
from settlement.reports.wording import describe_copy, record_postings
from settlement.rulings.ruling import Ruling
from settlement.rulings.subjects import Subject
from settlement.service.computation import decisions_path
from settlement.service.gathering import still_made_of
from settlement.service.review import review_size
from settlement.store import days as day_store
from settlement.store.applied import load_applied
from settlement.store.registry import load_names, load_participants

_DECISION = """
SELECT disposition, reason, notes, late, fare_class, operator, sector, excess_fen, centre
FROM read_parquet($path) WHERE file = $file AND row = $row
"""
_REVIEW = "SELECT proof, ruling FROM read_parquet($path) WHERE file = $file AND row = $row"
_PLACES = ("line", "station", "vehicle")


@dataclass(frozen=True, slots=True)
class _Run:
    """A run that tells: a closed day's, or the provisional one."""

    folder: Path
    day: ClosedDay | None
    review_sha256: str | None
    rulings: tuple[AppliedRuling, ...]


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a run decided of a record. `proof` is set when it judged its TAC anew, `ruling` when it
    did what people had ruled of it.
    """

    run: _Run
    decision: Decision
    proof: ProofReason | None
    ruling: Ruling | None


def explain(city: City, record_id: str) -> RecordHistory:
    """The history of a record, by its id `<terminal, 12 hexadecimal digits>-<serial>`.

    There is no copy when no kept file holds such a record. Raises `ValueError` when the text
    is no record id, and `StoredBytesError` when a file that holds the record is damaged.
    """
    terminal, serial = parse_record_id(record_id)
    with columnar.connect(city.folder) as connection:
        copies = [
            _copy_history(connection, city, place)
            for place in find_places(connection, city, terminal, serial)
        ]
    return RecordHistory(f"{terminal}-{serial:08d}", tuple(sorted(copies, key=_accepted_first)))


_RECORD_ID = re.compile(r"([0-9a-f]{12})-([0-9]{1,10})")
_SERIAL_MAX = 2**32 - 1


def parse_record_id(text: str) -> tuple[str, int]:
    """Terminal and serial of a record id.

    >>> parse_record_id("0000000000B1-00000007")
    ('0000000000b1', 7)
    """
    found = _RECORD_ID.fullmatch(text.strip().lower())
    if found is None or int(found[2]) > _SERIAL_MAX:
        said = shorten(text)
        raise ValueError(
            Text(
                f"{said} 不是交易记录号；写作终端号-流水号，如 0000000000b1-00000007",
                f"{said} is no record id: terminal-serial, e.g. 0000000000b1-00000007",
            )
        )
    return found[1], int(found[2])


def _accepted_first(copy: CopyHistory) -> tuple[bool, str, int]:
    decision = copy.decision
    accepted = decision is not None and decision.disposition is Disposition.ACCEPTED
    return not accepted, copy.content_hash, copy.row


def _copy_history(connection: duckdb.DuckDBPyConnection, city: City, place: Place) -> CopyHistory:
    verdicts = tuple(_verdicts(connection, city, place))
    judgements = tuple(_judgements(city, place, verdicts))
    registry, chain = Registry(), None
    if place.record is not None:
        registry = _names(city, place.record, judgements)
        if verdicts and place.record.kind.moves_purse:
            folders = [each.run.folder for each in verdicts]
            chain = find_chain(connection, city, place.record, place.bucket, folders)
    return describe_copy(
        file=place.file,
        row=place.row,
        proof=place.proof,
        record=place.record,
        registry=registry,
        judgements=judgements,
        chain=chain,
    )


def _verdicts(
    connection: duckdb.DuckDBPyConnection, city: City, place: Place
) -> Iterator[_Verdict]:
    """What each run made of the record: the one that settled its file, those that took it up again,
    and the provisional one.
    """
    for run in _runs(city, place.file):
        values = {
            "path": str(decisions_path(run.folder, place.bucket)),
            "file": file_number(place.file.file.content_hash),
            "row": place.row,
        }
        found = connection.execute(_DECISION, values).fetchone()
        if found is None:
            continue
        disposition, reason, notes, *rest = found
        decision = Decision(Disposition(disposition), Reason(reason), Note(notes), *rest)
        proof = ruling = None
        if run.review_sha256 is not None:
            values["path"] = str(city.review_path(run.review_sha256))
            judged, is_ruled = connection.execute(_REVIEW, values).fetchone() or (None, 0)
            proof = None if judged is None else ProofReason(judged)
            ruling = _ruling(city, run, place) if is_ruled else None
        yield _Verdict(run, decision, proof, ruling)
        may_change = decision.reason.waits or Note.STATEMENT_PROVEN in decision.notes
        if run.day is not None and not may_change:
            return  # for good: no later run takes the record up


def _runs(city: City, file: FileLine) -> Iterator[_Run]:
    """The runs that may tell of a file, in order; the later ones are asked for only when needed."""
    settled = file.settlement_day
    if settled is not None:
        yield from (_closed_run(city, day) for day in day_store.load_days(city.database, [settled]))
        for day in day_store.load_reviewing_days(city.database, settled):
            yield _closed_run(city, day)
    # Of the runs computed so far, only one over exactly the files ready now tells; of several, the
    # one that could judge most.
    provisional = [
        run
        for run in day_store.load_provisional_runs(city.database)
        if file.is_ready and still_made_of(city, run)
    ]
    if provisional:
        run = max(provisional, key=lambda each: review_size(city, each.review_sha256))
        folder = city.run_folder(run.settlement_day, run.run_id)
        yield _Run(folder, None, run.review_sha256, run.rulings)


def _closed_run(city: City, day: ClosedDay) -> _Run:
    run = day_store.load_run(city.database, day.run_id)
    assert run is not None, day  # the database refers to it
    folder = city.run_folder(day.settlement_day, day.run_id)
    return _Run(folder, day, run.review_sha256, run.rulings)


def _ruling(city: City, run: _Run, place: Place) -> Ruling:
    """The ruling that a run applied to the record: of several the last."""
    item = str(Subject("record", (place.file.file.content_hash[:16], str(place.row))))
    made = load_applied(city.database, run.rulings)
    return [each for each in made if item in each.subjects][-1]


def _judgements(city: City, place: Place, verdicts: Sequence[_Verdict]) -> Iterator[Judgement]:
    """The verdicts, and what the ledger of each closed day holds of the record's money."""
    before: Decision | None = None
    for each in verdicts:
        judgement = Judgement(each.decision, each.proof, each.run.day, each.ruling)
        if each.run.day is not None and place.record is not None:
            money = record_postings(place.record, before, each.decision)
            accounts = list(money)
            day = each.run.day.settlement_day
            judgement = replace(
                judgement,
                entries=_entries(city, day, accounts, place.bucket),
                positions=day_store.load_positions(city.database, day, accounts),
            )
        yield judgement
        before = each.decision


def _entries(
    city: City, settlement_day: date, accounts: Collection[str], bucket: int
) -> tuple[Entry, ...]:
    """The entries of a day in which the record's money stands: its cards' and its participants'."""
    return tuple(
        entry
        for entry in day_store.load_entries(city.database, settlement_day, accounts)
        # The cards' side has an entry for each bucket.
        if entry.bucket in {None, bucket}
    )


def _names(city: City, record: TransactionRecord, judgements: Sequence[Judgement]) -> Registry:
    """The part of the registry that the history of a record names."""
    paid = {entry.participant for each in judgements for entry in each.entries}
    named = (code for each in judgements for code in (each.decision.operator, each.decision.centre))
    codes = {record.operator, *named, *(each for each in paid if each is not None)}
    keys = [(kind, code) for kind in _PLACES if (code := getattr(record, kind))]
    return Registry(
        participants=tuple(Dated(each) for each in load_participants(city.database, codes)),
        names=tuple(Dated(each) for each in load_names(city.database, keys)),
    )
