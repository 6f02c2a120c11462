"""Faults of a real SoftHSM2: said in a sentence, never a verdict, and usable again after."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pkcs11
import pytest
from pkcs11 import Attribute, ObjectClass
from pkcs11 import exceptions as faults

from cardcore.errors import CryptogramError, KeyServiceUnavailableError
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage, TacColumn
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from hsm_sim.proof.circuits.bitslice import Words
from hsm_sim.proof.derivation import card_key_column, factor_blocks
from hsm_sim.token import masters as masters_module
from hsm_sim.token import open_token
from hsm_sim.token.masters import TokenMasterKeys
from tests.hsm_sim.token.held import (
    CARD,
    CHANNEL,
    DATA,
    LABEL,
    LOAD,
    MAINTENANCE_AES,
    REFS,
    SESSION,
    SIGNING,
    TAC,
    label_of,
    objects,
    proof_of,
)
from tests.hsm_sim.token.softhsm import PIN, SoftHsm, needs_softhsm

pytestmark = needs_softhsm


def test_what_is_missing_is_said_and_how_to_get_it(
    tokens: SoftHsm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(KeyServiceUnavailableError, match="no token of that label"):
        open_token(tokens.module, "nobody", PIN)
    with pytest.raises(KeyServiceUnavailableError, match=r"no PKCS#11 library .* softhsm2"):
        open_token(tmp_path / "missing.so", LABEL, PIN)
    (tmp_path / "text.so").write_text("this is no library")
    with pytest.raises(KeyServiceUnavailableError, match="no PKCS#11 library"):
        open_token(tmp_path / "text.so", LABEL, PIN)
    for name in [name for name in sys.modules if name.startswith("hsm_sim.token.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(KeyServiceUnavailableError, match=r"pip install 'onecard\[hsm\]'"):
        open_token(tokens.module, LABEL, PIN)


def test_a_wrong_pin_is_tried_once_and_shown_to_nobody(tokens: SoftHsm) -> None:
    with pytest.raises(KeyServiceUnavailableError, match="refuses the PIN") as caught:
        tokens.open(LABEL, "9999-wrong")
    assert "9999" not in repr(caught.value) + repr(caught.value.__cause__)


def test_a_pin_that_was_changed_is_not_tried_again_and_again(masters: TokenMasterKeys) -> None:
    label, session = label_of(masters), masters._session
    session.close()
    token: pkcs11.Token = pkcs11.lib(str(session._module)).get_token(token_label=label)
    with token.open(rw=True, user_pin=PIN) as owner:
        owner.set_pin(PIN, "another-pin")
    try:
        with pytest.raises(KeyServiceUnavailableError, match="refuses the PIN"):
            masters.descriptions()
    finally:
        with token.open(rw=True, user_pin="another-pin") as owner:
            owner.set_pin("another-pin", PIN)
    with pytest.raises(KeyServiceUnavailableError, match="is not asked again"):
        masters.descriptions()
    opened = open_token(session._module, label, PIN)
    assert len(opened.descriptions()) == len(REFS)
    opened.close()


def test_a_token_opened_twice_in_a_process_is_said_so(masters: TokenMasterKeys) -> None:
    with pytest.raises(KeyServiceUnavailableError, match="open already"):
        open_token(masters._session._module, label_of(masters), "any")
    assert proof_of(masters)


@pytest.fixture(params=["taken out", "emptied"])
def lost(
    request: pytest.FixtureRequest, masters: TokenMasterKeys, tokens: SoftHsm
) -> Iterator[TokenMasterKeys]:
    """A token that is away, or of which only an empty slot is left."""
    assert proof_of(masters)
    kept = tokens.folder / "kept"
    tokens.tokens.rename(kept)
    if request.param == "emptied":
        tokens.tokens.mkdir()
    yield masters
    if kept.exists():
        put_back(tokens)
    assert proof_of(masters)  # it works again, without being told


def put_back(tokens: SoftHsm) -> None:
    if tokens.tokens.exists():
        tokens.tokens.rmdir()
    (tokens.folder / "kept").rename(tokens.tokens)


def test_a_lost_token_is_never_an_unknown_key(lost: TokenMasterKeys) -> None:
    service = KeyOperations(lost)
    sealed = bytes(40)
    for _ in range(2):
        for action in (
            service.describe_keys,
            lambda: proof_of(lost),
            lambda: service.session_mac(LOAD, CARD, SESSION, b""),
            lambda: service.derive_card_key(KeyRef(KeyUsage.LOAD, "never held", 1), CARD),
            lambda: service.sign(SIGNING, b""),
            lambda: service.decipher_data(DATA, sealed, b""),
            lambda: lost.install(KeyRef(KeyUsage.TAC, LABEL, 2), bytes(16)),
            lambda: lost.move(TAC, KeyState.DESTROYED),
        ):
            with pytest.raises(KeyServiceUnavailableError):
                action()


def test_a_token_lost_in_the_middle_of_a_column_gives_no_verdict(
    masters: TokenMasterKeys, tokens: SoftHsm, monkeypatch: pytest.MonkeyPatch
) -> None:
    column = TacColumn(
        bytes((1,)) * 9, bytes((1,)) * 9, b"".join(n.to_bytes(8, "big") for n in range(9)),
        b"m" * 9, 1, bytes(36),
    )  # fmt: skip
    before = KeyOperations(masters).prove_tacs(LABEL, column)
    calls: list[Words] = []

    def and_then_it_is_gone(factors: Words) -> bytes:
        calls.append(factors)
        if len(calls) == 2:
            tokens.tokens.rename(tokens.folder / "kept")
        return factor_blocks(factors)

    with monkeypatch.context() as patch:
        patch.setattr(masters_module, "_CARDS_A_CALL", 3)
        patch.setattr(masters_module, "factor_blocks", and_then_it_is_gone)
        with pytest.raises(KeyServiceUnavailableError, match="nothing was decided"):
            KeyOperations(masters).prove_tacs(LABEL, column)
        assert len(calls) == 2
    put_back(tokens)
    assert KeyOperations(masters).prove_tacs(LABEL, column) == before


def test_sessions_ended_by_somebody_else_are_opened_again(
    masters: TokenMasterKeys, tokens: SoftHsm
) -> None:
    pkcs11.lib(str(tokens.module)).reinitialize()
    with pytest.raises(KeyServiceUnavailableError, match="repeat"):
        masters.card_key(TAC, CARD)
    assert masters.card_key(TAC, CARD).value()


def test_two_tokens_in_one_process_recover_side_by_side(
    masters: TokenMasterKeys, tokens: SoftHsm
) -> None:
    with tokens.empty_token() as other:
        other.install(TAC, bytes(16))
        pkcs11.lib(str(tokens.module)).reinitialize()
        for _ in range(2):  # each loses its own session once, and neither the other's
            for each in (masters, other):
                with suppress(KeyServiceUnavailableError):
                    each.card_key(TAC, CARD)
        assert masters.card_key(TAC, CARD).value() != other.card_key(TAC, CARD).value()


def test_a_forged_cipher_text_is_not_a_lost_token(masters: TokenMasterKeys) -> None:
    service = KeyOperations(masters)
    sealed = bytearray(service.encipher_data(DATA, b"data", b""))
    sealed[-1] ^= 1
    with pytest.raises(CryptogramError):
        service.decipher_data(DATA, bytes(sealed), b"")


def test_a_token_lost_while_it_deciphers_has_not_judged_the_data(
    masters: TokenMasterKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_lost(*_: object) -> str:
        raise faults.GeneralError

    monkeypatch.setattr(masters_module, "_check_value", is_lost)
    with pytest.raises(KeyServiceUnavailableError, match="GeneralError"):
        KeyOperations(masters).decipher_data(DATA, bytes(40), b"")


def test_a_lost_token_without_keys_is_not_an_empty_one(tokens: SoftHsm) -> None:
    with tokens.empty_token() as masters:
        assert masters.descriptions() == ()
        tokens.tokens.rename(tokens.folder / "kept")
        with pytest.raises(KeyServiceUnavailableError):
            masters.descriptions()
        put_back(tokens)
        assert masters.descriptions() == ()


def test_a_description_taken_away_is_a_fault_and_no_unknown_key(masters: TokenMasterKeys) -> None:
    for each in objects(masters, TAC):
        if each[Attribute.CLASS] is ObjectClass.DATA:
            each.destroy()
    for action in (masters.descriptions, lambda: masters.describe(TAC)):
        with pytest.raises(KeyServiceUnavailableError, match=f"{TAC} was in the token"):
            action()


def test_a_forked_process_is_told_to_open_the_token_itself(masters: TokenMasterKeys) -> None:
    child = os.fork()
    if child == 0:
        try:
            masters.descriptions()
        except KeyServiceUnavailableError as error:
            os._exit(7 if "forked" in str(error) else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert proof_of(masters)


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_as_many_levels_as_a_psam_may_ask_for_lead_to_the_same_key(
    masters: TokenMasterKeys, levels: int
) -> None:
    factor = bytes(range(8 * levels))
    for held, algorithm in ((LOAD, None), (MAINTENANCE_AES, Algorithm.AES), (CHANNEL, None)):
        ref, vault = held._replace(version=20 + levels), KeyVault({})
        for each in (vault, masters):
            each.install(ref, published_key(ref), algorithm, levels=levels)
        mine, theirs = masters.card_key(ref, factor), vault.card_key(ref, factor)
        assert mine.value() == theirs.value()
        assert mine.session_mac(SESSION, b"data") == theirs.session_mac(SESSION, b"data")
        assert mine.message_mac(bytes(4), b"data") == theirs.message_mac(bytes(4), b"data")


def test_threads_take_turns(masters: TokenMasterKeys) -> None:
    service = KeyOperations(masters)
    expected = {
        number: service.session_mac(LOAD, bytes((number,)) * 8, SESSION, b"data")
        for number in range(6)
    }
    answers: list[tuple[int, bytes]] = []

    def work(number: int) -> None:
        for _ in range(20):
            mac = service.session_mac(LOAD, bytes((number,)) * 8, SESSION, b"data")
            answers.append((number, mac))

    workers = [threading.Thread(target=work, args=(number,)) for number in expected]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(answers) == 120
    assert all(expected[number] == mac for number, mac in answers)


@pytest.mark.parametrize("cards", [0, 1, 3, 4, 7])
def test_a_column_of_card_keys_is_the_same_whatever_a_call_holds(
    masters: TokenMasterKeys, monkeypatch: pytest.MonkeyPatch, cards: int
) -> None:
    factors = np.arange(cards, dtype=np.uint64) * np.uint64(0x0123_4567_89AB_CDEF)
    monkeypatch.setattr(masters_module, "_CARDS_A_CALL", 3)
    expected = card_key_column(Algorithm.PBOC_3DES, published_key(TAC), factors)
    derived = masters.card_key_column(TAC, factors)
    assert derived.shape == (cards, 2)
    assert np.array_equal(derived, expected)
