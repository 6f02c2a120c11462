"""DuckDB as settlement uses it: one thread, bounded memory, the same bytes every time.

Decides the settings under which Parquet files come out identical on every machine and run, that a
file appears whole or not at all, and under which names SQL knows the closed words of the product.
Leaves what is in the tables to its callers. SQL stands in `sql/`, one file a step.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from cardcore.keys import ProofReason
from cardcore.records.kinds import Evidence, RecordFlag, RecordKind, TransactionType
from settlement.dispositions import (
    Disposition,
    GapState,
    Note,
    Reason,
    RecordMac,
    SegmentKind,
    Verdict,
)

#: Memory of one task. Two run beside each other on a small machine and must leave room there.
TASK_MEMORY = "700MB"
#: Rows handed to the database in one statement: they lie outside that memory.
_ROWS_AT_ONCE = 50_000
#: How NumPy holds numbers of SQL, and what it holds as moments.
_NUMBERS = {
    "BOOLEAN": "?", "UTINYINT": "u1", "USMALLINT": "u2", "UINTEGER": "u4", "UBIGINT": "u8",
    "INTEGER": "i4", "BIGINT": "i8",
}  # fmt: skip
_MOMENTS = ("DATE", "TIMESTAMP")
#: How files are written. A column of many different values is larger with a dictionary, and takes
#: longer: decisions a quarter.
_PARQUET = "FORMAT parquet, COMPRESSION zstd, DICTIONARY_SIZE_LIMIT 1000"
_ORDINAL_OF_1970 = date(1970, 1, 1).toordinal()

_WORDS = {
    "reason": Reason,
    "disposition": Disposition,
    "note": Note,
    "gap": GapState,
    "segment": SegmentKind,
    "proof": ProofReason,
    "kind": RecordKind,
    "transaction_type": TransactionType,
    "flag": RecordFlag,
    "record_mac": RecordMac,
    "verdict": Verdict,
}


#: Engines that nobody uses now. To start one takes longer than many a question it is asked.
_idle: list[duckdb.DuckDBPyConnection] = []
#: Those of the process that this one was forked from. Their threads stayed there, so they answer
#: nothing here, and cannot even be closed.
_left_behind: list[duckdb.DuckDBPyConnection] = []


def _leave_behind() -> None:
    _left_behind.extend(_idle)
    _idle.clear()


#: Scripts by name, read once: to parse one takes as long as to run it over a small day.
_scripts: dict[str, list[duckdb.Statement]] = {}


os.register_at_fork(after_in_child=_leave_behind)


@contextmanager
def connect(scratch: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty in-memory database. What does not fit into memory spills into `scratch`.

    It lies in an engine of this process that nobody else uses meanwhile, and nothing of it is left
    there afterwards but the words (`define_words`).
    """
    engine = _engine(str(scratch / "spill"))
    connection = engine.cursor()
    try:
        connection.execute("ATTACH ':memory:' AS task; SET search_path = 'task.main,memory.main'")
        yield connection
    except BaseException:
        engine.close()
        raise
    finally:
        connection.close()
    engine.execute("DETACH task")
    _idle.append(engine)


def _engine(spill: str) -> duckdb.DuckDBPyConnection:
    """An idle engine that spills there, or a new one."""
    try:
        engine = _idle.pop()
    except IndexError:
        return _start(spill)
    try:
        engine.execute("SET temp_directory = $spill", {"spill": spill})
    except duckdb.Error:  # it has spilled elsewhere, and then stays there
        engine.close()
        return _start(spill)
    return engine


def _start(spill: str) -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        config={
            "threads": 1,  # with ORDER BY the only way to one sequence of bytes
            "memory_limit": TASK_MEMORY,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )


def define_words(connection: duckdb.DuckDBPyConnection) -> None:
    """Give SQL the numbers of the closed words, as `reason_tac_wrong()` or `kind_load()`, and the
    rules about one record. The engine keeps them for whoever uses it next.
    """
    try:
        connection.execute("SELECT memory.main.kind_load()")
    except duckdb.CatalogException:
        connection.execute("USE memory.main")
        connection.execute("".join(_words()))
        run_script(connection, "macros")
        connection.execute("SET search_path = 'task.main,memory.main'")


