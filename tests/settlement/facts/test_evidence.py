"""What cards and PSAMs signed, proven by a real key service: each with the keys it belongs to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cardcore.applets.catalogue import APPLICATIONS, application_named
from cardcore.crypto import SUITES
from cardcore.key_labels import application_label
from cardcore.keys import Algorithm, KeyRef, KeyUsage, ProofReason
from cardcore.records.kinds import Evidence, MacProfile, RecordKind
from cardcore.records.payloads import LoanPayload
from cardcore.records.record import TransactionRecord, encode_record
from cardcore.records.tac import authentication_challenge, record_digest, tac_message
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_key, published_vault
from settlement.dispositions import RecordMac
from settlement.facts.columns import record_columns
from settlement.facts.faults import FORMAT_FAULTS
from settlement.facts.proof import Proof, prove_records
from tests.settlement.reconciliation.run_inputs import DAY, debit, load

CITY = "demo"
SUITE = SUITES[Algorithm.PBOC_3DES]
LABELS = {each.code: application_label(CITY, each.key_ending) for each in APPLICATIONS.values()}
MICROPAYMENT = application_named("purse").code
LIBRARY = application_named("library").code
#: Every index of an application has a master key of its own; the library signs with its second.
AUTHENTICATION = "demo-library-02"


@pytest.fixture(scope="module")
def keys() -> InProcessKeyService:
    refs = [KeyRef(KeyUsage.TAC, label, 1) for label in LABELS.values()]
    refs += [KeyRef(KeyUsage.INTERNAL_AUTHENTICATION, AUTHENTICATION, 1)]
    refs += [KeyRef(KeyUsage.RECORD_MAC, CITY, 1)]
    return InProcessKeyService(published_vault(refs))


def own_key(usage: KeyUsage, label: str, number: str) -> bytes:
    """The key of a card or PSAM, by the digits of its number."""
    master = published_key(KeyRef(usage, label, 1))
    return SUITE.diversify(master, bytes.fromhex(number)[-8:])


def signed(record: TransactionRecord, label: str | None = None) -> bytes:
    """The record as its card would sign it, under the keys of `label` or of its application."""
    label = label or LABELS[record.application]
    size = record.kind.evidence.cryptogram_bytes
    data = encode_record(replace(record, tac=bytes(size)))
    if record.kind.evidence is Evidence.TAC:
        key = own_key(KeyUsage.TAC, label, record.card_number)
        tac = SUITE.tac(key, tac_message(data))
    else:
        key = own_key(KeyUsage.INTERNAL_AUTHENTICATION, AUTHENTICATION, record.card_number)
        tac = SUITE.authenticate(key, authentication_challenge(data))
    return encode_record(replace(record, tac=tac))


def sealed(data: bytes, psam: str = "1" * 20, profile: MacProfile = MacProfile.FIXED) -> bytes:
    """The record with the MAC of the PSAM of that number."""
    head = data[:237] + bytes((profile, Algorithm.PBOC_3DES, 1)) + bytes(16)
    key = own_key(KeyUsage.RECORD_MAC, CITY, psam)
    mac = SUITE.record_mac(key, record_digest(head))
    return head[:240] + mac.ljust(16, b"\x00")


def loan() -> TransactionRecord:
    return replace(
        debit(),
        kind=RecordKind.LOAN,
        application=LIBRARY,
        tac=bytes(8),
        payload=LoanPayload("B1", DAY + timedelta(days=30)).encode(),
    )


def proofs(keys: InProcessKeyService, *rows: bytes) -> list[ProofReason]:
    found: Proof = prove_records(b"".join(rows), keys, CITY, ())
    return [ProofReason(each) for each in found.answers]


def macs(keys: InProcessKeyService, *rows: bytes) -> list[RecordMac]:
    return [RecordMac(each) for each in prove_records(b"".join(rows), keys, CITY, ()).record_macs]


PROVEN, WRONG = ProofReason.PROVEN, ProofReason.WRONG


def test_every_application_is_proven_by_its_own_keys(keys: InProcessKeyService) -> None:
    rides = [signed(replace(debit(), application=code)) for code in LABELS]
    loads = [signed(replace(load(), application=code)) for code in LABELS]
    assert proofs(keys, *rides, *loads) == [PROVEN] * 2 * len(LABELS)


def test_a_tac_of_one_purse_is_none_of_another(keys: InProcessKeyService) -> None:
    ride = replace(debit(), application=MICROPAYMENT)
    good = [signed(debit(card)) for card in range(5)]
    # The purse's own key shows itself by most of the records that name it.
    others = [signed(replace(ride, card_number=f"{n:020}")) for n in range(3)]
    assert proofs(keys, *good, *others, signed(ride, CITY)) == [PROVEN] * 8 + [WRONG]
    # The application was changed after the card signed: the same bytes under the TAC, other keys.
    moved = bytearray(good[0])
    moved[142] = MICROPAYMENT
    assert proofs(keys, bytes(moved), *others) == [WRONG, PROVEN, PROVEN, PROVEN]


def test_where_no_purse_moves_the_card_signs_every_byte_before_its_answer(
    keys: InProcessKeyService,
) -> None:
    data = signed(loan())
    others = [signed(replace(loan(), terminal_serial=number)) for number in range(2, 300)]
    for at in (1, 13, 40, 50, 71, 80, 144, 160):
        changed = bytearray(data)
        changed[at] ^= 1
        assert proofs(keys, bytes(changed), *others)[0] is not PROVEN, at
    assert proofs(keys, data, *others) == [PROVEN] * 299


def test_an_application_whose_cards_sign_no_event_has_none(keys: InProcessKeyService) -> None:
    event = encode_record(replace(loan(), application=MICROPAYMENT))
    assert proofs(keys, event, signed(debit())) == [WRONG, PROVEN]


def test_a_record_mac_binds_all_bytes_to_one_story_of_this_psam(
    keys: InProcessKeyService,
) -> None:
    data = sealed(signed(debit()))
    assert (macs(keys, data), proofs(keys, data)) == ([RecordMac.HELD], [PROVEN])
    for at in (4, 13, 24, 76, 84, 133, 142, 236, 241):  # issuer, card, claims, check, MAC
        changed = bytearray(data)
        changed[at] ^= 1
        good = [sealed(signed(debit(card))) for card in range(3)]
        assert macs(keys, bytes(changed), *good)[0] is RecordMac.WRONG, at
    forged = sealed(signed(debit()), psam="2" * 20)
    assert macs(keys, forged, data, data) == [RecordMac.WRONG, RecordMac.HELD, RecordMac.HELD]


def test_a_record_without_a_mac_is_proven_by_its_card_alone(keys: InProcessKeyService) -> None:
    data = signed(debit())
    assert (macs(keys, data), proofs(keys, data)) == ([RecordMac.NONE], [PROVEN])


def test_a_kind_without_a_card_is_as_good_as_its_record_mac(keys: InProcessKeyService) -> None:
    locked = encode_record(replace(debit(), kind=RecordKind.CARD_LOCKED, tac=b"", payload=bytes(4)))
    good = sealed(locked)
    bad = bytearray(good)
    bad[80] ^= 1
    assert proofs(keys, good, locked, bytes(bad), good) == [PROVEN, WRONG, WRONG, PROVEN]


def test_an_application_whose_keys_are_not_there_waits_for_them() -> None:
    only_transit = InProcessKeyService(published_vault([KeyRef(KeyUsage.TAC, CITY, 1)]))
    rows = [signed(debit()), signed(replace(debit(), application=MICROPAYMENT)), signed(loan())]
    waits = ProofReason.UNKNOWN_VERSION
    assert proofs(only_transit, *rows) == [PROVEN, waits, waits]
    assert macs(only_transit, sealed(rows[0])) == [RecordMac.UNJUDGED]


def test_an_unknown_application_is_a_named_fault_and_asks_nobody(
    keys: InProcessKeyService,
) -> None:
    data = encode_record(replace(debit(), application=77))
    assert FORMAT_FAULTS[record_columns(data).format_fault[0]] == "unknown application"
    assert proofs(keys, data, signed(debit())) == [WRONG, PROVEN]
