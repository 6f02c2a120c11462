"""What every task of a run reads: the facts of its files, and the registry as it stands.

Decides the order of the files (by content hash, whatever order they came in), the two tables that
tasks read the registry from, and how a review (复核) is laid over the facts: it says of single rows
how their TAC is judged now. Leaves judging to `bucket` and `terminals`, what stands in a review to
`settlement.service.review`.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np

from cardcore.schemes import Scheme
from settlement.facts import columnar
from settlement.facts.columns import fact_columns
from settlement.intake.answers import CLOCK_AHEAD_MAX
from settlement.registry.book import CITY_ZONE
from settlement.registry.placing import RunRegistry, days_of_numbers


@dataclass(frozen=True, slots=True)
class FactInput:
    """The facts of one batch file in one bucket, or of all terminals' view of them."""

    content_hash: str  # SHA-256 of the batch file, hexadecimal
    path: str
    received_at: datetime  # with its zone
    participant: int  # for whom its sender sends

    @property
    def file(self) -> int:
        """How decisions name the batch file."""
        return file_number(self.content_hash)

    @property
    def time_max(self) -> datetime:
        """The latest time that a true clock can have written into a record of the file: terminals
        write the wall clock of the city.
        """
        return self.received_at.astimezone(CITY_ZONE).replace(tzinfo=None) + CLOCK_AHEAD_MAX


@dataclass(frozen=True, slots=True)
class Review:
    """A review, kept at `path` as rows of (file, row, proof, ruling), and the facts of the files of
    closed days it names. Of those files nothing but the named rows is read. A ruling is a `Verdict`
    of two people, 0 where there is none.
    """

    path: str
    facts: tuple[FactInput, ...]


def file_number(content_hash: str) -> int:
    """How decisions and reviews name a batch file: the first 64 bits of its hash.

    >>> file_number("00000000000000ff" + "0" * 48)
    255
    """
    return int(content_hash[:16], 16)


def file_prefix(number: int) -> str:
    """How the hash of the batch file begins that decisions and reviews name so.

    >>> file_prefix(255)
    '00000000000000ff'
    """
    return f"{number:016x}"


_REGISTRY = {
    "terminal": "terminal UBIGINT, owner UINTEGER, collector UINTEGER, sector UTINYINT",
    "number": "application UTINYINT, issuer UBIGINT, first_number UBIGINT, last_number UBIGINT, "
    "centre UINTEGER, is_asked BOOLEAN",
    "hotlist": "centre UINTEGER, factor UBIGINT, version UINTEGER, since DATE",
}


def write_registry(registry: RunRegistry, folder: Path) -> tuple[tuple[str, str], ...]:
    """Write `folder/{terminal,number,hotlist}.parquet`, every row with the days on which it holds.
    Returns (file name, SHA-256).
    """
    folder.mkdir(parents=True, exist_ok=True)
    terminals, hotlist = registry.terminals, registry.hotlist
    numbers = list(days_of_numbers(registry.numbers))
    # Column by column: a tuple a row is what the collector of garbage counts, and then walks all.
    columns: dict[str, list[list[object]]] = {
        "terminal": [
            [int(each.terminal, 16) for each in terminals],
            [each.owner for each in terminals],
            [each.collector for each in terminals],
            [each.sector for each in terminals],
            [each.valid_from for each in terminals],
            [each.valid_to for each in terminals],
        ],
        "number": [
            [each.application for each, _ in numbers],
            [int(each.issuer, 16) for each, _ in numbers],
            [each.first_number for each, _ in numbers],
            [each.last_number for each, _ in numbers],
            [each.centre for each, _ in numbers],
            [is_asked for _, is_asked in numbers],
            [each.valid_from for each, _ in numbers],
            [each.valid_to for each, _ in numbers],
        ],
        "hotlist": [
            [each.centre for each in hotlist],
            [each.factor for each in hotlist],
            [each.version for each in hotlist],
            [each.since for each in hotlist],
            [each.valid_from for each in hotlist],
            [each.valid_to for each in hotlist],
        ],
    }
    with columnar.connect(folder) as connection:
        for name, described in _REGISTRY.items():
            connection.execute(f"CREATE TABLE {name} ({described}, valid_from DATE, valid_to DATE)")
            columnar.insert_columns(connection, name, columns[name])
        queries = {name: f"FROM {name} ORDER BY ALL" for name in _REGISTRY}
        return columnar.write_tables(connection, queries, folder)


def load_facts(
    connection: duckdb.DuckDBPyConnection, facts: tuple[FactInput, ...], review: Review | None
) -> None:
    """Make the tables `fact` and `input`. Files stand by content hash, however they came in.

    `fact.reviewed` marks the rows of closed days that are taken up again.
    """
    ordered = sorted(facts, key=lambda each: (each.content_hash, each.path))
    settled = () if review is None else review.facts
    ordered += sorted(settled, key=lambda each: (each.content_hash, each.path))
    connection.execute(
        "CREATE TABLE input (number UBIGINT, file UBIGINT, is_settled BOOLEAN, time_max TIMESTAMP, "
        "participant UINTEGER)"
    )
    if not ordered:
        reviewed = {"file_index": np.zeros(0, np.uint64), "reviewed": np.zeros(0, np.bool_)}
        columnar.register(connection, "fact", {**reviewed, **fact_columns(b"", b"")})
        return
    columnar.insert(
        connection,
        "input",
        [
            (i, each.file, i >= len(facts), each.time_max, each.participant)
            for i, each in enumerate(ordered)
        ],
    )
    columnar.set_variables(connection, facts=[each.path for each in ordered])
    if review is None:
        connection.execute(
            "CREATE VIEW fact AS SELECT *, file_index, false AS reviewed "
            "FROM read_parquet(getvariable('facts'))"
        )
        return
    columnar.set_variables(connection, review=review.path)
    columnar.run_script(connection, "review")


def load_registry(connection: duckdb.DuckDBPyConnection, folder: Path, scheme: Scheme) -> None:
    """Make the tables `terminal`, `number` and `hotlist` of a run, and say of every record what
    they say (view `told`). What holds for a record is asked on the business day of its time, which
    begins at the scheme's hour.
    """
    columnar.set_variables(
        connection,
        cutover_hour=scheme.cutover_hour,
        hotlist_grace_days=scheme.hotlist_grace_days,
        late_days=scheme.late_days,
    )
    for name in _REGISTRY:
        connection.execute(
            f"CREATE TABLE {name} AS FROM read_parquet($path)",
            {"path": str(folder / f"{name}.parquet")},
        )
    columnar.run_script(connection, "told")
