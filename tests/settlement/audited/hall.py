"""A card, a few sites and an auditor at work: what the cases told by hand stand on."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from cardcore.keys import KeyRef, KeyUsage
from cardcore.records.record import TransactionRecord, encode_record
from hsm_sim.keys.published_keys import published_key
from tests.settlement.audited.encoding import signed_by_card
from tests.support.audit.auditor import Auditor
from tests.support.audit.books import Books, books_of
from tests.support.audit.known import OURS, CardRange, Known, MacKey, TacKey, TerminalDays
from tests.support.audit.words import Entry, Reason, Sent
from tests.support.records import a_bus_ride, a_load

DAY = date(2018, 9, 1)
BUS, METRO, AGENT = 101, 201, 900
BUS_SITE, GATE, KIOSK, NEW_SITE = "0000000000b1", "0000000000e1", "0000000000c1", "0000000000f1"
CARD, ISSUER, SIBLING = "03105840000000000001", bytes.fromhex("05845840FFFFFFFF"), bytes(8)
CITY = "shenzhen"
#: A partner, whose numbers end in the digits of ours, and another one with other digits.
PARTNER, CENTRE, GUEST, GUEST_ISSUER = "ningbo", 301, "08885840000000000001", bytes(7) + b"\x01"
OTHER_PARTNER, OTHER_CENTRE, OTHER_PREFIX = "foshan", 302, "03103320"


def tac_key(version: int, city: str = OURS, *, is_held: bool = True) -> TacKey:
    value = published_key(KeyRef(KeyUsage.TAC, city or CITY, version))
    return TacKey(0, version, 1, value if is_held else None, city)


KNOWN = Known(
    sectors={BUS: 1, METRO: 1, AGENT: 6},
    terminals=(
        TerminalDays(BUS_SITE, BUS, BUS),
        TerminalDays(GATE, METRO, METRO),
        TerminalDays(KIOSK, AGENT, AGENT),
    ),
    ranges=(CardRange(0, "03105840", ISSUER), CardRange(0, "07775840", SIBLING)),
    tac_keys=(tac_key(1),),
    mac_keys=(MacKey(1, 1, published_key(KeyRef(KeyUsage.RECORD_MAC, CITY, 1))),),
)
WITH_PARTNERS = replace(
    KNOWN,
    ranges=(
        *KNOWN.ranges,
        CardRange(0, GUEST[:8], GUEST_ISSUER, PARTNER),
        CardRange(0, OTHER_PREFIX, GUEST_ISSUER, OTHER_PARTNER),
    ),
    tac_keys=(tac_key(1), tac_key(1, PARTNER), tac_key(1, OTHER_PARTNER)),
    centres={PARTNER: CENTRE, OTHER_PARTNER: OTHER_CENTRE},
)
COLLECTORS = {BUS_SITE: BUS, GATE: METRO, KIOSK: AGENT, NEW_SITE: BUS}


@dataclass
class Card:
    """A card as it truly is; every tap is a minute after the last."""

    balance_fen: int = 100_000
    online: int = 0
    offline: int = 0
    now: datetime = datetime(2018, 9, 1, 8)  # noqa: DTZ001 - wall clock of the city
    sequence: int = 0
    version: int = 1
    number: str = CARD
    issuer: bytes = ISSUER
    label: str = CITY

    def load(self, amount_fen: int = 10_000) -> bytes:
        self.balance_fen += amount_fen
        self.online += 1
        return self._signed(
            a_load(
                balance_before_fen=self.balance_fen - amount_fen,
                balance_after_fen=self.balance_fen,
                amount_fen=amount_fen,
                online_counter=self.online - 1,
            )
        )

    def ride(self, amount_fen: int = 160, terminal: str = BUS_SITE, **values: object) -> bytes:
        self.balance_fen -= amount_fen
        self.offline += 1
        return self._signed(
            a_bus_ride(
                balance_before_fen=self.balance_fen + amount_fen,
                balance_after_fen=self.balance_fen,
                amount_fen=amount_fen,
                offline_counter=self.offline - 1,
                terminal=terminal,
                operator=COLLECTORS[terminal],
            ),
            **values,
        )

    def _signed(self, begun: TransactionRecord, **values: object) -> bytes:
        self.now += timedelta(minutes=1)
        self.sequence += 1
        stamped: dict[str, object] = {
            "card_number": self.number, "issuer": self.issuer, "time": self.now,
            "psam_sequence": self.sequence, "terminal_serial": self.sequence,
            "key_version": self.version,
        }  # fmt: skip
        data = encode_record(replace(begun, **(stamped | values)))  # type: ignore[arg-type]
        return signed_by_card(data, self.label, self.version)


def guest(**values: object) -> Card:
    """A card of the partner."""
    known: dict[str, object] = {"number": GUEST, "issuer": GUEST_ISSUER, "label": PARTNER}
    return Card(**(known | values))  # type: ignore[arg-type]


@dataclass
class Hall:
    """The auditor at work, day after day."""

    known: Known = KNOWN
    auditor: Auditor = field(default_factory=Auditor)
    files: int = 0

    def settle(
        self,
        *records: bytes,
        sender: int = BUS,
        day: date = DAY,
        received: date | None = None,
        again: bool = False,
    ) -> list[Entry]:
        """One file's entries; with `again` what earlier days left waiting is judged anew."""
        self.files += 1
        at = datetime.combine(received or day, datetime.max.time(), UTC)
        keys = self.auditor.may_be_judged_otherwise(day, self.known) if again else set()
        sent = Sent(self.files, sender, at, records)
        found = self.auditor.settle(day, self.known, [sent] if records else [], keys)
        return [found[self.files, row] for row in range(len(records))]

    def reasons(self, *records: bytes, **values: object) -> list[Reason]:
        return [entry.reason for entry in self.settle(*records, **values)]  # type: ignore[arg-type]

    @property
    def books(self) -> Books:
        return books_of(self.auditor.decided.values())
