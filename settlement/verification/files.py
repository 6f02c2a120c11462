"""Every kept batch file again, from its raw bytes: hash, signature, totals, TACs, facts.

Decides what is wrong with a kept file, by comparing the raw bytes with the row and the facts
that were made of them. Leaves what the files add up to to `settlement.verification.days`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import duckdb

from cardcore.keys import KeyService, ProofReason
from cardcore.records.batch import Batch, BatchHeader, decode_batch
from cardcore.records.record import RECORD_BYTES
from cardcore.text import Text
from settlement.city import City
from settlement.dispositions import RecordMac
from settlement.facts import columnar
from settlement.facts.columns import UNJUDGED, write_facts
from settlement.facts.proof import Proof
from settlement.facts.serials import serial_runs
from settlement.intake.answers import Acknowledgement, FactFileRow, FileRow
from settlement.intake.decide import FileHistory, place_file, read_claim
from settlement.service.proven import fact_path, hash_of
from settlement.service.proving import prove_for_city
from settlement.store.files import count_kept_serials, count_serials
from settlement.store.registry import load_public_keys_ever
from settlement.verification.findings import (
    REBUILD,
    ROW_CHANGED,
    Findings,
    Invariant,
    OnProgress,
    column,
    file_at,
    row_of,
)
from settlement.verification.kept.raw_files import prove_raw


def verify_files(
    city: City,
    rows: Sequence[FileRow],
    key_service: KeyService | None,
    scratch: Path,
    findings: Findings,
    on_progress: OnProgress,
) -> int:
    """Check every kept file against its raw bytes; returns how many there are. Without a key
    service no TAC is proven again: the stored answers are believed.
    """
    kept, is_whole = 0, True
    for done, row in enumerate(rows):
        on_progress("files", done, len(rows))
        batch = _prove_raw(city, row, findings)
        if batch is not None:
            _verify_row(row, batch, city.raw_path(row.file.content_hash), findings)
            _verify_facts(city, row, batch, key_service, scratch / "facts", findings)
            kept += _verify_serials(city, batch, findings)
        is_whole &= batch is not None
    found = count_serials(city.database)
    if is_whole and found != kept:
        text = Text(
            f"有 {found} 行，而由原始文件得 {kept} 行",
            f"{found} rows, and {kept} that follow from the raw files",
        )
        where = Text("file_terminals 表各行", "file_terminals rows")
        findings.add(Invariant.I10, where, text)
    on_progress("files", len(rows), len(rows))
    return len(rows)


def _prove_raw(city: City, row: FileRow, findings: Findings) -> Batch | None:
    def load_keys(claim: BatchHeader) -> Collection[bytes]:
        return load_public_keys_ever(city.database, claim.sender, claim.key_version)

    path = city.raw_path(row.file.content_hash)
    return prove_raw(
        city, path, row.file.received_at, findings, read_claim, decode_batch, load_keys
    )


def _verify_row(row: FileRow, batch: Batch, path: Path, findings: Findings) -> None:
    where = row_of("files", row.file.content_hash)
    history = FileHistory(None, None, row.file.missing)
    expected = place_file(batch, path.stat().st_size, history, row.file.received_at)
    assert not isinstance(expected, Acknowledgement)
    for each in fields(row.file):
        stored, right = getattr(row.file, each.name), getattr(expected, each.name)
        findings.expect_equal(Invariant.I9, where, column(each.name), stored, right)
    if row.row_hash != row.file.row_hash:
        findings.add(Invariant.I8, where, ROW_CHANGED)


def _verify_facts(
    city: City,
    row: FileRow,
    batch: Batch,
    key_service: KeyService | None,
    scratch: Path,
    findings: Findings,
) -> None:
    content_hash = row.file.content_hash
    stored = {each.bucket: each for each in row.facts}
    for bucket, fact in stored.items():
        path = fact_path(city, content_hash, bucket)
        found = hash_of(path)
        if found != fact.sha256:
            where = file_at(Text("事实文件", "fact file"), path.relative_to(city.folder))
            what = Text("哈希", "its hash")
            findings.expect_equal(Invariant.I10, where, what, found, fact.sha256, REBUILD)
    paths = [fact_path(city, content_hash, bucket) for bucket in stored]
    if key_service is None:
        judged = _judged(paths, scratch)
        if len(judged) < len(batch.records) // RECORD_BYTES:
            return  # damaged, which their hashes have said
        proof = _as_stored(judged)
    else:
        proof = prove_for_city(city, batch.records, key_service)
    again = _facts_again(city, batch, proof.packed, scratch)
    if again == row.facts:
        return
    judged = _judged(paths, scratch)
    again = _facts_again(city, batch, _as_judged(proof, judged), scratch)
    if again == row.facts:
        return
    where = Text(f"facts 表中 {content_hash} 各行", f"facts rows of {content_hash}")
    lost = sum(
        answer not in UNJUDGED and proof.answers[number] in UNJUDGED
        for number, (answer, _) in judged.items()
        if number < len(proof.answers)
    )
    if lost:
        text = Text(
            f"{lost} 个曾经验证的交易认证码现在无法验证：密钥未装载，或与登记不符",
            f"{lost} TACs that were judged cannot be: a key is not held, or not as registered",
        )
        findings.add(Invariant.I10, where, text)
        return
    text = Text(
        "由原始文件重建并重新验证所得的事实与所记不符",
        "the facts made again from the raw file, its TACs proven again, are not those recorded",
    )
    findings.add(Invariant.I10, where, text)


def _verify_serials(city: City, batch: Batch, findings: Findings) -> int:
    """What a record of the file is found by; returns how many rows of it are kept."""
    serials = serial_runs(batch.records)
    kept = count_kept_serials(city.database, batch.content_hash, serials)
    if kept != len(serials):
        gone, count, name = len(serials) - kept, len(serials), batch.content_hash
        text = Text(
            f"{count} 行中缺 {gone} 行：有记录查找不到",
            f"{gone} of {count} are missing: a record cannot be found",
        )
        where = Text(f"file_terminals 表中 {name} 各行", f"file_terminals rows of {name}")
        findings.add(Invariant.I10, where, text)
    return kept


def _facts_again(city: City, batch: Batch, proof: bytes, scratch: Path) -> tuple[FactFileRow, ...]:
    written = write_facts(batch.records, proof, batch.content_hash, city.bucket_count, scratch)
    return tuple(
        FactFileRow(each.bucket, each.rows, each.sha256, each.unjudged) for each in written
    )


def _judged(paths: Sequence[Path], scratch: Path) -> dict[int, tuple[int, int]]:
    """The stored answers by row, of card and record MAC; none when there are no stored facts, or
    damaged ones: that is found by their hash.
    """
    if not paths:
        return {}
    try:
        with columnar.connect(scratch) as connection:
            stored = connection.read_parquet([str(path) for path in paths])
            rows = stored.select("row", "proof", "record_mac").fetchall()
            return {row: (proof, record_mac) for row, proof, record_mac in rows}
    except duckdb.Error:
        return {}


def _as_stored(judged: Mapping[int, tuple[int, int]]) -> Proof:
    """The stored answers alone, in the order of the records."""
    answers = [
        judged.get(number, (ProofReason.UNKNOWN_VERSION, 0)) for number in range(len(judged))
    ]
    return Proof(bytes(proof for proof, _ in answers), bytes(mac for _, mac in answers))


def _as_judged(proof: Proof, judged: Mapping[int, tuple[int, int]]) -> bytes:
    """The proof with the stored answer wherever a key that came later changed it: the review says
    what the record was judged to be then. A record MAC is judged once, as its file comes in.
    """
    answers, macs = bytearray(proof.answers), bytearray(proof.record_macs)
    for number, (answer, record_mac) in judged.items():
        if number < len(answers):
            if answer in UNJUDGED:
                answers[number] = answer
            if record_mac == RecordMac.UNJUDGED:
                macs[number] = record_mac
    return Proof(bytes(answers), bytes(macs)).packed
