"""The review (复核): records that could not be judged when they came, and can be now.

Decides which records are taken up again before a run: those whose TAC named a key the key service
did not hold, once it gives an answer; those of a terminal nobody had registered, once somebody has;
those of a clock that ran ahead, once their day has come. Records of open files are simply judged
anew. Records of closed days are decided again in the open day: nothing is corrected, only followed.
Leaves deciding to reconciliation.

A review is kept under its hash before the run that reads it, as rows of (file, row, proof), so a
run stays a function of its inputs and a killed one leaves nothing behind. On a day without such
records the key service is not even asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardcore.keys import KeyService, ProofReason
from cardcore.records.batch import read_records
from settlement.city import City
from settlement.days.closing import ClearingState
from settlement.dispositions import Reason
from settlement.durable import make_folder, sync_folder
from settlement.errors import StoredBytesError
from settlement.facts import columnar
from settlement.facts.cells import record_rows
from settlement.facts.columns import UNJUDGED
from settlement.intake.answers import FileRow
from settlement.people.actions import Action, Actor
from settlement.reconciliation.bucket import WAITING
from settlement.reconciliation.inputs import file_number, file_prefix
from settlement.registry.book import Dated
from settlement.registry.rows import TerminalRow
from settlement.service.keeping import KeptFiles
from settlement.service.proven import hash_of, proven_bytes, proven_facts
from settlement.service.proving import SHOWN, prove_in_city
from settlement.store.days import load_run
from settlement.store.files import load_files
from settlement.store.registry import load_registry, load_tac_keys

Rows = NDArray[np.int64]

_UNJUDGED = """
SELECT row FROM read_parquet($paths)
WHERE format_fault = 0 AND list_contains($unjudged, proof) ORDER BY row
"""
_WAITING = (
    "SELECT file, row, reason, terminal, operator, time FROM read_parquet($paths) ORDER BY ALL"
)
_REVIEW = "SELECT * FROM review ORDER BY file, row"


@dataclass(frozen=True, slots=True)
class _Question:
    """Rows of one file, and the proof they have when it need not be asked for."""

    file: FileRow
    rows: Rows
    proof: ProofReason | None = None


def keep_review(
    city: City,
    state: ClearingState,
    settlement_day: date,
    key_service: KeyService,
    kept: KeptFiles,
    by: Actor,
    now: datetime,
) -> str | None:
    """Ask again about everything that waits, and keep what can be judged on a settlement day. Keys
    that show themselves are registered by whoever asks. What waits in a file that is not whole
    goes on waiting.

    Returns the SHA-256 of the kept review, None when there is nothing in it. Raises what the port
    raises, with nothing changed, and `StoredBytesError` when something kept is damaged.
    """
    questions = tuple(
        each for each in _questions(city, state, settlement_day) if kept.prove([each.file])
    )
    action = Action(by, now, SHOWN)
    while True:
        known = load_tac_keys(city.database)
        answered = [(each, _answers(city, each, key_service, action)) for each in questions]
        # A key that showed itself in one file may judge records of another.
        if load_tac_keys(city.database) == known:
            break
    columns = [
        (file_number(question.file.file.content_hash), question.rows[judged], answers[judged])
        for question, answers in answered
        for judged in [~np.isin(answers, UNJUDGED)]
        if judged.any()
    ]
    if not columns:
        return None
    return _keep(
        city,
        {
            "file": np.concatenate([np.full(len(rows), file, "u8") for file, rows, _ in columns]),
            "row": np.concatenate([rows.astype(np.uint32) for _, rows, _ in columns]),
            "proof": np.concatenate([answers for _, _, answers in columns]),
        },
    )


def review_size(city: City, sha256: str | None) -> int:
    """How many records a run's review names."""
    if sha256 is None:
        return 0
    with columnar.connect(city.folder) as connection:
        return len(connection.read_parquet(str(city.review_path(sha256))))


def read_review(path: Path) -> dict[int, dict[int, ProofReason]]:
    """The rows of a review: file number to row to the proof it has now."""
    with columnar.connect(path.parent) as connection:
        rows = connection.execute(
            "SELECT file, row, proof FROM read_parquet($path)", {"path": str(path)}
        ).fetchall()
    found: dict[int, dict[int, ProofReason]] = {}
    for file, row, proof in rows:
        found.setdefault(file, {})[row] = ProofReason(proof)
    return found


