"""The PIN of an application: VERIFY, CHANGE PIN, RELOAD PIN, PIN UNBLOCK (JR/T 0025).

Decides when a PIN is right, replaced or free again. Leaves the counter of tries to
`cardcore.chip.commands.security`.
"""

import hmac

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.access import Condition, ConditionKind
from cardcore.chip.cardkeys import (
    PIN_BYTES_MAX,
    PIN_BYTES_MIN,
    PIN_PREFIX,
    CardKey,
    Pin,
    is_pin,
    usage_prefix,
)
from cardcore.chip.commands import Context, Decision, Handler, Reply
from cardcore.chip.commands.security import Place, compare, grant, look_up, messaged
from cardcore.chip.messaging import MAC_BYTES
from cardcore.keys import KeyUsage

_HOLDS = Condition(ConditionKind.PIN)


def verify(card: Context, apdu: CommandApdu) -> Decision:
    """VERIFY (校验 PIN). Refusals in order: 6A86, 6A88 no PIN, 6700, 6983 blocked, 63Cx wrong."""
    if apdu.p1:
        return StatusWord.P1P2_WRONG
    place = _pin(card)
    if apdu.p2 or place is None:
        return StatusWord.KEY_NOT_FOUND
    if not PIN_BYTES_MIN <= len(apdu.data) <= PIN_BYTES_MAX:
        return StatusWord.WRONG_LENGTH
    pin = Pin.decode(place.record)
    return compare(
        card,
        place,
        pin,
        lambda: hmac.compare_digest(pin.value, apdu.data),
        lambda restore: grant(card, place, _HOLDS, restore),
        condition=_HOLDS,
    )


def change_or_reload(card: Context, apdu: CommandApdu) -> Decision:
    """CHANGE PIN (P1 01) and RELOAD PIN (P1 00)."""
    if apdu.p1 > 0x01 or apdu.p2:
        return StatusWord.P1P2_WRONG
    place = _pin(card)
    if place is None:
        return StatusWord.KEY_NOT_FOUND
    return _change(card, apdu, place) if apdu.p1 else _reload(card, apdu, place)


def _change(card: Context, apdu: CommandApdu, place: Place) -> Decision:
    """Old PIN, FF, new PIN. 6A80 when the new one is none; that costs no try."""
    if not 2 * PIN_BYTES_MIN + 1 <= len(apdu.data) <= 2 * PIN_BYTES_MAX + 1:
        return StatusWord.WRONG_LENGTH
    old, _, new = apdu.data.partition(b"\xff")
    if not is_pin(new):
        return StatusWord.DATA_WRONG
    pin = Pin.decode(place.record)
    return compare(
        card,
        place,
        pin,
        lambda: hmac.compare_digest(pin.value, old),
        lambda _: _replaced(card, place, new, {}),
        condition=_HOLDS,
    )


def _reload(card: Context, apdu: CommandApdu, place: Place) -> Decision:
    """A new PIN and its MAC under the folded reload key; also for a blocked PIN. 9302 when the MAC
    is wrong: the command has the class of the purse, without challenge and secure messaging.
    """
    if not PIN_BYTES_MIN <= len(apdu.data) - MAC_BYTES <= PIN_BYTES_MAX:
        return StatusWord.WRONG_LENGTH
    new, mac = apdu.data[:-MAC_BYTES], apdu.data[-MAC_BYTES:]
    key_place = look_up(card, card.session.directory, usage_prefix(KeyUsage.PIN_RELOAD))
    if key_place is None:
        return StatusWord.KEY_NOT_FOUND
    key = CardKey.decode(key_place.record)

    def right(restore: dict[int, bytes]) -> Reply:
        if not is_pin(new):
            return Reply(sw=StatusWord.DATA_WRONG, changes=restore)
        return _replaced(card, place, new, restore)

    return compare(
        card,
        key_place,
        key,
        lambda: hmac.compare_digest(key.suite.tac(key.key.value, new), mac),
        right,
        wrong=StatusWord.PURSE_MAC_WRONG,
    )


def unblock(card: Context, apdu: CommandApdu) -> Decision:
    """PIN UNBLOCK: the enciphered PIN that is valid from now on, and a MAC."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    place = _pin(card)
    if place is None:
        return StatusWord.KEY_NOT_FOUND

    def proceed(new: bytes, changes: dict[int, bytes]) -> StatusWord | Reply:
        return _replaced(card, place, new, changes) if is_pin(new) else StatusWord.DATA_WRONG

    prefix = usage_prefix(KeyUsage.PIN_UNBLOCK)
    return messaged(card, apdu, prefix, proceed, enciphered=True)


def _pin(card: Context) -> Place | None:
    return look_up(card, card.session.directory, PIN_PREFIX)


def _replaced(card: Context, place: Place, new: bytes, changes: dict[int, bytes]) -> Reply:
    pin = Pin.fresh(new, Pin.decode(place.record).tries_max)
    card.files.replace_record(place.file, place.number, pin.encode(), changes)
    return Reply(changes=changes)


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x00, 0x20): verify,
    (0x80, 0x5E): change_or_reload,
    (0x84, 0x24): unblock,
}
