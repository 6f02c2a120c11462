"""How many levels a master stands above a card's key: in process, over a socket, in SoftHSM2.

Diversification (JR/T 0025) is the cipher itself. Whoever gets a key service to use an issuer's
master as if it were a card's key has it encipher a card's factor and complement, and so that
card's key in the clear.
"""

import re
from dataclasses import replace

import pytest

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.crypto import SUITES
from cardcore.errors import KeyUsageError, UnknownKeyError
from cardcore.keys import Algorithm, KeyRef, KeyService, KeyUsage, ProofReason, TacColumn
from hsm_sim.keys.masters import sealing_factor
from hsm_sim.keys.published_keys import published_key
from tests.hsm_sim.keys.provider_keys import (
    CARD,
    CARD_OF_ISSUER,
    CITY,
    CONTEXT,
    ISSUER,
    MIXED,
    PROFILE,
    SCHEME,
    SESSION,
    SUITE_OF,
    VECTOR,
    VECTOR_MASTER,
)
from tests.hsm_sim.keys.providers import Provider

CARD_BLOCKS = CARD + bytes(byte ^ 0xFF for byte in CARD)


def ask(service: KeyService, name: str, ref: KeyRef, factor: bytes) -> object:
    """One operation of the port on a card's key."""
    match name:
        case "derive_card_key":
            return service.derive_card_key(ref, factor).value
        case "check_value":
            return service.check_value(ref, factor)
        case "authenticate":
            return service.authenticate(ref, factor, CARD)
        case "message_mac":
            return service.message_mac(ref, factor, bytes(8), b"04D6")
        case "session_mac":
            return service.session_mac(ref, factor, SESSION, b"amount")
        case "verify_session_mac":
            service.verify_session_mac(ref, factor, SESSION, b"amount", bytes(4))
            return None
        case "open_channel":
            return service.open_channel(ref.label, ref.version, factor, CONTEXT).cryptogram(0)
        case _:
            channel = service.open_channel(CITY, 1, CARD, CONTEXT)
            return channel.wrapped_card_keys((ref,), factor)


#: Operation of the port, and the usages it is tried with.
TRIED = [
    ("derive_card_key", KeyUsage.TAC),
    ("derive_card_key", KeyUsage.PURCHASE),
    ("check_value", KeyUsage.CHANNEL_ENC),
    ("check_value", KeyUsage.FILE_MAINTENANCE),
    ("authenticate", KeyUsage.INTERNAL_AUTHENTICATION),
    ("authenticate", KeyUsage.EXTERNAL_AUTHENTICATION),
    ("message_mac", KeyUsage.FILE_MAINTENANCE),
    ("session_mac", KeyUsage.LOAD),
    ("open_channel", KeyUsage.CHANNEL_ENC),
    ("wrapped_card_keys", KeyUsage.LOAD),
]


def versions(provider: Provider, usage: KeyUsage, label: str) -> list[KeyRef]:
    found = [ref for ref in provider.keys if (ref.usage, ref.label) == (usage, label)]
    assert found
    return found


@pytest.mark.parametrize(("name", "usage"), TRIED)
def test_a_scheme_master_leads_to_a_card_over_its_issuer(
    provider: Provider, reference: KeyService, name: str, usage: KeyUsage
) -> None:
    for ref in versions(provider, usage, SCHEME):
        mine = ask(provider.service, name, ref, CARD_OF_ISSUER)
        assert mine == ask(reference, name, ref, CARD_OF_ISSUER), ref


def test_the_factor_of_the_highest_level_is_applied_first(service: KeyService) -> None:
    suite, region = SUITES[Algorithm.PBOC_3DES], bytes(range(8))
    issuer = suite.diversify(VECTOR_MASTER, ISSUER)
    card = service.derive_card_key(KeyRef(KeyUsage.LOAD, VECTOR, 2), CARD_OF_ISSUER)
    assert card.value == suite.diversify(issuer, CARD)
    issuer = suite.diversify(suite.diversify(VECTOR_MASTER, region), ISSUER)
    card = service.derive_card_key(KeyRef(KeyUsage.LOAD, VECTOR, 3), CARD_OF_ISSUER + region)
    assert card.value == suite.diversify(issuer, CARD)


@pytest.mark.parametrize("version", [1, 5])
def test_what_an_issuers_key_would_encipher_is_a_cards_key(version: int) -> None:
    """Why the next test is one: the formula of the card's key, and the same blocks enciphered."""
    suite = SUITES[SUITE_OF[version]]
    issuer = suite.diversify(published_key(KeyRef(KeyUsage.PIN_UNBLOCK, SCHEME, version)), ISSUER)
    assert suite.encipher(issuer, CARD_BLOCKS) == suite.diversify(issuer, CARD)


@pytest.mark.parametrize("factor", [ISSUER, CARD_OF_ISSUER + ISSUER], ids=len)
@pytest.mark.parametrize(("name", "usage"), [*TRIED, ("verify_session_mac", KeyUsage.LOAD)])
def test_no_issuers_key_comes_out_under_a_scheme_master_and_the_issuers_factor(
    provider: Provider, name: str, usage: KeyUsage, factor: bytes
) -> None:
    """The attack: without the card's factor the issuer's key takes the place of a card's."""
    for ref in versions(provider, usage, SCHEME):
        said = f"{ref}: {len(factor)} bytes of factors; levels from it to a card's key: 2, so"
        if name == "open_channel":  # it names the first of its three keys
            said = f"channel-enc/{SCHEME}/v{ref.version}: {len(factor)} bytes of factors"
        with pytest.raises(KeyUsageError, match=re.escape(said)):
            ask(provider.service, name, ref, factor)


