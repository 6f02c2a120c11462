"""One suite for every provider of the key service: in process, over a socket, in SoftHSM2.

Whatever is asked, all three give the bytes, or the error with the words, that the key service in
this process gives.
"""

import json
from collections.abc import Callable
from datetime import date
from itertools import product

import pytest

from cardcore.apdu import CommandApdu, ResponseApdu
from cardcore.chip.card import Card
from cardcore.crypto import SUITES, signatures
from cardcore.errors import (
    CardcoreError,
    CryptogramError,
    KeyServiceError,
    KeyStateError,
    KeyUsageError,
    UnknownKeyError,
    UnknownKeyVersionError,
)
from cardcore.issuing import personalisation
from cardcore.issuing.dialogue import Finished, Result, drive
from cardcore.issuing.products import shipped
from cardcore.issuing.stock import stock_chip
from cardcore.keys import (
    Algorithm,
    DaySeal,
    Key,
    KeyRef,
    KeyService,
    KeyState,
    KeyUsage,
    ProofReason,
    TacColumn,
)
from hsm_sim.keys.published_keys import card_key_refs, published_key
from hsm_sim.keys.vault import CARD_USAGES, CHANNEL_USAGES
from tests.cardcore.issuing.test_personalisation import HOST_CHALLENGE, PUBLIC, a_plan
from tests.cardcore.transit_cards import counting_random
from tests.hsm_sim.keys.provider_keys import (
    CARD,
    CITY,
    CONTEXT,
    KEYS,
    LIFE,
    LIVES,
    PRODUCTS,
    PROFILE,
    SESSION,
    STATE_OF,
    SUITE_OF,
    VECTOR,
    VECTOR_MASTER,
    verdicts_of,
)
from tests.hsm_sim.keys.providers import Provider, in_process
from tests.support.shared import VECTORS, needs_shared

Operation = Callable[[KeyService, KeyRef], object]


def opened(service: KeyService, ref: KeyRef) -> tuple[object, ...]:
    """What a channel does with its keys, and a card key on its way through it."""
    channel = service.open_channel(ref.label, ref.version, CARD, CONTEXT)
    return (
        channel.cryptogram(0),
        channel.command_mac(b"command"),
        channel.response_mac(b"response"),
        channel.encipher(bytes(16), bytes(32)),
        channel.decipher(bytes(16), bytes(32)),
    )


def sealed_and_opened(service: KeyService, ref: KeyRef) -> object:
    return service.decipher_data(ref, service.encipher_data(ref, b"data", b"row 1"), b"row 1")


DAY_ONE = DaySeal(1, date(2018, 9, 1), bytes(range(32)))
#: Every operation of the port that names one key; `prove_tacs` has tests of its own.
OPERATIONS: dict[str, Operation] = {
    "derive_card_key": lambda service, ref: service.derive_card_key(ref, CARD).value,
    "open_channel": opened,
    "check_value": lambda service, ref: service.check_value(ref, CARD),
    "authenticate": lambda service, ref: service.authenticate(ref, CARD, bytes(range(8))),
    "message_mac": lambda service, ref: service.message_mac(ref, CARD, bytes(range(4)), b"04D6.."),
    "session_mac": lambda service, ref: service.session_mac(ref, CARD, SESSION, b"amount"),
    "verify_session_mac": lambda service, ref: service.verify_session_mac(
        ref, CARD, SESSION, b"amount", service.session_mac(ref, CARD, SESSION, b"amount")
    ),
    "sign": lambda service, ref: service.sign(ref, b"a file"),
    "seal_day": lambda service, ref: service.seal_day(ref, DAY_ONE),
    "public_key": lambda service, ref: service.public_key(ref),
    "encipher_data": sealed_and_opened,
}
AUTHENTICATION = {KeyUsage.INTERNAL_AUTHENTICATION, KeyUsage.EXTERNAL_AUTHENTICATION}
MESSAGES = {KeyUsage.FILE_MAINTENANCE}
SESSIONS = {KeyUsage.LOAD}
#: The table of docs/keys.md, by hand: what is not here is refused.
ALLOWED: dict[str, set[KeyUsage]] = {
    "derive_card_key": set(CARD_USAGES),
    "open_channel": set(CHANNEL_USAGES),
    "check_value": set(CARD_USAGES),
    "authenticate": AUTHENTICATION,
    "message_mac": MESSAGES,
    "session_mac": SESSIONS,
    "verify_session_mac": SESSIONS,
    "sign": {KeyUsage.FILE_SIGNING},
    "public_key": {KeyUsage.FILE_SIGNING, KeyUsage.DAY_SEAL},
    "seal_day": {KeyUsage.DAY_SEAL},
    "encipher_data": {KeyUsage.DATA_ENCRYPTION},
}
#: A channel names no usage: it always takes the three keys for it.
NAMING = [name for name in OPERATIONS if name != "open_channel"]
PAIRS = [(name, usage) for name in OPERATIONS for usage in sorted(ALLOWED[name])]


