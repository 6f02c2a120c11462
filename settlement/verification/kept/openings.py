"""Opening balances again, from the raw files: whole, signed, and the rows that say what they are.

Decides what is wrong with kept files and their rows, and what the cards of a day are opened with,
said here for the second time, on purpose: `sql/takeover_after.sql` is what is checked. Raw files
without a row are found in `folder`.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from cardcore.limits import BALANCE_MAX_REGISTERED_FEN
from cardcore.records.openings import OpeningFile, OpeningHeader, decode_openings
from settlement.city import City
from settlement.days.run import RunInputs
from settlement.facts import columnar
from settlement.facts.takeover import opening_columns
from settlement.intake.takeover import StoredOpenings, read_opening_claim, scopes_of
from settlement.service.computation import bucket_path
from settlement.service.takeover.reading import handed_rows, takeover_scopes
from settlement.store.days import load_closed_days, load_run
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


@dataclass(frozen=True, slots=True)
class OpenedAgain:
    """What a day opened and what it left due, less what there was before, in fen: by bucket, and by
    old centre.
    """

    by_bucket: Mapping[int, tuple[int, int]]
    by_centre: Mapping[int, tuple[int, int]]


_OPENED = """
CREATE TABLE handed (
    issuer UBIGINT, card_number UBIGINT, application UTINYINT, centre UINTEGER, balance_fen BIGINT
);
CREATE TABLE scope (issuer UBIGINT, application UTINYINT, centre UINTEGER, since DATE)
"""
_SAID = """
WITH first_segment AS (
    SELECT issuer, card_number, application, price_fen, missing_loads
    FROM read_parquet(getvariable('segments')) WHERE left_online = 0 AND left_time IS NULL
),
purse AS (
    SELECT
        stated.issuer, stated.card_number, stated.application,
        coalesce(handed.centre, scope.centre) AS centre,
        parse_filename(parse_dirpath(stated.filename))::INTEGER AS bucket,
        CASE
            WHEN handed.issuer IS NOT NULL THEN handed.balance_fen
            WHEN first_segment.price_fen < 0
                AND -first_segment.price_fen <= missing_loads * getvariable('balance_max_fen')
                THEN -first_segment.price_fen
            ELSE 0
        END AS opened_fen,
        if(handed.issuer IS NULL AND stated.time IS NULL, tail_fen, 0) AS due_fen
    FROM read_parquet(getvariable('statements'), filename = true) AS stated
    LEFT JOIN handed USING (issuer, card_number, application)
    LEFT JOIN first_segment USING (issuer, card_number, application)
    LEFT JOIN scope
        ON scope.issuer = stated.issuer AND scope.application = stated.application
        AND (
            EXISTS (
                FROM read_parquet(getvariable('numbers')) AS number
                WHERE number.application = stated.application AND number.issuer = stated.issuer
                    AND stated.card_number BETWEEN first_number AND last_number
                    AND scope.since BETWEEN valid_from AND valid_to AND number.centre = 0
                    AND is_asked
            )
            OR stated.application NOT IN (
                SELECT application FROM read_parquet(getvariable('numbers')) WHERE centre = 0
            )
        )
    WHERE handed.issuer IS NOT NULL OR scope.issuer IS NOT NULL
)
SELECT bucket, centre, sum(opened_fen)::BIGINT, sum(due_fen)::BIGINT FROM purse GROUP BY ALL
"""


def open_again(city: City, folder: Path, inputs: RunInputs) -> OpenedAgain:
    """What the day of a run that stands in `folder` opens, by its files and by what cards say."""
    if not inputs.openings:
        return OpenedAgain({}, {})
    before = [
        (city.run_folder(day.settlement_day, day.run_id), run.openings)
        for day in load_closed_days(city.database)
        if day.settlement_day < inputs.settlement_day
        and (run := load_run(city.database, day.run_id)) is not None
    ][-1:]
    by_bucket: dict[int, tuple[int, int]] = {}
    by_centre: dict[int, tuple[int, int]] = {}
    stands = ((1, folder, inputs.openings), *((-1, *each) for each in before))
    for sign, left_in, openings in stands:
        for bucket, centre, *sums in _said(city, left_in, openings, folder):
            for found, key in ((by_bucket, bucket), (by_centre, centre)):
                opened_fen, due_fen = found.get(key, (0, 0))
                found[key] = (opened_fen + sign * sums[0], due_fen + sign * sums[1])
    return OpenedAgain(
        {key: sums for key, sums in by_bucket.items() if any(sums)},
        {key: sums for key, sums in by_centre.items() if sums[0]},
    )


def _said(
    city: City, folder: Path, openings: Sequence[str], scratch: Path
) -> list[tuple[int, ...]]:
    """Bucket, centre, opened, due, as a run left them."""
    with columnar.connect(scratch) as connection:
        connection.execute(_OPENED)
        for rows in handed_rows(city, (), openings):
            columnar.register(connection, "opening", opening_columns(rows))
            connection.execute(
                "INSERT INTO handed "
                "SELECT issuer, card_number, application, centre, balance_fen FROM opening"
            )
        scopes = takeover_scopes(city, openings)
        buckets = [bucket_path(folder, number) for number in range(city.bucket_count)]
        columnar.insert(
            connection,
            "scope",
            [(each.issuer, each.application, each.centre, each.since) for each in scopes],
        )
        columnar.set_variables(
            connection,
            balance_max_fen=BALANCE_MAX_REGISTERED_FEN,
            numbers=str(folder / "registry" / "number.parquet"),
            statements=[str(each / "statements.parquet") for each in buckets],
            segments=[str(each / "segments.parquet") for each in buckets],
        )
        return connection.execute(_SAID).fetchall()
