"""Every review of a closed day again: are its answers what the raw bytes give, and its records ones
that waited?

Decides what is wrong with a review. Leaves what was made of it to `settlement.verification.days`,
which computes the day from it anew.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np

from cardcore.keys import KeyService, ProofReason
from cardcore.text import Text
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.rulings import verdicts_of
from settlement.dispositions import Disposition, Reason, proof_text
from settlement.errors import reason_of
from settlement.facts import columnar
from settlement.facts.columns import UNJUDGED
from settlement.intake.answers import FileRow
from settlement.reconciliation.inputs import file_number
from settlement.service.computation import decisions_path
from settlement.service.proven import hash_of
from settlement.service.proving import prove_for_city
from settlement.service.review import Review, read_review, records_of
from settlement.store import days as day_store
from settlement.store.applied import load_applied
from settlement.verification.findings import REBUILD, Findings, Invariant, file_at
from settlement.verification.rulings import verify_verdicts

#: What waits for its day or its terminal was proven as it came in, under whatever version.
_HOLDS = {ProofReason.PROVEN, ProofReason.WRONG_VERSION}
#: What was decided last, before a day, of records that it decided again.
_DECIDED = """
SELECT file, row, reason FROM (
    SELECT *, list_position(getvariable('earlier'), filename) AS number
    FROM read_parquet(getvariable('earlier'), filename = true)
    SEMI JOIN asked USING (file, row)
)
QUALIFY row_number() OVER (PARTITION BY file, row ORDER BY number DESC) = 1
"""


def verify_reviews(
    city: City,
    rows: Sequence[FileRow],
    key_service: KeyService | None,
    scratch: Path,
    findings: Findings,
) -> int:
    """Check the review of every closed day; returns how many there are. Without a key service its
    answers are believed.

    Raises `KeyServiceUnavailableError` when TACs cannot be proven now.
    """
    files = {file_number(row.file.content_hash): row for row in rows}
    days = day_store.load_closed_days(city.database)
    count = 0
    for number, day in enumerate(days):
        run = day_store.load_run(city.database, day.run_id)
        if run is None:
            continue
        where = Text(f"{day.settlement_day} 的裁定", f"rulings of day {day.settlement_day}")
        review: Review = {}
        if run.review_sha256 is not None:
            count += 1
            path = city.review_path(run.review_sha256)
            where = file_at(Text("清分输入", "input"), path.relative_to(city.folder))
            if hash_of(path) != run.review_sha256:
                text = Text("与其文件名不符", "is not what its name says")
                findings.add(Invariant.I10, where, text, REBUILD)
                continue
            review = read_review(path)
            if key_service is not None:
                _verify_answers(city, review, files, key_service, where, findings)
        closed = {
            file for file, row in files.items() if row.settlement_day in _before(days[:number])
        }
        verdicts = verdicts_of(load_applied(city.database, run.rulings))
        named = {(file, row) for file, rows in review.items() for row in rows if file in closed}
        decided = _decided(city, days[:number], named | verdicts.keys(), scratch, where, findings)
        if decided is not None:
            _verify_waited({key: decided[key] for key in named & decided.keys()}, where, findings)
            suspended = {
                key: reason.disposition is Disposition.SUSPENDED for key, reason in decided.items()
            }
            verify_verdicts(review, verdicts, suspended, where, findings)
    return count


def _before(days: Sequence[ClosedDay]) -> set[object]:
    return {day.settlement_day for day in days}


def _verify_answers(
    city: City,
    review: Review,
    files: Mapping[int, FileRow],
    key_service: KeyService,
    where: Text,
    findings: Findings,
) -> None:
    """I10: the TACs give the answers that the review holds."""
    for file, answers in review.items():
        if file not in files:
            text = Text(
                f"指名文件 {file:016x}…，而此文件未保存",
                f"names file {file:016x}..., which is not kept",
            )
            findings.add(Invariant.I9, where, text)
            continue
        rows = np.array(sorted(answers))
        proof = prove_for_city(city, records_of(city, files[file], rows), key_service).answers
        for row, now in zip(rows.tolist(), proof, strict=True):
            kept = answers[row].proof
            if now == kept or {now, kept} <= _HOLDS:
                continue
            name = files[file].file.content_hash
            said, right = proof_text(kept), proof_text(ProofReason(now))
            text = Text(
                f"文件 {name} 第 {row} 行记为“{said.zh}”，应为“{right.zh}”",
                f"row {row} of file {name} says: {said.en}; must be: {right.en}",
            )
            if now in UNJUDGED:
                text = Text(
                    f"文件 {name} 第 {row} 行无法验证：其密钥未按登记装载",
                    f"row {row} of file {name} cannot be proven: its key is not held as registered",
                )
            findings.add(Invariant.I10, where, text)


def _decided(
    city: City,
    earlier: Sequence[ClosedDay],
    records: Collection[tuple[int, int]],
    scratch: Path,
    where: Text,
    findings: Findings,
) -> dict[tuple[int, int], Reason] | None:
    """What was decided last of these records, before a day; None where that cannot be read."""
    paths = [
        str(decisions_path(city.run_folder(day.settlement_day, day.run_id), bucket))
        for day in earlier
        for bucket in range(city.bucket_count)
    ]
    if not records or not paths:
        return {}
    try:
        with columnar.connect(scratch) as connection:
            columnar.set_variables(connection, earlier=paths)
            connection.execute("CREATE TABLE asked (file UBIGINT, row UINTEGER)")
            columnar.insert(connection, "asked", sorted(records))
            return {
                (file, row): Reason(reason)
                for file, row, reason in connection.execute(_DECIDED).fetchall()
            }
    except duckdb.Error as error:
        why = reason_of(error)
        text = Text(f"其前各日无法读取：{why.zh}", f"the days before it cannot be read: {why.en}")
        findings.add(Invariant.I10, where, text)
        return None


def _verify_waited(
    decided: Mapping[tuple[int, int], Reason], where: Text, findings: Findings
) -> None:
    """I4: only records that waited were decided again; whatever was settled for good was not."""
    for (file, row), reason in decided.items():
        if not reason.waits:
            text = Text(
                f"文件 {file:016x}… 第 {row} 行早已定案：{reason.text.zh}",
                f"row {row} of file {file:016x}... was settled for good: {reason.text.en}",
            )
            findings.add(Invariant.I4, where, text)