def outcome(operation: Operation, service: KeyService, ref: KeyRef) -> object:
    """The answer, or the error with its words."""
    try:
        return operation(service, ref)
    except CardcoreError as error:
        return type(error), str(error)


@pytest.mark.parametrize(("name", "usage"), PAIRS, ids=str)
def test_every_operation_gives_the_same_bytes_under_every_suite(
    provider: Provider, reference: KeyService, name: str, usage: KeyUsage
) -> None:
    versions = [ref.version for ref in provider.keys if (ref.usage, ref.label) == (usage, CITY)]
    assert versions
    for version in versions:
        ref = KeyRef(usage, CITY, version)
        mine = OPERATIONS[name](provider.service, ref)
        assert mine == OPERATIONS[name](reference, ref), ref


@pytest.mark.parametrize("name", NAMING)
@pytest.mark.parametrize("usage", list(KeyUsage))
def test_a_key_does_what_its_usage_allows_and_nothing_else(
    service: KeyService, name: str, usage: KeyUsage
) -> None:
    ref = KeyRef(usage, CITY, 1)
    if usage in ALLOWED[name]:
        OPERATIONS[name](service, ref)
    else:
        with pytest.raises(KeyUsageError, match=f"^{ref}: a {usage} key may not "):
            OPERATIONS[name](service, ref)


GOES_ON = {KeyState.ACTIVE, KeyState.RETIRING}
#: What makes something new needs an active key; what goes on with it does not.
STATES = {name: {KeyState.ACTIVE} for name in ("derive_card_key", "encipher_data")}


@pytest.mark.parametrize("version", LIVES)
@pytest.mark.parametrize(("name", "usage"), PAIRS, ids=str)
def test_a_key_works_only_in_the_states_for_it(
    service: KeyService, reference: KeyService, name: str, usage: KeyUsage, version: int
) -> None:
    ref = KeyRef(usage, LIFE, version)
    state = STATE_OF[version]
    if state in STATES.get(name, GOES_ON):
        assert outcome(OPERATIONS[name], service, ref) == outcome(OPERATIONS[name], reference, ref)
    else:
        with pytest.raises(KeyStateError, match=f"/{LIFE}/v{version}: is {state} and may not "):
            OPERATIONS[name](service, ref)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_name_or_a_version_not_held_is_said_so(
    service: KeyService, reference: KeyService, name: str
) -> None:
    usage = min(ALLOWED[name])
    for ref, error in (
        (KeyRef(usage, CITY, 9), UnknownKeyVersionError),
        (KeyRef(usage, "hangzhou", 1), UnknownKeyError),
    ):
        said = outcome(OPERATIONS[name], service, ref)
        # A token holds fewer versions, so which are held is not compared.
        words = f"{ref}: no" if name != "open_channel" else f"/{ref.label}/v{ref.version}: no"
        assert isinstance(said, tuple)
        assert said[0] is error
        assert words in str(said[1])
        expected = outcome(OPERATIONS[name], reference, ref)
        assert isinstance(expected, tuple)
        assert said[0] is expected[0]


def test_every_key_is_described_alike(provider: Provider, reference: KeyService) -> None:
    expected = tuple(each for each in reference.describe_keys() if each.ref in provider.keys)
    assert provider.service.describe_keys() == expected
    assert len(expected) == len(provider.keys)
    one, two, three = provider.service.describe_keys(KeyUsage.LOAD, VECTOR)
    assert (one.check_value, str(one.parent)) == ("8BAF47", "load/city/v1")
    assert (one.levels, two.levels, three.levels) == (1, 2, 3)
    life = provider.service.describe_keys(KeyUsage.TAC, LIFE)
    assert {each.ref.version: each.state for each in life} == STATE_OF


