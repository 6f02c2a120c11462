"""Where a record stands: the files that hold it, and its row in each.

Decides how a record is found by its id: the store names the files, their raw bytes, proven by their
hash, name the rows. No other file of the city is opened, however many there are. Leaves what became
of the record to `settlement.reports.history`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import numpy as np

from cardcore.errors import RecordFormatError
from cardcore.keys import ProofReason
from cardcore.records.batch import HEADER, decode_header, read_records
from cardcore.records.record import RECORD_BYTES, TransactionRecord, decode_record
from settlement.city import City
from settlement.errors import StoredBytesError, reason_of
from settlement.facts.columns import bucket_of, record_columns
from settlement.facts.serials import rows_of
from settlement.intake.answers import FileLine
from settlement.service.proven import fact_path, proven_bytes
from settlement.store.files import find_record, load_file_lines

_PROOF = "SELECT proof FROM read_parquet($path) WHERE row = $row"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a copy of a record stands: file, row in it, bucket of its card. `proof` is how its TAC
    was judged as it came in, `record` None when a field of it is damaged.
    """

    file: FileLine
    row: int
    bucket: int
    proof: ProofReason
    record: TransactionRecord | None


def find_places(
    connection: duckdb.DuckDBPyConnection, city: City, terminal: str, serial: int
) -> Iterator[Place]:
    """Every copy of a record that was taken in, by sender, sequence and row.

    Raises `StoredBytesError` when a file that holds one is damaged.
    """
    for file in load_file_lines(city.database, find_record(city.database, terminal, serial)):
        content_hash = file.file.content_hash
        records = read_records(proven_bytes(city.raw_path(content_hash), content_hash))
        for row in rows_of(records, terminal, serial):
            data = records[row * RECORD_BYTES : (row + 1) * RECORD_BYTES]
            card = record_columns(data).columns["card_number"].astype(np.uint64)
            bucket = int(bucket_of(card, city.bucket_count)[0])
            path = str(fact_path(city, content_hash, bucket))
            ((proof,),) = connection.execute(_PROOF, {"path": path, "row": row}).fetchall()
            yield Place(file, row, bucket, ProofReason(proof), _decode(data))


def read_record(city: City, content_hash: str, row: int) -> TransactionRecord | None:
    """One record of a kept file; None when a field of it is damaged.

    Raises `StoredBytesError` when the file is absent.
    """
    path = city.raw_path(content_hash)
    try:
        with path.open("rb") as file:
            header = decode_header(file.read(HEADER.size))
            file.seek(HEADER.size + row * header.record_bytes)
            return _decode(file.read(header.record_bytes))
    except OSError as error:
        raise StoredBytesError(path, reason_of(error)) from error


def _decode(data: bytes) -> TransactionRecord | None:
    try:
        return decode_record(data)
    except RecordFormatError:
        return None
