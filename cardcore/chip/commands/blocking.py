"""APPLICATION BLOCK, APPLICATION UNBLOCK and CARD BLOCK (应用锁定, 应用解锁, 卡片锁定).

Decides what each state of an application lets through, and when it changes. Leaves keys and MAC
to `cardcore.chip.commands.security`.

=============== ========================= =========================================
state           SELECT of it              other commands in it
=============== ========================= =========================================
blocked         FCI with 6283             6A81; GET CHALLENGE, the three commands here go
                                          on, and in the channel PUT KEY
for good        9303                      9303
card blocked    6A81                      6A81, of every application
=============== ========================= =========================================

A directory is blocked with the one above it. With the master file selected, APPLICATION BLOCK and
UNBLOCK therefore mean all applications at once; those blocked one by one stay so. CARD BLOCK is
for the key of the master file only, so that no application takes the card away from the others.

BLOCK commands do not count tries, and a used-up key still serves them: nothing is won by guessing
one, and a card that has been reported must be blocked whatever a stranger did to it before. All
other wrong MACs count, and the last try of a maintenance key blocks its application. The desk's
channel then brings the key anew (PUT KEY), and UNBLOCK under it opens the application (ADR 0038).
"""

from cardcore.apdu import CommandApdu, StatusWord
from cardcore.chip.cardkeys import usage_prefix
from cardcore.chip.commands import Context, Decision, Handler, Reply
from cardcore.chip.commands.security import messaged
from cardcore.chip.filesystem import ApplicationState
from cardcore.chip.messaging import MAC_BYTES
from cardcore.chip.tree import DedicatedFile
from cardcore.keys import KeyUsage

_ALWAYS_OPEN = frozenset({(0x00, 0xA4)})
_OPEN_WHEN_BLOCKED = frozenset(
    {(0x00, 0xA4), (0x00, 0x84), (0x84, 0x1E), (0x84, 0x18), (0x84, 0x16)}
)
#: With the master file selected they open the channel; elsewhere 80 50 is a purse's.
_OPENING = frozenset({(0x80, 0x50), (0x84, 0x82)})
_PUT_KEY = (0x80, 0xD8)


def refusal(card: Context, apdu: CommandApdu) -> StatusWord | None:
    """Why the state of the current directory does not let this command through."""
    state = card.files.state(card.session.directory)
    if state is ApplicationState.ACTIVE:
        return None
    command = (apdu.cla, apdu.ins)
    if state is ApplicationState.CARD_BLOCKED:
        return StatusWord.FUNCTION_NOT_SUPPORTED
    if state is ApplicationState.BLOCKED_FOR_GOOD:
        allowed = command in _ALWAYS_OPEN
        return None if allowed else StatusWord.APPLICATION_PERMANENTLY_BLOCKED
    is_open = (
        command in _OPEN_WHEN_BLOCKED
        or (command == _PUT_KEY and card.in_channel)
        or (command in _OPENING and card.session.directory is card.files.root)
    )
    return None if is_open else StatusWord.FUNCTION_NOT_SUPPORTED


def block(card: Context, apdu: CommandApdu) -> Decision:
    """APPLICATION BLOCK: P2 00 until it is unblocked, 01 for good."""
    if apdu.p1 or apdu.p2 > 0x01:
        return StatusWord.P1P2_WRONG
    wanted = ApplicationState.BLOCKED_FOR_GOOD if apdu.p2 else ApplicationState.BLOCKED
    return _change(card, apdu, card.session.directory, wanted, is_counted=False)


def unblock(card: Context, apdu: CommandApdu) -> Decision:
    """APPLICATION UNBLOCK; 6985 when the application itself is not blocked."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    directory = card.session.directory
    if card.files.own_state(directory) is not ApplicationState.BLOCKED:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    return _change(card, apdu, directory, ApplicationState.ACTIVE, is_counted=True)


def block_card(card: Context, apdu: CommandApdu) -> Decision:
    """CARD BLOCK: nothing on this card answers ever again."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    root = card.files.root
    return _change(card, apdu, root, ApplicationState.CARD_BLOCKED, is_counted=False)


def _change(
    card: Context,
    apdu: CommandApdu,
    directory: DedicatedFile,
    state: ApplicationState,
    *,
    is_counted: bool,
) -> Decision:
    if len(apdu.data) != MAC_BYTES:
        return StatusWord.WRONG_LENGTH

    def proceed(_: bytes, changes: dict[int, bytes]) -> Reply:
        if card.files.own_state(directory) is not state:
            card.files.write_state(directory, state, changes)
        return Reply(changes=changes)

    prefix = usage_prefix(KeyUsage.FILE_MAINTENANCE)
    return messaged(
        card,
        apdu,
        prefix,
        proceed,
        enciphered=False,
        directory=directory,
        is_counted=is_counted,
    )


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x84, 0x1E): block,
    (0x84, 0x18): unblock,
    (0x84, 0x16): block_card,
}
