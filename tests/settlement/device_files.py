"""A small office for tests: a city on disk, cards with true TACs, senders with true signatures.

Cards here are three numbers, not card objects: settlement sees record bytes and nothing else.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from cardcore.concession import Concession
from cardcore.crypto import SUITES
from cardcore.key_labels import sender_label
from cardcore.keys import Algorithm, InsecureKeyServiceWarning, KeyRef, KeyService, KeyUsage
from cardcore.records import batch
from cardcore.records import record as records
from cardcore.records.kinds import RecordKind
from cardcore.records.tac import tac_message
from cardcore.schemes import FareClass
from cardcore.schemes.catalogue import SCHEMES
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import issuer_key_refs, published_key, published_vault
from hsm_sim.keys.seal_register import SealRegister
from settlement.city import City, create_city
from settlement.facts.proof import tac_keys
from settlement.people.actions import Action, Actor
from settlement.registry.book import AnyDated, since_ever
from settlement.registry.rows import CardNumbersRow, NameRow, SenderRow, TerminalRow
from settlement.store.registry import register
from tests.support.records import a_bus_ride, a_load

SCHEME = SCHEMES["shenzhen"]

DAY = date(2018, 9, 1)
NOW = datetime(2018, 9, 2, 1, 30, tzinfo=UTC)
MORNING = datetime(2018, 9, 1, 6)  # noqa: DTZ001 - wall clock of the city
#: Who closes days and registers rows in tests.
CLERK = Actor("李雷")
ACTION = Action(CLERK, NOW, "for a test")
BUS, METRO, AGENT = 101, 201, 900
SENDER, OTHER_SENDER, STRANGER = 7, 8, 9
BUS_TERMINAL, METRO_TERMINAL, KIOSK = "0000000000b1", "0000000000a1", "0000000000c1"
_SUITE = SUITES[Algorithm.PBOC_3DES]


def signing_ref(sender: int) -> KeyRef:
    """The name of a sender's signing key."""
    return KeyRef(KeyUsage.FILE_SIGNING, sender_label(sender), 1)


def tac_ref(version: int) -> KeyRef:
    """The name of the city's TAC key."""
    return KeyRef(KeyUsage.TAC, SCHEME.name, version)


