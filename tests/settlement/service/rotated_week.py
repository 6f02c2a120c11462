"""A generated week in which the city's keys are rotated, and what an auditor says of it.

From the fourth day on new cards are personalised under version 2 while those of version 1 ride on.
Every record is true; one a day comes a day late, one comes twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random

import duckdb

from cardcore.keys import Algorithm, KeyService
from cardcore.records.batch import HEADER
from cardcore.records.record import FIELD, RECORD_BYTES
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.published_keys import published_key
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.dispositions import Reason
from settlement.engine.local import LocalEngine
from settlement.intake.answers import FileRow
from settlement.reconciliation.inputs import file_number
from settlement.service.clear import RunResult, run_clearing
from settlement.service.close import close_day
from settlement.service.computation import decisions_path
from settlement.service.receive import receive_file
from settlement.store.files import load_files
from settlement.store.registry import load_registry
from tests.settlement.device_files import (
    CLERK,
    DAY,
    NOW,
    OTHER_SENDER,
    Street,
    StreetCard,
    tac_ref,
)
from tests.support.audit.auditor import Auditor
from tests.support.audit.books import books_of
from tests.support.audit.known import CardRange, Known, TacKey, TerminalDays
from tests.support.audit.words import Sent

SCHEME = SCHEMES["shenzhen"]

ROTATED = 3  # the first day of version 2, counted from 0
DAYS = 7


@dataclass(frozen=True)
class Week:
    """Signed files by day, and how many records name each key version."""

    days: tuple[tuple[bytes, ...], ...]
    named: dict[int, int]


def make_week(seed: int = 1, days: int = DAYS) -> Week:
    dice = Random(seed)
    street = Street()
    cards: list[StreetCard] = []
    held_back: list[bytes] = []
    files: list[tuple[bytes, ...]] = []
    for day in range(days):
        street.now = datetime.combine(DAY, datetime.min.time()) + timedelta(days=day, hours=6)
        version = 2 if day >= ROTATED else 1
        newest = [street.card(len(cards) + n, version) for n in range(1, 4 if day == 0 else 3)]
        cards += newest
        loads = [card.load(20_000) for card in newest]
        rides = [
            card.bus(dice.choice((200, 300, 500)))
            for card in cards
            for _ in range(dice.randint(1, 2))
        ]
        late, rides = rides[-1:], rides[:-1]
        files.append(
            (
                street.file(loads, OTHER_SENDER, business_day=DAY + timedelta(days=day)),
                street.file([*held_back, *rides, rides[0]], business_day=DAY + timedelta(days=day)),
            )
        )
        held_back = late
    versions = [record[FIELD["key_version"].offset] for day in files for record in records(*day)]
    return Week(tuple(files), {version: versions.count(version) for version in (1, 2)})


def records(*files: bytes) -> list[bytes]:
    """The records of files, in order."""
    found = []
    for data in files:
        count = int.from_bytes(data[20:24], "big")
        body = data[HEADER.size : HEADER.size + count * RECORD_BYTES]
        found += [body[n : n + RECORD_BYTES] for n in range(0, len(body), RECORD_BYTES)]
    return found


@dataclass
class Audited:
    """An office and an auditor beside it, who is told which key versions are held."""

    city: City
    auditor: Auditor = field(default_factory=Auditor)
    totals: dict[str, int] = field(default_factory=dict)
    days: int = 0

    @property
    def day(self) -> date:
        return DAY + timedelta(days=self.days)

    def receive(self, files: Iterable[bytes], keys: KeyService) -> None:
        now = datetime.combine(self.day, datetime.max.time(), UTC)
        for data in files:
            assert receive_file(self.city, data, keys, now).answer.is_kept

    def clear(self, keys: KeyService) -> RunResult:
        found = run_clearing(self.city, self.day, keys, LocalEngine(1), NOW, CLERK)
        assert isinstance(found, RunResult)
        return found

    def close(self, keys: KeyService, versions: Sequence[int]) -> ClosedDay:
        """Close the day and compare it with the auditor's, who believes in `versions`."""
        found = self.clear(keys)
        now = datetime.combine(self.day, datetime.max.time(), UTC)
        ready = [
            row
            for row in load_files(self.city.database)
            if row.is_ready and row.settlement_day is None
        ]
        day = close_day(self.city, self.day, keys, LocalEngine(1), now, CLERK)
        assert isinstance(day, ClosedDay)
        assert day.output_hash == found.run.output_hash
        known = self._known(versions)
        entries = self.auditor.settle(
            self.day,
            known,
            [self._sent(row) for row in ready],
            self.auditor.may_be_judged_otherwise(self.day, known),
        )
        assert {key: Reason(reason).name for key, reason in decisions(self.city, day).items()} == {
            key: entry.reason.name for key, entry in entries.items()
        }
        totals = found.run.totals
        assert totals["float_fen"] == books_of(self.auditor.decided.values()).float_fen
        for name in ("records", "accepted", "duplicates", "suspended", "claims", "rejected"):
            value = totals[name]
            assert isinstance(value, int)
            self.totals[name] = self.totals.get(name, 0) + value
        self.days += 1
        return day

    def _sent(self, row: FileRow) -> Sent:
        content_hash = row.file.content_hash
        senders = load_registry(self.city.database).senders
        (participant,) = {
            each.row.participant for each in senders if each.row.sender == row.file.sender
        }
        return Sent(
            file_number(content_hash),
            participant,
            row.file.received_at,
            tuple(records(self.city.raw_path(content_hash).read_bytes())),
        )

    def _known(self, versions: Sequence[int]) -> Known:
        """What the registry says, and the keys of these versions."""
        registry = load_registry(self.city.database)
        return Known(
            sectors={each.row.code: each.row.sector for each in registry.participants},
            terminals=tuple(
                TerminalDays(
                    each.row.terminal,
                    each.row.participant,
                    each.row.collector or each.row.participant,
                    each.row.sector,
                    each.valid_from,
                    each.valid_to,
                )
                for each in registry.terminals
            ),
            ranges=tuple(
                CardRange(0, each.row.prefix, bytes.fromhex(each.row.issuer))
                for each in registry.card_numbers
                if each.row.label == SCHEME.name
            ),
            tac_keys=tuple(
                TacKey(0, version, Algorithm.PBOC_3DES, published_key(tac_ref(version)))
                for version in versions
            ),
            cutover_hour=SCHEME.cutover_hour,
        )


def decisions(city: City, day: ClosedDay) -> dict[tuple[int, int], int]:
    """The reason of every decision of a closed day, by (file, row)."""
    folder = city.run_folder(day.settlement_day, day.run_id)
    paths = [str(decisions_path(folder, bucket)) for bucket in range(city.bucket_count)]
    rows = duckdb.read_parquet(paths).select("file", "row", "reason").fetchall()
    return {(file, row): reason for file, row, reason in rows}