@needs_shared
def test_the_published_vectors_come_out(service: KeyService) -> None:
    vectors = json.loads((VECTORS / "pboc_purse.json").read_text(encoding="utf-8"))
    vector = vectors["derived_not_published"][1]
    assert bytes.fromhex(vector["master"]) == VECTOR_MASTER
    ref, factor = KeyRef(KeyUsage.LOAD, VECTOR, 1), bytes.fromhex(vector["factor"])
    assert service.derive_card_key(ref, factor).value.hex().upper() == vector["diversified"]
    for name in ("mac1", "mac2"):
        data, session = (bytes.fromhex(vector[key]) for key in (f"{name}_input", "session_input"))
        assert service.session_mac(ref, factor, session, data).hex().upper() == vector[name]


def tac(version: int, factor: bytes, message: bytes) -> bytes:
    suite = SUITES[SUITE_OF[version]]
    master = published_key(KeyRef(KeyUsage.TAC, CITY, version))
    return suite.tac(suite.diversify(master, factor), message)


@pytest.mark.parametrize("cards", [1, 150], ids=["a few rows", "enough for lanes"])
def test_columns_of_mixed_versions_and_suites_get_their_reasons(
    provider: Provider, cards: int
) -> None:
    kinds = verdicts_of(provider, KeyUsage.TAC)
    factors = [(1 + card).to_bytes(8, "big") for card in range(cards)]
    messages = [bytes((kind,)) * 22 for kind in range(len(kinds))]
    tacs, expected = [], []
    for factor, (kind, (made, _, _, forged, reason)) in product(factors, enumerate(kinds)):
        honest = tac(made, factor, messages[kind])
        tacs.append(bytes(byte ^ 1 for byte in honest) if forged else honest)
        expected.append(reason)
    column = TacColumn(
        algorithms=bytes(kind[2] for kind in kinds) * cards,
        key_versions=bytes(kind[1] for kind in kinds) * cards,
        factors=b"".join(factor * len(kinds) for factor in factors),
        messages=b"".join(messages) * cards,
        message_bytes=22,
        tacs=b"".join(tacs),
    )
    answer = [ProofReason(each) for each in provider.service.prove_tacs(CITY, column)]
    assert answer == expected


def a_row(version: int) -> TacColumn:
    made = SUITES[Algorithm.PBOC_3DES].tac(
        SUITES[Algorithm.PBOC_3DES].diversify(
            published_key(KeyRef(KeyUsage.TAC, LIFE, version)), CARD
        ),
        b"m",
    )
    return TacColumn(bytes((Algorithm.PBOC_3DES,)), bytes((version,)), CARD, b"m", 1, made)


def test_a_tac_key_proves_while_it_is_active_or_retiring(service: KeyService) -> None:
    reasons = {v: ProofReason(service.prove_tacs(LIFE, a_row(v))[0]) for v in LIVES}
    proven = {version for version, reason in reasons.items() if reason is ProofReason.PROVEN}
    assert proven == {version for version, state in STATE_OF.items() if state in GOES_ON}
    assert set(reasons.values()) == {ProofReason.PROVEN, ProofReason.UNKNOWN_VERSION}


def test_a_city_without_a_tac_key_is_no_verdict(service: KeyService) -> None:
    with pytest.raises(UnknownKeyError, match="tac/hangzhou"):
        service.prove_tacs("hangzhou", a_row(2))


def test_a_channel_carries_card_keys_under_the_dek(
    provider: Provider, reference: KeyService
) -> None:
    mine = provider.service.open_channel(CITY, 1, CARD, CONTEXT)
    theirs = reference.open_channel(CITY, 1, CARD, CONTEXT)
    for ref in card_key_refs(CITY, 1):
        assert mine.wrapped_card_keys((ref,), CARD) == theirs.wrapped_card_keys((ref,), CARD), ref
    with pytest.raises(KeyUsageError, match="may not be put into a card"):
        mine.wrapped_card_keys((KeyRef(KeyUsage.FILE_SIGNING, CITY, 1),), CARD)


def test_a_product_is_personalised_over_scp03(service: KeyService, reference: KeyService) -> None:
    chip = stock_chip(PUBLIC, shipped("citizen"), reference, PRODUCTS)
    mine, theirs = (Card.from_image(chip, counting_random()) for _ in range(2))
    for card, keys in ((mine, service), (theirs, reference)):
        talk = personalisation.personalise(a_plan("citizen"), keys, HOST_CHALLENGE)
        assert drive(talk, card.transmit) == Finished(Result.DONE, "check")
    assert mine.image() == theirs.image()


