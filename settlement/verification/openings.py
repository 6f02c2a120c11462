"""Opening balances again, from the raw files: whole, signed, and the rows that say what they are.

Decides what is wrong with kept files and their rows. Raw files without a row are found in `folder`.
"""

from collections.abc import Collection
from dataclasses import fields

from cardcore.records.openings import OpeningFile, OpeningHeader, decode_openings
from settlement.city import City
from settlement.intake.takeover import StoredOpenings, read_opening_claim, scopes_of
from settlement.store.registry import load_public_keys_ever
from settlement.store.takeover import load_openings
from settlement.verification.findings import ROW_CHANGED, Findings, Invariant, column, row_of
from settlement.verification.kept.raw_files import prove_raw


def verify_opening_files(city: City, findings: Findings) -> int:
    """Check every kept file of opening balances against its raw bytes; how many there are."""
    rows = load_openings(city.database)
    for stored, row_hash in rows:
        if row_hash != stored.row_hash:
            findings.add(Invariant.I8, row_of("opening_files", stored.content_hash), ROW_CHANGED)
        file = _prove_raw(city, stored, findings)
        if file is not None:
            _verify_row(stored, file, findings)
    return len(rows)


def _prove_raw(city: City, stored: StoredOpenings, findings: Findings) -> OpeningFile | None:
    def load_keys(claim: OpeningHeader) -> Collection[bytes]:
        return load_public_keys_ever(city.database, claim.sender, claim.key_version)

    path = city.openings_path(stored.content_hash)
    return prove_raw(
        city, path, stored.received_at, findings, read_opening_claim, decode_openings, load_keys
    )


def _verify_row(stored: StoredOpenings, file: OpeningFile, findings: Findings) -> None:
    header = file.header
    expected = StoredOpenings(
        content_hash=file.content_hash,
        sender=header.sender,
        key_version=header.key_version,
        centre=header.centre,
        row_count=header.row_count,
        amount_fen=header.total_fen,
        as_of=header.as_of,
        created_at=header.created_at,
        received_at=stored.received_at,
        size_bytes=stored.size_bytes,
        scopes=scopes_of(file),
    )
    where = row_of("opening_files", stored.content_hash)
    for each in fields(stored):
        found, right = getattr(stored, each.name), getattr(expected, each.name)
        findings.expect_equal(Invariant.I10, where, column(each.name), found, right)
