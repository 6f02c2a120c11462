"""What only a token can do wrong, or only a token promises: a real SoftHSM2, and its faults."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pkcs11
import pytest
from pkcs11 import Attribute, Mechanism, ObjectClass
from pkcs11 import exceptions as faults

from cardcore.errors import (
    CryptogramError,
    KeyServiceError,
    KeyServiceUnavailableError,
    KeyStateError,
    UnknownKeyError,
)
from cardcore.keys import Algorithm, KeyDescription, KeyRef, KeyState, KeyUsage, TacColumn
from hsm_sim.operations import KeyOperations
from hsm_sim.proof.bitslice import Words
from hsm_sim.proof.derivation import card_key_column, factor_blocks
from hsm_sim.published_keys import published_key
from hsm_sim.token import masters as masters_module
from hsm_sim.token import open_token
from hsm_sim.token.masters import TokenMasterKeys
from hsm_sim.token.objects import description_template
from hsm_sim.vault import CARD_USAGES, KeyVault, key_algorithms
from tests.hsm_sim.softhsm import PIN, SoftHsm, needs_softhsm, softhsm
from tests.support.shared import REPOSITORY

pytestmark = needs_softhsm

LABEL = "city"
TAC, PURCHASE, DATA, SIGNING, TRANSPORT, CHANNEL = (
    KeyRef(usage, LABEL, 1)
    for usage in (
        KeyUsage.TAC,
        KeyUsage.PURCHASE,
        KeyUsage.DATA_ENCRYPTION,
        KeyUsage.FILE_SIGNING,
        KeyUsage.TRANSPORT,
        KeyUsage.CHANNEL_MAC,
    )
)
MAINTENANCE_AES = KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 5)
REFS = (TAC, PURCHASE, DATA, SIGNING, TRANSPORT, CHANNEL)
CARD, SESSION = bytes(range(8)), bytes(range(8, 16))


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    with softhsm(tmp_path_factory.mktemp("softhsm")) as made:
        yield made


@pytest.fixture
def masters(tokens: SoftHsm) -> Iterator[TokenMasterKeys]:
    with tokens.empty_token() as made:
        for ref in REFS:
            made.install(ref, published_key(ref))
        yield made


def label_of(masters: TokenMasterKeys) -> str:
    return masters._session._label


def objects(masters: TokenMasterKeys, ref: KeyRef) -> list[pkcs11.Object]:
    with masters._session.use() as session:
        return list(session.get_objects({Attribute.LABEL: str(ref)}))


def key_object(masters: TokenMasterKeys, ref: KeyRef) -> pkcs11.Object:
    kinds = {ObjectClass.SECRET_KEY, ObjectClass.PRIVATE_KEY}
    return next(each for each in objects(masters, ref) if each[Attribute.CLASS] in kinds)


def proof_of(masters: TokenMasterKeys) -> bytes:
    """A verdict: bytes, and never empty ones."""
    column = TacColumn(bytes((1,)), bytes((1,)), CARD, b"m", 1, bytes(4))
    return KeyOperations(masters).prove_tacs(LABEL, column)


def in_another_process(program: str, label: str) -> None:
    """Run with `masters` over the same token, as another program on this machine would."""
    start = (
        "import sys; from pathlib import Path; from hsm_sim.token import open_token\n"
        "from cardcore.keys import *\n"
        "masters = open_token(Path(sys.argv[1]), sys.argv[2], sys.stdin.readline())\n"
    )
    module = next(iter(pkcs11._loaded))
    subprocess.run(
        [sys.executable, "-c", start + program, module, label],
        input=PIN, text=True, check=True, cwd=REPOSITORY,
    )  # fmt: skip


# What the token keeps to itself.


@pytest.mark.parametrize("ref", REFS, ids=str)
def test_no_master_key_can_be_read_copied_wrapped_or_made_readable(
    masters: TokenMasterKeys, ref: KeyRef
) -> None:
    key = key_object(masters, ref)
    with pytest.raises(faults.AttributeSensitive):
        _ = key[Attribute.VALUE]
    assert [key[each] for each in (Attribute.SENSITIVE, Attribute.PRIVATE)] == [True, True]
    forbidden = (Attribute.EXTRACTABLE, Attribute.WRAP, Attribute.UNWRAP, Attribute.MODIFIABLE)
    for each in forbidden:
        if each is not Attribute.WRAP or key[Attribute.CLASS] is ObjectClass.SECRET_KEY:
            assert not key[each], each
    for attribute, value in ((Attribute.EXTRACTABLE, True), (Attribute.SENSITIVE, False)):
        with pytest.raises(pkcs11.PKCS11Error):
            key[attribute] = value
    with pytest.raises(pkcs11.PKCS11Error):
        key.copy({Attribute.EXTRACTABLE: True, Attribute.SENSITIVE: False})


def test_a_key_object_can_do_what_its_usage_needs_and_no_more(masters: TokenMasterKeys) -> None:
    abilities = (
        Attribute.ENCRYPT, Attribute.DECRYPT, Attribute.SIGN, Attribute.VERIFY, Attribute.DERIVE,
    )  # fmt: skip
    able = {
        ref: {each.name for each in abilities if key_object(masters, ref)[each]}
        for ref in (TAC, DATA, CHANNEL, TRANSPORT)
    }
    assert able == {
        TAC: {"ENCRYPT", "DERIVE"},
        DATA: {"ENCRYPT", "DECRYPT"},
        CHANNEL: {"ENCRYPT", "SIGN"},
        TRANSPORT: {"ENCRYPT"},
    }


def test_nothing_is_left_of_a_cards_key_after_the_operation(masters: TokenMasterKeys) -> None:
    with masters._session.use() as session:
        before = len(list(session.get_objects()))
        service = KeyOperations(masters)
        service.session_mac(PURCHASE, CARD, SESSION, b"data")
        service.session_mac(PURCHASE, CARD + CARD, SESSION, b"data")
        service.check_value(TAC, CARD)
        assert len(list(session.get_objects())) == before


def test_no_clear_key_and_no_pin_lies_in_the_folder_of_the_tokens(
    masters: TokenMasterKeys, tokens: SoftHsm
) -> None:
    assert masters.descriptions()
    held = b"".join(path.read_bytes() for path in tokens.folder.rglob("*") if path.is_file())
    assert str(TAC).encode() not in held  # the names are private as well
    for ref in REFS:
        assert published_key(ref) not in held
    assert PIN.encode() not in held


def test_without_the_pin_nobody_sees_or_changes_a_key(tokens: SoftHsm) -> None:
    with tokens.empty_token() as masters:
        for ref in REFS:
            masters.install(ref, published_key(ref))
        label = label_of(masters)
        masters.close()
        token: pkcs11.Token = pkcs11.lib(str(tokens.module)).get_token(token_label=label)
        with token.open(rw=True) as stranger:
            assert list(stranger.get_objects()) == []
            with pytest.raises(faults.UserNotLoggedIn):
                stranger.create_object(description_template(describe_nothing()))
        assert len(masters.descriptions()) == len(REFS)


def describe_nothing() -> KeyDescription:
    return KeyDescription(
        KeyRef(KeyUsage.TAC, "stranger", 1), Algorithm.PBOC_3DES, KeyState.ACTIVE, "000000"
    )


# Putting keys in, making them inside, ending them.


@pytest.mark.parametrize(
    ("usage", "algorithm"), [(KeyUsage.TAC, Algorithm.SM4), (KeyUsage.FILE_SIGNING, Algorithm.SM2)]
)
def test_a_key_the_token_has_no_mechanism_for_is_refused_by_name(
    masters: TokenMasterKeys, usage: KeyUsage, algorithm: Algorithm
) -> None:
    ref = KeyRef(usage, LABEL, 4)
    actions: tuple[Callable[[], object], ...] = (
        lambda: masters.install(ref, published_key(ref), algorithm),
        lambda: masters.generate(ref, algorithm),
    )
    for action in actions:
        with pytest.raises(
            KeyServiceError, match=f"{ref}: a PKCS#11 token has no {algorithm.name}"
        ):
            action()
    assert objects(masters, ref) == []


def test_the_same_key_again_changes_nothing_and_another_is_refused(
    masters: TokenMasterKeys,
) -> None:
    before = masters.descriptions()
    for ref in REFS:
        masters.install(ref, published_key(ref), state=KeyState.PREPARED)
        other = bytes(reversed(published_key(ref)))
        with pytest.raises(KeyServiceError, match=f"{ref}: another key is held"):
            masters.install(ref, other)
    with pytest.raises(KeyServiceError, match="another key is held"):
        masters.install(TAC, published_key(TAC), Algorithm.AES)
    with pytest.raises(KeyServiceError, match="15 bytes, not 16"):
        masters.install(KeyRef(KeyUsage.TAC, LABEL, 2), bytes(15))
    assert masters.descriptions() == before


def test_a_key_of_zeros_is_as_long_as_any(masters: TokenMasterKeys) -> None:
    ref = KeyRef(KeyUsage.TAC, LABEL, 2)
    assert masters.install(ref, bytes(16)).check_value == "8CA64D"


@pytest.mark.parametrize("usage", list(KeyUsage))
def test_a_key_made_inside_works_and_is_known_by_its_check_value(
    masters: TokenMasterKeys, usage: KeyUsage
) -> None:
    for version, algorithm in enumerate(key_algorithms(usage), 10):
        if algorithm in {Algorithm.SM4, Algorithm.SM2}:
            continue
        ref = KeyRef(usage, LABEL, version)
        first = date(2030, 1, 1)
        made = masters.generate(ref, algorithm, valid_from=first)
        assert (made.state, made.algorithm, made.valid_from) == (
            KeyState.PREPARED, algorithm, first,
        )  # fmt: skip
        assert masters.describe(ref) == made
        assert len(bytes.fromhex(made.check_value)) == 3
        with pytest.raises(KeyServiceError, match="a key is held under this name"):
            masters.generate(ref, algorithm)
        if usage in CARD_USAGES:
            assert len(masters.card_key(ref, CARD).value()) == 16
        elif usage is KeyUsage.FILE_SIGNING:
            assert len(masters.sign(ref, b"file")) == 64


def test_a_key_only_moves_down_its_life(masters: TokenMasterKeys) -> None:
    masters.move(TAC, KeyState.RETIRING)
    with pytest.raises(KeyStateError, match="is retiring and cannot become active again"):
        masters.move(TAC, KeyState.ACTIVE)
    assert masters.describe(TAC).state is KeyState.RETIRING
    with pytest.raises(UnknownKeyError):
        masters.move(KeyRef(KeyUsage.TAC, "nobody", 1), KeyState.RETIRING)


@pytest.mark.parametrize("ref", REFS, ids=str)
def test_of_a_destroyed_key_name_and_check_value_are_left(
    masters: TokenMasterKeys, ref: KeyRef
) -> None:
    before = masters.describe(ref)
    gone = masters.move(ref, KeyState.DESTROYED)
    assert gone == masters.describe(ref)
    assert (gone.check_value, gone.state) == (before.check_value, KeyState.DESTROYED)
    assert [each[Attribute.CLASS] for each in objects(masters, ref)] == [ObjectClass.DATA]
    with pytest.raises(KeyStateError, match=f"{ref}: is destroyed"):
        masters.card_key(ref, CARD)
    for value in (published_key(ref), bytes(reversed(published_key(ref)))):
        with pytest.raises(KeyServiceError, match="another key is held under this name, or was"):
            masters.install(ref, value)


# Power lost between two writes: old or new, nothing between.


def again(masters: TokenMasterKeys) -> TokenMasterKeys:
    """As after a restart of the process."""
    session = masters._session
    session.close()
    return TokenMasterKeys(session)


def test_an_installation_cut_short_left_no_key_and_is_done_again(masters: TokenMasterKeys) -> None:
    ref, signing = KeyRef(KeyUsage.TAC, LABEL, 2), KeyRef(KeyUsage.FILE_SIGNING, LABEL, 2)
    for each in (ref, signing):
        masters.install(each, bytes(reversed(published_key(each))))
        for found in objects(masters, each):
            if found[Attribute.CLASS] is ObjectClass.DATA:
                found.destroy()
    masters = again(masters)
    assert len(masters.descriptions()) == len(REFS)
    with pytest.raises(UnknownKeyError):
        masters.card_key(ref, CARD)
    for each in (ref, signing):
        masters.install(each, published_key(each))
    assert (
        masters.card_key(ref, CARD).value()
        == KeyVault({ref: published_key(ref)}).card_key(ref, CARD).value()
    )
    assert [len(objects(masters, each)) for each in (ref, signing)] == [2, 3]


def test_of_two_descriptions_the_one_further_down_counts(masters: TokenMasterKeys) -> None:
    active = masters.describe(TAC)
    masters.move(TAC, KeyState.RETIRING)
    with masters._session.use() as session:
        session.create_object(description_template(active))
    masters = again(masters)
    assert masters.describe(TAC).state is KeyState.RETIRING
    masters.move(TAC, KeyState.RETIRING)
    assert len(objects(masters, TAC)) == 2


def test_a_destruction_cut_short_is_finished_at_the_next_start(masters: TokenMasterKeys) -> None:
    gone = replace(masters.describe(TAC), state=KeyState.DESTROYED)
    with masters._session.use() as session:
        session.create_object(description_template(gone))
    masters = again(masters)
    assert {each[Attribute.CLASS] for each in objects(masters, TAC)} == {ObjectClass.DATA}
    assert masters.describe(TAC).state is KeyState.DESTROYED


# Other programs at the same token.


def test_what_another_process_does_to_a_key_is_seen(masters: TokenMasterKeys) -> None:
    assert proof_of(masters)
    label = label_of(masters)
    in_another_process("masters.move(KeyRef(KeyUsage.TAC, 'city', 1), KeyState.RETIRING)", label)
    assert masters.describe(TAC).state is KeyState.RETIRING
    in_another_process("masters.move(KeyRef(KeyUsage.TAC, 'city', 1), KeyState.DESTROYED)", label)
    with pytest.raises(KeyStateError, match="is destroyed"):
        masters.card_key(TAC, CARD)
    in_another_process("masters.install(KeyRef(KeyUsage.TAC, 'city', 2), bytes(16))", label)
    assert masters.describe(KeyRef(KeyUsage.TAC, LABEL, 2)).check_value == "8CA64D"


def test_objects_of_other_programs_are_left_alone(masters: TokenMasterKeys) -> None:
    with masters._session.use() as session:
        session.create_object(
            {
                Attribute.CLASS: ObjectClass.DATA,
                Attribute.LABEL: "tac/other/v1",
                Attribute.APPLICATION: "mail",
                Attribute.VALUE: b"not ours",
                Attribute.TOKEN: True,
            }
        )
        session.generate_key(
            pkcs11.KeyType.AES,
            128,
            label="tac/other/v1",
            store=True,
            mechanism=Mechanism.AES_KEY_GEN,
        )
    assert len(again(masters).descriptions()) == len(REFS)


def test_a_description_that_somebody_broke_is_named(masters: TokenMasterKeys) -> None:
    template = description_template(describe_nothing()) | {Attribute.VALUE: b'{"state": "active"}'}
    with masters._session.use() as session:
        session.create_object(template)
    with pytest.raises(KeyServiceError, match="description in the token is damaged"):
        masters.descriptions()


# Faults: never a verdict, and usable again.


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
            lambda: service.session_mac(PURCHASE, CARD, SESSION, b""),
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
    masters.install(MAINTENANCE_AES, published_key(MAINTENANCE_AES), Algorithm.AES)
    for ref, algorithm in ((PURCHASE, None), (MAINTENANCE_AES, Algorithm.AES), (CHANNEL, None)):
        vault = KeyVault({})
        vault.install(ref, published_key(ref), algorithm)
        mine, theirs = masters.card_key(ref, factor), vault.card_key(ref, factor)
        assert mine.value() == theirs.value()
        assert mine.session_mac(SESSION, b"data") == theirs.session_mac(SESSION, b"data")
        assert mine.message_mac(bytes(4), b"data") == theirs.message_mac(bytes(4), b"data")


def test_threads_take_turns(masters: TokenMasterKeys) -> None:
    service = KeyOperations(masters)
    expected = {
        number: service.session_mac(PURCHASE, bytes((number,)) * 8, SESSION, b"data")
        for number in range(6)
    }
    answers: list[tuple[int, bytes]] = []

    def work(number: int) -> None:
        for _ in range(20):
            mac = service.session_mac(PURCHASE, bytes((number,)) * 8, SESSION, b"data")
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
