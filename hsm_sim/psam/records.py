"""RECORD MAC and TAKE SEQUENCE: what a record needs of the PSAM beside the money in it.

Decides what the PSAM signs of a record and how an event without a purse gets its number. Both
commands are ours; no PSAM of the field knows them. Leaves which bytes the digest covers to
`cardcore.records`, and the formula to the suite behind the key.

The key of RECORD MAC is diversified by this PSAM's own number and by nothing that comes from
outside. It is not delivered, and no other command uses it: so what one PSAM signed no other could
have signed, whatever its terminal asks of it. A locked PSAM still signs, because the records of
the taps before the lock may be waiting for it; it gives no number any more.
"""

from cardcore.apdu import CommandApdu, StatusWord
from hsm_sim.psam.commands import Context, Decision, Handler, Reply, fits
from hsm_sim.psam.keys import PsamKeyType
from hsm_sim.psam.profile import APPLICATION
from hsm_sim.psam.purchase import next_number

DIGEST_BYTES = 16
_SEQUENCE_BYTES = 4


def record_mac(psam: Context, apdu: CommandApdu) -> Decision:
    """RECORD MAC: the MAC over the digest of a record, 8 bytes of triple DES, 16 of SM4 and AES.
    Without data: which algorithm and version that key has, a byte each.

    Refusals in order: 6A86, 6700 no digest, 6985 wrong directory, 6A88 no such key in this PSAM,
    6Cxx.
    """
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) not in (0, DIGEST_BYTES):
        return StatusWord.WRONG_LENGTH
    if psam.session.directory != APPLICATION:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    held = (key for key in psam.keys.values() if key.slot.kind is PsamKeyType.RECORD_MAC)
    key = max(held, key=lambda each: each.slot.number, default=None)
    if key is None:
        return StatusWord.KEY_NOT_FOUND
    if apdu.data:
        answer = psam.masters.card_key(key.slot.ref, psam.profile.factor).record_mac(apdu.data)
    else:
        answer = bytes((key.algorithm, key.slot.number))
    if not fits(apdu.le, len(answer)):
        return StatusWord.LE_WRONG + len(answer)
    return Reply(answer)


def take_sequence(psam: Context, apdu: CommandApdu) -> Decision:
    """TAKE SEQUENCE: the next number, for an event in which no purse moves. An open transaction
    stays open. EF18 and EF19 do not show it.

    Refusals in order: 6A86, 6700, 6Cxx, 6985 wrong directory, 9402 no number left.
    """
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    if not fits(apdu.le, _SEQUENCE_BYTES):
        return StatusWord.LE_WRONG + _SEQUENCE_BYTES
    if psam.session.directory != APPLICATION:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    taken = next_number(psam)
    if taken is None:
        return StatusWord.COUNTER_OR_AMOUNT_LIMIT
    numbers, held = taken
    return Reply(numbers.last.to_bytes(_SEQUENCE_BYTES, "big"), numbers=numbers, held=held)


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x80, 0x7C): record_mac,
    (0x80, 0x7E): take_sequence,
}
