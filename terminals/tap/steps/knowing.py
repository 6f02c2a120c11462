"""Knowing the card: which purse it has, whether a tap of it was torn here, whether it may pass.

Decides what is asked of a card before its purse is touched. A card is asked for the purses of the
role in their order, each under all its names, and the first it has is taken.
"""

from cardcore.apdu import StatusWord
from cardcore.layouts.fixed import is_unwritten
from cardcore.layouts.transit import LOG_RECORDS, CardProperties, LogRecord
from terminals.dialogue.commands import select
from terminals.tap import commands, decisions
from terminals.tap.actions import Action, FindIntent, Reply, ToCard
from terminals.tap.decisions import Verdict
from terminals.tap.face import read_face
from terminals.tap.flow import Signal, State
from terminals.tap.learned import Learned, Steps, known, response_of
from terminals.taps import Intent, TapOutcome


def ask_select(tap: Learned) -> Action:
    """The purse whose turn it is."""
    return ToCard(select(tap.context.purses[tap.purse].aid))


def take_select(tap: Learned, reply: Reply) -> Signal:
    """Its public information, or the next purse when the card does not have this one."""
    response, purses = response_of(reply), tap.context.purses
    if response.sw == StatusWord.FILE_NOT_FOUND and tap.purse + 1 < len(purses):
        tap.purse += 1
        return Signal.ABSENT
    if not response.ok:
        return tap.refuse(decisions.refuse_selection(response.sw))
    tap.face = read_face(purses[tap.purse].aid, response.data)
    return Signal.GOOD


def ask_find(tap: Learned) -> Action:
    """A torn tap of this purse of this card."""
    return FindIntent(known(tap.face).card_number, tap.context.purses[tap.purse].application)


def take_find(tap: Learned, reply: Reply) -> Signal:
    """The torn tap, if there is one. A request torn with another card is not for this one."""
    assert reply is None or isinstance(reply, Intent)
    tap.intent = reply
    if tap.context.torn_card not in {None, known(tap.face).card_number}:
        return tap.refuse(TapOutcome.REQUEST_DIFFERS)
    return Signal.GOOD


def ask_log(tap: Learned) -> Action:
    """The log record whose turn it is; 1 is the newest."""
    return ToCard(commands.read_log(tap.log_number))


def take_log(tap: Learned, reply: Reply) -> Signal:
    """The previous transaction of the record, and what the log says of a torn tap."""
    response = response_of(reply)
    if not response.ok and response.sw != StatusWord.RECORD_NOT_FOUND:
        return tap.refuse(TapOutcome.CARD_UNREADABLE)
    written = response.ok and not is_unwritten(response.data)
    log = LogRecord.decode(response.data) if written else None
    if tap.log_number == 1:
        tap.newest_log = log
    if tap.intent is None:
        return Signal.GOOD
    verdict = decisions.judge_torn_tap(tap.intent.draft, log)
    tap.tap = tap.intent.tap
    if verdict is Verdict.MOVED:
        return Signal.MOVED
    if verdict is Verdict.NOT_MOVED:
        return Signal.NOT_MOVED
    tap.log_number += 1
    return Signal.OLDER if tap.log_number <= LOG_RECORDS else Signal.UNKNOWN


def ask_properties(tap: Learned) -> Action | None:
    """EF17, of a card that has one."""
    return ToCard(commands.read_properties()) if known(tap.face).has_properties else None


def take_properties(tap: Learned, reply: Reply) -> Signal:
    """Whether the card may pass."""
    if reply is not None:
        response = response_of(reply)
        if not response.ok:
            return tap.refuse(TapOutcome.CARD_UNREADABLE)
        tap.face = known(tap.face).with_properties(CardProperties.decode(response.data))
    context = tap.context
    refusal = decisions.refuse_card(known(tap.face), context.device, context.time.date())
    return Signal.GOOD if refusal is None else tap.refuse(refusal)


STEPS: Steps = {
    State.SELECTING: (ask_select, take_select),
    State.FINDING: (ask_find, take_find),
    State.READING_LOG: (ask_log, take_log),
    State.READING_PROPERTIES: (ask_properties, take_properties),
}
