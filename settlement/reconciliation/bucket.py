"""One bucket of cards: every record gets its disposition, every hole in a card's chain its price.

Decides by SQL what many records decide together (copies, reused counters, seams between a card's
movements) and asks plain functions about the few that are left: `continuity` about cards with a
seam, and the rule of its sector about each distinct fare and payment. Leaves terminals to
`terminals` and sums to `clearing`. A task is pure: files in, files out, safe to run twice, the same
bytes always.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import numpy as np

from cardcore.concession import Concession
from cardcore.records.kinds import RecordKind
from cardcore.schemes import Scheme
from settlement.clearing.proof import FloatFigures
from settlement.clearing.tally import KEY_FIELDS, BucketResult, Tally
from settlement.facts import columnar
from settlement.reconciliation.inputs import FactInput, Review, load_facts, load_registry
from settlement.reconciliation.loads import match_loads
from settlement.reconciliation.statements import (
    STATEMENT_OUTPUTS,
    begin_statements,
    figure_statements,
    follow_statements,
)
from settlement.reconciliation.threads import thread_odd_cards
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.fares import Fare
from settlement.sectors.rules import Payment, SectorRule, whole


@dataclass(frozen=True, slots=True)
class BucketTask:
    """What one bucket is reconciled from. Folders and files by path, so a task can travel.

    `previous` is the bucket's own output folder of the last closed day, `history` those of all
    closed days by their day; of them only days are read whose signed dates come again. `registry`
    and `terminals` are folders of the run; `load_log` is what load hosts allowed the bucket's
    cards, None where that is nothing.
    """

    bucket: int
    settlement_day: date
    scheme: Scheme
    facts: tuple[FactInput, ...]
    previous: str | None
    history: tuple[tuple[date, str], ...]
    registry: str
    terminals: str
    output: str
    review: Review | None = None
    load_log: str | None = None


#: The output files of a bucket and what stands in them, each in its own order.
_OUTPUTS = {
    "decisions": "SELECT * EXCLUDE (hotlist_version) FROM decision ORDER BY file, row",
    "cards": "FROM card_after ORDER BY issuer, card_number, application",
    "gaps": "FROM gap_after ORDER BY issuer, card_number, application, gap",
    "settled_days": "FROM settled_day_after ORDER BY ALL",
    **STATEMENT_OUTPUTS,
}
#: Written only where a record waits: most buckets of most days have none.
WAITING = "waiting.parquet"
_WAITING_OUTPUT = {"waiting": "FROM waiting_after ORDER BY file, row"}
#: The same of entries of the load host's log that the card has neither confirmed nor voided.
OPEN_LOADS = "open_loads.parquet"
_OPEN_LOADS_OUTPUT = {"open_loads": "FROM log_waiting_after ORDER BY issuer, number"}
#: The same of torn debits that statements proved.
TORN = "torn.parquet"
_TORN_OUTPUT = {"torn": "FROM torn_after ORDER BY file, row"}
#: The next of two decisions that do not stand in the order of the file.
_OUT_OF_ORDER = """
SELECT row FROM (
    SELECT file, row, lag(file) OVER () AS file_before, lag(row) OVER () AS row_before FROM decision
)
WHERE file < file_before OR (file = file_before AND row < row_before) LIMIT 1
"""
_PASSED_ON = "FROM passed_on_tally ORDER BY ALL"


def reconcile_bucket(task: BucketTask) -> BucketResult:
    """Judge every record of a bucket and write
    `<output>/{decisions,cards,gaps,settled_days,statements,segments,claims}.parquet`, and
    `waiting.parquet` when what comes later may clear up a record.

    Raises `duckdb.Error` or `OSError` when a file cannot be read or written.
    """
    output = Path(task.output)
    output.mkdir(parents=True, exist_ok=True)
    with columnar.connect(output) as connection:
        columnar.define_words(connection)
        columnar.run_script(connection, "bucket_tables")
        _load(connection, task)
        columnar.run_script(connection, "bucket_records")
        _find_crowds(connection)
        if task.review is not None and task.review.facts:
            _take_up(connection)
        _load_past(connection, task)
        _bill_by_log(connection)
        if connection.execute("FROM segment_before LIMIT 1").fetchall():
            columnar.run_script(connection, "bucket_torn")
        columnar.run_script(connection, "bucket_reuse")
        _take_back(connection)
        columnar.run_script(connection, "bucket_seams")
        thread_odd_cards(connection, task.settlement_day)
        rules = read_rules()
        _explain_fares(connection, task.scheme, rules)
        columnar.run_script(connection, "bucket_decide")
        if task.review is not None and task.review.facts:
            _rule(connection)
        _keep_torn(connection)
        _share_out(connection, rules)
        follow_statements(connection, dict(task.history))
        figures = figure_statements(connection)
        outputs = columnar.write_tables(connection, _outputs(connection), output)
        for table, queries in (
            ("waiting_after", _WAITING_OUTPUT),
            ("log_waiting_after", _OPEN_LOADS_OUTPUT),
            ("torn_after", _TORN_OUTPUT),
        ):
            if connection.table(table).limit(1).fetchall():
                outputs += columnar.write_tables(connection, queries, output)
        return _result(connection, task.bucket, outputs, figures)


def _load(connection: duckdb.DuckDBPyConnection, task: BucketTask) -> None:
    load_facts(connection, task.facts, task.review)
    for table, name in (("effective", "psam_times"), ("conflict", "conflicts")):
        connection.execute(
            f"CREATE TABLE {table} AS FROM read_parquet($path)",
            {"path": str(Path(task.terminals) / f"{name}.parquet")},
        )
    load_registry(connection, Path(task.registry), task.scheme)
    columnar.set_variables(connection, settlement_day=task.settlement_day)
    begin_statements(connection, None if task.previous is None else Path(task.previous))
    if task.load_log is not None:
        _read(connection, "load_log", Path(task.load_log))
    if task.previous is None:
        return
    folder = Path(task.previous)
    columnar.set_variables(
        connection,
        cards=str(folder / "cards.parquet"),
        gaps=str(folder / "gaps.parquet"),
        settled_days=str(folder / "settled_days.parquet"),
    )
    columnar.run_script(connection, "bucket_resume")
    for table, name in (
        ("waiting_before", WAITING),
        ("log_waiting_before", OPEN_LOADS),
        ("torn_before", TORN),
    ):
        if (folder / name).exists():
            _read(connection, table, folder / name)
    if task.review is not None and task.review.facts:
        connection.execute(
            "INSERT INTO standing SELECT file, row FROM waiting_before "
            "SEMI JOIN review USING (file, row) WHERE is_posted(reason)"
        )


def _read(connection: duckdb.DuckDBPyConnection, table: str, path: Path) -> None:
    connection.execute(f"INSERT INTO {table} BY NAME FROM read_parquet($path)", {"path": str(path)})


def _find_crowds(connection: duckdb.DuckDBPyConnection) -> None:
    """Messages that occur more than once: copies, variants, and torn taps proven later. NumPy sorts
    numbers in a fifth of the time.
    """
    found = connection.execute("SELECT message FROM record WHERE NOT is_void(reason)").fetchnumpy()
    messages = np.sort(found["message"])
    again = messages[1:][messages[1:] == messages[:-1]]
    columnar.register(connection, "again", {"message": np.unique(again)})
    connection.execute("CREATE TABLE crowd AS FROM again")


def _bill_by_log(connection: duckdb.DuckDBPyConnection) -> None:
    """R6: loads that log and card confirm, though no record proves them, become records."""
    ((entries,),) = connection.execute(
        "SELECT (SELECT count(*) FROM load_log) + (SELECT count(*) FROM log_waiting_before)"
    ).fetchall()
    if entries:
        columnar.run_script(connection, "bucket_log")
        match_loads(connection)
        columnar.run_script(connection, "bucket_log_bill")


def _take_back(connection: duckdb.DuckDBPyConnection) -> None:
    """R4: what statements proved steps back where a TAC proves another debit in its place."""
    if connection.table("torn_before").limit(1).fetchall():
        columnar.run_script(connection, "bucket_taken_back")


def _keep_torn(connection: duckdb.DuckDBPyConnection) -> None:
    names = ("torn_before", "stated_debit")
    if any(connection.table(name).limit(1).fetchall() for name in names):
        columnar.run_script(connection, "bucket_torn_after")


def _take_up(connection: duckdb.DuckDBPyConnection) -> None:
    columnar.run_script(connection, "bucket_review")
    ((reviewed, taken_up),) = connection.execute(
        "SELECT (SELECT count(*) FROM record WHERE reviewed), (SELECT count(*) FROM taken_up)"
    ).fetchall()
    # A record that does not wait was settled for good: no review may name it.
    assert reviewed == taken_up, (reviewed, taken_up)


def _rule(connection: duckdb.DuckDBPyConnection) -> None:
    if connection.execute("FROM review WHERE ruling <> 0 LIMIT 1").fetchall():
        columnar.run_script(connection, "bucket_ruled")


def _load_past(connection: duckdb.DuckDBPyConnection, task: BucketTask) -> None:
    """Fetch what closed days settled of the movements that come again. Only days are opened that
    settled something of a date which a card signed in a record of today (R14).
    """
    days = connection.execute(
        "SELECT DISTINCT settlement_day FROM settled_day_before "
        "SEMI JOIN signed_day ON signed_day.day = signed_day"
    ).fetchall()
    folders = dict(task.history)
    files = [str(Path(folders[day]) / "decisions.parquet") for (day,) in sorted(days)]
    if files:
        columnar.set_variables(connection, settled=files)
        columnar.run_script(connection, "bucket_past")
        columnar.run_script(connection, "bucket_log_past")


def _outputs(connection: duckdb.DuckDBPyConnection) -> Mapping[str, str]:
    """Decisions are made in the order of the facts, which is their own but for the few that are
    added: nearly always nothing is left to sort.
    """
    if connection.execute(_OUT_OF_ORDER).fetchall():
        return _OUTPUTS
    return {**_OUTPUTS, "decisions": _OUTPUTS["decisions"].removesuffix(" ORDER BY file, row")}


def _explain_fares(
    connection: duckdb.DuckDBPyConnection, scheme: Scheme, rules: Mapping[int, SectorRule]
) -> None:
    """A claimed tariff above the known one is not believed: the known one explains the fare."""
    rows = []
    for sector, operator, *columns in connection.execute("FROM distinct_fare").fetchall():
        rule, fare = rule_of(rules, sector), _fare(*columns)
        known_fen = rule.known_tariff(scheme, operator, fare.kind)
        if known_fen is not None:
            fare = replace(fare, tariff_fen=min(fare.tariff_fen, known_fen))
        found = rule.explain(fare, scheme)
        answer = (found.fare_class, int(found.notes), known_fen)
        rows.append((sector, operator, *columns, *answer))
    columnar.insert(connection, "fare", rows)


def _fare(kind: int, tariff_fen: int, amount_fen: int, transfer: bool, concession: int) -> Fare:  # noqa: FBT001 - a row of SQL
    return Fare(RecordKind(kind), tariff_fen, amount_fen, transfer, Concession(concession))


def _share_out(connection: duckdb.DuckDBPyConnection, rules: Mapping[int, SectorRule]) -> None:
    """Ask about each distinct payment, but not where the operator keeps everything."""
    for number, rule in rules.items():
        if rule.share is whole:
            continue
        payments = connection.execute(
            "FROM distinct_payment WHERE sector = $sector", {"sector": number}
        ).fetchall()
        rows = [
            (*payment, payee, share_fen)
            for payment in payments
            for payee, share_fen in rule.passed_on(Payment(*payment[1:])).items()
        ]
        columnar.insert(connection, "passed_on", rows)


def _result(
    connection: duckdb.DuckDBPyConnection,
    bucket: int,
    outputs: tuple[tuple[str, str], ...],
    figures: FloatFigures,
) -> BucketResult:
    passed_on: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for *key, payee, share_fen in connection.execute(_PASSED_ON).fetchall():
        passed_on.setdefault(tuple(key), []).append((payee, share_fen))
    tallies = tuple(
        Tally(*row, *[tuple(passed_on.get((*row[:KEY_FIELDS], row[KEY_FIELDS] < 0), ()))])
        for row in connection.execute("FROM tally ORDER BY ALL").fetchall()
    )
    (worth,) = connection.execute("FROM worth").fetchall()
    result = BucketResult(bucket, outputs, tallies, *[*worth, figures])
    # I3: cards are worth what they were, and what the records moved.
    moved_fen = sum(tally.float_fen for tally in tallies)
    assert result.balance_fen + result.gap_fen == result.worth_before_fen + moved_fen, result
    # So it is by what cards stated, without a byte that nobody signed.
    assert result.figures.explained_fen == result.balance_fen + result.gap_fen, result
    return result
