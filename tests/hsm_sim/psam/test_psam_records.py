"""RECORD MAC and TAKE SEQUENCE: what one PSAM signs no other could have, and no number comes twice.

The last part is the profile `pboc`, which is weaker: its weakness is a test.
"""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.crypto import SUITES
from cardcore.errors import KeyServiceUnavailableError, PowerLossError
from cardcore.keys import Algorithm, KeyRef, KeyState, KeyUsage
from hsm_sim.keys.masters import CardKeyHandle
from hsm_sim.keys.published_keys import published_key, published_vault
from hsm_sim.keys.vault import KeyVault
from hsm_sim.psam import (
    MAC2_TRIES_MAX,
    SEQUENCES_RESERVED,
    KeySlot,
    Psam,
    PsamKeyType,
    make_psam,
    renew_psam,
)
from tests.hsm_sim.psam.psams import (
    FACTOR,
    FURTHER,
    LABEL,
    PROFILE,
    PURCHASE,
    STK,
    VAULT,
    a_psam,
    card_mac2,
    credit,
    initialise,
    pay,
    pay_with_forged_card,
    send,
    sequence_of,
)
from tests.hsm_sim.psam.t0 import T0Chip

DIGEST = bytes(range(16))
OTHER = replace(PROFILE, number="00000000040900010002", terminal="040900010002")
TAKE, ASK = "807E000004", "807C000002"
KEY = KeyRef(KeyUsage.RECORD_MAC, LABEL, 7)
SUITE_ALGORITHMS = [Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES]


def record_mac(digest: bytes = DIGEST, le: int | None = None) -> CommandApdu:
    return CommandApdu(0x80, 0x7C, 0, 0, digest, le)


def a_vault(algorithm: Algorithm) -> KeyVault:
    """The record MAC key of that suite beside a purchase key."""
    vault = published_vault([PURCHASE])
    vault.install(KEY, published_key(KEY), algorithm)
    return vault


def expected(algorithm: Algorithm, number: str, digest: bytes = DIGEST) -> bytes:
    """From the number, all 20 digits of it in 10 bytes of which the last 8 count."""
    suite = SUITES[algorithm]
    return suite.record_mac(suite.diversify(published_key(KEY), bytes.fromhex(number)[-8:]), digest)


@pytest.mark.parametrize("algorithm", SUITE_ALGORITHMS)
def test_the_mac_stands_under_the_key_of_the_psams_own_number(algorithm: Algorithm) -> None:
    psam, other = (make_psam(each, a_vault(algorithm)) for each in (PROFILE, OTHER))
    answer = send(psam, record_mac())
    assert answer == ResponseApdu(expected(algorithm, PROFILE.number), StatusWord.OK)
    assert len(answer.data) == (8 if algorithm is Algorithm.PBOC_3DES else 16)
    assert send(psam, record_mac(le=len(answer.data))) == answer
    assert send(psam, record_mac(le=4)) == ResponseApdu(b"", 0x6C00 + len(answer.data))
    assert send(other, record_mac()).data == expected(algorithm, OTHER.number) != answer.data


@pytest.mark.parametrize("algorithm", SUITE_ALGORITHMS)
def test_a_terminal_can_read_algorithm_and_version_of_the_key(algorithm: Algorithm) -> None:
    psam = make_psam(PROFILE, a_vault(algorithm))
    for command in (ASK, "807C0000", "807C000000"):
        assert send(psam, command) == ResponseApdu(bytes((algorithm, 7)), StatusWord.OK)
    assert send(psam, "807C000003").sw == 0x6C02


def test_a_psam_signs_records_under_the_newest_version_of_whatever_suite() -> None:
    vault = a_vault(Algorithm.PBOC_3DES)
    newer = KEY._replace(version=9)
    vault.install(newer, published_key(newer), Algorithm.AES)
    psam = make_psam(PROFILE, vault)
    assert send(psam, ASK).data == bytes((Algorithm.AES, 9))
    vault.move(newer, KeyState.DESTROYED)
    assert send(psam, record_mac()) == ResponseApdu(b"", StatusWord.KEY_NOT_FOUND)
    assert send(renew_psam(psam.image(), vault), ASK).data == bytes((Algorithm.PBOC_3DES, 7))


def test_a_psam_of_before_gets_its_record_mac_key_in_the_depot() -> None:
    vault = published_vault([PURCHASE])
    psam = make_psam(PROFILE, vault)
    vault.install(KEY, published_key(KEY))
    assert send(psam, record_mac()).sw == StatusWord.KEY_NOT_FOUND
    pay(psam)
    renewed = renew_psam(psam.image(), vault)
    assert send(renewed, record_mac()).data == expected(Algorithm.PBOC_3DES, PROFILE.number)
    assert sequence_of(send(renewed, TAKE)) == SEQUENCES_RESERVED + 1


