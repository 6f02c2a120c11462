"""Many worlds as the product settles them: one run a day for all of a block of seeds.

Decides how worlds are laid into files: each sender's records of a day lie in a file or two, those
of one world side by side. Keys, proofs and runs are the product's own; nothing is stubbed.
"""

import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from itertools import product
from pathlib import Path

import duckdb

from cardcore.keys import InsecureKeyServiceWarning, KeyRef, KeyService, KeyUsage, ProofReason
from cardcore.records.record import RECORD_BYTES
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import issuer_key_refs, published_vault
from settlement.dispositions import SegmentKind, Verdict
from settlement.engine.local import LocalEngine
from settlement.facts.columns import write_facts
from settlement.facts.proof import prove_records, signing_keys
from settlement.reconciliation.inputs import FactInput
from settlement.registry.book import Dated, Registry
from settlement.registry.placing import (
    PlacedNumbers,
    PlacedTerminal,
    RunRegistry,
    place_hotlist,
    place_numbers,
)
from settlement.registry.rows import CardNumbersRow, CentreRow, HotlistRow, TacKeyRow
from settlement.service.computation import (
    ComputationOutcome,
    ComputationTask,
    ReviewRequest,
    decisions_path,
    reconcile_run,
)
from tests.settlement.audited.encoding import MAC_VERSION
from tests.settlement.audited.world import (
    BLOCK,
    ENDINGS,
    SECTORS,
    City,
    Keys,
    World,
    settlement_day,
)
from tests.support.audit.known import OURS, CardRange
from tests.support.audit.words import Purse, Sent

#: Versions of the keys that exist.
_VERSIONS = (1, 2)


@dataclass(frozen=True, slots=True)
class Decided:
    """A row of decisions, as far as the auditor has a word on it."""

    reason: int
    disposition: int
    operator: int
    sector: int
    amount_fen: int
    notes: int
    centre: int


@dataclass(frozen=True, slots=True)
class StatedPurse:
    """R5 of a purse: the balance its card stated last, debits after that, and what lies between
    statements: (kind, fen, counters of loads that are missing).
    """

    stated_fen: int
    tail_fen: int
    segments: tuple[tuple[str, int, int], ...]
    contradictions_fen: int

    @classmethod
    def of(
        cls, stated_fen: int, tail_fen: int, segments: Iterable[tuple[str, int, int]]
    ) -> "StatedPurse":
        """Contradictions are told as a sum: what has no place stands alone, each on its day."""
        told = list(segments)
        return cls(
            stated_fen,
            tail_fen,
            tuple(sorted(each for each in told if each[0] != "contradiction")),
            sum(price_fen for kind, price_fen, _ in told if kind == "contradiction"),
        )


_SEGMENTS = {
    SegmentKind.MISSING_DEBITS: "debits",
    SegmentKind.MISSING_LOADS: "loads",
    SegmentKind.CONTRADICTION: "contradiction",
}


@dataclass
class _File:
    """Rows of one file while it is filled, each with the world it is of."""

    content_hash: str
    sender: int
    received: datetime
    rows: list[tuple[World, bytes]] = field(default_factory=list)


