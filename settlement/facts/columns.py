"""Facts: the records of one batch file as columns, and as Parquet in buckets by card.

Decides which fields become columns and in which bucket a card lives. Leaves what is damaged to
`faults`, and what a record is worth to `settlement.reconciliation`. Everything is read by
`cardcore.records.record.FIELDS`, all rows of a field at once; the raw file stays the only truth,
facts can always be made again from it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cardcore.keys import ProofReason
from cardcore.records import record as layout
from settlement.facts import columnar
from settlement.facts.cells import (
    Bytes,
    card_numbers,
    cells_of,
    days,
    moments,
    record_rows,
    unsigned,
)
from settlement.facts.faults import format_faults
from settlement.facts.signed import digest_halves

#: Odd, from the golden ratio: spreads consecutive card numbers evenly over the top bits.
_BUCKET_FACTOR = np.uint64(0x9E3779B97F4A7C15)
#: The last sixteen digits of a card number are the factor of its keys: all that a TAC covers of it.
_FACTOR_RANGE = np.uint64(10**16)


#: Fields that become columns of their own name; the others are read from the raw file.
_COLUMNS = (
    "kind", "sector", "flags", "issuer", "card_number", "card_kind", "concession",
    "balance_before_fen", "balance_after_fen", "online_counter", "amount_fen",
    "transaction_type", "terminal", "psam_sequence", "time", "offline_counter", "tariff_fen",
    "terminal_serial", "operator", "line", "station", "vehicle", "business_day",
    "previous_type", "previous_counter", "tariff_version", "hotlist_version", "application",
    "mac2_check", "mac_profile", "psam", "tac",
)  # fmt: skip


#: Answers that mean: this TAC cannot be judged with the keys held now.
UNJUDGED = (ProofReason.UNKNOWN_VERSION, ProofReason.UNKNOWN_ALGORITHM)


#: Where in a byte of proof the judgement of the record MAC begins.
PROOF_BITS, PROOF_MASK = 4, 0x0F


_FACT_QUERY = "SELECT * REPLACE (CAST(business_day AS DATE) AS business_day) FROM fact ORDER BY row"


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """n records as arrays of n rows.

    `format_fault` indexes `FORMAT_FAULTS`, 0 is sound. `columns` has the fields that settlement
    asks for: integers as they stand in the record (ids of up to 8 bytes as numbers, the card
    number as its decimal value), times as datetime64[us], days too. In a damaged field times are
    NaT and card numbers 0, integers whatever the bytes say.
    """

    format_fault: Bytes
    record_hash_high: NDArray[np.uint64]
    record_hash_low: NDArray[np.uint64]
    columns: dict[str, NDArray[np.generic]]

    def __len__(self) -> int:
        return len(self.format_fault)


@dataclass(frozen=True, slots=True)
class FactFile:
    """The facts of one batch file (named by its SHA-256) for one bucket. `unjudged` counts the
    sound rows whose TAC could not be judged.
    """

    content_hash: str
    bucket: int
    rows: int
    sha256: str
    path: Path
    unjudged: int


def record_columns(records: bytes) -> RecordColumns:
    """Read n * 256 bytes."""
    # Column by column in memory: every field is then read at once.
    rows = np.asfortranarray(record_rows(records))
    high, low = digest_halves(records)
    columns: dict[str, NDArray[np.generic]] = {}
    for name in _COLUMNS:
        cells = cells_of(rows, layout.FIELD[name])
        if name == "time":
            columns[name] = moments(cells)[1]
        elif name == "business_day":
            columns[name] = days(cells)[1]
        elif name == "card_number":
            columns[name] = card_numbers(cells)
        elif name == "psam":
            # What its keys are made of; twenty digits are more than a column of integers holds.
            columns[name] = unsigned(cells[:, -8:])
        else:
            columns[name] = unsigned(cells)
    return RecordColumns(format_faults(rows), high, low, columns)


def bucket_of(card_numbers: NDArray[np.uint64], bucket_count: int) -> NDArray[np.uint64]:
    """The bucket of each card: the top bits of a multiplicative hash of its keys' factor, so that
    whatever one card can have signed lies in one bucket.

    >>> bucket_of(np.array([0, 1, 2, 3], np.uint64), 4).tolist()
    [0, 2, 0, 3]
    """
    bits = bucket_count.bit_length() - 1
    assert bucket_count == 1 << bits, f"{bucket_count} buckets: not a power of two"
    if bits == 0:
        return np.zeros_like(card_numbers)
    return (card_numbers % _FACTOR_RANGE * _BUCKET_FACTOR) >> np.uint64(64 - bits)


def fact_columns(records: bytes, proof: bytes) -> dict[str, NDArray[np.generic]]:
    """The columns of facts in their order: row, hash, proof, format fault, then the fields.

    `proof` is one byte a record, as `facts.proof.Proof.packed` makes it.
    """
    table = record_columns(records)
    assert len(proof) == len(table), (len(proof), len(table))
    answers = np.frombuffer(proof, np.uint8)
    return {
        "row": np.arange(len(table), dtype=np.uint32),
        "record_hash_high": table.record_hash_high,
        "record_hash_low": table.record_hash_low,
        "proof": answers & PROOF_MASK,
        "record_mac": answers >> PROOF_BITS,
        "format_fault": table.format_fault,
        **table.columns,
    }


def write_facts(
    records: bytes, proof: bytes, content_hash: str, bucket_count: int, folder: Path
) -> tuple[FactFile, ...]:
    """Write `folder/<bucket>.parquet` for every bucket that has rows, and say what was written.

    The bytes depend on the arguments only, so writing again after a crash, or on another machine,
    gives the same files.
    """
    columns = fact_columns(records, proof)
    unjudged = np.isin(columns["proof"], UNJUDGED) & (columns["format_fault"] == 0)
    return tuple(
        FactFile(
            content_hash,
            each.bucket,
            len(each.rows),
            each.digest,
            each.path,
            int(np.count_nonzero(unjudged[each.rows])),
        )
        for each in write_buckets(columns, bucket_count, "fact", _FACT_QUERY, folder)
    )


@dataclass(frozen=True, slots=True)
class WrittenBucket:
    """A file of one bucket of cards, its SHA-256, and which of all rows stand in it."""

    bucket: int
    rows: NDArray[np.intp]
    path: Path
    digest: str


def write_buckets(
    columns: dict[str, NDArray[np.generic]],
    bucket_count: int,
    table: str,
    query: str,
    folder: Path,
) -> list[WrittenBucket]:
    """Write `folder/<bucket>.parquet` for every bucket of cards that has rows, as `query` says of
    them, which are a `table` to it. The columns have a `card_number`.
    """
    buckets = bucket_of(columns["card_number"].astype(np.uint64), bucket_count)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with columnar.connect(folder) as connection:
        for bucket in np.unique(buckets).tolist():
            rows = np.flatnonzero(buckets == bucket)
            of_bucket = {name: column[rows] for name, column in columns.items()}
            columnar.register(connection, table, of_bucket)
            path = folder / f"{bucket:04}.parquet"
            digest = columnar.write_parquet(connection, query, path)
            written.append(WrittenBucket(bucket, rows, path, digest))
    return written
