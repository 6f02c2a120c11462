"""The image of a PSAM: the same module after power came back, and no key byte in it."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import StatusWord
from cardcore.errors import (
    DecodeError,
    KeyServiceError,
    KeyStateError,
    KeyUsageError,
    UnknownKeyError,
)
from cardcore.keys import KeyRef, KeyState, KeyUsage
from hsm_sim.keys.published_keys import published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from hsm_sim.psam import SEQUENCES_RESERVED, KeySlot, Psam, PsamKeyType, make_psam
from hsm_sim.psam.image import Held, decode_image
from hsm_sim.psam.keys import find_keys
from hsm_sim.psam.seal import seal
from tests.hsm_sim.keys.test_vault import shows
from tests.hsm_sim.psam.psams import (
    FURTHER,
    LABEL,
    OWN,
    PROFILE,
    PURCHASE,
    STK,
    VAULT,
    a_psam,
    a_vault,
    card_mac2,
    credit,
    initialise,
    send,
    sequence_of,
)


@pytest.fixture
def psam() -> Psam:
    return a_psam()


def sealed(body: bytes) -> bytes:
    """The bytes under the seal of the key service, so that damage gets past it."""
    return body + seal(body, PROFILE.number, KeySlot(PsamKeyType.MAINTENANCE, 1, OWN), VAULT)


def test_an_image_wakes_up_as_the_same_psam(psam: Psam) -> None:
    send(psam, initialise())
    again = Psam.from_image(psam.image(), VAULT)
    assert again.image() == psam.image()
    for read in ("00B0950000", "00B0960000", "00B0970000"):
        assert send(again, read) == send(psam, read)
    assert send(again, credit(card_mac2(1))).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_a_psam_that_has_given_its_last_number_gives_no_other() -> None:
    last = 2**32 - SEQUENCES_RESERVED
    keys = find_keys(LABEL, VAULT)
    psam = Psam(PROFILE, keys, VAULT, Held(last - SEQUENCES_RESERVED))
    for expected in range(last - SEQUENCES_RESERVED + 1, last + 1):
        assert sequence_of(send(psam, initialise())) == expected
    for again in (psam, Psam.from_image(psam.image(), VAULT)):
        assert send(again, initialise()).sw == StatusWord.COUNTER_OR_AMOUNT_LIMIT
        assert send(again, "807E000004").sw == StatusWord.COUNTER_OR_AMOUNT_LIMIT


def test_an_image_altered_by_one_bit_or_cut_off_is_refused(psam: Psam) -> None:
    image = psam.image()
    for bit in range(8 * len(image)):
        altered = (int.from_bytes(image, "big") ^ 1 << bit).to_bytes(len(image), "big")
        with pytest.raises((DecodeError, KeyServiceError)):
            Psam.from_image(altered, VAULT)
    for length in range(len(image)):
        with pytest.raises(DecodeError):
            Psam.from_image(image[:length], VAULT)


def test_whoever_has_the_check_values_but_not_the_keys_forges_no_image(psam: Psam) -> None:
    """Every tried number of a run, every try, another terminal: under the old check sum, under the
    seal of other masters, and under that of another PSAM.
    """
    body, strangers = psam.image()[:-16], KeyVault({OWN: bytes(range(16))})
    slot = KeySlot(PsamKeyType.MAINTENANCE, 1, OWN)
    forged = {
        "back to the first number": body[:37] + bytes(4) + body[41:],
        "all tries back": body[:41] + b"\x0f\x03" + body[43:],
        "another terminal": body[:14] + bytes(6) + body[20:],
        "an older image": body[:45] + bytes(4) + body[49:],
        "as it is": body,
    }
    assert Psam.from_image(sealed(body), VAULT).image() == psam.image()
    for each in forged.values():
        for made in (
            hashlib.sha256(each).digest()[:16],
            hashlib.sha256(each).digest()[:8],
            seal(each, PROFILE.number, slot, strangers),
            seal(each, "9" * 20, slot, VAULT),
            bytes(16),
        ):
            with pytest.raises(DecodeError, match=r"seal|image"):
                Psam.from_image(each + made, VAULT)


def test_every_image_says_that_it_is_newer_than_the_one_before(psam: Psam) -> None:
    seen = [psam.writes]
    for _ in range(3):
        psam = Psam.from_image(psam.image(), VAULT)
        assert psam.writes == seen[-1]
        assert sequence_of(send(psam, initialise()))
        seen.append(psam.writes)
    assert seen == [0, 1, 2, 3]


def test_without_a_maintenance_key_the_newest_purchase_key_seals_that_is_not_destroyed() -> None:
    refs = [PURCHASE, PURCHASE._replace(version=2)]
    vault = published_vault(refs)
    psam = make_psam(PROFILE, vault)
    assert decode_image(psam.image()).sealing[0].ref == refs[1]
    vault.move(refs[1], KeyState.DESTROYED)
    image = psam.image()
    assert decode_image(image).sealing[0].ref == refs[0]
    assert Psam.from_image(image, vault).image() == image
    vault.move(refs[0], KeyState.DESTROYED)
    with pytest.raises(KeyServiceError, match="destroyed"):
        psam.image()


def test_an_image_with_a_right_check_sum_and_wrong_fields_is_refused(psam: Psam) -> None:
    body = psam.image()[:-16]
    wrong = {
        "other version": b"OCP4" + body[4:],
        "sealed by a key it has not": body[:49] + b"\xff" + body[50:],
        "one key too many": body[:44] + bytes((body[44] + 1,)) + body[45:],
        "number of no run": body[:37] + b"\x00\x00\x00\x01" + body[41:],
        "more tries than there are": body[:41] + b"\xff" + body[42:],
        "no such date": body[:28] + b"\x20\x18\x13\x01" + body[32:],
        "bytes behind it": body + b"\x00",
        "key of another use": body.replace(b"purchase/", b"load/xyz/"),
        "nonsense for a name": body.replace(b"purchase/", b"purchase\xff"),
    }
    for name, each in wrong.items():
        assert each != body, name
        with pytest.raises(DecodeError):
            Psam.from_image(sealed(each), VAULT)


@given(st.binary(max_size=120), st.integers(0, 200))
def test_any_bytes_are_an_image_or_a_decode_error(noise: bytes, kept: int) -> None:
    body = a_psam().image()[:-16]
    for each in (noise, sealed(b"OCP6" + noise), sealed(body[:kept] + noise)):
        try:
            image = decode_image(each)
        except DecodeError:
            continue
        assert image.body + image.sealed == each


def test_a_vault_without_the_psams_keys_or_with_others_does_not_wake_it(psam: Psam) -> None:
    image = psam.image()
    with pytest.raises(UnknownKeyError, match=r"/shenzhen-psam/v1: no version"):
        Psam.from_image(image, published_vault([PURCHASE._replace(label="x")]))
    poor = make_psam(PROFILE, published_vault([PURCHASE]))
    with pytest.raises(KeyServiceError, match="purchase/shenzhen/v1: the key held is not"):
        Psam.from_image(poor.image(), KeyVault({PURCHASE: bytes(16)}))


def test_no_key_byte_stands_in_the_image_or_in_any_text_of_the_psam(psam: Psam) -> None:
    send(psam, initialise())
    send(psam, "801A250108" + "00" * 8)
    for ref in VAULT.refs():
        key = VAULT.key(ref).value
        assert not shows(f"{psam!r} {psam} {psam._session!r} {psam.image().hex()}", key)


def held_keys(vault: KeyVault) -> set[str]:
    return {
        f"{key.slot.kind.name} {key.slot.number} {key.slot.ref}"
        for key in find_keys(LABEL, vault, FURTHER[:1])
    }


def test_a_new_psam_gets_the_keys_of_its_label_that_are_in_use() -> None:
    vault = published_vault(
        [
            PURCHASE,
            PURCHASE._replace(version=2),
            PURCHASE._replace(version=3),
            PURCHASE._replace(version=4),
            PURCHASE._replace(label="hangzhou"),
            KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 7),
            KeyRef(KeyUsage.LOAD, LABEL, 1),
            KeyRef(KeyUsage.TAC, LABEL, 1),
            OWN,
            OWN._replace(version=2),
            STK,
        ]
    )
    vault.move(PURCHASE._replace(version=2), KeyState.RETIRING)
    vault.move(PURCHASE._replace(version=3), KeyState.DESTROYED)
    prepared = PURCHASE._replace(version=5)
    vault.install(prepared, bytes(range(16)), state=KeyState.PREPARED)
    assert held_keys(vault) == {
        "PURCHASE 1 purchase/shenzhen/v1",
        "PURCHASE 2 purchase/shenzhen/v2",
        "PURCHASE 4 purchase/shenzhen/v4",
        "CARD_MAINTENANCE 7 file-maintenance/shenzhen/v7",
        "MAINTENANCE 2 file-maintenance/shenzhen-psam/v2",
        "MAC 1 file-maintenance/shenzhen-social/v1",
    }


def test_a_psam_is_not_made_without_a_purchase_key_or_with_a_key_that_is_not_there() -> None:
    with pytest.raises(UnknownKeyError, match="purchase/hangzhou"):
        make_psam(replace(PROFILE, key_label="hangzhou"), VAULT)
    unknown = KeySlot(PsamKeyType.MAC, 1, STK._replace(label="nowhere"))
    with pytest.raises(UnknownKeyError, match="file-maintenance/nowhere/v1"):
        make_psam(PROFILE, VAULT, [unknown])
    taken = KeySlot(PsamKeyType.CARD_MAINTENANCE, 1, STK)
    with pytest.raises(KeyServiceError, match="CARD_MAINTENANCE key 1 is taken"):
        make_psam(PROFILE, VAULT, [taken])
    vault = a_vault()
    vault.move(STK, KeyState.DESTROYED)
    with pytest.raises(KeyStateError, match="is destroyed and goes into no PSAM"):
        make_psam(PROFILE, vault, FURTHER)
    deep = published_vault([PURCHASE])
    deep.install(OWN, published_key(OWN), levels=2)
    with pytest.raises(KeyUsageError, match="levels from it to a card's key: 2"):
        make_psam(PROFILE, deep)


@pytest.mark.parametrize("kind", PsamKeyType)
@pytest.mark.parametrize("usage", KeyUsage)
def test_only_the_masters_of_a_key_type_can_stand_behind_it(
    kind: PsamKeyType, usage: KeyUsage
) -> None:
    allowed = {
        PsamKeyType.MASTER: "",
        PsamKeyType.MAINTENANCE: "file-maintenance",
        PsamKeyType.PURCHASE: "purchase",
        PsamKeyType.PIN_UNBLOCK: "pin-unblock",
        PsamKeyType.PIN_RELOAD: "pin-reload",
        PsamKeyType.CARD_MAINTENANCE: "file-maintenance",
        PsamKeyType.MAC: "file-maintenance record-mac",
        PsamKeyType.ENCIPHER: "internal-authentication external-authentication",
        PsamKeyType.MAC_AND_ENCIPHER: "file-maintenance",
        PsamKeyType.RECORD_MAC: "record-mac",
    }
    ref = KeyRef(usage, LABEL, 1)
    if usage in allowed[kind].split():
        assert KeySlot(kind, 1, ref).ref == ref
    else:
        with pytest.raises(KeyUsageError, match=kind.name):
            KeySlot(kind, 1, ref)


@pytest.mark.parametrize("number", [-1, 256])
def test_a_key_number_fits_one_byte(number: int) -> None:
    with pytest.raises(ValueError, match="does not fit one byte"):
        KeySlot(PsamKeyType.MAC, number, STK)
