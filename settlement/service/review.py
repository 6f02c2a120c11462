"""The review (复核): records that could not be judged when they came, and can be now.

Decides which records are taken up again before a run: those whose TAC named a key the key service
did not hold, once it gives an answer; those of a terminal nobody had registered, once somebody has;
those whose sender did not collect for the terminal, or whose card number was nobody's, once the
registry says otherwise; those of a clock that ran ahead, once their day has come; and suspended
ones that two people ruled on. A torn tap waits for no key: its card's statements are read by the
run. Records of open files are simply judged anew.
Records of closed days are decided again in the open day: nothing is corrected, only followed.
Leaves deciding to reconciliation.

A review is kept under its hash before the run that reads it, as rows of (file, row, proof,
ruling), so a run stays a function of its inputs and a killed one leaves nothing behind. On a day
without such records the key service is not even asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cardcore.keys import KeyService, ProofReason
from cardcore.records.batch import read_records
from settlement.city import City
from settlement.days.closing import ClearingState
from settlement.days.rulings import Verdicts
from settlement.dispositions import Disposition, Reason, Verdict
from settlement.durable import make_folder, sync_folder
from settlement.errors import StoredBytesError, hash_differs
from settlement.facts import columnar
from settlement.facts.cells import record_rows
from settlement.facts.columns import UNJUDGED
from settlement.intake.answers import FileRow
from settlement.people.actions import Action, Actor
from settlement.reconciliation.bucket import WAITING
from settlement.reconciliation.inputs import file_number, file_prefix
from settlement.registry.book import Registry
from settlement.registry.placing import PlacedTerminal, RunRegistry, days_of_numbers, place
from settlement.service.keeping import KeptFiles
from settlement.service.proven import hash_of, participant_of_file, proven_bytes, proven_paths
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
    "SELECT file, row, reason, terminal, issuer, card_number, application, time "
    "FROM read_parquet($paths) WHERE NOT list_contains($settled, reason) ORDER BY ALL"
)
_REVIEW = "SELECT * FROM review ORDER BY file, row"


@dataclass(frozen=True, slots=True)
class _Question:
    """Rows of one file, the proof they have when it need not be asked for, and what people ruled of
    them.
    """

    file: FileRow
    rows: Rows
    proof: ProofReason | None = None
    verdict: Verdict | None = None


@dataclass(frozen=True, slots=True)
class Reviewed:
    """What a review says of a row: its proof now, and what people ruled of it."""

    proof: ProofReason
    verdict: Verdict | None


#: Rows of a review: file number to row to what it says.
Review: TypeAlias = Mapping[int, Mapping[int, Reviewed]]


def keep_review(
    city: City,
    state: ClearingState,
    settlement_day: date,
    key_service: KeyService,
    kept: KeptFiles,
    by: Actor,
    now: datetime,
    verdicts: Verdicts,
) -> str | None:
    """Ask again about everything that waits, and keep what can be judged on a settlement day, or
    was ruled on. Keys that show themselves are registered by whoever asks. What waits in a file
    that is not whole goes on waiting.

    Returns the SHA-256 of the kept review, None when there is nothing in it. Raises what the port
    raises, with nothing changed, and `StoredBytesError` when something kept is damaged.
    """
    questions = tuple(
        each
        for each in _questions(city, state, settlement_day, verdicts)
        if kept.prove([each.file])
    )
    action = Action(by, now, SHOWN)
    while True:
        known = load_tac_keys(city.database)
        answered = [(each, _answers(city, each, key_service, action)) for each in questions]
        # A key that showed itself in one file may judge records of another.
        if load_tac_keys(city.database) == known:
            break
    columns = [
        (question, question.rows[judged], answers[judged])
        for question, answers in answered
        for judged in [~np.isin(answers, UNJUDGED)]
        if judged.any()
    ]
    if not columns:
        return None
    return _keep(
        city,
        {
            "file": np.concatenate(
                [
                    np.full(len(rows), file_number(each.file.file.content_hash), "u8")
                    for each, rows, _ in columns
                ]
            ),
            "row": np.concatenate([rows.astype(np.uint32) for _, rows, _ in columns]),
            "proof": np.concatenate([answers for _, _, answers in columns]),
            "ruling": np.concatenate(
                [np.full(len(rows), each.verdict or 0, "u1") for each, rows, _ in columns]
            ),
        },
    )


def review_size(city: City, sha256: str | None) -> int:
    """How many records a run's review names."""
    if sha256 is None:
        return 0
    with columnar.connect(city.folder) as connection:
        return len(connection.read_parquet(str(city.review_path(sha256))))


def read_review(path: Path) -> dict[int, dict[int, Reviewed]]:
    """What stands in a review."""
    with columnar.connect(path.parent) as connection:
        rows = connection.execute(
            "SELECT file, row, proof, ruling FROM read_parquet($path)", {"path": str(path)}
        ).fetchall()
    found: dict[int, dict[int, Reviewed]] = {}
    for file, row, proof, ruling in rows:
        verdict = Verdict(ruling) if ruling else None
        found.setdefault(file, {})[row] = Reviewed(ProofReason(proof), verdict)
    return found