def key_service(
    *versions: int,
    misheld: Sequence[int] = (),
    partners: Sequence[str] = (),
    register: Path | None = None,
) -> InProcessKeyService:
    """The key service of the test city: its keys in these versions (1 when none is named), every
    sender's signing key, and the TAC keys of these partners' cards. Under the TAC keys of `misheld`
    versions lie other bytes. Without a `register` it seals whatever day it is asked to.
    """
    vault = published_vault(
        [
            KeyRef(KeyUsage.DAY_SEAL, SCHEME.name, 1),
            *(signing_ref(sender) for sender in (SENDER, OTHER_SENDER, STRANGER)),
            *(KeyRef(KeyUsage.TAC, partner, 1) for partner in partners),
            *(
                ref
                for version in versions or (1,)
                for ref in issuer_key_refs(SCHEME.name, version)
                if version not in misheld or ref.usage is not KeyUsage.TAC
            ),
        ]
    )
    for version in misheld:
        vault.install(tac_ref(version), bytes(15) + bytes((version,)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        seals = None if register is None else SealRegister(register)
        return InProcessKeyService(vault, seals=seals)


def make_office(folder: Path, bucket_count: int = 2) -> City:
    """A city with two senders, a bus, a gate, a kiosk and a TAC key."""
    city = create_city(folder, SCHEME.name, ACTION, bucket_count)
    register(city.database, public_registry(), ACTION)
    return city


def public_registry() -> tuple[AnyDated, ...]:
    """What the test city registers beside the scheme's participants: the buses collect for all
    terminals, and `Street.card` makes the numbers of its cards.
    """
    keys = key_service()
    senders = (
        SenderRow(sender, 1, BUS, keys.public_key(signing_ref(sender)).hex())
        for sender in (SENDER, OTHER_SENDER)
    )
    return since_ever(
        *senders,
        TerminalRow(BUS_TERMINAL, BUS, "bus"),
        TerminalRow(METRO_TERMINAL, METRO, "metro_gate", BUS),
        TerminalRow(KIOSK, AGENT, "load_kiosk", BUS),
        NameRow("line", 1, "一号线"),
        CardNumbersRow(SCHEME.name, "0" * 8, SCHEME.issuer.hex().upper()),
        *tac_keys(keys, SCHEME.name),
    )


def prove(record: records.TransactionRecord) -> bytes:
    """The record's bytes with the TAC its card would make."""
    data = records.encode_record(replace(record, tac=bytes(4)))
    master = published_key(tac_ref(record.key_version))
    card_key = _SUITE.diversify(master, bytes.fromhex(record.card_number)[-8:])
    tac = _SUITE.tac(card_key, tac_message(data))
    return records.encode_record(replace(record, tac=tac))


@dataclass
class Street:
    """Cards and terminals outside: makes records in the order in which they happen."""

    now: datetime = MORNING
    serials: dict[str, int] = field(default_factory=dict)
    sequences: dict[int, int] = field(default_factory=dict)

    def card(self, number: int, key_version: int = 1) -> "StreetCard":
        """A new card, empty, personalised under that version of the keys."""
        return StreetCard(self, f"{number:020}", key_version)

    def next_serial(self, terminal: str) -> int:
        """A terminal's serials count from 1 without holes."""
        self.serials[terminal] = self.serials.get(terminal, 0) + 1
        return self.serials[terminal]

    def tick(self) -> datetime:
        """Every record has its own minute."""
        self.now += timedelta(minutes=1)
        return self.now

    def file(
        self,
        taps: Sequence[bytes],
        sender: int = SENDER,
        *,
        sequence: int | None = None,
        business_day: date | None = None,
        registers: Sequence[batch.DeviceRegister] = (),
    ) -> bytes:
        """A signed batch file; without a sequence, the sender's next one."""
        if sequence is None:
            sequence = self.sequences.get(sender, 0) + 1
            self.sequences[sender] = sequence
        header = batch.BatchHeader(
            sender=sender,
            sequence=sequence,
            business_day=business_day or self.now.date(),
            key_version=1,
            created_at=self.now,
            record_count=len(taps),
            register_count=len(registers),
            version=taps[0][0] if taps else records.VERSION,
        )
        keys: KeyService = key_service()
        return batch.encode_batch(
            header, taps, registers, lambda message: keys.sign(signing_ref(sender), message)
        )


@dataclass
class StreetCard:
    """A card as its records show it: balance and the two counters of its purse."""

    street: Street
    number: str
    key_version: int = 1
    balance_fen: int = 0
    online_counter: int = 0
    offline_counter: int = 0

    def load(self, amount_fen: int) -> bytes:
        """Load at the kiosk (圈存). The record carries the counter as it was before."""
        before = self.balance_fen
        self.balance_fen += amount_fen
        record = self._record(
            a_load(
                balance_before_fen=before,
                online_counter=self.online_counter,
                amount_fen=amount_fen,
                tariff_fen=amount_fen,
            )
        )
        self.online_counter += 1
        return record

    def bus(self, tariff_fen: int = 200, **changes: object) -> bytes:
        """A bus ride at the adult fare."""
        adult = FareClass(Concession.ADULT, transfer=False)
        fare_fen = SCHEME.fare_fen(RecordKind.PURCHASE, tariff_fen, adult)
        before = self.balance_fen
        self.balance_fen -= fare_fen
        values: dict[str, object] = {
            "balance_before_fen": before,
            "offline_counter": self.offline_counter,
            "amount_fen": fare_fen,
            "tariff_fen": tariff_fen,
        }
        record = self._record(a_bus_ride(**(values | changes)))
        self.offline_counter += 1
        return record

    def _record(self, begun: records.TransactionRecord) -> bytes:
        serial = self.street.next_serial(begun.terminal)
        return prove(
            replace(
                begun,
                card_number=self.number,
                key_version=self.key_version,
                time=self.street.tick(),
                business_day=self.street.now.date(),
                balance_after_fen=self.balance_fen,
                terminal_serial=serial,
                psam_sequence=serial,
            )
        )
