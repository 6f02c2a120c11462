"""Forged cards lock the purchase application, and only the maintainer's MAC opens it again."""

import warnings
from dataclasses import replace

import pytest

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.errors import PowerLossError
from cardcore.keys import InsecureKeyServiceWarning
from hsm_sim.keys.in_process import InProcessKeyService
from hsm_sim.keys.published_keys import published_vault
from hsm_sim.psam import MAC2_TRIES_MAX, MAINTENANCE_TRIES_MAX, Psam, make_psam
from tests.hsm_sim.psam.psams import (
    OWN,
    PROFILE,
    PURCHASE,
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

SELECT_APPLICATION, SELECT_MAIN = "00A4000002DF01", "00A40000023F00"
LOCKED = StatusWord.FUNCTION_NOT_SUPPORTED
HEADER = bytes.fromhex("8418000004")


@pytest.fixture
def psam() -> Psam:
    return a_psam()


@pytest.fixture
def locked(psam: Psam) -> Psam:
    for _ in range(MAC2_TRIES_MAX):
        assert pay_with_forged_card(psam) == StatusWord.PURSE_MAC_WRONG
    return psam


def maintainer_mac(challenge: bytes) -> bytes:
    """What the operations side answers through the port of the key service."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyServiceWarning)
        keys = InProcessKeyService(VAULT)
    return keys.message_mac(OWN, bytes.fromhex(PROFILE.number)[-8:], challenge, HEADER)


def unblock(psam: Psam, *, wrong: int = 0, challenge_bytes: int = 8) -> int:
    challenge = send(psam, f"00840000{challenge_bytes:02X}").data
    assert len(challenge) == challenge_bytes
    mac = maintainer_mac(challenge)
    return send(psam, CommandApdu(0x84, 0x18, 0, 0, bytes((mac[0] ^ wrong,)) + mac[1:])).sw


def test_so_many_forged_cards_in_a_row_lock_the_application(psam: Psam) -> None:
    for _ in range(MAC2_TRIES_MAX - 1):
        assert pay_with_forged_card(psam) == StatusWord.PURSE_MAC_WRONG
    pay(psam)  # an honest card takes them all back
    for _ in range(MAC2_TRIES_MAX):
        assert pay_with_forged_card(psam) == StatusWord.PURSE_MAC_WRONG
    assert send(psam, initialise()) == ResponseApdu(b"", LOCKED)


LOCKED_ANSWERS = """
80700000                     6A81
80720000040011223344         6A81
801A2501080000000000000000   6A81
80FA0000080000000000000000   6A81
00B0960000                   6A81
80CA0000                     6A81
00A4000002DF01               6283
00A40000021234               6A82
0084000008                   9000
84180000040011223344         6984
00A40000023F00               9000
"""


@pytest.mark.parametrize("line", LOCKED_ANSWERS.strip().splitlines(), ids=lambda line: line[:14])
def test_a_locked_application_lets_nothing_through_but_the_way_out(locked: Psam, line: str) -> None:
    command, status = line.split()
    assert f"{send(locked, command).sw:04X}" == status


def test_who_a_locked_psam_is_can_still_be_read_in_its_main_directory(locked: Psam) -> None:
    assert send(locked, SELECT_MAIN).ok
    assert len(send(locked, "00B0950000").data) == 14
    assert len(send(locked, "00B0960000").data) == 6
    assert send(locked, initialise()).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_the_lock_outlives_reset_select_and_power(locked: Psam) -> None:
    locked.reset()
    assert send(locked, initialise()).sw == LOCKED
    assert send(locked, SELECT_APPLICATION).sw == StatusWord.FILE_INVALIDATED
    again = Psam.from_image(locked.image(), VAULT)
    assert send(again, initialise()).sw == LOCKED
    assert unblock(again) == StatusWord.OK
    pay(again)


@pytest.mark.parametrize("challenge_bytes", [4, 8])
def test_the_maintainer_unlocks_it_and_every_try_is_back(
    locked: Psam, challenge_bytes: int
) -> None:
    before = locked.generation
    assert unblock(locked, challenge_bytes=challenge_bytes) == StatusWord.OK
    assert locked.generation == before + 1
    for _ in range(MAC2_TRIES_MAX - 1):
        assert pay_with_forged_card(locked) == StatusWord.PURSE_MAC_WRONG
    pay(locked)


def test_a_purchase_begun_before_the_lock_is_not_finished_after_it(psam: Psam) -> None:
    for _ in range(MAC2_TRIES_MAX - 1):
        pay_with_forged_card(psam)
    sequence = sequence_of(send(psam, initialise()))
    assert send(psam, credit(bytes(4))).sw == StatusWord.PURSE_MAC_WRONG
    assert unblock(psam) == StatusWord.OK
    assert send(psam, credit(card_mac2(sequence))).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_a_wrong_mac_unlocks_nothing_and_its_tries_run_out_for_good(locked: Psam) -> None:
    for _ in range(MAINTENANCE_TRIES_MAX):
        assert unblock(locked, wrong=1) == StatusWord.MAC_WRONG
        locked = Psam.from_image(locked.image(), VAULT)
    assert unblock(locked) == StatusWord.AUTHENTICATION_BLOCKED
    assert send(locked, initialise()).sw == LOCKED


def test_a_right_mac_gives_the_maintainers_tries_back(locked: Psam) -> None:
    for _ in range(2):
        for _ in range(MAINTENANCE_TRIES_MAX - 1):
            assert unblock(locked, wrong=1) == StatusWord.MAC_WRONG
        assert unblock(locked) == StatusWord.OK
        for _ in range(MAC2_TRIES_MAX):
            pay_with_forged_card(locked)


def test_a_challenge_is_good_for_one_attempt_and_for_no_other_session(locked: Psam) -> None:
    mac = maintainer_mac(send(locked, "0084000008").data)
    locked.reset()
    replayed = CommandApdu(0x84, 0x18, 0, 0, mac)
    assert send(locked, replayed).sw == StatusWord.NO_CHALLENGE
    assert unblock(locked, wrong=1) == StatusWord.MAC_WRONG
    assert send(locked, replayed).sw == StatusWord.NO_CHALLENGE
    send(locked, "0084000008")
    assert send(locked, replayed).sw == StatusWord.MAC_WRONG


REFUSED = {
    "other P1": ("84180100040011223344", StatusWord.P1P2_WRONG),
    "no MAC": ("84180000", StatusWord.WRONG_LENGTH),
    "long MAC": ("8418000008" + "00" * 8, StatusWord.WRONG_LENGTH),
    "challenge with P2": ("0084000108", StatusWord.P1P2_WRONG),
    "challenge with data": ("0084000001AA", StatusWord.WRONG_LENGTH),
    "challenge of 16": ("0084000010", 0x6C08),
}


@pytest.mark.parametrize(("command", "status"), REFUSED.values(), ids=REFUSED)
def test_a_malformed_command_of_the_maintainer_costs_no_try(
    locked: Psam, command: str, status: int
) -> None:
    send(locked, "0084000008")
    image = locked.image()
    assert send(locked, command) == ResponseApdu(b"", status)
    assert locked.image() == image


def test_a_psam_that_is_not_locked_is_not_unlocked(psam: Psam) -> None:
    assert unblock(psam) == StatusWord.CONDITIONS_NOT_SATISFIED
    assert send(psam, SELECT_MAIN).ok
    assert unblock(psam) == StatusWord.CONDITIONS_NOT_SATISFIED


def test_a_psam_without_a_maintenance_key_stays_locked() -> None:
    psam = make_psam(PROFILE, published_vault([PURCHASE]))
    while send(psam, initialise()).ok:
        send(psam, credit(bytes(4)))
    assert unblock(psam) == StatusWord.KEY_NOT_FOUND


def test_another_psams_mac_does_not_unlock_this_one() -> None:
    other = make_psam(replace(PROFILE, number="00000000040900010002"), VAULT)
    while send(other, initialise()).ok:
        send(other, credit(bytes(4)))
    challenge = send(other, "0084000008").data
    mac = maintainer_mac(challenge)  # made for the number of the first PSAM
    assert send(other, CommandApdu(0x84, 0x18, 0, 0, mac)).sw == StatusWord.MAC_WRONG


@pytest.mark.parametrize("question", [0, 1])
def test_a_try_is_written_before_the_mac_is_compared(psam: Psam, question: int) -> None:
    """Cutting the power as soon as a wrong MAC shows gains no try: it is spent by then."""
    asked = 0

    def power() -> None:
        nonlocal asked
        asked += 1
        if asked > question:
            raise PowerLossError("no power at a write")

    def left(of: Psam) -> int:
        return of._held.mac2_tries

    sequence = sequence_of(send(psam, initialise()))
    psam.power = power
    with pytest.raises(PowerLossError):
        send(psam, credit(card_mac2(sequence)))
    assert left(Psam.from_image(psam.image(), VAULT)) == MAC2_TRIES_MAX - question


def test_a_right_mac2_gives_the_try_back_in_a_write_of_its_own(psam: Psam) -> None:
    writes = 0

    def power() -> None:
        nonlocal writes
        writes += 1

    sequence = sequence_of(send(psam, initialise()))
    psam.power = power
    assert send(psam, credit(card_mac2(sequence))).ok
    assert writes == 4  # before and after spending, before and after giving back