class Product:
    """The worlds of a block, settled day after day in a folder."""

    def __init__(self, folder: Path, worlds: Sequence[World], *, buckets: int = 1) -> None:
        self._folder = folder
        self._worlds = worlds
        self._city = worlds[0].city
        self._buckets = buckets
        self._engine = LocalEngine()
        self._closed: list[tuple[date, Path]] = []
        self._facts: list[tuple[int, FactInput]] = []
        self._records: dict[tuple[int, int], tuple[World, bytes]] = {}

    def files(self, day: int) -> dict[int, list[Sent]]:
        """What arrives on a day by seed: the same files that `settle` will read."""
        found: dict[int, list[Sent]] = {world.seed: [] for world in self._worlds}
        for file in self._files(day):
            number = int(file.content_hash[:16], 16)
            for row, (world, data) in enumerate(file.rows):
                sent = Sent(number, file.sender, file.received, (data,), row)
                found[world.seed].append(sent)
        return found

    def settle(
        self,
        day: int,
        again: Mapping[tuple[int, int], bool],
        rulings: Mapping[tuple[int, int], Verdict],
    ) -> ComputationOutcome:
        """Reconcile a day's files, what `again` names of earlier ones (with whether it was booked,
        and so proven), and what people ruled on.
        """
        facts: list[tuple[int, FactInput]] = []
        files = self._files(day)
        packed = self._proofs(day, [row for file in files for row in file.rows])
        for file in files:
            number = int(file.content_hash[:16], 16)
            self._records |= {(number, row): each for row, each in enumerate(file.rows)}
            folder = self._folder / "facts" / file.content_hash
            proofs, packed = packed[: len(file.rows)], packed[len(file.rows) :]
            records = b"".join(data for _, data in file.rows)
            written = write_facts(records, proofs, file.content_hash, self._buckets, folder)
            facts += [
                (
                    each.bucket,
                    FactInput(file.content_hash, str(each.path), file.received, file.sender),
                )
                for each in written
            ]
        task = ComputationTask(
            settlement_day=settlement_day(day),
            scheme=self._city.scheme,
            bucket_count=self._buckets,
            facts=tuple(facts),
            registers=(),
            registry=self._registry(day),
            previous=self._closed[-1][1] if self._closed else None,
            history=tuple(self._closed),
            review=self._review(day, {**again, **dict.fromkeys(rulings, True)}, rulings),
        )
        folder = self._folder / f"run-{day}"
        outcome = reconcile_run(task, folder, self._engine, lambda _done, _total: None)
        self._closed.append((settlement_day(day), folder))
        self._facts += facts
        return outcome

    def decisions(self) -> dict[tuple[int, int], Decided]:
        """Decisions of the last day by (file, row)."""
        folder = self._closed[-1][1]
        paths = [str(decisions_path(folder, bucket)) for bucket in range(self._buckets)]
        with duckdb.connect() as connection:
            rows = connection.execute(
                "SELECT file, row, reason, disposition, operator, sector, amount_fen, notes, "
                "centre "
                "FROM read_parquet($paths)",
                {"paths": paths},
            ).fetchall()
        found = {(file, row): Decided(*rest) for file, row, *rest in rows}
        assert len(found) == len(rows), "a record is decided twice"
        return found

    def purses(self) -> dict[Purse, list[StatedPurse]]:
        """What the last day leaves stated of every purse, once a number it was told under."""
        segments: dict[tuple[int, int, int], list[tuple[str, int, int]]] = {}
        for *key, kind, price_fen, missing in self._table(
            "segments", "issuer, card_number, application, kind, price_fen, missing_loads"
        ):
            name = _SEGMENTS[SegmentKind(kind)]
            segments.setdefault((key[0], key[1], key[2]), []).append((name, price_fen, missing))
        found: dict[Purse, list[StatedPurse]] = {}
        for issuer, number, application, balance_fen, tail_fen in self._table(
            "statements", "issuer, card_number, application, balance_fen, tail_fen"
        ):
            opened = segments.get((issuer, number, application), [])
            purse = Purse(application, f"{number:020}"[-16:], self._whose(issuer, number))
            found.setdefault(purse, []).append(StatedPurse.of(balance_fen, tail_fen, opened))
        return found

    def _whose(self, issuer: int, number: int) -> str:
        named = (issuer.to_bytes(8), f"{number:020}")
        partners = self._city.partners
        return next(
            (p.name for p in partners if (p.issuer, p.prefix) == (named[0], named[1][:8])), OURS
        )

    def _table(self, name: str, columns: str) -> list[tuple[int, ...]]:
        folder = decisions_path(self._closed[-1][1], 0).parent.parent
        with duckdb.connect() as connection:
            return connection.execute(
                f"SELECT {columns} FROM read_parquet($path)",
                {"path": f"{folder}/*/{name}.parquet"},
            ).fetchall()

    def _files(self, day: int) -> list[_File]:
        files: dict[tuple[object, ...], _File] = {}
        for world in self._worlds:
            for part in world.parts[day] if day < len(world.parts) else ():
                received = world.received(day)
                key = (world.seed // BLOCK, self._city.name, day, part.sender, part.half, received)
                content_hash = hashlib.sha256(repr(key).encode()).hexdigest()
                file = files.setdefault(key, _File(content_hash, part.sender, received))
                file.rows += [(world, data) for data in part.records]
        return sorted(files.values(), key=lambda each: each.content_hash)

    def _proofs(self, day: int, rows: Sequence[tuple[World, bytes]]) -> bytes:
        """What the key service of each world says of its rows, packed as facts keep it."""
        packed = bytearray(len(rows))
        asked: dict[tuple[Keys, ...], list[int]] = {}
        for number, (world, _) in enumerate(rows):
            asked.setdefault(world.keys(day), []).append(number)
        for keys, numbers in asked.items():
            records = b"".join(rows[number][1] for number in numbers)
            assert len(records) == len(numbers) * RECORD_BYTES
            held = {each.city: each.held for each in keys}
            found = prove_records(
                records,
                _key_service(self._city, tuple(held.items())),
                self._city.name,
                _rows(self._city, keys),
                numbers=self._numbers(day),
            )
            for number, answer in zip(numbers, found.packed, strict=True):
                packed[number] = answer
        return bytes(packed)

    def _numbers(self, day: int) -> tuple[PlacedNumbers, ...]:
        """Whose card numbers are whose: what is registered is the same for all worlds of a run."""
        known = self._worlds[0].known(day)
        return _placed(self._city, known.ranges, tuple(known.centres.items()))

    def _review(
        self,
        day: int,
        again: Mapping[tuple[int, int], bool],
        rulings: Mapping[tuple[int, int], Verdict],
    ) -> ReviewRequest | None:
        if not again:
            return None
        keys = sorted(again)
        rows = [self._records[key] for key in keys]
        # A review lays the answer of the card's key over the facts, and leaves their record MACs.
        answers = [
            ProofReason.PROVEN if again[key] else packed & 0x0F
            for key, packed in zip(keys, self._proofs(day, rows), strict=True)
        ]
        path = self._folder / f"review-{day}.parquet"
        with duckdb.connect() as connection:
            connection.execute(
                "CREATE TABLE review (file UBIGINT, row UINTEGER, proof UTINYINT, ruling UTINYINT)"
            )
            named = [
                (*key, int(answer), int(rulings.get(key, 0)))
                for key, answer in zip(keys, answers, strict=True)
            ]
            connection.executemany("INSERT INTO review VALUES (?, ?, ?, ?)", named)
            connection.sql("FROM review").write_parquet(str(path))
        files = {file for file, _ in again}
        facts = tuple(each for each in self._facts if each[1].file in files)
        return ReviewRequest(str(path), facts)

    def _registry(self, day: int) -> RunRegistry:
        return RunRegistry(
            terminals=tuple(
                PlacedTerminal(
                    row.terminal,
                    row.owner,
                    row.collector,
                    SECTORS[row.owner] if row.sector is None else row.sector,
                    row.first,
                    row.last,
                )
                for world in self._worlds
                for row in world.known(day).terminals
            ),
            numbers=self._numbers(day),
            hotlist=tuple(
                place_hotlist(
                    (
                        Dated(HotlistRow(each.card_number, each.version), each.first, each.last)
                        for world in self._worlds
                        for each in world.hotlist
                    ),
                    self._numbers(day),
                )
            ),
        )


@lru_cache
def _key_service(city: City, held: tuple[tuple[str, tuple[int, ...]], ...]) -> KeyService:
    """The key service of a city that holds these versions, its own and of partners."""
    refs = {KeyRef(KeyUsage.DAY_SEAL, city.name, 1)}
    for name, versions in held:
        labels = [city.label(each, name) for each in (ENDINGS if name else city.applications)]
        for label, version in product(labels, versions):
            refs |= (
                {KeyRef(KeyUsage.TAC, label, version)}
                if name
                else set(issuer_key_refs(label, version))
            )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return InProcessKeyService(published_vault(sorted(refs, key=str)))


@lru_cache
def _rows(city: City, keys: tuple[Keys, ...]) -> Sequence[TacKeyRow]:
    """The registered keys of a city and of partners, of cards and of PSAMs."""
    rows = []
    for each in keys:
        name = each.city or city.name
        every = _key_service(city, ((OURS, _VERSIONS), (each.city, _VERSIONS)))
        rows += [
            row
            for row in signing_keys(every, name)
            if row.version in ((MAC_VERSION,) if "/" in row.label else each.registered)
        ]
    return tuple(rows)


@lru_cache
def _placed(
    city: City, ranges: tuple[CardRange, ...], centres: tuple[tuple[str, int], ...]
) -> tuple[PlacedNumbers, ...]:
    """Registered numbers and centres as a run asks for them."""
    registry = Registry(
        card_numbers=tuple(
            Dated(
                CardNumbersRow(
                    city.label(each.application, each.city),
                    each.prefix,
                    each.issuer.hex().upper(),
                ),
                each.first,
                each.last,
            )
            for each in ranges
        ),
        centres=tuple(Dated(CentreRow(*each)) for each in centres),
    )
    return tuple(place_numbers(registry, city.name))
