"""DELIVERY KEY and CIPHER DATA: what a real card accepts, and what no key type may do."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardcore.apdu import CommandApdu, ResponseApdu, StatusWord
from cardcore.chip.cardkeys import CardKey
from cardcore.chip.messaging import decipher, take_off
from cardcore.crypto import SUITES, cryptograms, pboc_3des
from cardcore.keys import Algorithm, Key, KeyRef, KeyState, KeyUsage
from hsm_sim.psam import Psam, PsamKeyType
from hsm_sim.psam.cipher import MESSAGE_BYTES_MAX
from tests.hsm_sim.psam.psams import (
    FACTOR,
    ISSUER_FACTOR,
    LABEL,
    READ_KEY,
    STK,
    VAULT,
    a_psam,
    a_vault,
    card_key,
    initialise,
    send,
)

CHALLENGE = bytes.fromhex("A1B2C3D4")
INITIAL = CHALLENGE + bytes(4)
MAINTENANCE = KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 1)
REFS = {
    (3, 1): KeyRef(KeyUsage.PIN_UNBLOCK, LABEL, 1),
    (4, 1): KeyRef(KeyUsage.PIN_RELOAD, LABEL, 1),
    (4, 5): KeyRef(KeyUsage.PIN_RELOAD, LABEL, 5),
    (5, 1): MAINTENANCE,
    (6, 1): STK,
    (7, 10): READ_KEY,
    (7, 11): KeyRef(KeyUsage.EXTERNAL_AUTHENTICATION, READ_KEY.label, 5),
    (8, 1): STK,
    (8, 4): KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 4),
    (8, 5): KeyRef(KeyUsage.FILE_MAINTENANCE, LABEL, 5),
}


@pytest.fixture
def psam() -> Psam:
    return a_psam()


def deliver(kind: int, number: int = 1, factor: bytes = FACTOR) -> CommandApdu:
    return CommandApdu(0x80, 0x1A, kind | len(factor) // 8 << 5, number, factor)


def cipher(p1: int, data: bytes, le: int | None = None) -> CommandApdu:
    return CommandApdu(0x80, 0xFA, p1, 0, data, le)


def padded(message: bytes, block: int = 8) -> bytes:
    """As the terminal pads: 80, then zeros."""
    return message + b"\x80" + bytes(-(len(message) + 1) % block)


def card_key_of(ref: KeyRef, factor: bytes = FACTOR) -> CardKey:
    algorithm = VAULT.describe(ref).algorithm
    return CardKey(1, 1, algorithm, Key(ref.usage, card_key(ref, factor)))


@pytest.mark.parametrize("number", [1, 4, 5])
@pytest.mark.parametrize("factor", [FACTOR, FACTOR + ISSUER_FACTOR], ids=["1 level", "2 levels"])
def test_a_card_accepts_an_update_that_the_psam_has_protected(number: int, factor: bytes) -> None:
    """UPDATE BINARY of EF15, enciphered and with a MAC, under the card's challenge."""
    psam = a_psam(a_vault(len(factor) // 8))
    card = card_key_of(REFS[8, number], factor)
    block = card.suite.block_bytes
    assert send(psam, deliver(8, number, factor)).ok
    plain = bytes.fromhex("00112233445566778899")
    enciphered = send(psam, cipher(0, padded(bytes((len(plain),)) + plain, block))).data
    header = bytes((0x04, 0xD6, 0x95, 0x00, len(enciphered) + 4))
    answer = send(psam, cipher(5, INITIAL + padded(header + enciphered, block), 4))
    update = CommandApdu(0x04, 0xD6, 0x95, 0x00, enciphered + answer.data)
    assert take_off(update, card, CHALLENGE) == enciphered
    assert decipher(enciphered, card) == plain


def test_the_published_secure_messaging_mac_is_what_the_suite_makes(psam: Psam) -> None:
    """The MAC of a 16-byte key, block by block here: DES-CBC, then D(right), E(left)."""
    key, message = card_key(STK), bytes.fromhex("04D695000800112233")
    value = INITIAL
    for at in range(0, len(padded(message)), 8):
        block = padded(message)[at : at + 8]
        mixed = bytes(one ^ other for one, other in zip(block, value, strict=True))
        value = pboc_3des.encrypt_ecb(key[:8], mixed)
    value = pboc_3des.encrypt_ecb(key[:8], pboc_3des.decrypt_ecb(key[8:], value))
    assert send(psam, deliver(6)).ok
    assert send(psam, cipher(5, INITIAL + padded(message))).data == value[:4]


@pytest.mark.parametrize("number", [1, 5])
def test_a_card_accepts_a_pin_that_the_psam_has_reloaded(psam: Psam, number: int) -> None:
    """RELOAD PIN: the MAC under the folded key, no challenge, so an initial value of zeros."""
    ref, pin = REFS[4, number], bytes.fromhex("123456")
    card = card_key_of(ref)
    assert send(psam, deliver(4, number)).ok
    message = padded(pin, card.suite.block_bytes)
    expected = SUITES[VAULT.describe(ref).algorithm].tac(card.key.value, pin)
    assert send(psam, cipher(5, bytes(8) + message)).data == expected
    assert send(psam, cipher(5, INITIAL + message)).sw == StatusWord.DATA_WRONG


@pytest.mark.parametrize("number", [10, 11])
def test_the_answer_to_a_challenge_is_the_one_the_card_expects(psam: Psam, number: int) -> None:
    ref = REFS[7, number]
    suite = SUITES[VAULT.describe(ref).algorithm]
    challenges = bytes(range(16))
    assert send(psam, deliver(7, number)).ok
    expected = [suite.authenticate(card_key(ref), challenges[at : at + 8]) for at in (0, 8)]
    assert send(psam, cipher(0, challenges[:8], 8)).data == expected[0]
    assert send(psam, cipher(0, challenges)).data == b"".join(expected)
    assert send(psam, cipher(0, challenges[:4])).sw == StatusWord.WRONG_LENGTH


@given(st.data())
def test_a_mac_in_parts_is_the_mac_in_one(data: st.DataObject) -> None:
    psam = a_psam()
    kind, number = data.draw(st.sampled_from([(3, 1), (5, 1), (6, 1), (8, 4), (8, 5)]))
    block = SUITES[VAULT.describe(REFS[kind, number]).algorithm].block_bytes
    message = padded(data.draw(st.binary(min_size=0, max_size=200)), block)
    initial = data.draw(st.binary(min_size=8, max_size=8))
    assert send(psam, deliver(kind, number)).ok
    whole = send(psam, cipher(5, initial + message))
    cuts = data.draw(st.sets(st.sampled_from(range(block, len(message) + 1, block)), max_size=3))
    edges = sorted({0, *cuts, len(message)})
    parts = [message[a:b] for a, b in itertools.pairwise(edges)]
    if len(parts) == 1:
        return
    assert send(psam, cipher(7, initial + parts[0])) == ResponseApdu(b"", 0x9000)
    for part in parts[1:-1]:
        assert send(psam, cipher(3, part)) == ResponseApdu(b"", 0x9000)
    assert send(psam, cipher(1, parts[-1])) == whole
    assert len(whole.data) == 4


# Type, P1 of CIPHER DATA, what comes of it.
ALLOWED = """
3 00 9000
3 05 9000
4 00 6982
4 05 9000
5 00 9000
5 05 9000
6 00 6982
6 02 6982
6 05 9000
6 07 9000
7 00 9000
7 02 9000
7 05 6982
7 07 6982
8 00 9000
8 05 9000
"""


@pytest.mark.parametrize("line", ALLOWED.strip().splitlines())
def test_a_key_type_does_what_it_is_for_and_nothing_else(psam: Psam, line: str) -> None:
    kind, p1, status = (int(word, 16) for word in line.split())
    number = next(number for type_, number in REFS if type_ == kind)
    assert send(psam, deliver(kind, number)).ok
    data = (bytes(8) if p1 & 4 else b"") + padded(b"")
    assert send(psam, cipher(p1, data)).sw == status


def test_no_purchase_key_is_delivered_so_nobody_makes_a_session_key(psam: Psam) -> None:
    """The attack: have 80 FA encipher what 80 70 would, and sign MAC1 for any amount."""
    assert send(psam, deliver(PsamKeyType.PURCHASE)).sw == StatusWord.SECURITY_NOT_SATISFIED
    session_input = cryptograms.purchase_session_input(bytes(4), 1, 1)
    answer = send(psam, cipher(0, session_input))
    assert answer == ResponseApdu(b"", StatusWord.CONDITIONS_NOT_SATISFIED)


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize(("kind", "number"), REFS)
def test_no_key_is_delivered_from_another_level_than_the_cards(
    kind: int, number: int, levels: int
) -> None:
    """The attack: deliver the issuer's key and encipher a card's factor and its complement, which
    is how that card's key is made.
    """
    psam = a_psam(a_vault(levels))
    for depth in {1, 2, 3} - {levels}:
        answer = send(psam, deliver(kind, number, (ISSUER_FACTOR * 3)[: 8 * depth]))
        assert answer.sw == StatusWord.KEY_NOT_FOUND
    factor_and_complement = FACTOR + bytes(byte ^ 0xFF for byte in FACTOR)
    assert send(psam, cipher(0, factor_and_complement)).sw == StatusWord.CONDITIONS_NOT_SATISFIED
    assert send(psam, deliver(kind, number, (ISSUER_FACTOR * 3)[: 8 * levels])).ok


@dataclass(frozen=True)
class Refused:
    command: CommandApdu | str
    status: int
    before: tuple[CommandApdu | str, ...] = ()


REFUSED = {
    "no level": Refused("801A050100", StatusWord.P1P2_WRONG),
    "four levels": Refused(CommandApdu(0x80, 0x1A, 0x85, 1, bytes(32)), StatusWord.P1P2_WRONG),
    "factor missing": Refused(CommandApdu(0x80, 0x1A, 0x45, 1, FACTOR), StatusWord.WRONG_LENGTH),
    "in the MF": Refused(deliver(5), 0x6985, ("00A40000023F00",)),
    "master key": Refused(deliver(0), StatusWord.SECURITY_NOT_SATISFIED),
    "its own key": Refused(deliver(1), StatusWord.SECURITY_NOT_SATISFIED),
    "purchase key": Refused(deliver(2), StatusWord.SECURITY_NOT_SATISFIED),
    "no such type": Refused(deliver(0x19), StatusWord.KEY_NOT_FOUND),
    "no such number": Refused(deliver(5, 9), StatusWord.KEY_NOT_FOUND),
    "nothing delivered": Refused(cipher(0, bytes(8)), StatusWord.CONDITIONS_NOT_SATISFIED),
    "P2": Refused(CommandApdu(0x80, 0xFA, 0, 1, bytes(8)), StatusWord.P1P2_WRONG, (deliver(5),)),
    "P1 04": Refused(cipher(4, bytes(8)), StatusWord.P1P2_WRONG, (deliver(5),)),
    "P1 08": Refused(cipher(8, bytes(8)), StatusWord.P1P2_WRONG, (deliver(5),)),
    "no block": Refused("80FA000000", StatusWord.WRONG_LENGTH, (deliver(5),)),
    "half a block": Refused(cipher(0, bytes(12)), StatusWord.WRONG_LENGTH, (deliver(5),)),
    "half a block of SM4": Refused(cipher(0, bytes(8)), 0x6700, (deliver(8, 4),)),
    "Le of blocks": Refused(cipher(0, bytes(16), 8), 0x6C10, (deliver(5),)),
    "Le of a MAC": Refused(cipher(5, bytes(8) + padded(b""), 8), 0x6C04, (deliver(5),)),
    "initial value only": Refused(cipher(5, bytes(8)), StatusWord.WRONG_LENGTH, (deliver(5),)),
    "short initial value": Refused(cipher(5, bytes(4)), StatusWord.WRONG_LENGTH, (deliver(5),)),
    "nothing begun": Refused(cipher(1, padded(b"")), 0x6985, (deliver(5),)),
    "nothing begun to go on": Refused(cipher(3, padded(b"")), 0x6985, (deliver(5),)),
    "no padding": Refused(cipher(5, bytes(8) + b"12345678"), 0x6A80, (deliver(5),)),
    "padding of nine": Refused(cipher(5, bytes(15) + b"\x80" + bytes(8)), 0x6A80, (deliver(5),)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_every_refusal_has_its_word_and_changes_nothing(psam: Psam, case: Refused) -> None:
    for before in case.before:
        assert send(psam, before).ok
    session = psam._session
    assert send(psam, case.command) == ResponseApdu(b"", case.status)
    assert psam._session == session


# What is said between two parts of a MAC, and whether it goes on.
INTERRUPTIONS: dict[str, tuple[Callable[[Psam], object], int]] = {
    "nothing": (repr, 0x9000),
    "a file is read": (lambda psam: send(psam, "00B0960000"), 0x9000),
    "a refused command": (lambda psam: send(psam, cipher(3, bytes(7))), 0x9000),
    "a purchase": (lambda psam: send(psam, initialise()), 0x9000),
    "another message": (lambda psam: send(psam, cipher(5, bytes(8) + padded(b""))), 0x6985),
    "blocks enciphered": (lambda psam: send(psam, cipher(0, bytes(8))), 0x6985),
    "the same key again": (lambda psam: send(psam, deliver(5)), 0x6985),
    "another key": (lambda psam: send(psam, deliver(6)), 0x6985),
    "SELECT": (lambda psam: send(psam, "00A4000002DF01"), 0x6985),
    "a reset": (lambda psam: psam.reset(), 0x6985),
}


@pytest.mark.parametrize(("act", "status"), INTERRUPTIONS.values(), ids=INTERRUPTIONS)
def test_an_unfinished_mac_is_given_up_when_something_else_begins(
    psam: Psam, act: Callable[[Psam], object], status: int
) -> None:
    assert send(psam, deliver(5)).ok
    assert send(psam, cipher(7, INITIAL + bytes(8))).ok
    act(psam)
    assert send(psam, cipher(1, padded(b""))).sw == status


@pytest.mark.parametrize("act", ["SELECT", "a reset"])
def test_a_delivered_key_is_lost_with_the_session(psam: Psam, act: str) -> None:
    assert send(psam, deliver(5)).ok
    assert send(psam, cipher(0, bytes(8))).ok
    INTERRUPTIONS[act][0](psam)
    assert send(psam, cipher(0, bytes(8))).sw == StatusWord.CONDITIONS_NOT_SATISFIED


def test_a_refused_delivery_leaves_the_key_that_was_there(psam: Psam) -> None:
    assert send(psam, deliver(5)).ok
    first = send(psam, cipher(0, bytes(8)))
    assert not send(psam, deliver(2)).ok
    assert send(psam, cipher(0, bytes(8))) == first


def test_a_message_has_an_end(psam: Psam) -> None:
    assert send(psam, deliver(5)).ok
    assert send(psam, cipher(7, INITIAL + bytes(64))).ok
    for _ in range(MESSAGE_BYTES_MAX // 64 - 1):
        assert send(psam, cipher(3, bytes(64))).ok
    assert send(psam, cipher(3, bytes(8))).sw == StatusWord.NO_SPACE


def test_a_key_destroyed_after_delivery_serves_no_more() -> None:
    vault = a_vault()
    psam = a_psam(vault)
    assert send(psam, deliver(5)).ok
    vault.move(MAINTENANCE, KeyState.DESTROYED)
    for command in (cipher(0, bytes(8)), deliver(5)):
        assert send(psam, command).sw == StatusWord.KEY_NOT_FOUND


def test_the_algorithms_of_the_examples_are_the_ones_meant() -> None:
    kinds = {VAULT.describe(ref).algorithm for ref in REFS.values()}
    assert kinds == {Algorithm.PBOC_3DES, Algorithm.SM4, Algorithm.AES}