REFUSED = {
    "other P1": ("807C010010" + "00" * 16, StatusWord.P1P2_WRONG),
    "other P2": ("807C000110" + "00" * 16, StatusWord.P1P2_WRONG),
    "half a digest": ("807C000008" + "00" * 8, StatusWord.WRONG_LENGTH),
    "a factor before it": ("807C000018" + "00" * 24, StatusWord.WRONG_LENGTH),
    "a whole SHA-256": ("807C000020" + "00" * 32, StatusWord.WRONG_LENGTH),
    "sequence, other P2": ("807E000104", StatusWord.P1P2_WRONG),
    "sequence with data": ("807E000001AA", StatusWord.WRONG_LENGTH),
    "sequence of 8": ("807E000008", 0x6C04),
    "other class": ("007C000010" + "00" * 16, StatusWord.INS_NOT_SUPPORTED),
}


@pytest.mark.parametrize(("command", "status"), REFUSED.values(), ids=REFUSED)
def test_a_refused_command_gives_no_number_and_changes_nothing(command: str, status: int) -> None:
    psam = a_psam()
    sequence = sequence_of(send(psam, TAKE))
    image = psam.image()
    assert send(psam, command) == ResponseApdu(b"", status)
    assert psam.image() == image
    assert sequence_of(send(psam, TAKE)) == sequence + 1


def test_in_the_main_directory_there_is_neither() -> None:
    psam = a_psam()
    assert send(psam, "00A40000023F00").ok
    for command in (record_mac(), ASK, TAKE):
        assert send(psam, command).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_neither_command_disturbs_an_open_transaction_or_a_delivered_key() -> None:
    psam = a_psam()
    assert send(psam, CommandApdu(0x80, 0x1A, 0x26, 1, FACTOR)).ok
    assert send(psam, CommandApdu(0x80, 0xFA, 7, 0, bytes(16))).ok
    sequence = sequence_of(send(psam, initialise()))
    image, generation = psam.image(), psam.generation
    assert send(psam, record_mac()).ok
    assert send(psam, ASK).ok
    assert (psam.image(), psam.generation) == (image, generation)
    assert sequence_of(send(psam, TAKE)) == sequence + 1
    assert send(psam, CommandApdu(0x80, 0xFA, 1, 0, bytes(7) + b"\x80")).ok
    assert send(psam, credit(card_mac2(sequence))).ok


def test_taken_numbers_and_those_of_purchases_are_one_row() -> None:
    psam = a_psam()
    given = []
    for turn in range(3 * SEQUENCES_RESERVED):
        given.append(sequence_of(send(psam, TAKE if turn % 3 else initialise())))
        assert psam.generation == 1 + turn // SEQUENCES_RESERVED
    assert given == list(range(1, 3 * SEQUENCES_RESERVED + 1))
    # The files of the standard tell of purchases only.
    shown = [sequence_of(send(psam, f"00B0{file}0004")) for file in (98, 99)]
    assert shown == [0, 190]


@pytest.mark.parametrize("question", [0, 1], ids=["before the write", "after it"])
def test_power_lost_while_a_number_is_taken_never_brings_one_twice(question: int) -> None:
    psam = a_psam()
    given = [sequence_of(send(psam, TAKE)) for _ in range(SEQUENCES_RESERVED)]
    left = [question]

    def power() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise PowerLossError("no power at a write")

    psam.power = power
    with pytest.raises(PowerLossError):
        send(psam, TAKE)
    psam.power = None
    for awake in (psam, Psam.from_image(psam.image(), VAULT)):
        assert sequence_of(send(awake, TAKE)) > given[-1]


def test_a_locked_psam_signs_what_is_waiting_and_gives_no_number() -> None:
    psam = a_psam()
    for _ in range(MAC2_TRIES_MAX):
        pay_with_forged_card(psam)
    assert send(psam, initialise()).sw == StatusWord.FUNCTION_NOT_SUPPORTED
    assert send(psam, TAKE).sw == StatusWord.FUNCTION_NOT_SUPPORTED
    assert send(psam, record_mac()) == send(a_psam(), record_mac())


def test_over_t0_the_mac_is_fetched() -> None:
    chip, psam = T0Chip(make_psam(PROFILE, a_vault(Algorithm.AES))), a_psam()
    assert chip.transmit(record_mac().encode()).hex() == "6110"
    mac = chip.transmit(bytes.fromhex("00C0000010"))
    assert mac == expected(Algorithm.AES, PROFILE.number) + b"\x90\x00"
    assert T0Chip(psam).transmit(bytes.fromhex("807C000000")).hex() == "6c02"
    assert T0Chip(psam).transmit(bytes.fromhex(TAKE)).hex() == "000000019000"


class _Silent(KeyVault):
    """A key service that has stopped answering."""

    def card_key(self, ref: KeyRef, factor: bytes) -> CardKeyHandle:
        raise KeyServiceUnavailableError(f"{ref} {len(factor)}: no answer")


def test_while_the_key_service_is_silent_nothing_is_signed() -> None:
    psam = make_psam(PROFILE, _Silent({ref: VAULT.key(ref).value for ref in (PURCHASE, KEY_1)}))
    assert send(psam, record_mac()) == ResponseApdu(b"", StatusWord.EXECUTION_ERROR)
    assert send(psam, ASK).ok  # no key is needed to say which one it is


