"""Records in which no purse moves: the card answers for every byte, the PSAM gives the number, and
nothing is kept twice.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest

from cardcore.applets.catalogue import application_named
from cardcore.chip.card import Card
from cardcore.digits import encode_bcd
from cardcore.key_labels import indexed_label
from cardcore.keys import Algorithm, AuthenticationColumn, ProofReason
from cardcore.layouts.fixed import FixedLayout
from cardcore.records.batch import total_records
from cardcore.records.kinds import MacProfile, RecordKind, Sector
from cardcore.records.payloads import (
    CardLockedPayload,
    EntitlementPayload,
    HirePayload,
    HireReturnedPayload,
    LoanPayload,
    ReturnPayload,
    VisitPayload,
)
from cardcore.records.record import (
    COUNTER_NOT_READ,
    TransactionRecord,
    decode_record,
    encode_record,
)
from cardcore.records.tac import authentication_challenge
from terminals.dialogue.shell import EventRecorder, RecordSigner
from terminals.dialogue.sign import CardKeyVersion, EventRequest, NamedCard
from terminals.errors import CardRemovedError, JournalError, PsamFaultError
from terminals.journal.journal import Journal
from terminals.journal.upload import plan_batch
from terminals.link.connection import CardConnection, InProcessConnection
from terminals.taps import Place, TapOutcome
from tests.terminals.citizen_cards import a_citizen, label_of
from tests.terminals.dialogue.test_record_mac import proof_of_mac
from tests.terminals.equipment import (
    KEYS,
    NOON,
    SCHEME,
    a_card,
    a_device,
    a_psam,
    an_open_journal,
    records_of,
    rides,
)
from tests.terminals.faults import PowerCutError, TornConnection, cut_power_at

BUS = "584000000001"
KEY = CardKeyVersion(1, Algorithm.PBOC_3DES)
DUE = date(2018, 10, 1)
LOAN = LoanPayload("B0001", DUE)
#: Kind, application, payload of every event that a card answers for.
EVENTS: list[tuple[RecordKind, str, FixedLayout]] = [
    (RecordKind.VISIT, "health", VisitPayload("S1", 12_000, 8_000, 3_000, 1_000)),
    (RecordKind.LOAN, "library", LOAN),
    (RecordKind.RETURN, "library", ReturnPayload("B0001", 3)),
    (RecordKind.ENTITLEMENT, "social_security", EntitlementPayload(7, 11, DUE)),
    (RecordKind.HIRE, "health", HirePayload("0000000000000042", 9, 20_000)),
]
HOLDER = NamedCard(SCHEME.issuer, f"0310584{1:013d}")
BARE: list[tuple[RecordKind, FixedLayout]] = [
    (
        RecordKind.HIRE_RETURNED,
        HireReturnedPayload("0000000000000042", 9, "584000000001", 1, NOON),
    ),
    (RecordKind.CARD_LOCKED, CardLockedPayload(3)),
]


def an_event(
    kind: RecordKind = RecordKind.LOAN,
    application: str = "library",
    payload: FixedLayout = LOAN,
    name: str = "one",
) -> EventRequest:
    return EventRequest(
        name, kind, Sector.LIBRARY, payload, Place(station=9), NOON.date(), application, KEY
    )


def a_recorder(journal: Journal, psam: CardConnection | None = None) -> EventRecorder:
    device = a_device("bus")
    return EventRecorder(device, journal, psam or InProcessConnection(a_psam(BUS)))


def proof_of_answer(record: TransactionRecord, application: str) -> ProofReason:
    index = application_named(application).authentication_index
    assert index is not None
    column = AuthenticationColumn(
        algorithms=bytes((record.algorithm,)),
        key_versions=bytes((record.key_version,)),
        factors=encode_bcd(record.card_number[-16:], 8),
        challenges=authentication_challenge(encode_record(record)),
        answers=record.tac,
    )
    label = indexed_label(label_of(application), index)
    return ProofReason(KEYS.prove_authentications(label, column)[0])


@pytest.mark.parametrize(
    ("kind", "application", "payload"), EVENTS, ids=lambda each: str(each)[:12]
)
def test_the_card_answers_for_every_byte_before_its_answer(
    tmp_path: Path, kind: RecordKind, application: str, payload: FixedLayout
) -> None:
    with an_open_journal(tmp_path) as journal:
        request = an_event(kind, application, payload)
        result = a_recorder(journal).record(request, NOON, InProcessConnection(a_citizen()))
        assert result.outcome is TapOutcome.APPROVED
        record = result.record
        assert record is not None
        assert [decode_record(each) for each in records_of(journal)] == [record]
    assert proof_of_answer(record, application) is ProofReason.PROVEN
    assert record.application == application_named(application).code
    assert (record.card_number, record.issuer) == (HOLDER.card_number, HOLDER.issuer)
    assert (record.balance_before_fen, record.balance_after_fen, record.amount_fen) == (0, 0, 0)
    assert (record.online_counter, record.offline_counter) == (COUNTER_NOT_READ,) * 2
    for changed in (
        replace(record, station=10),
        replace(record, terminal_serial=2),
        replace(record, psam_sequence=record.psam_sequence + 1),
        replace(record, time=NOON.replace(hour=13)),
        replace(record, operator=7),
    ):
        assert proof_of_answer(changed, application) is ProofReason.WRONG


@pytest.mark.parametrize(("kind", "payload"), BARE, ids=lambda each: str(each)[:14])
def test_where_no_card_is_the_record_has_a_number_and_the_mac_alone(
    tmp_path: Path, kind: RecordKind, payload: FixedLayout
) -> None:
    request = EventRequest("one", kind, Sector.TRANSIT, payload, Place(), NOON.date(), card=HOLDER)
    psam = InProcessConnection(a_psam(BUS))
    with an_open_journal(tmp_path) as journal:
        record = a_recorder(journal, psam).record(request, NOON).record
        assert record is not None
        assert (record.tac, record.application) == (b"", 5)
        assert RecordSigner(a_device("bus"), journal, psam).sign() == 1
        signed = decode_record(records_of(journal)[0])
        assert signed.mac_profile is MacProfile.FIXED
        assert proof_of_mac(signed) is ProofReason.PROVEN


def test_events_and_taps_of_a_terminal_share_serials_and_only_taps_count_in_sums(
    tmp_path: Path,
) -> None:
    card = InProcessConnection(a_citizen())
    with an_open_journal(tmp_path) as journal:
        rides(journal, 1, 1)
        recorder = a_recorder(journal)
        assert recorder.record(an_event(name="a"), NOON, card).outcome.done
        rides(journal, 2, 1)
        records = [decode_record(each) for each in records_of(journal)]
        assert [each.terminal_serial for each in records] == [1, 2, 3]
        assert total_records(b"".join(records_of(journal))).debit_fen == 0
        assert plan_batch(journal, key_version=1, now=NOON) == 1


def test_the_same_request_is_recorded_once_without_a_word_to_the_card(tmp_path: Path) -> None:
    with an_open_journal(tmp_path) as journal:
        recorder, card = a_recorder(journal), a_citizen()
        first = recorder.record(an_event(), NOON, InProcessConnection(card))
        untouched = TornConnection(card, 0, after=False)
        assert recorder.record(an_event(), NOON, untouched) == first
        assert untouched.count == 0
        other = an_event(payload=LoanPayload("B0002", DUE))
        assert recorder.record(other, NOON, untouched).outcome is TapOutcome.REQUEST_DIFFERS
        assert len(records_of(journal)) == 1


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("after", [False, True])
def test_a_card_torn_out_leaves_nothing_and_the_request_may_be_tried_again(
    tmp_path: Path, index: int, *, after: bool
) -> None:
    card = a_citizen()
    with an_open_journal(tmp_path) as journal:
        recorder = a_recorder(journal)
        torn = recorder.record(an_event(), NOON, TornConnection(card, index, after))
        assert torn.outcome is TapOutcome.CARD_REMOVED
        assert records_of(journal) == []
        again = recorder.record(an_event(), NOON, InProcessConnection(card))
        assert again.outcome is TapOutcome.APPROVED
        assert again.record is not None
        assert again.record.terminal_serial == 1
        assert proof_of_answer(again.record, "library") is ProofReason.PROVEN


@pytest.mark.parametrize("part", ["before", "written", "durable"])
def test_power_lost_while_it_is_kept_records_it_once(tmp_path: Path, part: str) -> None:
    card = a_citizen()
    journal = an_open_journal(tmp_path, cut_power_at(f"event {part}"))
    with pytest.raises(PowerCutError), journal:
        a_recorder(journal).record(an_event(), NOON, InProcessConnection(card))
    with an_open_journal(tmp_path) as journal:
        assert len(records_of(journal)) == (1 if part == "durable" else 0)
        assert a_recorder(journal).record(an_event(), NOON, InProcessConnection(card)).outcome.done
        assert len(records_of(journal)) == 1


def _without_the_application(_: Card) -> CardConnection:
    return InProcessConnection(a_card())


@dataclass
class Refusing:
    """A card that answers one instruction with a word of its own."""

    card: Card
    ins: int

    def transmit(self, command: bytes) -> bytes:
        return b"\x69\x85" if command[1] == self.ins else self.card.transmit(command)


@pytest.mark.parametrize(
    ("spoil", "outcome"),
    [
        (_without_the_application, TapOutcome.CARD_UNREADABLE),
        (lambda card: Refusing(card, 0xB0), TapOutcome.CARD_UNREADABLE),
        (lambda card: Refusing(card, 0xA4), TapOutcome.CARD_UNREADABLE),
        (lambda card: Refusing(card, 0x88), TapOutcome.CARD_REFUSED),
    ],
    ids=["no application", "no number", "no SELECT", "no answer"],
)
def test_a_card_that_does_not_answer_is_refused_and_nothing_is_kept(
    tmp_path: Path, spoil: Callable[[Card], CardConnection], outcome: TapOutcome
) -> None:
    with an_open_journal(tmp_path) as journal:
        result = a_recorder(journal).record(an_event(), NOON, spoil(a_citizen()))
        assert (result.outcome, result.record) == (outcome, None)
        assert records_of(journal) == []


def test_a_psam_that_gives_no_number_is_a_fault(tmp_path: Path) -> None:
    class Old:
        def transmit(self, command: bytes) -> bytes:
            return bytes.fromhex("6D00") if command[1] == 0x7E else b"\x90\x00"

    with an_open_journal(tmp_path) as journal:
        with pytest.raises(PsamFaultError, match="6D00"):
            a_recorder(journal, Old()).record(an_event(), NOON, InProcessConnection(a_citizen()))
        assert records_of(journal) == []


def test_a_serial_that_is_gone_by_then_is_not_given_twice(tmp_path: Path) -> None:
    """Another process records a tap of this terminal while the card answers."""
    card = a_citizen()
    with an_open_journal(tmp_path) as journal, an_open_journal(tmp_path) as other:

        class Slow:
            def transmit(self, command: bytes) -> bytes:
                if command[1] == 0x88:
                    rides(other, 1, 1)
                return card.transmit(command)

        with pytest.raises(JournalError, match="has gone on to serial 1"):
            a_recorder(journal).record(an_event(), NOON, Slow())
        assert len(records_of(journal)) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": RecordKind.PURCHASE},
        {"kind": RecordKind.EXTERNAL},
        {"kind": RecordKind.CARD_LOCKED},
        {"application": "", "card_key": None, "card": HOLDER},
        {"card": HOLDER},
        {"card_key": None},
        {"application": "transit"},
    ],
    ids=lambda each: ",".join(f"{name}={value}"[:20] for name, value in each.items()),
)
def test_an_event_that_cannot_be_is_refused_when_it_is_made(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"needs|no event|sign no events"):
        replace(an_event(), **changes)  # type: ignore[arg-type]


def test_a_psam_that_is_gone_is_no_record(tmp_path: Path) -> None:
    class Gone:
        def transmit(self, _: bytes) -> bytes:
            raise CardRemovedError("no PSAM")

    with an_open_journal(tmp_path) as journal:
        card = InProcessConnection(a_citizen())
        result = a_recorder(journal, Gone()).record(an_event(), NOON, card)
        assert result.outcome is TapOutcome.CARD_REMOVED
        assert records_of(journal) == []