def _words() -> Iterator[str]:
    for prefix, words in _WORDS.items():
        for member in words:
            yield f"CREATE MACRO {prefix}_{member.name.lower()}() AS {member.value};"
    of_card = (Evidence.TAC, Evidence.AUTHENTICATION)
    groups: dict[str, list[RecordKind] | list[Reason]] = {
        "moves_purse": [kind for kind in RecordKind if kind.moves_purse],
        "is_kind": list(RecordKind),
        "signed_by_card": [kind for kind in RecordKind if kind.evidence in of_card],
        "is_claim": [reason for reason in Reason if reason.disposition is Disposition.CLAIM],
        "waits": [reason for reason in Reason if reason.waits],
    }
    # A bit a word: a longer list of `IN` becomes a join, a look at a bit does not.
    for name, among in groups.items():
        bits = sum(1 << word for word in among)
        yield f"CREATE MACRO {name}(word) AS {bits}::UBIGINT >> word & 1 = 1;"


def run_script(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Run `settlement/reconciliation/sql/<name>.sql`, statement by statement."""
    if name not in _scripts:
        folder = resources.files("settlement.reconciliation").joinpath("sql")
        text = folder.joinpath(f"{name}.sql").read_text("utf-8")
        # By this engine: the module's own function would start another one to read it.
        _scripts[name] = connection.extract_statements(text)
    for statement in _scripts[name]:
        connection.execute(statement)


def set_variables(connection: duckdb.DuckDBPyConnection, **values: object) -> None:
    """Hand arguments to scripts, which read them by `getvariable('name')`."""
    for name, value in values.items():
        connection.execute(f"SET VARIABLE {name} = $value", {"value": value})


def write_parquet(connection: duckdb.DuckDBPyConnection, query: str, path: Path) -> str:
    """Write the rows of a query (which must say its ORDER BY) and return the file's SHA-256.

    The file is complete and durable before it takes its name, so a task killed half-way leaves
    nothing that looks finished, and a repeated one writes the same bytes over it.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    connection.execute(f"COPY ({query}) TO $partial ({_PARQUET})", {"partial": str(partial)})
    with partial.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    partial.replace(path)
    return digest


def write_tables(
    connection: duckdb.DuckDBPyConnection, queries: Mapping[str, str], folder: Path
) -> tuple[tuple[str, str], ...]:
    """Write `folder/<name>.parquet` for each query; returns (file name, SHA-256) in that order."""
    return tuple(
        (f"{name}.parquet", write_parquet(connection, query, folder / f"{name}.parquet"))
        for name, query in queries.items()
    )


def insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Sequence[object]]
) -> None:
    """Append rows to a table of ours, many at once."""
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        columns = list(zip(*rows[start : start + _ROWS_AT_ONCE], strict=True))
        insert_columns(connection, table, columns)


def insert_columns(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Sequence[object]]
) -> None:
    """Append equally long columns to a table of ours: one array a column, or one list where no
    array can say what is in it.
    """
    if not columns[0]:
        return
    described = connection.execute(f"FROM {table} LIMIT 0").description
    kinds = [str(kind) for _, kind, *_ in described]
    arrays: dict[str, NDArray[np.generic]] = {}
    lists: dict[str, Sequence[object]] = {}
    for i, (kind, cells) in enumerate(zip(kinds, columns, strict=True)):
        if kind in _MOMENTS or (kind in _NUMBERS and None not in cells):
            arrays[f"c{i}"] = _array(kind, cells)
        else:
            lists[f"unnest(${len(lists) + 1}::{kind}[]) AS c{i}"] = list(cells)
    sources = []
    if arrays:
        register(connection, "inserted", arrays)
        sources.append("inserted")
    if lists:
        sources.append(f"(SELECT {', '.join(lists)})")
    source = " POSITIONAL JOIN ".join(sources)
    names = ", ".join(f"c{i}" for i in range(len(kinds)))
    connection.execute(f"INSERT INTO {table} SELECT {names} FROM {source}", [*lists.values()])  # noqa: S608 - the names are ours
    if arrays:
        connection.unregister("inserted")


def _array(kind: str, cells: Sequence[Any]) -> NDArray[np.generic]:
    """The cells of a column; no moment is NULL."""
    if kind == "DATE" and None not in cells:
        days = np.array([day.toordinal() for day in cells]) - _ORDINAL_OF_1970
        return days.astype("M8[D]").astype("M8[us]")
    return np.array(cells, _NUMBERS.get(kind, "M8[us]"))


def register(
    connection: duckdb.DuckDBPyConnection, name: str, columns: Mapping[str, NDArray[np.generic]]
) -> None:
    """Show equally long NumPy columns to SQL as a table, without copying them."""
    connection.register(name, dict(columns))
