"""APPLICATION BLOCK, APPLICATION UNBLOCK and CARD BLOCK (应用锁定, 应用解锁, 卡片锁定).

Decides what each state of an application lets through, and when it changes. Leaves keys and MAC
to `cardcore.chip.commands.security`.

=============== ========================= =========================================
state           SELECT of it              other commands in it
=============== ========================= =========================================
blocked         FCI with 6283             6A81; GET CHALLENGE, BLOCK and UNBLOCK go on
for good        9303                      9303
card blocked    6A81                      6A81, of every application
=============== ========================= =========================================

A directory is blocked with the one above it. With the master file selected, APPLICATION BLOCK and
UNBLOCK therefore mean all applications at once; those blocked one by one stay so. CARD BLOCK is
for the key of the master file only, so that no application takes the card away from the others.
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
_OPEN_WHEN_BLOCKED = frozenset({(0x00, 0xA4), (0x00, 0x84), (0x84, 0x1E), (0x84, 0x18)})


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
    return None if command in _OPEN_WHEN_BLOCKED else StatusWord.FUNCTION_NOT_SUPPORTED


def block(card: Context, apdu: CommandApdu) -> Decision:
    """APPLICATION BLOCK: P2 00 until it is unblocked, 01 for good."""
    if apdu.p1 or apdu.p2 > 0x01:
        return StatusWord.P1P2_WRONG
    wanted = ApplicationState.BLOCKED_FOR_GOOD if apdu.p2 else ApplicationState.BLOCKED
    return _change(card, apdu, card.session.directory, wanted)


def unblock(card: Context, apdu: CommandApdu) -> Decision:
    """APPLICATION UNBLOCK; 6985 when the application itself is not blocked."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    directory = card.session.directory
    if card.files.own_state(directory) is not ApplicationState.BLOCKED:
        return StatusWord.CONDITIONS_NOT_SATISFIED
    return _change(card, apdu, directory, ApplicationState.ACTIVE)


def block_card(card: Context, apdu: CommandApdu) -> Decision:
    """CARD BLOCK: nothing on this card answers ever again."""
    if apdu.p1 or apdu.p2:
        return StatusWord.P1P2_WRONG
    return _change(card, apdu, card.files.root, ApplicationState.CARD_BLOCKED)


def _change(
    card: Context, apdu: CommandApdu, directory: DedicatedFile, state: ApplicationState
) -> Decision:
    if len(apdu.data) != MAC_BYTES:
        return StatusWord.WRONG_LENGTH

    def proceed(_: bytes, changes: dict[int, bytes]) -> Reply:
        if card.files.own_state(directory) is not state:
            card.files.write_state(directory, state, changes)
        return Reply(changes=changes)

    prefix = usage_prefix(KeyUsage.FILE_MAINTENANCE)
    return messaged(card, apdu, prefix, proceed, enciphered=False, directory=directory)


HANDLERS: dict[tuple[int, int], Handler] = {
    (0x84, 0x1E): block,
    (0x84, 0x18): unblock,
    (0x84, 0x16): block_card,
}