def put_review(city: City, review: Review) -> str:
    """Keep a review of these rows; the SHA-256 that it has."""
    flat = [
        (file, row, said.proof, said.verdict or 0)
        for file, rows in review.items()
        for row, said in rows.items()
    ]
    files, rows, proofs, rulings = zip(*flat, strict=True)
    return _keep(
        city,
        {
            "file": np.array(files, "u8"),
            "row": np.array(rows, np.uint32),
            "proof": np.array(proofs, np.uint8),
            "ruling": np.array(rulings, np.uint8),
        },
    )


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


def _questions(
    city: City, state: ClearingState, settlement_day: date, verdicts: Verdicts
) -> Iterator[_Question]:
    for row in state.ready:
        if any(fact.unjudged_count for fact in row.facts):
            paths = [
                path
                for (_, path), kept in zip(proven_paths(city, row), row.facts, strict=True)
                if kept.unjudged_count
            ]
            yield _Question(row, _unjudged_rows(city, paths))
    yield from _waiting(city, state, settlement_day, verdicts)


def _unjudged_rows(city: City, paths: Sequence[str]) -> Rows:
    with columnar.connect(city.folder) as connection:
        found = connection.execute(
            _UNJUDGED, {"paths": list(paths), "unjudged": [int(each) for each in UNJUDGED]}
        )
        return found.fetchnumpy()["row"].astype(np.int64)


def _waiting(
    city: City, state: ClearingState, settlement_day: date, verdicts: Verdicts
) -> Iterator[_Question]:
    """Records of closed days that wait, by file."""
    paths = _waiting_paths(city, state)
    if not paths:
        return
    registry = load_registry(city.database)
    places = _Places(registry, place(registry, city.scheme.name))
    with columnar.connect(city.folder) as connection:
        waiting = connection.execute(
            _WAITING, {"paths": paths, "settled": [int(Reason.TAC_MISSING)]}
        ).fetchall()
    named = sorted({file for file, *_ in waiting})
    files = {
        file_number(row.file.content_hash): row
        for row in load_files(city.database, [file_prefix(file) for file in named])
    }
    asked: dict[int, list[int]] = {}
    proven: dict[int, list[int]] = {}
    ruled: dict[tuple[int, Verdict], list[int]] = {}
    for file, row, reason, terminal, issuer, card_number, application, time in waiting:
        day = city.scheme.business_day(time)
        verdict = verdicts.get((file, row))
        if verdict is not None and Reason(reason).disposition is Disposition.SUSPENDED:
            ruled.setdefault((file, verdict), []).append(row)
            continue
        match reason:
            # Only what was proven comes as far as the questions where it was, and when.
            case Reason.TERMINAL_UNKNOWN if places.stands(terminal, day):
                proven.setdefault(file, []).append(row)
            case Reason.CLOCK_AHEAD if day <= settlement_day:
                proven.setdefault(file, []).append(row)
            case Reason.NOT_YOUR_TERMINAL if places.may_deliver(files[file], terminal, day):
                asked.setdefault(file, []).append(row)
            case Reason.FOREIGN_CARD if places.has_keys(issuer, card_number, application, day):
                asked.setdefault(file, []).append(row)
            case Reason.KEY_VERSION_UNKNOWN | Reason.ALGORITHM_UNKNOWN:
                asked.setdefault(file, []).append(row)
    for file, rows in asked.items():
        yield _Question(files[file], np.array(rows))
    for file, rows in proven.items():
        yield _Question(files[file], np.array(rows), ProofReason.PROVEN)
    for (file, verdict), rows in ruled.items():
        yield _Question(files[file], np.array(rows), ProofReason.PROVEN, verdict)


class _Places:
    """The registry as it is now, asked about records that wait."""

    def __init__(self, registry: Registry, placed: RunRegistry) -> None:
        self._registry = registry
        # Nothing is asked anew of numbers that were somebody else's on the day: it could not help.
        self._numbers = [each for each, is_asked in days_of_numbers(placed.numbers) if is_asked]
        self._terminals: dict[int, list[PlacedTerminal]] = {}
        for each in placed.terminals:
            self._terminals.setdefault(int(each.terminal, 16), []).append(each)

    def stands(self, terminal: int, day: date) -> bool:
        """Whether a terminal is registered on a day."""
        rows = self._terminals.get(terminal, [])
        return any(each.valid_from <= day <= each.valid_to for each in rows)

    def may_deliver(self, file: FileRow, terminal: int, day: date) -> bool:
        """Whether the sender of a file collects for a terminal, then or later (R7)."""
        rows = self._terminals.get(terminal, [])
        participant = participant_of_file(file, self._registry)
        return not rows or any(
            each.collector == participant and each.valid_to >= day for each in rows
        )

    def has_keys(self, issuer: int, card_number: int, application: int, day: date) -> bool:
        """Whether keys, of ours or of a partner, may prove a card number on a day."""
        return any(
            (each.application, int(each.issuer, 16)) == (application, issuer)
            and each.first_number <= card_number <= each.last_number
            and each.valid_from <= day <= each.valid_to
            for each in self._numbers
        )


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
            raise StoredBytesError(path, hash_differs(sha256))
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
