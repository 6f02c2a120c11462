"""The lock of the purchase application (应用锁定), and the way out of it.

Decides what a locked application lets through and when it is free again. A forged card is what
locks it: `MAC2_TRIES_MAX` wrong MAC2 with no right one between, across resets and power losses.
The maintainer takes GET CHALLENGE and sends APPLICATION UNBLOCK with a MAC under the PSAM's own
maintenance key; that key's own tries are counted too, and once they are used up it never serves
again.

While locked, the application answers 6A81 to all but SELECT (which says 6283), GET CHALLENGE,
APPLICATION UNBLOCK and RECORD MAC. The files of the MF can be read after selecting it.
"""

import hmac
from dataclasses import replace

from cardcore.apdu import CommandApdu, StatusWord
from hsm_sim.psam.commands import Attempt, Context, Decision, Handler, Reply, fits
from hsm_sim.psam.image import MAC2_TRIES_MAX, MAINTENANCE_TRIES_MAX
from hsm_sim.psam.keys import PsamKeyType
from hsm_sim.psam.profile import APPLICATION

_OPEN_WHEN_LOCKED = frozenset({(0x00, 0xA4), (0x00, 0x84), (0x84, 0x18), (0x80, 0x7C)})
_CHALLENGE_BYTES = (8, 4)  # the first answers a command that does not say
_MAC_BYTES = 4


def refusal(psam: Context, apdu: CommandApdu) -> StatusWord | None:
    """Why the lock does not let this command through."""
    if psam.session.directory != APPLICATION or not psam.held.is_locked:
        return None
    allowed = (apdu.cla, apdu.ins) in _OPEN_WHEN_LOCKED
    return None if allowed else StatusWord.FUNCTION_NOT_SUPPORTED


def get_challenge(psam: Context, apdu: CommandApdu) -> Decision:
    """GET CHALLENGE (取随机数): 4 or 8 random bytes, spent by the next APPLICATION UNBLOCK."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if apdu.data:
        return StatusWord.WRONG_LENGTH
    wanted = next((size for size in _CHALLENGE_BYTES if fits(apdu.le, size)), None)
    if wanted is None:
        return StatusWord.LE_WRONG + _CHALLENGE_BYTES[0]
    challenge = psam.random(wanted)
    return Reply(challenge, session=replace(psam.session, challenge=challenge))


def unblock(psam: Context, apdu: CommandApdu) -> Decision:
    """APPLICATION UNBLOCK (应用解锁): the MAC stands under the five bytes of its header.

    Refusals in order: 6A86, 6700, 6985 not locked or wrong directory, 6A88 no maintenance key,
    6983 it is used up, 6984 no challenge, 6988 wrong.
    """
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    if len(apdu.data) != _MAC_BYTES:
        return StatusWord.WRONG_LENGTH
    held, session = psam.held, psam.session
    if session.directory != APPLICATION or not held.is_locked:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    own = [key for key in psam.keys.values() if key.slot.kind is PsamKeyType.MAINTENANCE]
    if not own:
        return StatusWord.KEY_NOT_FOUND
    if not held.maintenance_tries:
        return StatusWord.AUTHENTICATION_BLOCKED
    if not session.challenge:
        return StatusWord.NO_CHALLENGE
    handle = psam.masters.card_key(own[0].slot.ref, psam.profile.factor)
    header = bytes((apdu.cla, apdu.ins, apdu.p1, apdu.p2, _MAC_BYTES))
    expected = handle.message_mac(session.challenge, header)
    spent = replace(session, challenge=b"")

    def compare() -> Reply:
        if not hmac.compare_digest(expected, apdu.data):
            return Reply(sw=StatusWord.MAC_WRONG, session=spent)
        free = replace(held, mac2_tries=MAC2_TRIES_MAX, maintenance_tries=MAINTENANCE_TRIES_MAX)
        return Reply(session=spent, held=free)

    return Attempt(replace(held, maintenance_tries=held.maintenance_tries - 1), compare)


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x00, 0x84): get_challenge,
    (0x84, 0x18): unblock,
}
