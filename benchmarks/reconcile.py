"""What a day costs to reconcile, beside DuckDB doing its share of the work alone.

    python benchmarks/reconcile.py [records] [workers] [buckets]

Writes a day of records (cards that load once and ride nine times, one record in a thousand lost,
one in a thousand sent twice), turns it into facts, reconciles it, and then lets one SQL statement
do duplicates, continuity and netting over the same rows in memory on one thread. Seconds are the
processor's, of worker processes too: a busy machine moves them far less than the clock's.
"""

import hashlib
import resource
import sys
import tempfile
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from cardcore.records.batch import RECORDS_MAX
from cardcore.records.kinds import RecordKind, Sector, TransactionType
from cardcore.records.record import COUNTER_NOT_READ, FIELD, RECORD_BYTES, VERSION
from cardcore.schemes.catalogue import SCHEMES
from settlement.engine.local import LocalEngine
from settlement.facts.columns import write_facts
from settlement.reconciliation.inputs import FactInput
from settlement.registry.placing import PlacedTerminal, RunRegistry
from settlement.service.computation import ComputationTask, decisions_path, reconcile_run

DAY = date(2018, 9, 1)
RECEIVED = datetime(2018, 9, 1, 23, tzinfo=UTC)
STEPS = 10
COLLECTOR = 999
TERMINALS = 4_000
KIOSKS = 100
LOAD_FEN, TARIFF_FEN, FARE_FEN = 2_000, 200, 160

#: Duplicates, continuity of counter and balance, netting: what any SQL engine would have to do.
BASELINE = """
WITH first AS (
    SELECT * FROM fact
    QUALIFY row_number() OVER (PARTITION BY record_hash_high, record_hash_low ORDER BY file) = 1
), linked AS (
    SELECT operator, amount_fen, kind,
        lag(balance_after_fen) OVER card = balance_before_fen AS joins,
        lag(offline_counter::INTEGER) OVER card + 1 = offline_counter AS follows
    FROM first WINDOW card AS (PARTITION BY card_number ORDER BY time, kind)
)
SELECT operator, kind, count(*), sum(amount_fen), count(*) FILTER (NOT joins),
    count(*) FILTER (NOT follows)
FROM linked GROUP BY ALL ORDER BY ALL
"""


def _put(rows: NDArray[np.uint8], name: str, values: NDArray[np.int64] | int) -> None:
    field = FIELD[name]
    wide = np.broadcast_to(np.asarray(values, dtype=">u8"), (len(rows),)).copy()
    rows[:, field.offset : field.offset + field.length] = wide.view(np.uint8).reshape(-1, 8)[
        :, 8 - field.length :
    ]


