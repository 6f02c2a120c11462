"""What may become of a record, and what two records have in common.

Decides the closed words, which reason has which disposition, and the signed identity of a movement.
Leaves to `auditor` which of them a record gets.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum

from cardcore.errors import RecordFormatError
from cardcore.records.kinds import RecordKind
from cardcore.records.record import TransactionRecord, decode_record
from tests.support.audit.known import CITY_CLOCK, OURS, TerminalDays
from tests.support.audit.proof import MacProof, TacProof, digest_of, message_of

#: Codes of applications that exist.
APPLICATIONS = range(7)


class Disposition(Enum):
    """What becomes of a record in money."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicates"
    SUSPENDED = "suspended"
    CLAIM = "claims"
    REJECTED = "rejected"


class Reason(StrEnum):
    """Why, in order of precedence."""

    FORMAT_WRONG = "FORMAT_WRONG"
    NOT_YOUR_TERMINAL = "NOT_YOUR_TERMINAL"
    DUPLICATE = "DUPLICATE"
    FOREIGN_CARD = "FOREIGN_CARD"
    ALGORITHM_UNKNOWN = "ALGORITHM_UNKNOWN"
    KEY_VERSION_UNKNOWN = "KEY_VERSION_UNKNOWN"
    TAC_MISSING = "TAC_MISSING"
    TAC_WRONG = "TAC_WRONG"
    VARIANT = "VARIANT"
    TERMINAL_UNKNOWN = "TERMINAL_UNKNOWN"
    CLOCK_AHEAD = "CLOCK_AHEAD"
    HOTLISTED = "HOTLISTED"
    CENTRE_PENDING = "CENTRE_PENDING"
    #: R13: two people ruled of what was held: it is paid, or it is held for the holder.
    RELEASED = "RELEASED"
    RETURNED = "RETURNED"
    NONE = "NONE"

    @property
    def disposition(self) -> Disposition:
        """What becomes of the record."""
        return _DISPOSITIONS[self]


_DISPOSITIONS = {
    Reason.FORMAT_WRONG: Disposition.REJECTED,
    Reason.NOT_YOUR_TERMINAL: Disposition.REJECTED,
    Reason.DUPLICATE: Disposition.DUPLICATE,
    Reason.FOREIGN_CARD: Disposition.CLAIM,
    Reason.ALGORITHM_UNKNOWN: Disposition.CLAIM,
    Reason.KEY_VERSION_UNKNOWN: Disposition.CLAIM,
    Reason.TAC_MISSING: Disposition.CLAIM,
    Reason.TAC_WRONG: Disposition.CLAIM,
    Reason.VARIANT: Disposition.DUPLICATE,
    Reason.TERMINAL_UNKNOWN: Disposition.SUSPENDED,
    Reason.CLOCK_AHEAD: Disposition.SUSPENDED,
    Reason.HOTLISTED: Disposition.SUSPENDED,
    Reason.CENTRE_PENDING: Disposition.SUSPENDED,
    Reason.RELEASED: Disposition.ACCEPTED,
    Reason.RETURNED: Disposition.ACCEPTED,
    Reason.NONE: Disposition.ACCEPTED,
}
#: Claims that something may still prove: kept, so that their copies are known.
WAITING_CLAIMS = {
    Reason.FOREIGN_CARD,
    Reason.ALGORITHM_UNKNOWN,
    Reason.KEY_VERSION_UNKNOWN,
    Reason.TAC_MISSING,
}


