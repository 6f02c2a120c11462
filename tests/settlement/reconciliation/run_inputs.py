"""Records and runs for tests of reconciliation: bytes and proofs, without keys and SQL."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from cardcore.keys import ProofReason
from cardcore.records.batch import DeviceRegister
from cardcore.records.kinds import RecordKind, Sector
from cardcore.records.record import TransactionRecord, encode_record
from cardcore.schemes.catalogue import SCHEMES
from settlement.dispositions import Verdict as Ruled
from settlement.engine import Engine
from settlement.engine.local import LocalEngine
from settlement.facts.columns import write_facts
from settlement.facts.load_log import LogEntries
from settlement.reconciliation.inputs import FactInput
from settlement.registry.book import Dated
from settlement.registry.placing import (
    PlacedNumbers,
    PlacedTerminal,
    RunRegistry,
    place_hotlist,
)
from settlement.registry.rows import HotlistRow, TerminalRow
from settlement.service.computation import (
    ComputationOutcome,
    ComputationTask,
    ReviewRequest,
    decisions_path,
    gaps_path,
    reconcile_run,
)
from tests.support.records import a_bus_ride, a_load

DAY = date(2018, 9, 1)
#: When the files of a day come in.
END_OF_DAY = time(23, 59, 59)
BUS, GATE, KIOSK, STRANGER = "0000000000b1", "0000000000e1", "0000000000c1", "0000000000ff"
BUS_OPERATOR, METRO_OPERATOR, LOAD_AGENT = 101, 201, 900
#: Sends for everybody, where a test says nothing else.
COLLECTOR = 999
SECTORS = {BUS_OPERATOR: Sector.TRANSIT, METRO_OPERATOR: Sector.TRANSIT}
TERMINALS = (
    TerminalRow(BUS, BUS_OPERATOR, "bus"),
    TerminalRow(GATE, METRO_OPERATOR, "gate"),
    TerminalRow(KIOSK, LOAD_AGENT, "kiosk"),
)
#: A row of SQL.
Row = tuple[Any, ...]
#: A record with the byte of its proof: the answer of the key service, and of its record MAC.
Proven = tuple[bytes, int]


def card_text(card: int) -> str:
    return f"0310487{card:013}"


def debit(card: int = 1, **values: object) -> TransactionRecord:
    """A bus ride of that card; any field can be told otherwise."""
    return a_bus_ride(**({"card_number": card_text(card)} | values))


def load(card: int = 1, **values: object) -> TransactionRecord:
    """A load of that card; any field can be told otherwise."""
    return a_load(**({"card_number": card_text(card)} | values))


def chain(
    card: int, *amounts_fen: int, serials: Mapping[str, int] | None = None
) -> list[TransactionRecord]:
    """A card's life: positive amounts are loads, negative ones bus rides, 0 a metro entry."""
    next_serial = dict(serials or {BUS: 1, KIOSK: 1, GATE: 1})
    records: list[TransactionRecord] = []
    balance_fen = loads = debits = 0
    for number, amount_fen in enumerate(amounts_fen):
        terminal = KIOSK if amount_fen > 0 else BUS if amount_fen else GATE
        values: dict[str, object] = {
            "balance_before_fen": balance_fen,
            "balance_after_fen": balance_fen + amount_fen,
            "amount_fen": abs(amount_fen),
            "terminal_serial": next_serial[terminal],
            # A PSAM counts what it lets through; two records of one count are one movement.
            "psam_sequence": 1000 * card + number,
            "time": datetime.fromisoformat("2018-09-01T07:00") + timedelta(minutes=number),
        }
        if amount_fen > 0:
            records.append(load(card, online_counter=loads, **values))
            loads += 1
        else:
            if not amount_fen:
                values |= {"kind": RecordKind.ENTRY, "terminal": GATE, "operator": METRO_OPERATOR}
            tariff_fen = -amount_fen * 5 // 4
            records.append(debit(card, offline_counter=debits, tariff_fen=tariff_fen, **values))
            debits += 1
        next_serial[terminal] += 1
        balance_fen += amount_fen
    return records


