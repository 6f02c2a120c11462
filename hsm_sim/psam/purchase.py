"""INIT_SAM_FOR_PURCHASE and CREDIT_SAM_FOR_PURCHASE: MAC1 for the card, MAC2 from it.

Decides MAC1 and MAC2 of a purchase and the sequence number under them (JR/T 0025, PSAM part).
Leaves money, dates and cards to the terminal. The composition of the MACs stands in
`cardcore.crypto.cryptograms`, shared with the card.
"""

import hmac
import struct
from dataclasses import replace
from typing import NamedTuple

from cardcore import digits
from cardcore.apdu import CommandApdu, StatusWord
from cardcore.crypto import cryptograms, suite_algorithm
from cardcore.records.kinds import TransactionType
from hsm_sim.keys.masters import FACTOR_BYTES, LEVELS_MAX
from hsm_sim.psam.commands import Attempt, Context, Decision, Handler, Numbers, Reply, fits
from hsm_sim.psam.image import MAC2_TRIES_MAX, SEQUENCES_RESERVED, Held
from hsm_sim.psam.keys import PsamKey, PsamKeyType
from hsm_sim.psam.profile import APPLICATION

SEQUENCE_MAX = 0xFFFF_FFFF
#: The last number that is given: the last run would not fit as a whole.
_SEQUENCE_LAST = SEQUENCE_MAX // SEQUENCES_RESERVED * SEQUENCES_RESERVED
_MAC_BYTES, _ANSWER_BYTES = 4, 8
_TYPES = frozenset({TransactionType.PURCHASE, TransactionType.COMPOSITE})
_TERMS = struct.Struct(">4sHIB7sBB")  # 20 bytes; 8 of the factor follow a level, the card's first


class _Terms(NamedTuple):
    """What INIT_SAM_FOR_PURCHASE says of the transaction, as card and terminal gave it."""

    random: bytes
    card_counter: int
    amount_fen: int
    transaction_type: int
    time: bytes
    key_version: int
    algorithm: int


def initialise(psam: Context, apdu: CommandApdu) -> Decision:
    """INIT_SAM_FOR_PURCHASE: a new sequence number and MAC1 under it.

    Refusals in order: 6A86, 6700, 6Cxx, 6985 wrong directory, 6A80 algorithm, type or no moment of
    the calendar, 9403 key version not held, 6A80 the key is of another algorithm, 9402 no number
    left, 6A88 other levels than the key's.
    """
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    levels, rest = divmod(len(apdu.data) - _TERMS.size, FACTOR_BYTES)
    if rest or not 1 <= levels <= LEVELS_MAX:
        return StatusWord.WRONG_LENGTH
    if not fits(apdu.le, _ANSWER_BYTES):
        return StatusWord.LE_WRONG + _ANSWER_BYTES
    if psam.session.directory != APPLICATION:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    terms = _Terms(*_TERMS.unpack_from(apdu.data))
    algorithm = suite_algorithm(terms.algorithm)
    is_known = algorithm is not None and terms.transaction_type in _TYPES
    if not is_known or not digits.is_time(terms.time):
        return StatusWord.DATA_WRONG
    key = psam.keys.get((PsamKeyType.PURCHASE, terms.key_version))
    if key is None:
        return StatusWord.PURSE_KEY_INDEX_WRONG
    if key.algorithm is not algorithm:
        return StatusWord.DATA_WRONG
    taken = next_number(psam)
    if taken is None:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    numbers, held = _of_type(taken[0], terms.transaction_type), taken[1]
    mac1, mac2 = _macs(psam, key, apdu.data[_TERMS.size :], numbers.last, terms)
    return Reply(
        numbers.last.to_bytes(4, "big") + mac1,
        session=replace(psam.session, expected_mac2=mac2),
        numbers=numbers,
        held=held,
    )


def credit(psam: Context, apdu: CommandApdu) -> Decision:
    """CREDIT_SAM_FOR_PURCHASE: the card proves that it was debited. One try a transaction, so a
    MAC2 cannot be guessed; and one of the tries whose last locks the application.

    Refusals in order: 6A86, 6700, 6985 no transaction, 9302 forged.
    """
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != _MAC_BYTES:
        return StatusWord.WRONG_LENGTH
    expected = psam.session.expected_mac2
    if expected is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    over = replace(psam.session, expected_mac2=None)

    def compare() -> Reply:
        if not hmac.compare_digest(expected, apdu.data):
            return Reply(sw=StatusWord.PURSE_MAC_WRONG, session=over)
        return Reply(session=over, held=replace(psam.held, mac2_tries=MAC2_TRIES_MAX))

    return Attempt(replace(psam.held, mac2_tries=psam.held.mac2_tries - 1), compare)


def next_number(psam: Context) -> tuple[Numbers, Held] | None:
    """The next sequence number as `last`, and what must be written before it is given; None when
    none is left.
    """
    numbers, held = psam.numbers, psam.held
    if numbers.last == _SEQUENCE_LAST:
        return None
    if numbers.last == held.reserved:
        held = replace(held, reserved=held.reserved + SEQUENCES_RESERVED)
    return replace(numbers, last=numbers.last + 1), held


def _of_type(numbers: Numbers, transaction_type: int) -> Numbers:
    if transaction_type == TransactionType.COMPOSITE:
        return replace(numbers, composite=numbers.last)
    return replace(numbers, purchase=numbers.last)


def _macs(
    psam: Context, key: PsamKey, factor: bytes, sequence: int, terms: _Terms
) -> tuple[bytes, bytes]:
    """MAC1 for the card, and the MAC2 that only this card can answer with."""
    handle = psam.masters.card_key(key.slot.ref, factor)
    session_input = cryptograms.purchase_session_input(terms.random, terms.card_counter, sequence)
    terminal = bytes.fromhex(psam.profile.terminal)
    mac1_message = cryptograms.purchase_mac1_message(
        terms.amount_fen, terms.transaction_type, terminal, terms.time
    )
    mac2_message = cryptograms.purchase_mac2_message(terms.amount_fen)
    return (
        handle.session_mac(session_input, mac1_message),
        handle.session_mac(session_input, mac2_message),
    )


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x80, 0x70): initialise,
    (0x80, 0x72): credit,
}
