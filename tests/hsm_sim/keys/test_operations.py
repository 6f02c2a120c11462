"""Single operations of the key service: the formulas, the usages, the errors."""

import json
import re
import traceback
import warnings
from collections.abc import Callable

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from cardcore.chip.scp03 import SessionKeys, key_unwrapper, static_key
from cardcore.crypto import SUITES
from cardcore.errors import (
    CryptogramError,
    KeyUsageError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.keys import Algorithm, InsecureKeyServiceWarning, Key, KeyRef, KeyService, KeyUsage
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import (
    card_key_refs,
    issuer_key_refs,
    published_key,
    published_vault,
)
from hsm_sim.keys.vault import KeyVault, check_value
from tests.hsm_sim.keys.test_vault import shows
from tests.support.shared import VECTORS, needs_shared

SUITE = SUITES[Algorithm.PBOC_3DES]
LABEL = "shenzhen"
FACTOR = bytes.fromhex("0487123456789012")
SESSION = bytes.fromhex("1122334400050001")
PURCHASE, LOAD, TAC, MAINTENANCE, RECORD_MAC = issuer_key_refs(LABEL, 1)
SIGNING = KeyRef(KeyUsage.FILE_SIGNING, "depot-1", 1)


def insecure(vault: KeyVault) -> InProcessKeyService:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        return InProcessKeyService(vault)


@pytest.fixture(scope="module")
def service() -> KeyService:
    return insecure(published_vault([*issuer_key_refs(LABEL, 1), SIGNING]))


def test_it_says_loudly_that_its_keys_lie_in_memory() -> None:
    with pytest.warns(InsecureKeyServiceWarning, match="tests and demos only"):
        InProcessKeyService(KeyVault({}))


@needs_shared
def test_published_derivation_and_session_macs_come_out_of_the_service() -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = vectors["derived_not_published"][1]
    service = insecure(KeyVault({LOAD: bytes.fromhex(vector["master"])}))
    factor, session = bytes.fromhex(vector["factor"]), bytes.fromhex(vector["session_input"])
    assert service.derive_card_key(LOAD, factor).value.hex().upper() == vector["diversified"]
    for name in ("mac1", "mac2"):
        data = bytes.fromhex(vector[f"{name}_input"])
        mac = service.session_mac(LOAD, factor, session, data)
        assert mac.hex().upper() == vector[name]
        service.verify_session_mac(LOAD, factor, session, data, mac)


@pytest.mark.parametrize("ref", [PURCHASE, LOAD, TAC, MAINTENANCE])
def test_a_card_key_keeps_the_usage_of_its_master(service: KeyService, ref: KeyRef) -> None:
    assert service.derive_card_key(ref, FACTOR).usage is ref.usage


@given(
    factor=st.binary(min_size=8, max_size=8),
    session=st.binary(min_size=8, max_size=8),
    data=st.binary(max_size=40),
)
def test_the_service_and_a_card_with_the_derived_key_agree(
    factor: bytes, session: bytes, data: bytes
) -> None:
    service = insecure(published_vault([LOAD]))
    card_key = service.derive_card_key(LOAD, factor)
    assert service.session_mac(LOAD, factor, session, data) == SUITE.session_mac(
        SUITE.session_key(card_key.value, session), data
    )


@given(st.integers(0, 31), st.binary(min_size=1, max_size=40))
def test_a_mac_with_one_bit_changed_does_not_hold(bit: int, data: bytes) -> None:
    service = insecure(published_vault([LOAD]))
    mac = service.session_mac(LOAD, FACTOR, SESSION, data)
    forged = (int.from_bytes(mac, "big") ^ 1 << bit).to_bytes(4, "big")
    with pytest.raises(CryptogramError) as caught:
        service.verify_session_mac(LOAD, FACTOR, SESSION, data, forged)
    assert not shows("".join(traceback.format_exception(caught.value)), mac)


@pytest.mark.parametrize("length", [0, 3, 5, 8])
def test_a_mac_of_another_length_does_not_hold(service: KeyService, length: int) -> None:
    mac = service.session_mac(LOAD, FACTOR, SESSION, b"data")
    with pytest.raises(CryptogramError):
        service.verify_session_mac(LOAD, FACTOR, SESSION, b"data", (mac * 2)[:length])


OPERATIONS: dict[str, Callable[[KeyService, KeyRef], object]] = {
    "derive": lambda service, ref: service.derive_card_key(ref, FACTOR),
    "mac": lambda service, ref: service.session_mac(ref, FACTOR, SESSION, b""),
    "verify": lambda service, ref: service.verify_session_mac(ref, FACTOR, SESSION, b"", bytes(4)),
    "sign": lambda service, ref: service.sign(ref, b""),
    "public key": lambda service, ref: service.public_key(ref),
}


@pytest.mark.parametrize(
    ("operation", "ref"),
    [
        *[("derive", SIGNING), ("derive", RECORD_MAC), ("mac", RECORD_MAC)],
        *[("mac", TAC), ("mac", MAINTENANCE), ("mac", SIGNING), ("verify", RECORD_MAC)],
        *[("verify", TAC), ("verify", MAINTENANCE), ("verify", SIGNING)],
        *[(each, ref) for each in ("sign", "public key") for ref in issuer_key_refs(LABEL, 1)],
    ],
    ids=str,
)
def test_a_key_refuses_what_it_is_not_for(service: KeyService, operation: str, ref: KeyRef) -> None:
    with pytest.raises(KeyUsageError, match=f"{ref}: a {ref.usage} key may not"):
        OPERATIONS[operation](service, ref)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_key_or_version_not_held_is_named(service: KeyService, operation: str) -> None:
    with pytest.raises(UnknownKeyVersionError, match="load/shenzhen/v9"):
        OPERATIONS[operation](service, KeyRef(KeyUsage.LOAD, LABEL, 9))
    with pytest.raises(UnknownKeyError, match="load/hangzhou/v1"):
        OPERATIONS[operation](service, KeyRef(KeyUsage.LOAD, "hangzhou", 1))


def test_a_signature_holds_under_the_public_key_and_no_other_message(service: KeyService) -> None:
    signature = service.sign(SIGNING, b"file")
    public = Ed25519PublicKey.from_public_bytes(service.public_key(SIGNING))
    public.verify(signature, b"file")
    with pytest.raises(InvalidSignature):
        public.verify(signature, b"filf")


def test_no_key_byte_stands_in_any_text_of_the_service(service: KeyService) -> None:
    vault = published_vault([*issuer_key_refs(LABEL, 1), SIGNING])
    card_key = service.derive_card_key(LOAD, FACTOR)
    for text in (repr(service), str(service), repr(card_key)):
        for key in (card_key, *(vault.key(ref) for ref in vault.refs())):
            assert not shows(text, key.value)


CARD_REFS = {ref.usage: ref for ref in card_key_refs("citizen", 1)}
CHIP = bytes.fromhex("0000000000000042")
CONTEXT = bytes(range(16))


@pytest.fixture
def issuer() -> KeyService:
    return insecure(published_vault(CARD_REFS.values()))


def channel_key(usage: KeyUsage) -> Key:
    return Key(usage, static_key(published_key(CARD_REFS[usage]), CHIP))


def test_a_channel_has_the_session_keys_of_this_chip_and_these_challenges(
    issuer: KeyService,
) -> None:
    mine = SessionKeys(
        channel_key(KeyUsage.CHANNEL_ENC), channel_key(KeyUsage.CHANNEL_MAC), CONTEXT
    )
    theirs = issuer.open_channel("citizen", 1, CHIP, CONTEXT)
    assert theirs.cryptogram(0) == mine.cryptogram(0)
    assert theirs.response_mac(b"x") == mine.response_mac(b"x")
    assert issuer.open_channel("citizen", 1, FACTOR, CONTEXT).cryptogram(0) != mine.cryptogram(0)
    assert repr(theirs) == "SessionKeys(hidden)"


def test_a_key_leaves_in_a_channel_only_under_the_dek_of_the_chip(issuer: KeyService) -> None:
    ref = CARD_REFS[KeyUsage.PURCHASE]
    wrapped = issuer.open_channel("citizen", 1, CHIP, CONTEXT).wrapped_card_keys((ref,), FACTOR)
    key = issuer.derive_card_key(ref, FACTOR)
    assert key.value not in wrapped
    assert key_unwrapper(channel_key(KeyUsage.CHANNEL_DEK))(wrapped[:16]) == key.value
    assert wrapped[16:] == issuer.check_value(ref, FACTOR)
    assert issuer.check_value(ref, FACTOR).hex().upper() == check_value(key)


def test_a_channel_needs_all_three_keys_of_one_version(issuer: KeyService) -> None:
    with pytest.raises(UnknownKeyVersionError):
        issuer.open_channel("citizen", 2, CHIP, CONTEXT)
    refs = [ref for ref in CARD_REFS.values() if ref.usage is not KeyUsage.CHANNEL_DEK]
    with pytest.raises(UnknownKeyError, match="channel-dek"):
        insecure(published_vault(refs)).open_channel("citizen", 1, CHIP, CONTEXT)


def test_a_signing_key_never_leaves_through_a_channel() -> None:
    vault = published_vault([*CARD_REFS.values(), SIGNING])
    channel = insecure(vault).open_channel("citizen", 1, CHIP, CONTEXT)
    with pytest.raises(KeyUsageError, match="may not be put into a card"):
        channel.wrapped_card_keys((SIGNING,), FACTOR)


MESSAGE_OPERATIONS: dict[str, Callable[[KeyService, KeyRef], object]] = {
    "authentication": lambda service, ref: service.authenticate(ref, FACTOR, bytes(8)),
    "maintenance": lambda service, ref: service.message_mac(ref, FACTOR, bytes(4), b"04D6"),
}


@pytest.mark.parametrize("usage", sorted(CARD_REFS))
@pytest.mark.parametrize("allowed", MESSAGE_OPERATIONS)
def test_authentication_and_messages_take_only_keys_for_them(
    issuer: KeyService, usage: KeyUsage, allowed: str
) -> None:
    operation, ref = MESSAGE_OPERATIONS[allowed], CARD_REFS[usage]
    if re.search(allowed, usage):
        assert operation(issuer, ref)
    else:
        with pytest.raises(KeyUsageError, match=usage):
            operation(issuer, ref)


@needs_shared
def test_a_message_mac_is_the_published_one() -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = next(v for v in vectors["derived_not_published"] if "mac4" in v)
    card_key = bytes.fromhex(vector["key"])
    data, challenge = bytes.fromhex(vector["mac_input"]), bytes.fromhex(vector["challenge4"])
    assert SUITE.message_mac(card_key, challenge, data).hex().upper() == vector["mac4"]
    ref = CARD_REFS[KeyUsage.FILE_MAINTENANCE]
    issuer = insecure(published_vault([ref]))
    own = SUITE.diversify(published_key(ref), FACTOR)
    assert issuer.message_mac(ref, FACTOR, challenge, data) == SUITE.message_mac(
        own, challenge, data
    )