def proven(*records: TransactionRecord) -> list[Proven]:
    return [(encode_record(record), ProofReason.PROVEN) for record in records]


@dataclass(frozen=True)
class Verdict:
    """A row of decisions, as far as tests ask."""

    reason: int
    disposition: int
    fare_class: int
    notes: int
    late: bool
    chained: bool
    operator: int
    sector: int
    excess_fen: int


_RowT = TypeVar("_RowT", HotlistRow, TerminalRow)


def _dated(row: _RowT | Dated[_RowT]) -> Dated[_RowT]:
    """A row without days holds on all of them."""
    return row if isinstance(row, Dated) else Dated(row)


def _placed(row: TerminalRow | Dated[TerminalRow]) -> PlacedTerminal:
    """A terminal without a collector is collected by the one who sends for everybody."""
    held = _dated(row)
    owner, sector = held.row.participant, held.row.sector
    return PlacedTerminal(
        held.row.terminal,
        owner,
        COLLECTOR if held.row.collector is None else held.row.collector,
        SECTORS.get(owner, Sector.CARD_SERVICE) if sector is None else sector,
        held.valid_from,
        held.valid_to,
    )


class Desk:
    """Runs settlement days one after the other in a folder; each is closed when the next begins."""

    def __init__(
        self,
        folder: Path,
        *,
        buckets: int = 1,
        terminals: Sequence[TerminalRow | Dated[TerminalRow]] = TERMINALS,
        hotlist: Sequence[HotlistRow | Dated[HotlistRow]] = (),
        numbers: Sequence[PlacedNumbers] = (),
        scheme: str = "shenzhen",
        known_tariffs: Mapping[tuple[int, RecordKind], int] | None = None,
        engine: Engine | None = None,
    ) -> None:
        self._folder = folder
        self._buckets = buckets
        self._scheme = SCHEMES[scheme]
        if known_tariffs is not None:
            self._scheme = replace(self._scheme, known_tariffs=known_tariffs)
        self._engine = engine or LocalEngine()
        self.terminals = tuple(terminals)
        self.hotlist = tuple(hotlist)
        self.numbers = tuple(numbers)
        self._closed: list[tuple[date, Path]] = []
        self._facts: list[tuple[int, FactInput]] = []
        self.hashes: dict[int, str] = {}

    def run(
        self,
        *files: Sequence[Proven],
        day: date = DAY,
        registers: Sequence[DeviceRegister] = (),
        name: str | None = None,
        review: Mapping[tuple[int, int], ProofReason] | None = None,
        rulings: Mapping[tuple[int, int], Ruled] | None = None,
        sender: int = COLLECTOR,
        load_log: Sequence[LogEntries] = (),
    ) -> ComputationOutcome:
        """Reconcile files that came in at the end of a day and close it. Intake never takes one
        content twice. `review`
        says by (file, row) how TACs are judged now, of these files and of earlier ones, `rulings`
        what people ruled of earlier ones.
        """
        facts: list[tuple[int, FactInput]] = []
        for content_hash, rows in {self.hash_of(rows): rows for rows in files}.items():
            records = b"".join(data for data, _ in rows)
            folder = self._folder / "facts" / f"{self._buckets}" / content_hash
            written = write_facts(
                records, bytes(proof for _, proof in rows), content_hash, self._buckets, folder
            )
            received_at = datetime.combine(day, END_OF_DAY, UTC)
            facts += [
                (each.bucket, FactInput(content_hash, str(each.path), received_at, sender))
                for each in written
            ]
        request = ComputationTask(
            settlement_day=day,
            scheme=self._scheme,
            bucket_count=self._buckets,
            facts=tuple(facts),
            registers=tuple((sender, each) for each in registers),
            registry=RunRegistry(
                terminals=tuple(_placed(each) for each in self.terminals),
                numbers=self.numbers,
                hotlist=tuple(place_hotlist(map(_dated, self.hotlist), self.numbers)),
            ),
            previous=self._closed[-1][1] if self._closed else None,
            history=tuple(self._closed),
            review=self._review(review or {}, rulings or {}, [fact.file for _, fact in facts]),
            load_log=tuple(load_log),
        )
        self.folder = self._folder / (name or f"run-{len(self._closed)}")
        outcome = reconcile_run(request, self.folder, self._engine, lambda _done, _total: None)
        self._closed.append((day, self.folder))
        self._facts += facts
        return outcome

    def _review(
        self,
        review: Mapping[tuple[int, int], ProofReason],
        rulings: Mapping[tuple[int, int], Ruled],
        own: Sequence[int],
    ) -> ReviewRequest | None:
        review = {**dict.fromkeys(rulings, ProofReason.PROVEN), **review}
        if not review:
            return None
        path = self._folder / f"review-{len(self._closed)}.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE review (file UBIGINT, row UINTEGER, proof UTINYINT, ruling UTINYINT)"
            )
            rows = [(*key, int(proof), int(rulings.get(key, 0))) for key, proof in review.items()]
            connection.executemany("INSERT INTO review VALUES (?, ?, ?, ?)", rows)
            connection.sql("FROM review").write_parquet(str(path))
        named = {file for file, _ in review} - set(own)
        facts = [each for each in self._facts if each[1].file in named]
        return ReviewRequest(str(path), tuple(facts))

    @staticmethod
    def hash_of(rows: Sequence[Proven]) -> str:
        return hashlib.sha256(b"".join(data + bytes((proof,)) for data, proof in rows)).hexdigest()

    def verdicts(self) -> dict[tuple[int, int], Verdict]:
        """Decisions of the last run by (file, row)."""
        rows = self._query(
            decisions_path,
            "SELECT file, row, reason, disposition, fare_class, notes, late, chained, operator, "
            "sector, excess_fen",
        )
        return {(file, row): Verdict(*rest) for file, row, *rest in rows}

    def reasons(self, rows: Sequence[Proven]) -> list[int]:
        """The reasons of one file's rows in the last run."""
        file = int(self.hash_of(rows)[:16], 16)
        verdicts = self.verdicts()
        return [verdicts[file, row].reason for row in range(len(rows))]

    def gaps(self) -> list[Row]:
        """(card, kind, first, last, price, day, state) of the last run."""
        return self._query(
            gaps_path,
            "SELECT card_number, counter_kind, first_counter, last_counter, price_fen, "
            "opened_day, state",
        )

    def missing(self) -> dict[tuple[int, int], set[int]]:
        """Missing counters of open gaps by (card, purse)."""
        rows = self._query(
            gaps_path,
            "SELECT card_number, left_offline, right_offline, left_online, right_online, state",
        )
        found: dict[tuple[int, int], set[int]] = {}
        for card, *ends, state in rows:
            if state == 1:
                found.setdefault((card, 0), set()).update(range(ends[0], ends[1]))
                found.setdefault((card, 1), set()).update(range(ends[2], ends[3]))
        return {key: counters for key, counters in found.items() if counters}

    def table(self, name: str) -> list[Row]:
        """A table of the run's terminals."""
        return duckdb.read_parquet(str(self.folder / "terminals" / f"{name}.parquet")).fetchall()

    def _query(self, path_of: Callable[[Path, int], Path], select: str) -> list[Row]:
        rows: list[Row] = []
        with duckdb.connect() as connection:
            for bucket in range(self._buckets):
                rows += connection.execute(
                    f"{select} FROM read_parquet($path)",
                    {"path": str(path_of(self.folder, bucket))},
                ).fetchall()
        return sorted(rows, key=str)