class Note(StrEnum):
    """What is said of a record that is paid or held, as far as the auditor says it."""

    KEY_VERSION_MISNAMED = "KEY_VERSION_MISNAMED"
    BALANCE_BROKEN = "BALANCE_BROKEN"
    CLAIMS_DIFFER = "CLAIMS_DIFFER"
    RECORD_MAC_WRONG = "RECORD_MAC_WRONG"
    OVERCHARGED = "OVERCHARGED"
    STATEMENT_PROVEN = "STATEMENT_PROVEN"
    TAKEN_BACK = "TAKEN_BACK"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file, or some rows of one: a number that names it, whose it is, when it came, what is in
    it from which row on.
    """

    file: int
    participant: int
    received: datetime  # with its zone
    records: tuple[bytes, ...]
    first_row: int = 0


@dataclass(frozen=True, slots=True, order=True)
class Purse:
    """A purse as keys know it: the application, the digits that make the card's key, and whose
    keys those are.
    """

    application: int
    factor: str
    city: str = OURS


#: A movement as the card signed it: purse, load or debit, signed message, TAC.
Identity = tuple[Purse, bool, bytes, bytes]


@dataclass
class Entry:
    """One record of a file and what became of it."""

    data: bytes
    file: int
    row: int
    participant: int  # of the sender
    received: datetime  # with its zone
    record: TransactionRecord | None
    reason: Reason = Reason.NONE
    tac: TacProof = TacProof.HOLDS_NOT
    mac: MacProof = MacProof.NOTHING
    identity: Identity | None = None
    #: Under whose keys its card signs, and the participant that answers for a partner's card.
    city: str = OURS
    centre: int = 0
    #: Who is paid or held for, in which sector; a terminal that nobody knows is of none.
    payee: int = 0
    sector: int | None = None
    terminal: TerminalDays | None = None
    notes: set[Note] = field(default_factory=set)
    #: Taken up again on a later day; and whether money stood for it before.
    is_again: bool = False
    was_booked: bool = False

    @classmethod
    def of(cls, sent: Sent, number: int) -> "Entry":
        """A record of a file, not judged yet."""
        data, row = sent.records[number], sent.first_row + number
        return cls(data, sent.file, row, sent.participant, sent.received, _decoded(data))

    def again(self) -> "Entry":
        """The same record, to be judged once more."""
        return Entry(
            self.data, self.file, self.row, self.participant, self.received, self.record,
            is_again=True, was_booked=self.is_booked,
        )  # fmt: skip

    @property
    def sound(self) -> TransactionRecord:
        """The record of an entry that has one."""
        assert self.record is not None
        return self.record

    @property
    def key(self) -> tuple[int, int]:
        """File and row."""
        return self.file, self.row

    @property
    def is_booked(self) -> bool:
        """Whether money moves for it: paid or held."""
        return self.reason.disposition in {Disposition.ACCEPTED, Disposition.SUSPENDED}

    @property
    def is_kept(self) -> bool:
        """Whether it stands, so that the same bytes are a copy of it."""
        return self.is_booked or self.reason in WAITING_CLAIMS

    @property
    def is_load(self) -> bool:
        """Whether money came onto the card."""
        return self.sound.kind is RecordKind.LOAD

    @property
    def purse(self) -> Purse:
        """The purse it moves."""
        return Purse(self.sound.application, self.sound.card_number[-16:], self.city)

    @property
    def movement(self) -> tuple[Purse, bool, bytes]:
        """What it says a card signed: purse, load or debit, message."""
        return self.purse, self.is_load, message_of(self.sound, self.data)

    @property
    def digest(self) -> bytes:
        """The digest of its bytes."""
        return digest_of(self.data)

    @property
    def mac_rank(self) -> MacProof:
        """Held before held weakly before everything else."""
        return min(self.mac, MacProof.NOTHING)

    @property
    def proven_psam(self) -> str | None:
        """The PSAM that made it, by the digits of its key, where a MAC proves that no other did."""
        return self.sound.psam[-16:] if self.mac is MacProof.HELD else None

    @property
    def received_in_city(self) -> datetime:
        """When it came in, on the city's clock."""
        return self.received.astimezone(CITY_CLOCK).replace(tzinfo=None)

    @property
    def is_clock_ahead(self) -> bool:
        """R9: whether its time is more than a day after it came in."""
        return self.sound.time > self.witnessed

    @property
    def witnessed(self) -> datetime:
        """Its time, but no later than a clock can be that is a day ahead of its receipt."""
        return min(self.sound.time, self.received_in_city + timedelta(days=1))


def _decoded(data: bytes) -> TransactionRecord | None:
    try:
        record = decode_record(data)
    except RecordFormatError:
        return None
    return record if record.application in APPLICATIONS else None
