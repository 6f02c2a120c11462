"""A town to attack: its clearing office as it runs, and true cards, terminals and PSAMs outside.

Whoever attacks holds what a dishonest participant holds: its sender's key, every byte
of its files, its terminals with their clocks and PSAMs. Nothing here knows how the office decides;
what became of records is read from what it keeps and tells.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb

from cardcore.crypto import SUITES
from cardcore.keys import Algorithm, KeyRef, KeyUsage
from cardcore.records.batch import DeviceRegister
from cardcore.records.kinds import MacProfile, Sector
from cardcore.records.record import (
    FIELD,
    RECORD_BYTES,
    TransactionRecord,
    decode_record,
    encode_record,
)
from cardcore.records.tac import record_digest, tac_message
from cardcore.schemes import ParticipantKind
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key
from settlement.city import City, create_city
from settlement.days.closing import ClosedDay
from settlement.days.opening import DayAnswer
from settlement.dispositions import Disposition, Note, Reason
from settlement.engine.local import LocalEngine
from settlement.facts.proof import signing_keys
from settlement.intake.answers import Acknowledgement
from settlement.reconciliation.inputs import file_number
from settlement.registry.book import AnyDated, since_ever
from settlement.registry.rows import (
    CardNumbersRow,
    CentreRow,
    ParticipantRow,
    SenderRow,
    TerminalRow,
)
from settlement.reports.history import explain
from settlement.service.close import close_day
from settlement.service.computation import decisions_path
from settlement.service.receive import receive_file
from settlement.store.days import load_balances, load_run
from settlement.store.registry import register
from settlement.verification.verify import verify
from tests.settlement.device_files import (
    ACTION,
    BUS_TERMINAL,
    CLERK,
    DAY,
    KIOSK,
    METRO_TERMINAL,
    SCHEME,
    Street,
    key_service,
    signing_ref,
)
from tests.support.records import a_bus_ride, a_load

#: Participants of the scheme.
BUS, METRO, AGENT = 101, 201, 900
#: Senders of files: whose collector each is.
BUS_COLLECTOR, METRO_COLLECTOR, AGENT_HOST = 7, 8, 9
SENDERS = {BUS_COLLECTOR: BUS, METRO_COLLECTOR: METRO, AGENT_HOST: AGENT}
#: Another city, whose cards come here, and the centre that answers for them.
CENTRE, GUEST_CITY, GUEST_ISSUER, GUEST_PREFIX = 301, "ningbo", "01053320FFFFFFFF", "03103320"
CENTRE_ROW = ParticipantRow(CENTRE, "宁波发卡中心", ParticipantKind.CENTRE, Sector.CARD_SERVICE)
PARTNERS: tuple[AnyDated, ...] = since_ever(
    CENTRE_ROW,
    CentreRow(GUEST_CITY, CENTRE),
    CardNumbersRow(GUEST_CITY, GUEST_PREFIX, GUEST_ISSUER),
)
ENGINE = LocalEngine(1)
_SUITE = SUITES[Algorithm.PBOC_3DES]


def at(clock: str = "08:00", day: int = 0) -> datetime:
    """A time on the city's wall clock, `day` days after the first.

    >>> at("09:30", 1).isoformat()
    '2018-09-02T09:30:00'
    """
    return datetime.fromisoformat(f"{DAY + timedelta(days=day)}T{clock}")


def signed(record: TransactionRecord, label: str = SCHEME.name) -> bytes:
    """The record as its card signs it."""
    data = encode_record(replace(record, tac=bytes(4)))
    master = published_key(KeyRef(KeyUsage.TAC, label, record.key_version))
    key = _SUITE.diversify(master, bytes.fromhex(record.card_number)[-8:])
    return encode_record(replace(record, tac=_SUITE.tac(key, tac_message(data))))


def guest_signed(data: bytes, label: str = GUEST_CITY) -> bytes:
    """The record as a card of the other city signs it."""
    return signed(decode_record(data), label)


def vouched(data: bytes, psam: str, profile: MacProfile = MacProfile.FIXED) -> bytes:
    """The record with the MAC of a PSAM: whoever holds that PSAM has it sign any story."""
    master = published_key(KeyRef(KeyUsage.RECORD_MAC, SCHEME.name, 1))
    key = _SUITE.diversify(master, bytes.fromhex(psam)[-8:])
    head = data[: FIELD["mac_profile"].offset] + bytes((profile, Algorithm.PBOC_3DES, 1))
    mac = _SUITE.record_mac(key, record_digest(head.ljust(RECORD_BYTES, b"\x00")))
    return head + mac.ljust(16, b"\x00")


def altered(data: bytes, name: str, value: int | bytes) -> bytes:
    """The record with other bytes in one field, and nothing else made to agree."""
    cell = FIELD[name]
    new = value if isinstance(value, bytes) else value.to_bytes(cell.length, "big")
    assert len(new) == cell.length, (name, new)
    return data[: cell.offset] + new + data[cell.offset + cell.length :]


@dataclass
class Terminal:
    """A terminal and its PSAM, in the hands of whoever owns it: the clock is an argument."""

    number: str
    operator: int
    sector: int
    psam: str
    sequence: int = 0  # of the PSAM, signed by cards
    serial: int = 0  # of the journal, signed by nobody

    def step(self) -> dict[str, object]:
        """The numbers of the next record."""
        self.sequence += 1
        self.serial += 1
        return {
            "terminal": self.number,
            "operator": self.operator,
            "sector": self.sector,
            "psam": self.psam,
            "psam_sequence": self.sequence,
            "terminal_serial": self.serial,
        }


@dataclass
class Card:
    """A card of the city, as far as its records show it."""

    number: str
    balance_fen: int = 0
    loads: int = 0
    debits: int = 0

    def load(self, kiosk: Terminal, amount_fen: int, moment: datetime, **claims: Any) -> bytes:  # noqa: ANN401 - any field
        """A load, which the card signs. `claims` are fields nobody signs."""
        before, self.balance_fen = self.balance_fen, self.balance_fen + amount_fen
        counter, self.loads = self.loads, self.loads + 1
        values = {"online_counter": counter, "tariff_fen": amount_fen} | kiosk.step() | claims
        return self._signed(a_load(**values), before, amount_fen, moment, claims)

    def pay(self, terminal: Terminal, amount_fen: int, moment: datetime, **claims: Any) -> bytes:  # noqa: ANN401 - any field
        """A debit, which the card signs."""
        before, self.balance_fen = self.balance_fen, self.balance_fen - amount_fen
        counter, self.debits = self.debits, self.debits + 1
        tariff_fen = min(amount_fen * 5 // 4, 2**32 - 1)
        values: dict[str, object] = {"offline_counter": counter, "tariff_fen": tariff_fen}
        values |= terminal.step() | claims
        return self._signed(a_bus_ride(**values), before, amount_fen, moment, claims)

    def _signed(
        self,
        begun: TransactionRecord,
        before_fen: int,
        amount_fen: int,
        moment: datetime,
        claims: Mapping[str, object],
    ) -> bytes:
        values: dict[str, object] = {
            "card_number": self.number,
            "balance_before_fen": before_fen,
            "balance_after_fen": self.balance_fen,
            "amount_fen": amount_fen,
            "time": moment,
            "business_day": moment.date(),
        }
        return signed(replace(begun, **{**values, **claims}))  # type: ignore[arg-type] # any field


@dataclass(frozen=True)
class Fate:
    """What the office made of a record, by the names of its closed words."""

    disposition: str
    reason: str
    notes: frozenset[str] = frozenset()


ACCEPTED = Fate("ACCEPTED", "NONE")
VARIANT, COPY = Fate("DUPLICATE", "VARIANT"), Fate("DUPLICATE", "DUPLICATE")
TAC_WRONG, TAC_MISSING = Fate("CLAIM", "TAC_WRONG"), Fate("CLAIM", "TAC_MISSING")
FOREIGN_CARD = Fate("CLAIM", "FOREIGN_CARD")
NOT_YOUR_TERMINAL = Fate("REJECTED", "NOT_YOUR_TERMINAL")
FORMAT_WRONG = Fate("REJECTED", "FORMAT_WRONG")
TERMINAL_UNKNOWN = Fate("SUSPENDED", "TERMINAL_UNKNOWN")
HOTLISTED = Fate("SUSPENDED", "HOTLISTED")


@dataclass
class Town:
    """The office, and everything that stands outside."""

    city: City
    keys: InProcessKeyService
    now: datetime = field(default_factory=lambda: datetime.combine(DAY, time(23), UTC))
    street: Street = field(default_factory=Street)
    places: dict[bytes, list[tuple[str, int]]] = field(default_factory=dict)
    fates: dict[tuple[int, int], Fate] = field(default_factory=dict)
    bus: Terminal = field(
        default_factory=lambda: Terminal(BUS_TERMINAL, BUS, Sector.TRANSIT, "1" * 20)
    )
    gate: Terminal = field(
        default_factory=lambda: Terminal(METRO_TERMINAL, METRO, Sector.TRANSIT, "2" * 20)
    )
    kiosk: Terminal = field(
        default_factory=lambda: Terminal(KIOSK, AGENT, Sector.CARD_SERVICE, "3" * 20)
    )

    def card(self, number: int) -> Card:
        """A new card, empty."""
        return Card(f"03105840{number:012}")

    def send(
        self,
        sender: int,
        records: Iterable[bytes],
        *,
        sequence: int | None = None,
        registers: Sequence[DeviceRegister] = (),
    ) -> Acknowledgement:
        """A file with a true signature of its sender, whatever stands in it."""
        records = list(records)
        self.street.now = self.now.replace(tzinfo=None)
        data = self.street.file(records, sender, sequence=sequence, registers=registers)
        answer = receive_file(self.city, data, self.keys, self.now)
        if answer.answer.is_kept:
            for row, record in enumerate(records):
                self.places.setdefault(record, []).append((answer.content_hash, row))
        return answer

    def close(self, day: date | None = None) -> ClosedDay:
        """Close the oldest ready day, or that one."""
        closed = close_day(self.city, day, self.keys, ENGINE, self.now, CLERK)
        assert isinstance(closed, ClosedDay), closed
        self._remember(closed)
        return closed

    def close_next(self) -> ClosedDay | DayAnswer:
        """Close the oldest ready day; a day later there may be another one."""
        closed = close_day(self.city, None, self.keys, ENGINE, self.now, CLERK)
        if isinstance(closed, ClosedDay):
            self._remember(closed)
        return closed

    def settle(self, *files: tuple[int, Sequence[bytes]]) -> ClosedDay:
        """Take in files of these senders and close the day; the next one begins."""
        for sender, records in files:
            answer = self.send(sender, records)
            assert answer.answer.is_kept, answer
        closed = self.close()
        self.now += timedelta(days=1)
        return closed

    def _remember(self, closed: ClosedDay) -> None:
        run = self.city.run_folder(closed.settlement_day, closed.run_id)
        paths = [str(decisions_path(run, each)) for each in range(self.city.bucket_count)]
        wanted = duckdb.read_parquet(paths).select("file", "row", "disposition", "reason", "notes")
        for file, row, disposition, reason, notes in wanted.fetchall():
            names = frozenset(str(note.name) for note in Note if note & notes)
            self.fates[file, row] = Fate(Disposition(disposition).name, Reason(reason).name, names)

    def fate(self, record: bytes) -> Fate:
        """What became of the record, of the last of its copies that was taken in; notes apart."""
        return replace(self.noted(record), notes=frozenset())

    def noted(self, record: bytes) -> Fate:
        """The same with its notes."""
        content_hash, row = self.places[record][-1]
        return self.fates[file_number(content_hash), row]

    def told(self, record: bytes) -> dict[str, int]:
        """What `explain` says the record has moved, by account, debits positive."""
        terminal, serial = (FIELD[name] for name in ("terminal", "terminal_serial"))
        number = record[terminal.offset : terminal.offset + terminal.length].hex()
        own = int.from_bytes(record[serial.offset : serial.offset + serial.length], "big")
        moved: dict[str, int] = {}
        for copy in explain(self.city, f"{number}-{own:08d}").copies:
            if (copy.content_hash, copy.row) != self.places[record][-1]:
                continue
            for step in copy.steps:
                postings = step.data.get("postings") if step.name == "ledger" else None
                for account, amount_fen in postings.items() if isinstance(postings, dict) else ():
                    assert isinstance(amount_fen, int)
                    moved[account] = moved.get(account, 0) + amount_fen
        return {account: amount_fen for account, amount_fen in moved.items() if amount_fen}

    def totals(self, closed: ClosedDay) -> Mapping[str, Any]:
        """The totals of a day, which count every record and every fen once (I9)."""
        run = load_run(self.city.database, closed.run_id)
        assert run is not None
        parts = ("accepted", "duplicates", "suspended", "claims", "rejected")
        assert run.totals["records"] == sum(run.totals[each] for each in parts)  # type: ignore[misc] # numbers
        return run.totals

    def money(self) -> dict[str, int]:
        """What is on the accounts, but for days that are closed and come to zero."""
        return {
            account: amount_fen
            for account, amount_fen in load_balances(self.city.database).items()
            if amount_fen
        }

    def expect(
        self,
        *,
        paid: Mapping[int, int] | None = None,
        held: Mapping[int, int] | None = None,
        billed: Mapping[int, int] | None = None,
        owed_back_fen: int = 0,
    ) -> None:
        """Exactly this has moved, in fen, since the town was built; the city's books are sound."""
        money: dict[str, int] = {}
        for kind, side, amounts in (
            ("operator", -1, paid),
            ("suspense", -1, held),
            ("load_agent", 1, billed),
        ):
            money |= {f"{kind}/{code}": side * fen for code, fen in (amounts or {}).items()}
        if owed_back_fen:
            money["holder_due"] = -owed_back_fen
        if moved := sum(money.values()):
            money["card_float"] = -moved
        assert self.money() == money
        assert verify(self.city, self.keys, ENGINE).findings == ()


def build_town(folder: Path, *rows: AnyDated, versions: Sequence[int] = (1,)) -> Town:
    """A town with a bus, a gate and a kiosk, each delivered by its owner's sender, unless `rows`
    say otherwise of their terminals.
    """
    keys = key_service(*versions)
    city = create_city(folder, SCHEME.name, ACTION, 1)
    said = {each.row.terminal for each in rows if isinstance(each.row, TerminalRow)}
    terminals = (
        TerminalRow(BUS_TERMINAL, BUS, "bus"),
        TerminalRow(METRO_TERMINAL, METRO, "metro_gate"),
        TerminalRow(KIOSK, AGENT, "load_kiosk"),
    )
    senders = (
        SenderRow(sender, 1, participant, keys.public_key(signing_ref(sender)).hex())
        for sender, participant in SENDERS.items()
    )
    standing = since_ever(
        *senders,
        *(each for each in terminals if each.terminal not in said),
        *signing_keys(keys, SCHEME.name),
    )
    register(city.database, (*standing, *rows), ACTION)
    return Town(city, keys)