def _put_bcd(rows: NDArray[np.uint8], name: str, digits: NDArray[np.int64] | int) -> None:
    field = FIELD[name]
    rest = np.broadcast_to(np.asarray(digits, dtype=np.int64), (len(rows),)).copy()
    for place in range(field.offset + field.length - 1, field.offset - 1, -1):
        rows[:, place] = rest % 10 + (rest // 10 % 10) * 16
        rest //= 100


def synthesise(count: int) -> NDArray[np.uint8]:
    """A day of `count` records in the order in which they happened, each 192 bytes."""
    cards = count // STEPS
    step, card = np.divmod(np.arange(cards * STEPS), cards)
    load = step == 0
    rows = np.zeros((len(step), RECORD_BYTES), np.uint8)
    rows[:, 0] = VERSION
    before = np.where(load, 0, LOAD_FEN - FARE_FEN * (step - 1))
    machine = np.where(load, card % KIOSKS, card % TERMINALS)
    # The serial of a machine: how many cards it saw before, in this step and in earlier ones.
    visits = -(-(cards - machine) // np.where(load, KIOSKS, TERMINALS))
    serial = np.where(
        load, card // KIOSKS, card // TERMINALS + np.maximum(step - 1, 0) * visits
    ) + 1  # fmt: skip
    _put(rows, "kind", np.where(load, RecordKind.LOAD, RecordKind.PURCHASE))
    _put(rows, "sector", np.where(load, Sector.CARD_SERVICE, Sector.TRANSIT))
    _put_bcd(rows, "card_number", 310_487_000_000_000_000 + card)
    _put(rows, "balance_before_fen", before)
    _put(rows, "balance_after_fen", before + np.where(load, LOAD_FEN, -FARE_FEN))
    _put(rows, "online_counter", np.where(load, 0, COUNTER_NOT_READ))
    _put(rows, "offline_counter", np.where(load, COUNTER_NOT_READ, np.maximum(step - 1, 0)))
    _put(rows, "amount_fen", np.where(load, LOAD_FEN, FARE_FEN))
    _put(
        rows, "transaction_type",
        np.where(load, TransactionType.LOAD, TransactionType.COMPOSITE),
    )  # fmt: skip
    _put(rows, "tariff_fen", np.where(load, 0, TARIFF_FEN))
    _put(rows, "terminal", np.where(load, 1_000_000, 0) + machine)
    _put(rows, "terminal_serial", serial)
    _put(
        rows,
        "psam_sequence",
        np.where(load, 0, (step * 60 + card % 60) * 10_000 + card // TERMINALS),
    )
    _put(rows, "tac", 1 << 32)
    _put(rows, "operator", np.where(load, 900, 101 + machine % 3))
    minute = step * 60 + card % 60
    moment = 20_180_901_000_000 + (minute // 60 + 6) * 10_000 + minute % 60 * 100
    _put_bcd(rows, "time", moment)
    _put_bcd(rows, "business_day", 20_180_901)
    _put(rows, "station", 1)
    _put(rows, "hotlist_version", 1)
    dice = np.random.default_rng(1)
    kept = rows[dice.random(len(rows)) >= 0.001]
    again = kept[dice.random(len(kept)) < 0.001]
    return np.concatenate([kept, again])


def _placed(number: int, owner: int, sector: Sector) -> PlacedTerminal:
    return PlacedTerminal(f"{number:012x}", owner, COLLECTOR, sector, date.min, date.max)


def main(count: int, workers: int, bucket_count: int) -> None:
    """Print seconds and records a second of each part."""
    rows = synthesise(count)
    terminals = [_placed(n, 101 + n % 3, Sector.TRANSIT) for n in range(TERMINALS)]
    terminals += [_placed(1_000_000 + n, 900, Sector.CARD_SERVICE) for n in range(KIOSKS)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        started = _spent()
        facts = []
        for start in range(0, len(rows), RECORDS_MAX):
            data = rows[start : start + RECORDS_MAX].tobytes()
            name = hashlib.sha256(data).hexdigest()
            proof = bytes(len(data) // RECORD_BYTES)
            written = write_facts(data, proof, name, bucket_count, folder / "facts" / name)
            facts += [
                (each.bucket, FactInput(name, str(each.path), RECEIVED, COLLECTOR))
                for each in written
            ]
        _tell("facts", len(rows), started)
        registry = RunRegistry(tuple(terminals))
        request = ComputationTask(
            DAY, SCHEMES["shenzhen"], bucket_count, tuple(facts), (), registry, None, ()
        )
        started = _spent()
        outcome = reconcile_run(request, folder / "run", LocalEngine(workers), lambda *_: None)
        seconds = _tell(f"reconcile, {workers} workers, {bucket_count} buckets", len(rows), started)
        baseline = _baseline([fact.path for _, fact in facts])
        print(f"{'ratio to DuckDB alone':<40}{seconds / baseline:10.2f}")
        print(outcome.clearing.totals)
        size = decisions_path(folder / "run", 0).stat().st_size
        print(f"decisions of bucket 0: {size / 2**20:.1f} MiB")


def _baseline(paths: list[str]) -> float:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(
            "CREATE TABLE fact AS SELECT record_hash_high, record_hash_low, file_index AS file, "
            "card_number, time, kind, operator, amount_fen, balance_before_fen, "
            "balance_after_fen, offline_counter FROM read_parquet($paths)",
            {"paths": paths},
        )
        ((count,),) = connection.execute("SELECT count(*) FROM fact").fetchall()
        started = _spent()
        connection.execute(BASELINE).fetchall()
        return _tell("DuckDB alone, in memory, one thread", count, started)


def _spent() -> float:
    """Seconds of the processor so far, in this process and in workers that ended."""
    return sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )


def _tell(what: str, count: int, started: float) -> float:
    seconds = _spent() - started
    print(f"{what:<40}{seconds:8.2f} s {count / seconds:12,.0f} records/s")
    return seconds


if __name__ == "__main__":
    arguments = [int(each) for each in sys.argv[1:]]
    main(*(arguments + [1_000_000, 1, 4][len(arguments) :]))