KEY_1 = KeyRef(KeyUsage.RECORD_MAC, LABEL, 1)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("number", [1, 2, 7])
def test_the_fixed_key_is_not_delivered(levels: int, number: int) -> None:
    psam = a_psam()
    command = CommandApdu(0x80, 0x1A, 9 | levels << 5, number, FACTOR * levels)
    assert send(psam, command).sw == StatusWord.SECURITY_NOT_SATISFIED
    assert send(psam, CommandApdu(0x80, 0xFA, 5, 0, bytes(16))).sw == 0x6985


@given(
    kind=st.integers(0, 31),
    number=st.integers(0, 255),
    p1=st.sampled_from([0, 1, 2, 3, 5, 7]),
    block=st.sampled_from([8, 16]),
)
def test_no_delivered_key_of_a_fixed_psam_makes_another_psams_mac(
    kind: int, number: int, p1: int, block: int
) -> None:
    """The other's factor, through every type and number there is, over the digest as padded."""
    psam, other = a_psam(), make_psam(OTHER, VAULT, FURTHER)
    theirs = send(other, record_mac()).data
    send(psam, CommandApdu(0x80, 0x1A, kind | 1 << 5, number, OTHER.factor))
    message = DIGEST + (b"\x80".ljust(block, b"\x00"))
    answer = send(psam, CommandApdu(0x80, 0xFA, p1, 0, bytes(8) + message))
    assert theirs[:4] not in answer.data
    assert send(psam, record_mac()).data != theirs


def a_pboc_psam(algorithm: Algorithm = Algorithm.PBOC_3DES, slot: int = 7) -> Psam:
    """One that behaves as those of the field: no type 9, the key among the delivered ones."""
    further = [KeySlot(PsamKeyType.MAC, slot, KEY)]
    return make_psam(PROFILE, a_vault(algorithm), further)


def pboc_mac(psam: Psam, factor: bytes, block: int, digest: bytes = DIGEST) -> ResponseApdu:
    assert send(psam, CommandApdu(0x80, 0x1A, 0x26, 7, factor)).ok
    padded = digest + b"\x80".ljust(block, b"\x00")
    return send(psam, CommandApdu(0x80, 0xFA, 5, 0, bytes(8) + padded, 4))


@pytest.mark.parametrize("algorithm", SUITE_ALGORITHMS)
def test_the_pboc_profile_makes_four_bytes_by_the_commands_of_the_field(
    algorithm: Algorithm,
) -> None:
    suite = SUITES[algorithm]
    psam = a_pboc_psam(algorithm)
    assert send(psam, record_mac()).sw == StatusWord.KEY_NOT_FOUND
    own = suite.diversify(published_key(KEY), PROFILE.factor)
    answer = pboc_mac(psam, PROFILE.factor, suite.block_bytes)
    assert answer.data == suite.message_mac(own, bytes(8), DIGEST)
    if algorithm is Algorithm.PBOC_3DES:
        assert suite.record_mac(own, DIGEST).startswith(answer.data)


def test_a_pboc_psam_can_make_another_psams_mac_which_is_why_it_is_marked_weaker() -> None:
    forged = pboc_mac(a_pboc_psam(), OTHER.factor, 8).data
    assert forged == expected(Algorithm.PBOC_3DES, OTHER.number)[:4]


@pytest.mark.parametrize("kind", [PsamKeyType.CARD_MAINTENANCE, PsamKeyType.MAC_AND_ENCIPHER])
def test_the_record_mac_key_never_enciphers(kind: PsamKeyType) -> None:
    """With that, what it makes of a number and its complement would be the key of that number."""
    with pytest.raises(Exception, match=f"cannot be a PSAM's {kind.name} key"):
        KeySlot(kind, 7, KEY)
    psam = a_pboc_psam()
    assert send(psam, CommandApdu(0x80, 0x1A, 0x26, 7, OTHER.factor)).ok
    refused = send(psam, CommandApdu(0x80, 0xFA, 0, 0, bytes(16)))
    assert refused.sw == StatusWord.SECURITY_NOT_SATISFIED


def test_a_pboc_psam_stays_one_when_its_keys_are_renewed() -> None:
    vault = a_vault(Algorithm.PBOC_3DES)
    psam = make_psam(PROFILE, vault, [KeySlot(PsamKeyType.MAC, 7, KEY)])
    newer = KEY._replace(version=8)
    vault.install(newer, published_key(newer))
    renewed = renew_psam(psam.image(), vault)
    assert send(renewed, ASK).sw == StatusWord.KEY_NOT_FOUND
    assert pboc_mac(renewed, PROFILE.factor, 8).ok
    assert renewed.image() == psam.image()


def test_the_usual_psam_has_the_fixed_key_and_no_delivered_one() -> None:
    psam = a_psam()
    assert send(psam, ASK).data == bytes((Algorithm.PBOC_3DES, 2))
    assert STK in {slot.ref for slot in FURTHER}  # type 6 number 1 is a key of cards
    for number in range(256):
        answer = send(psam, CommandApdu(0x80, 0x1A, 0x26, number, PROFILE.factor))
        assert answer.ok == (number == 1)
