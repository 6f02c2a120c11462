"""A PSAM whose masters are inside a PKCS#11 token says what one over the vault says."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.keys import Algorithm, KeyState
from hsm_sim.psam import MAC2_TRIES_MAX, Psam, make_psam
from hsm_sim.token.masters import TokenMasterKeys
from tests.hsm_sim.psam.psams import (
    FACTOR,
    FURTHER,
    ISSUER_FACTOR,
    OWN,
    PROFILE,
    PURCHASE,
    VAULT,
    a_psam,
    a_vault,
    card_mac2,
    credit,
    initialise,
    pay_with_forged_card,
    send,
    sequence_of,
)
from tests.hsm_sim.psam.test_psam_lock import unblock
from tests.hsm_sim.token.softhsm import needs_softhsm, softhsm

pytestmark = needs_softhsm
LEVELS = (FACTOR, FACTOR + ISSUER_FACTOR, FACTOR + ISSUER_FACTOR + ISSUER_FACTOR[::-1])
NEEDED = {PURCHASE, OWN, *(slot.ref for slot in FURTHER)}


def fill(masters: TokenMasterKeys, levels: int) -> None:
    """The keys of the city that SoftHSM2 knows: it has no SM4."""
    vault = a_vault(levels)
    for ref in vault.refs():
        described = vault.describe(ref)
        wanted = ref in NEEDED or (ref.label == PURCHASE.label and ref.version in {1, 5})
        if wanted and described.algorithm is not Algorithm.SM4:
            value = vault.key(ref).value
            masters.install(ref, value, described.algorithm, levels=described.levels)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[int, TokenMasterKeys]]:
    """By the levels of the keys in it."""
    with ExitStack() as stack:
        library = stack.enter_context(softhsm(tmp_path_factory.mktemp("softhsm")))
        made = {n: stack.enter_context(library.empty_token()) for n in (1, 2, 3)}
        for levels, masters in made.items():
            fill(masters, levels)
        yield made


@pytest.fixture
def token(tokens: dict[int, TokenMasterKeys]) -> TokenMasterKeys:
    return tokens[1]


def psam_over(token: TokenMasterKeys) -> Psam:
    further = [slot for slot in FURTHER if VAULT.describe(slot.ref).algorithm is not Algorithm.SM4]
    return make_psam(PROFILE, token, further)


@pytest.fixture
def psam(token: TokenMasterKeys) -> Psam:
    return psam_over(token)


@pytest.mark.parametrize("factor", LEVELS, ids=["1 level", "2 levels", "3 levels"])
@pytest.mark.parametrize("version", [1, 5])
def test_a_purchase_over_a_token(
    tokens: dict[int, TokenMasterKeys], version: int, factor: bytes
) -> None:
    levels = len(factor) // 8
    psam, twin = psam_over(tokens[levels]), a_psam(a_vault(levels))
    command = initialise(key_version=bytes((version,)), algorithm=bytes((version,)), factor=factor)
    assert send(psam, command) == send(twin, command)
    assert send(psam, credit(card_mac2(1, version, factor))).ok


# Type and number of a key, P1 of CIPHER DATA.
COMPUTED = [
    *((4, 1, 5), (4, 5, 5), (5, 1, 0), (5, 1, 5), (6, 1, 5)),
    *((7, 10, 0), (7, 11, 0), (8, 5, 0), (8, 5, 5)),
]


@pytest.mark.parametrize("factor", LEVELS[:2], ids=["1 level", "2 levels"])
@pytest.mark.parametrize(("kind", "number", "p1"), COMPUTED)
def test_a_delivered_key_over_a_token(
    tokens: dict[int, TokenMasterKeys], kind: int, number: int, p1: int, factor: bytes
) -> None:
    levels = len(factor) // 8
    psam, twin = psam_over(tokens[levels]), a_psam(a_vault(levels))
    deliver = CommandApdu(0x80, 0x1A, kind | len(factor) // 8 << 5, number, factor)
    data = (bytes(8) if p1 else b"") + b"0123456789abcde" + b"\x80"
    for command in (deliver, CommandApdu(0x80, 0xFA, p1, 0, data)):
        answer = send(psam, command)
        assert answer.ok, hex(answer.sw)
        assert answer == send(twin, command)


def test_the_lock_and_the_image_over_a_token(psam: Psam, token: TokenMasterKeys) -> None:
    for _ in range(MAC2_TRIES_MAX):
        assert pay_with_forged_card(psam) == StatusWord.PURSE_MAC_WRONG
    again = Psam.from_image(psam.image(), token)
    assert send(again, initialise()).sw == StatusWord.FUNCTION_NOT_SUPPORTED
    assert unblock(again) == StatusWord.OK
    assert sequence_of(send(again, initialise())) > MAC2_TRIES_MAX


def test_a_key_destroyed_in_the_token_serves_no_more(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    # A token of its own: the others share one, in any order.
    with softhsm(tmp_path_factory.mktemp("softhsm")) as library, library.empty_token() as token:
        fill(token, 1)
        _destroyed(psam_over(token), token)


def _destroyed(psam: Psam, token: TokenMasterKeys) -> None:
    token.move(PURCHASE, KeyState.RETIRING)
    assert send(psam, initialise()).ok
    token.move(PURCHASE, KeyState.DESTROYED)
    image = psam.image()
    assert send(psam, initialise()).sw == StatusWord.KEY_NOT_FOUND
    assert psam.image() == image
