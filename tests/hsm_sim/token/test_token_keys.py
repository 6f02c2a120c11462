"""What a token promises of its keys: kept inside, described, and whole after a power cut."""

import json
from dataclasses import replace
from datetime import date

import pkcs11
import pytest
from pkcs11 import Attribute, Mechanism, ObjectClass
from pkcs11 import exceptions as faults

from cardcore.crypto.day_seals import seal_holds
from cardcore.errors import (
    KeyServiceError,
    KeyStateError,
    UnknownKeyError,
)
from cardcore.keys import Algorithm, DaySeal, KeyRef, KeyState, KeyUsage
from hsm_sim.keys.operations import KeyOperations
from hsm_sim.keys.published_keys import published_key
from hsm_sim.keys.vault import KeyVault
from hsm_sim.token.masters import TokenMasterKeys
from hsm_sim.token.objects import decode_description, description_template, encode_description
from tests.hsm_sim.token.held import (
    CARD,
    CHANNEL,
    DATA,
    LABEL,
    LOAD,
    REFS,
    SESSION,
    TAC,
    TRANSPORT,
    a_strangers_description,
    in_another_process,
    key_object,
    label_of,
    objects,
    proof_of,
)
from tests.hsm_sim.token.softhsm import PIN, SoftHsm, needs_softhsm

pytestmark = needs_softhsm

SCHEME_LOAD = KeyRef(KeyUsage.LOAD, "scheme", 1)

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
    masters.install(SCHEME_LOAD, published_key(SCHEME_LOAD), levels=2)
    with masters._session.use() as session:
        before = len(list(session.get_objects()))
        service = KeyOperations(masters)
        service.session_mac(LOAD, CARD, SESSION, b"data")
        service.session_mac(SCHEME_LOAD, CARD + CARD, SESSION, b"data")
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
                stranger.create_object(description_template(a_strangers_description()))
        assert len(masters.descriptions()) == len(REFS)


# Putting keys in, ending them.


@pytest.mark.parametrize(
    ("usage", "algorithm"), [(KeyUsage.TAC, Algorithm.SM4), (KeyUsage.FILE_SIGNING, Algorithm.SM2)]
)
def test_a_key_the_token_has_no_mechanism_for_is_refused_by_name(
    masters: TokenMasterKeys, usage: KeyUsage, algorithm: Algorithm
) -> None:
    ref = KeyRef(usage, LABEL, 4)
    with pytest.raises(KeyServiceError, match=f"{ref}: a PKCS#11 token has no {algorithm.name}"):
        masters.install(ref, published_key(ref), algorithm)
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
    with pytest.raises(KeyServiceError, match="is held with 1 levels to a card's key, not 2"):
        masters.install(TAC, published_key(TAC), levels=2)
    for ref, levels in ((DATA, 2), (TAC, 4)):
        with pytest.raises(KeyServiceError, match="level"):
            masters.install(ref._replace(version=3), published_key(ref), levels=levels)
    assert masters.descriptions() == before


def test_a_key_of_zeros_is_as_long_as_any(masters: TokenMasterKeys) -> None:
    ref = KeyRef(KeyUsage.TAC, LABEL, 2)
    assert masters.install(ref, bytes(16)).check_value == "8CA64D"


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


def test_a_key_described_before_levels_were_is_an_issuers() -> None:
    described = replace(a_strangers_description(), levels=2)
    assert decode_description(encode_description(described)) == described
    fields = json.loads(encode_description(described))
    del fields["levels"]
    assert decode_description(json.dumps(fields).encode()) == replace(described, levels=1)
    wrongs: list[object] = [0, 4, -1, "2", 1.5, True, None, [], float("inf")]
    for wrong in wrongs:
        with pytest.raises(KeyServiceError, match="damaged"):
            decode_description(json.dumps(fields | {"levels": wrong}).encode())


def test_a_description_that_somebody_broke_is_named(masters: TokenMasterKeys) -> None:
    template = description_template(a_strangers_description()) | {
        Attribute.VALUE: b'{"state": "active"}'
    }
    with masters._session.use() as session:
        session.create_object(template)
    with pytest.raises(KeyServiceError, match="description in the token is damaged"):
        masters.descriptions()


def test_a_bare_token_seals_a_day_number_twice_and_says_that_it_remembers_none(
    masters: TokenMasterKeys,
) -> None:
    """Once a day number is kept by our key service; a token signs what it is asked to."""
    ref = KeyRef(KeyUsage.DAY_SEAL, LABEL, 1)
    masters.install(ref, published_key(ref))
    service, first = KeyOperations(masters), DaySeal(1, date(2018, 9, 1), bytes(range(32)))
    other = first._replace(digest=bytes(32))
    for seal in (first, other):
        signature = service.seal_day(ref, seal)
        assert seal_holds(service.public_key(ref), LABEL, seal, signature)
        assert signature == service.seal_day(ref, seal)
    assert service.sealed_days(LABEL) == (False, None)
