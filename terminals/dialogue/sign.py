"""A record in which no purse moves: a visit, a loan, a right used, a hire, a card that was locked.

Decides what is asked of card and PSAM, and the record. Leaves whether the event may happen to the
role and its partner, and keeping the record to the shell.

The PSAM gives a fresh number, and the card answers INTERNAL AUTHENTICATE over the digest of every
byte before its answer (`cardcore.records.tac`), the number among them. Kinds for which no card is
there have the number and, later, the record MAC. Nothing moves, so there is no intent: a dialogue
that was cut off left nothing behind but a number of the PSAM that no record has.

A card does not say which version of its key it answers with. The request does: which generation of
cards a number belongs to is known where the event comes from.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import date, datetime

from cardcore.apdu import ResponseApdu, StatusWord
from cardcore.applets.catalogue import application_named
from cardcore.application import NO_APPLICATION
from cardcore.concession import Concession
from cardcore.errors import DecodeError
from cardcore.keys import Algorithm
from cardcore.layouts.fixed import FixedLayout
from cardcore.layouts.transit import PublicInformation
from cardcore.records.kinds import Evidence, RecordFlag, RecordKind, TransactionType
from cardcore.records.payloads import NO_TERMINAL
from cardcore.records.record import COUNTER_NOT_READ, TransactionRecord, encode_record
from cardcore.records.tac import authentication_challenge
from terminals.device import Device
from terminals.dialogue import commands
from terminals.dialogue.talking import Dialogue, ForCard, ForPsam
from terminals.errors import PsamFaultError
from terminals.taps import Place, TapOutcome

_ANSWER_BYTES, _SEQUENCE_BYTES = 8, 4


@dataclass(frozen=True, slots=True)
class CardKeyVersion:
    """Under which of the application's keys a card answers."""

    version: int
    algorithm: Algorithm


@dataclass(frozen=True, slots=True)
class NamedCard:
    """A card that is not here, as a list or an earlier record names it."""

    issuer: bytes
    card_number: str


@dataclass(frozen=True, slots=True)
class EventRequest:
    """One event as the device asks for it. `request_id` is the caller's own and names it for ever:
    the same id with the same content gives the first record back.

    `application` names the card application that answers. An event for which no card is asked has
    none, and `card` says whose it is. `payload` is of the kind's table.
    """

    request_id: str
    kind: RecordKind
    sector: int
    payload: FixedLayout
    place: Place
    business_day: date
    application: str = ""
    card_key: CardKeyVersion | None = None
    card: NamedCard | None = None

    def __post_init__(self) -> None:
        asks_card = self.kind.evidence is Evidence.AUTHENTICATION
        if not asks_card and self.kind.evidence is not Evidence.RECORD_MAC:
            raise ValueError(f"{self.kind.name} is no event that a terminal makes by itself")
        has_card = bool(self.application) and self.card_key is not None and self.card is None
        has_name = not self.application and self.card_key is None and self.card is not None
        if not (has_card if asks_card else has_name):
            wanted = "an application and its key" if asks_card else "the card it names"
            raise ValueError(f"{self.kind.name} needs {wanted}, and nothing else of a card")
        if asks_card and application_named(self.application).authentication_index is None:
            raise ValueError(f"cards of application {self.application} sign no events")

    def content_hash(self, terminal: str) -> bytes:
        """SHA-256 over everything asked for, and at which terminal."""
        content = (
            *(terminal, int(self.kind), self.sector, self.payload.encode().hex()),
            *(self.place, self.business_day.isoformat(), self.application, self.card_key),
            self.card,
        )
        return hashlib.sha256("|".join(map(str, content)).encode()).digest()


@dataclass(frozen=True, slots=True)
class Signed:
    """What came of it: a record, or why there is none."""

    record: TransactionRecord | None = None
    refusal: TapOutcome | None = None


def sign_event(
    request: EventRequest, device: Device, serial: int, now: datetime
) -> Dialogue[Signed]:
    """Ask card and PSAM for everything the record needs. `serial` is the one it will have: the
    card signs it. Raises `PsamFaultError` when the PSAM gives no number.
    """
    card = request.card
    if card is None:
        answer = yield ForCard(commands.select_master())
        if answer.ok:
            answer = yield ForCard(commands.read_chip_number())
        card = _named(answer)
        if card is None:
            return Signed(refusal=TapOutcome.CARD_UNREADABLE)
        application = application_named(request.application)
        for aid in application.aids:
            answer = yield ForCard(commands.select(aid))
            if answer.sw != StatusWord.FILE_NOT_FOUND:
                break
        if not answer.ok:
            return Signed(refusal=TapOutcome.CARD_UNREADABLE)
    answer = yield ForPsam(commands.take_sequence())
    if not answer.ok or len(answer.data) != _SEQUENCE_BYTES:
        raise PsamFaultError("TAKE SEQUENCE", answer.sw)
    sequence = int.from_bytes(answer.data, "big")
    record = event_record(request, device, card, sequence, serial, now)
    if request.card is not None:
        return Signed(record)
    challenge = authentication_challenge(encode_record(record))
    answer = yield ForCard(commands.internal_authenticate(record.key_index, challenge))
    if not answer.ok or len(answer.data) != _ANSWER_BYTES:
        return Signed(refusal=TapOutcome.CARD_REFUSED)
    return Signed(replace(record, tac=answer.data))


def _named(answer: ResponseApdu) -> NamedCard | None:
    """The number that all applications of a chip share: EF15 of its master file."""
    if not answer.ok:
        return None
    try:
        public = PublicInformation.decode(answer.data)
    except DecodeError:
        return None
    return NamedCard(public.issuer, public.card_number)


def event_record(
    request: EventRequest,
    device: Device,
    card: NamedCard,
    sequence: int,
    serial: int,
    now: datetime,
) -> TransactionRecord:
    """The record, its cryptogram still zero. No purse: no balances, no counters, no type."""
    key, place = request.card_key, request.place
    asked = application_named(request.application) if request.application else None
    return TransactionRecord(
        kind=request.kind,
        sector=request.sector,
        flags=RecordFlag(0),
        issuer=card.issuer,
        card_number=card.card_number,
        card_kind=0,
        concession=Concession.ADULT,
        balance_before_fen=0,
        balance_after_fen=0,
        online_counter=COUNTER_NOT_READ,
        amount_fen=0,
        transaction_type=TransactionType.NONE,
        terminal=device.terminal,
        psam_sequence=sequence,
        time=now.replace(microsecond=0),
        offline_counter=COUNTER_NOT_READ,
        tariff_fen=0,
        psam=device.psam,
        terminal_serial=serial,
        operator=device.operator,
        line=place.line,
        station=place.station,
        vehicle=place.vehicle,
        business_day=request.business_day,
        entry_terminal=NO_TERMINAL,
        entry_time=None,
        entry_station=0,
        previous_type=TransactionType.NONE,
        previous_counter=0,
        previous_amount_fen=0,
        previous_terminal=NO_TERMINAL,
        previous_time=None,
        tariff_version=device.tariff_version,
        hotlist_version=device.hotlist.version,
        algorithm=key.algorithm if key else 0,
        key_version=key.version if key else 0,
        key_index=(asked.authentication_index or 0) if asked else 0,
        tac=bytes(request.kind.evidence.cryptogram_bytes),
        payload=request.payload.encode(),
        application=asked.code if asked else NO_APPLICATION,
    )