@pytest.mark.parametrize("size", [0, 1, 16, 40_000])
def test_data_come_back_from_every_provider_of_the_key(
    provider: Provider, reference: KeyService, size: int
) -> None:
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    for ref in provider.keys:
        if (ref.usage, ref.label) == (KeyUsage.DATA_ENCRYPTION, CITY):
            sealed = provider.service.encipher_data(ref, data, b"row 1")
            assert len(sealed) == 12 + size + 16
            assert reference.decipher_data(ref, sealed, b"row 1") == data
            theirs = reference.encipher_data(ref, data, b"row 1")
            assert provider.service.decipher_data(ref, theirs, b"row 1") == data


@pytest.mark.parametrize("at", [0, 12, -1], ids=["nonce", "text", "tag"])
def test_altered_moved_or_cut_data_are_refused(service: KeyService, at: int) -> None:
    ref = KeyRef(KeyUsage.DATA_ENCRYPTION, CITY, 1)
    sealed = service.encipher_data(ref, b"data", b"row 1")
    altered = bytearray(sealed)
    altered[at] ^= 1
    wrong = [(bytes(altered), b"row 1"), (sealed, b"row 2")]
    wrong += [(sealed[:cut], b"row 1") for cut in (0, 5, 12, 20, 27, len(sealed) - 1)]
    for data, context in wrong:
        with pytest.raises(CryptogramError, match="not what was enciphered"):
            service.decipher_data(ref, data, context)
    assert service.decipher_data(ref, sealed, b"row 1") == b"data"


def test_a_forged_session_mac_is_refused(service: KeyService) -> None:
    ref = KeyRef(KeyUsage.LOAD, CITY, 1)
    mac = service.session_mac(ref, CARD, SESSION, b"amount")
    for forged in (bytes(byte ^ 1 for byte in mac), mac[:3], b""):
        with pytest.raises(CryptogramError):
            service.verify_session_mac(ref, CARD, SESSION, b"amount", forged)


def test_signatures_hold_under_the_public_key(provider: Provider) -> None:
    for ref, key in provider.keys.items():
        if (ref.usage, ref.label) == (KeyUsage.FILE_SIGNING, CITY):
            algorithm = key.algorithm or Algorithm.ED25519
            public = provider.service.public_key(ref)
            for message in (b"", b"a file" * 10_000):
                signature = provider.service.sign(ref, message)
                signatures.verify(algorithm, public, signature, message)


def test_a_psam_lives_on_the_providers_masters(provider: Provider) -> None:
    # In this order the sequence numbers agree, because only the last suite is not in tokens.
    versions = [1, 2, 5, *(v for v in (4,) if KeyRef(KeyUsage.PURCHASE, CITY, v) in provider.keys)]
    head = bytes.fromhex("11223344 0005 00000064 09 20240821185844")
    forged = CommandApdu(0x80, 0x72, 0, 0, bytes(4)).encode()
    with in_process(KEYS) as other:
        psam, twin = provider.new_psam(PROFILE), other.new_psam(PROFILE)
        for number, version in enumerate(versions, 1):
            data = head + bytes((version, SUITE_OF[version])) + CARD
            command = CommandApdu(0x80, 0x70, 0, 0, data, le=8).encode()
            answer = ResponseApdu.decode(psam.transmit(command))
            assert (answer.sw, answer.data[:4]) == (0x9000, number.to_bytes(4, "big"))
            assert answer == ResponseApdu.decode(twin.transmit(command))
            assert psam.transmit(forged) == twin.transmit(forged)


def test_no_error_and_no_repr_shows_a_key(provider: Provider) -> None:
    texts = [repr(provider.service), repr(provider.service.open_channel(CITY, 1, CARD, CONTEXT))]
    for name, usage in product(OPERATIONS, KeyUsage):
        try:
            OPERATIONS[name](provider.service, KeyRef(usage, LIFE, 1))
        except KeyServiceError as error:
            texts.append(repr(error))
    shown = "".join(texts).lower()
    for ref in KEYS:
        assert published_key(ref).hex() not in shown
    assert Key(KeyUsage.TAC, VECTOR_MASTER).value.hex() not in shown