@pytest.mark.parametrize(("name", "usage"), TRIED)
def test_a_factor_too_many_is_refused_under_an_issuers_master(
    provider: Provider, name: str, usage: KeyUsage
) -> None:
    for ref in versions(provider, usage, CITY):
        with pytest.raises(KeyUsageError, match="16 bytes of factors; levels from it to a card's"):
            ask(provider.service, name, ref, CARD_OF_ISSUER)


@pytest.mark.parametrize(("name", "usage"), [*TRIED, ("verify_session_mac", KeyUsage.LOAD)])
def test_no_operation_reaches_the_key_that_seals_images_of_psams(
    provider: Provider, name: str, usage: KeyUsage
) -> None:
    """Enciphering under its factor made the seal of any image; the complement of a factor leads to
    the same halves of a triple DES key.
    """
    seals = sealing_factor(PROFILE.number, 1)
    for ref in versions(provider, usage, CITY):
        for factor in (seals, bytes(byte ^ 0xFF for byte in seals)):
            with pytest.raises(KeyUsageError, match="is no number of a card"):
                ask(provider.service, name, ref, factor)


def test_no_command_to_a_psam_reaches_the_key_that_seals_its_image(provider: Provider) -> None:
    psam = provider.new_psam(replace(PROFILE, key_label=CITY, number="9" * 20))
    for factor in (sealing_factor("9" * 20, 1), bytes.fromhex("0F0F0F0F00000000")):
        deliver = CommandApdu(0x80, 0x1A, 0x25, 1, factor).encode()
        assert ResponseApdu.decode(psam.transmit(deliver)).sw == StatusWord.KEY_NOT_FOUND
        head = bytes.fromhex("11223344 0005 00000064 09 20240821185844 01 01")
        purchase = CommandApdu(0x80, 0x70, 0, 0, head + factor, le=8).encode()
        assert ResponseApdu.decode(psam.transmit(purchase)).sw == StatusWord.KEY_NOT_FOUND


def test_usage_is_refused_before_levels(service: KeyService) -> None:
    with pytest.raises(KeyUsageError, match="a tac key may not authenticate"):
        service.authenticate(KeyRef(KeyUsage.TAC, SCHEME, 1), ISSUER, CARD)


def a_row(version: int, label: str) -> TacColumn:
    """A record whose TAC is made as if the master of its version stood one level above the card."""
    suite = SUITES[Algorithm.PBOC_3DES]
    key = suite.diversify(published_key(KeyRef(KeyUsage.TAC, label, version)), CARD)
    return TacColumn(
        bytes((Algorithm.PBOC_3DES,)), bytes((version,)), CARD, b"m", 1, suite.tac(key, b"m")
    )


def test_only_masters_one_level_above_cards_prove_a_column(service: KeyService) -> None:
    reasons = {v: ProofReason(service.prove_tacs(MIXED, a_row(v, MIXED))[0]) for v in (1, 2)}
    assert reasons == {1: ProofReason.PROVEN, 2: ProofReason.UNKNOWN_VERSION}
    with pytest.raises(UnknownKeyError, match="no version is held that stands one level above"):
        service.prove_tacs(SCHEME, a_row(1, SCHEME))


#: Types of DELIVERY KEY whose masters every PSAM of a label gets.
DELIVERED = {3: KeyUsage.PIN_UNBLOCK, 4: KeyUsage.PIN_RELOAD, 5: KeyUsage.FILE_MAINTENANCE}


@pytest.mark.parametrize(("label", "levels"), [(SCHEME, 2), (CITY, 1)])
def test_a_psam_takes_as_many_factors_as_its_masters_have_levels(
    provider: Provider, label: str, levels: int
) -> None:
    """The same attack at a stolen PSAM: 80 1A with the issuer's factor, 80 FA with the card's."""
    psam = provider.new_psam(replace(PROFILE, key_label=label, number=f"{levels:020}"))
    head = bytes.fromhex("11223344 0005 00000064 09 20240821185844 01 01")
    cipher = CommandApdu(0x80, 0xFA, 0, 0, CARD_BLOCKS).encode()
    for depth in (1, 2, 3):
        factor = (ISSUER + CARD + ISSUER)[: 8 * depth]
        fits = depth == levels
        status = StatusWord.OK if fits else StatusWord.KEY_NOT_FOUND
        for kind in DELIVERED:
            command = CommandApdu(0x80, 0x1A, depth << 5 | kind, 1, factor)
            assert ResponseApdu.decode(psam.transmit(command.encode())).sw == status
            # PIN reload keys encipher nothing, and what was not delivered nothing either.
            done = ResponseApdu.decode(psam.transmit(cipher))
            assert bool(done.data) == (fits and kind != 4)
            psam.transmit(bytes.fromhex("00A4000002DF01"))
        purchase = CommandApdu(0x80, 0x70, 0, 0, head + factor, le=8)
        answer = ResponseApdu.decode(psam.transmit(purchase.encode()))
        assert answer.sw == status
        # What was refused used no number up.
        assert answer.data[:4] == (b"\x00\x00\x00\x01" if fits else b"")
