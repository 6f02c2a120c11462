"""The load host's log again, from its raw files: whole, signed, in one chain, and its rows.

Decides what is wrong with kept files and their rows: a row that follows from no raw file, and an
entry in one that has no row. Raw files without a row are found in `folder`.
"""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from cardcore.records.load_log import LoadLogFile, LoadLogHeader, chain_start, decode_load_log
from cardcore.text import Text
from settlement.city import City
from settlement.intake.answers import Acknowledgement
from settlement.intake.load_log import (
    LoadLogHistory,
    StoredLoadLog,
    place_log,
    read_log_claim,
)
from settlement.intake.signed_file import issuer_of
from settlement.store.load_logs import entry_rows, load_entry_rows, load_load_logs
from settlement.store.registry import load_host_keys_ever
from settlement.verification.findings import (
    FROM_NO_FILE,
    ROW_CHANGED,
    Findings,
    Invariant,
    column,
    row_of,
)
from settlement.verification.kept.raw_files import prove_raw, said_of


def verify_load_logs(city: City, findings: Findings) -> int:
    """Check every kept file of a load log against its raw bytes; returns how many there are."""
    rows = load_load_logs(city.database)
    expected: dict[tuple[str, int], dict[str, Any]] = {}
    is_whole = True
    for stored, row_hash in rows:
        file = _prove_raw(city, stored, findings)
        if row_hash != stored.row_hash:
            findings.add(Invariant.I8, row_of("load_logs", stored.content_hash), ROW_CHANGED)
        if file is None:
            is_whole = False
            continue
        _verify_row(city, stored, file, findings)
        for row in entry_rows(stored.issuer, stored.content_hash, file.loads):
            expected[stored.issuer, row["number"]] = row
    _verify_entries(city, expected, findings, is_whole=is_whole)
    _verify_chain([stored for stored, _ in rows], findings)
    return len(rows)


def _prove_raw(city: City, stored: StoredLoadLog, findings: Findings) -> LoadLogFile | None:
    def load_keys(claim: LoadLogHeader) -> Collection[bytes]:
        return load_host_keys_ever(city.database, issuer_of(claim), claim.key_version)

    path = city.load_log_path(stored.content_hash)
    return prove_raw(
        city, path, stored.received_at, findings, read_log_claim, decode_load_log, load_keys
    )


def _verify_row(city: City, stored: StoredLoadLog, file: LoadLogFile, findings: Findings) -> None:
    where = row_of("load_logs", stored.content_hash)
    size_bytes = city.load_log_path(stored.content_hash).stat().st_size
    history = LoadLogHistory(missing=stored.missing)
    expected = place_log(file, size_bytes, history, stored.received_at)
    if isinstance(expected, Acknowledgement):
        findings.add(Invariant.I10, where, said_of(expected))
        return
    for each in fields(stored):
        found, right = getattr(stored, each.name), getattr(expected, each.name)
        findings.expect_equal(Invariant.I10, where, column(each.name), found, right)


def _verify_entries(
    city: City,
    expected: dict[tuple[str, int], dict[str, Any]],
    findings: Findings,
    *,
    is_whole: bool,
) -> None:
    stored = load_entry_rows(city.database)
    for key in sorted(stored.keys() | expected.keys()):
        where = row_of("allowed_loads", f"{key[0]}/{key[1]}")
        if key not in stored:
            gone = Text("已缺失：原始文件中有此条", "is gone: it stands in the raw file")
            findings.add(Invariant.I10, where, gone)
        elif key in expected:
            for name, right in expected[key].items():
                found = stored[key][name]
                findings.expect_equal(Invariant.I10, where, column(name), found, right)
        elif is_whole:
            findings.add(Invariant.I10, where, FROM_NO_FILE)


def _verify_chain(files: list[StoredLoadLog], findings: Findings) -> None:
    """Files that lie one behind the other are one log."""
    ends: dict[str, tuple[int, str]] = {}
    for each in files:
        start = (1, chain_start(bytes.fromhex(each.issuer)).hex())
        number, digest = ends.get(each.issuer, start)
        where = row_of("load_logs", each.content_hash)
        if each.first_number < number:
            text = Text(
                f"自第 {each.first_number} 条起在更早的文件中也有",
                f"entries from {each.first_number} on stand in an earlier file too",
            )
            findings.add(Invariant.I10, where, text)
        elif each.first_number == number and each.previous != digest:
            text = Text(
                f"接续 {each.previous}，而非 {digest}", f"follows {each.previous}, not {digest}"
            )
            findings.add(Invariant.I10, where, text)
        ends[each.issuer] = (each.last_number + 1, each.digest)