def records_of(city: City, row: FileRow, numbers: Rows) -> bytes:
    """Single records of a kept file, from its raw bytes, which are proven by their hash."""
    content_hash = row.file.content_hash
    data = proven_bytes(city.raw_path(content_hash), content_hash)
    return record_rows(read_records(data))[numbers].tobytes()


def _answers(
    city: City, question: _Question, key_service: KeyService, action: Action
) -> NDArray[np.uint8]:
    if question.proof is not None:
        return np.full(len(question.rows), question.proof, np.uint8)
    records = records_of(city, question.file, question.rows)
    return np.frombuffer(prove_in_city(city, records, key_service, action).answers, np.uint8)


def _questions(city: City, state: ClearingState, settlement_day: date) -> Iterator[_Question]:
    for row in state.ready:
        if any(fact.unjudged_count for fact in row.facts):
            paths = [
                fact.path
                for (_, fact), kept in zip(proven_facts(city, row), row.facts, strict=True)
                if kept.unjudged_count
            ]
            yield _Question(row, _unjudged_rows(city, paths))
    yield from _waiting(city, state, settlement_day)


def _unjudged_rows(city: City, paths: Sequence[str]) -> Rows:
    with columnar.connect(city.folder) as connection:
        found = connection.execute(
            _UNJUDGED, {"paths": list(paths), "unjudged": [int(each) for each in UNJUDGED]}
        )
        return found.fetchnumpy()["row"].astype(np.int64)


def _waiting(city: City, state: ClearingState, settlement_day: date) -> Iterator[_Question]:
    """Suspended records of closed days, by file."""
    paths = _waiting_paths(city, state)
    if not paths:
        return
    terminals: dict[int, list[Dated[TerminalRow]]] = {}
    for each in load_registry(city.database).terminals:
        terminals.setdefault(int(each.row.terminal, 16), []).append(each)
    with columnar.connect(city.folder) as connection:
        waiting = connection.execute(_WAITING, {"paths": paths}).fetchall()
    named = sorted({file for file, *_ in waiting})
    files = {
        file_number(row.file.content_hash): row
        for row in load_files(city.database, [file_prefix(file) for file in named])
    }
    asked: dict[int, list[int]] = {}
    proven: dict[int, list[int]] = {}
    for file, row, reason, terminal, operator, time in waiting:
        # Only what was proven comes as far as the questions whose terminal it is, and when it was.
        day = city.scheme.business_day(time)
        if reason == Reason.TERMINAL_UNKNOWN:
            if _owner(terminals.get(terminal, []), day) == operator:
                proven.setdefault(file, []).append(row)
        elif reason == Reason.CLOCK_AHEAD:
            if day <= settlement_day:
                proven.setdefault(file, []).append(row)
        else:
            asked.setdefault(file, []).append(row)
    for file, rows in asked.items():
        yield _Question(files[file], np.array(rows))
    for file, rows in proven.items():
        yield _Question(files[file], np.array(rows), ProofReason.PROVEN)


def _owner(rows: Sequence[Dated[TerminalRow]], day: date) -> int | None:
    """Whose a terminal was on a day."""
    return next((each.row.participant for each in rows if each.holds_on(day)), None)


def _waiting_paths(city: City, state: ClearingState) -> list[str]:
    """The lists of waiting records that the last closed day left; none on most days."""
    day = state.last_closed
    run = None if day is None else load_run(city.database, day.run_id)
    if run is None:
        return []
    folder = city.run_folder(run.settlement_day, run.run_id)
    kept = [(folder / name, sha256) for name, sha256 in run.outputs if name.endswith(WAITING)]
    for path, sha256 in kept:
        if hash_of(path) != sha256:
            raise StoredBytesError(path, f"is not {sha256}")
    return [str(path) for path, _ in kept]


def _keep(city: City, columns: Mapping[str, NDArray[np.generic]]) -> str:
    with city.scratch("review") as folder, columnar.connect(folder) as connection:
        columnar.register(connection, "review", columns)
        sha256 = columnar.write_parquet(connection, _REVIEW, folder / "review.parquet")
        path = city.review_path(sha256)
        make_folder(path.parent)
        (folder / "review.parquet").replace(path)
        sync_folder(path.parent)
    return sha256
