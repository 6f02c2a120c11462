"""Record MACs and answers of cards, proven by every provider of the key service alike."""

from dataclasses import replace
from itertools import product

import pytest

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.crypto import SUITES
from cardcore.errors import UnknownKeyError
from cardcore.keys import (
    Algorithm,
    AuthenticationColumn,
    KeyRef,
    KeyService,
    KeyState,
    KeyUsage,
    ProofReason,
    RecordMacColumn,
)
from cardcore.records.kinds import MacProfile
from hsm_sim.keys.published_keys import published_key
from tests.hsm_sim.keys.provider_keys import (
    CARD,
    CITY,
    LIFE,
    LIVES,
    PROFILE,
    STATE_OF,
    SUITE_OF,
    verdicts_of,
)
from tests.hsm_sim.keys.providers import Provider


def diversified(usage: KeyUsage, label: str, version: int, factor: bytes) -> bytes:
    suite = SUITES[SUITE_OF[version] if label == CITY else Algorithm.PBOC_3DES]
    return suite.diversify(published_key(KeyRef(usage, label, version)), factor)


@pytest.mark.parametrize("profile", [MacProfile.FIXED, MacProfile.PBOC], ids=lambda p: p.name)
def test_record_macs_of_mixed_versions_and_suites_get_their_reasons(
    provider: Provider, profile: MacProfile
) -> None:
    kinds = verdicts_of(provider, KeyUsage.RECORD_MAC)
    psams = [(1 + number).to_bytes(8, "big") for number in range(20)]
    macs, expected = [], []
    for factor, (kind, (made, _, _, forged, reason)) in product(psams, enumerate(kinds)):
        suite = SUITES[SUITE_OF[made]]
        key = diversified(KeyUsage.RECORD_MAC, CITY, made, factor)
        digest = bytes((kind,)) * 16
        mac = suite.record_mac(key, digest)
        if profile is MacProfile.PBOC:
            mac = suite.message_mac(key, bytes(8), digest)
        macs.append((bytes((mac[0] ^ forged,)) + mac[1:]).ljust(16, b"\x00"))
        expected.append(reason)
    column = RecordMacColumn(
        algorithms=bytes(kind[2] for kind in kinds) * len(psams),
        key_versions=bytes(kind[1] for kind in kinds) * len(psams),
        profiles=bytes((profile,)) * len(expected),
        factors=b"".join(factor * len(kinds) for factor in psams),
        digests=b"".join(bytes((kind,)) * 16 for kind in range(len(kinds))) * len(psams),
        macs=b"".join(macs),
    )
    answer = provider.service.prove_record_macs(CITY, column)
    assert [ProofReason(each) for each in answer] == expected


def test_answers_of_cards_get_their_reasons(provider: Provider) -> None:
    kinds = verdicts_of(provider, KeyUsage.INTERNAL_AUTHENTICATION)
    answers, expected = [], []
    for kind, (made, _, _, forged, reason) in enumerate(kinds):
        ref = KeyRef(KeyUsage.INTERNAL_AUTHENTICATION, CITY, made)
        answer = provider.service.authenticate(ref, CARD, bytes((kind,)) * 8)
        answers.append(bytes((answer[0] ^ forged,)) + answer[1:])
        expected.append(reason)
    column = AuthenticationColumn(
        algorithms=bytes(kind[2] for kind in kinds),
        key_versions=bytes(kind[1] for kind in kinds),
        factors=CARD * len(kinds),
        challenges=b"".join(bytes((kind,)) * 8 for kind in range(len(kinds))),
        answers=b"".join(answers),
    )
    answer = provider.service.prove_authentications(CITY, column)
    assert [ProofReason(each) for each in answer] == expected


def record_mac_row(version: int) -> RecordMacColumn:
    key = diversified(KeyUsage.RECORD_MAC, LIFE, version, CARD)
    mac = SUITES[Algorithm.PBOC_3DES].record_mac(key, bytes(16)).ljust(16, b"\x00")
    return RecordMacColumn(b"\x01", bytes((version,)), b"\x01", CARD, bytes(16), mac)


def answer_row(version: int) -> AuthenticationColumn:
    key = diversified(KeyUsage.INTERNAL_AUTHENTICATION, LIFE, version, CARD)
    answer = SUITES[Algorithm.PBOC_3DES].authenticate(key, bytes(8))
    return AuthenticationColumn(b"\x01", bytes((version,)), CARD, bytes(8), answer)


def test_a_record_mac_key_proves_in_the_states_in_which_a_psam_uses_it(
    service: KeyService,
) -> None:
    """A PSAM has no calendar: version 5, whose first day is to come, signs and so proves."""
    held = {v for v, life in LIVES.items() if life.state in {KeyState.ACTIVE, KeyState.RETIRING}}
    for version in LIVES:
        [reason] = service.prove_record_macs(LIFE, record_mac_row(version))
        assert reason == (ProofReason.PROVEN if version in held else ProofReason.UNKNOWN_VERSION)
    assert 5 in held


def test_an_authentication_key_proves_while_it_is_active_or_retiring(service: KeyService) -> None:
    for version in LIVES:
        [reason] = service.prove_authentications(LIFE, answer_row(version))
        in_use = STATE_OF[version] in {KeyState.ACTIVE, KeyState.RETIRING}
        assert reason == (ProofReason.PROVEN if in_use else ProofReason.UNKNOWN_VERSION)


def test_a_city_without_such_a_key_is_no_verdict(service: KeyService) -> None:
    with pytest.raises(UnknownKeyError, match="record-mac/hangzhou"):
        service.prove_record_macs("hangzhou", record_mac_row(2))
    with pytest.raises(UnknownKeyError, match="internal-authentication/hangzhou"):
        service.prove_authentications("hangzhou", answer_row(2))


def test_an_empty_column_has_no_reasons(service: KeyService) -> None:
    empty = record_mac_row(2).part(0, 0)
    assert service.prove_record_macs(CITY, empty) == b""
    assert service.prove_authentications(CITY, answer_row(2).part(0, 0)) == b""


@pytest.mark.parametrize("label", [CITY, LIFE])
def test_what_a_psam_signs_the_same_provider_proves(provider: Provider, label: str) -> None:
    """Under the newest version: AES in one city, triple DES in the other."""
    psam = provider.new_psam(replace(PROFILE, key_label=label))
    digest = bytes(range(16))
    algorithm, version = ResponseApdu.decode(psam.transmit(bytes.fromhex("807C000002"))).data
    command = CommandApdu(0x80, 0x7C, 0, 0, digest).encode()
    mac = ResponseApdu.decode(psam.transmit(command)).data
    column = RecordMacColumn(
        bytes((algorithm,)),
        bytes((version,)),
        b"\x01",
        bytes.fromhex(PROFILE.number)[-8:],
        digest,
        mac.ljust(16, b"\x00"),
    )
    assert provider.service.prove_record_macs(label, column) == bytes(1)
    assert (algorithm, version) == ((5, 5) if label == CITY else (1, 6))
