"""DELIVERY KEY and CIPHER DATA (通用 DES 计算): a card's key, made for the terminal's own use.

Decides which key is delivered and what is computed under it. Leaves the formulas to the suite
behind the key: what comes out is what the card expects in secure messaging and authentication.

DELIVERY KEY names type, levels and number, and brings the factors, the card's first, then the
issuer's: the order of 80 70. Public programs agree: QR gates send the user, then the city; a
bus validator calls the first factor the second level, the city's the first. The key stays until
another is delivered, or until SELECT or a reset.

How many levels there are is the master's own and no choice of the terminal's: under a key one level
too high, what CIPHER DATA makes of a card's factor and its complement is the card's key.

CIPHER DATA enciphers whole blocks (P1 00, or 02 with more to come), or makes a MAC: P1 05 in one
command, 07, 03…, 01 in several. Bit 2 says that 8 bytes of initial value come first, the
challenge filled with zeros. The terminal pads the message, 80 and zeros to whole blocks, as it
does for the PSAMs in the field; a message without that padding is 6A80. Under a triple DES key
of 16 bytes the MAC is that of ISO 9797-1 algorithm 3, under the folded PIN reload key, which has
8 bytes, plain CBC with an initial value of zeros (RELOAD PIN has no challenge); under SM4 and AES
it is CMAC, the padding of the terminal taken off. It has 4 bytes.
"""

from dataclasses import replace

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.crypto import SUITES
from hsm_sim.keys.masters import FACTOR_BYTES, LEVELS_MAX
from hsm_sim.psam.commands import Chain, Context, Decision, Delivered, Handler, Reply, fits
from hsm_sim.psam.keys import (
    AUTHENTICATION_USAGES,
    OPERATIONS,
    Operation,
    PsamKeyType,
)
from hsm_sim.psam.profile import APPLICATION

#: A message under one MAC. Ours: a command has 261 bytes at most, so several fit.
MESSAGE_BYTES_MAX = 1024
_TYPE_BITS = 0x1F
_MAC, _MORE, _INITIAL = 0x01, 0x02, 0x04
_STEPS = frozenset({0x00, _MORE, _MAC, _MAC | _MORE, _MAC | _INITIAL, _MAC | _MORE | _INITIAL})
_INITIAL_BYTES = 8
_CHALLENGE_BYTES = 8
_MAC_BYTES = 4
_TYPES = frozenset(PsamKeyType)


def deliver_key(psam: Context, apdu: CommandApdu) -> Decision:
    """DELIVERY KEY. Refusals in order: 6A86 levels, 6700, 6985 wrong directory, 6982 the type is
    not delivered, 6A88 no such key, or none at that level.
    """
    levels, kind = apdu.p1 >> 5, apdu.p1 & _TYPE_BITS
    if not 1 <= levels <= LEVELS_MAX:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != levels * FACTOR_BYTES:
        return StatusWord.WRONG_LENGTH
    if psam.session.directory != APPLICATION:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    if kind in _TYPES and PsamKeyType(kind) not in OPERATIONS:
        return StatusWord.SECURITY_NOT_SATISFIED
    key = psam.keys.get((PsamKeyType(kind), apdu.p2)) if kind in _TYPES else None
    if key is None:
        return StatusWord.KEY_NOT_FOUND
    # Refused here when its master stands at another level, or is destroyed by now.
    psam.masters.card_key(key.slot.ref, apdu.data)
    return Reply(session=replace(psam.session, delivered=Delivered(key, apdu.data)))


def cipher_data(psam: Context, apdu: CommandApdu) -> Decision:
    """CIPHER DATA. Refusals in order: 6A86, 6985 no key delivered, 6982 the type may not do this;
    then those of `_encipher` and `_mac`.
    """
    if apdu.p2 or apdu.p1 not in _STEPS:
        return StatusWord.P1P2_WRONG
    delivered = psam.session.delivered
    if delivered is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    operation = Operation.MAC if apdu.p1 & _MAC else Operation.ENCIPHER
    if operation not in OPERATIONS[delivered.key.slot.kind]:
        return StatusWord.SECURITY_NOT_SATISFIED
    if operation is Operation.MAC:
        return _mac(psam, apdu, delivered)
    return _encipher(psam, apdu, delivered)


def _encipher(psam: Context, apdu: CommandApdu, delivered: Delivered) -> Decision:
    """Whole blocks; under an authentication key whole challenges of 8 bytes, each answered as the
    card does. An unfinished MAC is given up. Refusals in order: 6700, 6Cxx.
    """
    is_answer = delivered.key.slot.ref.usage in AUTHENTICATION_USAGES
    unit = _CHALLENGE_BYTES if is_answer else SUITES[delivered.key.algorithm].block_bytes
    data = apdu.data
    if not data or len(data) % unit:
        return StatusWord.WRONG_LENGTH
    if not fits(apdu.le, len(data)):
        return StatusWord.LE_WRONG + len(data)
    handle = psam.masters.card_key(delivered.key.slot.ref, delivered.factor)
    if is_answer:
        challenges = (data[at : at + unit] for at in range(0, len(data), unit))
        done = b"".join(handle.authenticate(challenge) for challenge in challenges)
    else:
        done = handle.encipher(data)
    return Reply(done, session=replace(psam.session, delivered=replace(delivered, chain=None)))


def _mac(psam: Context, apdu: CommandApdu, delivered: Delivered) -> Decision:
    """The next part of a message, or its MAC. Refusals in order: 6700, 6985 nothing was begun,
    6A84 too long, 6Cxx, 6A80 no padding, or an initial value for a key that has none.
    """
    chain, message = delivered.chain, apdu.data
    if apdu.p1 & _INITIAL:
        chain, message = Chain(message[:_INITIAL_BYTES], b""), message[_INITIAL_BYTES:]
    block = SUITES[delivered.key.algorithm].block_bytes
    if not message or len(message) % block:
        return StatusWord.WRONG_LENGTH
    if chain is None:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    chain = replace(chain, message=chain.message + message)
    if len(chain.message) > MESSAGE_BYTES_MAX:
        return StatusWord.NO_SPACE
    if apdu.p1 & _MORE:
        following = replace(delivered, chain=chain)
        return Reply(session=replace(psam.session, delivered=following))
    if not fits(apdu.le, _MAC_BYTES):
        return StatusWord.LE_WRONG + _MAC_BYTES
    plain = unpadded(chain.message, block)
    folds = delivered.key.slot.kind is PsamKeyType.PIN_RELOAD
    if plain is None or (folds and any(chain.initial)):
        return StatusWord.DATA_WRONG
    handle = psam.masters.card_key(delivered.key.slot.ref, delivered.factor)
    if folds:
        mac = SUITES[delivered.key.algorithm].tac(handle.value(), plain)
    else:
        mac = handle.message_mac(chain.initial, plain)
    return Reply(mac, session=replace(psam.session, delivered=replace(delivered, chain=None)))


def unpadded(message: bytes, block: int) -> bytes | None:
    """The message before it was padded with 80 and zeros (ISO/IEC 9797-1, method 2), or None.

    >>> unpadded(bytes.fromhex("0011223380000000"), 8).hex()
    '00112233'
    >>> unpadded(bytes.fromhex("0011223344556677"), 8) is None
    True
    """
    plain = message.rstrip(b"\x00")
    if not plain.endswith(b"\x80") or len(message) - len(plain) >= block:
        return None
    return plain[:-1]


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x80, 0x1A): deliver_key,
    (0x80, 0xFA): cipher_data,
}
