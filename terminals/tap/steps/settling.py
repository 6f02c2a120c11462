"""Settling a torn tap, once the card's log has said whether its purse moved.

Decides what completes its record and what ends it without one, and whether it answers the request
of this visit too. A tap that was done is proven by the card (GET TRANSACTION PROVE), and by the
PSAM as well while that still holds its half.
"""

from dataclasses import replace

from cardcore.apdu import StatusWord
from cardcore.records.kinds import Mac2Check, RecordFlag
from cardcore.records.record import TransactionRecord
from terminals.tap import commands, decisions
from terminals.tap.actions import Action, Reply, StoreEnd, StoreRecord, StoreVoid, ToCard, ToPsam
from terminals.tap.flow import Signal, State
from terminals.tap.learned import Learned, Steps, known, response_of
from terminals.taps import TapOutcome, TapResult, TapState

_MAC_BYTES = 4


def ask_proof(tap: Learned) -> Action:
    """MAC2 and TAC of the torn tap."""
    draft = known(tap.intent).draft
    return ToCard(commands.prove(draft.transaction_type, draft.counter))


def take_proof(tap: Learned, reply: Reply) -> Signal:
    """The record of the torn tap, with the card's proof or without."""
    response, draft = response_of(reply), known(tap.intent).draft
    unasked = Mac2Check.NOT_ASKED if draft.is_load else Mac2Check.NOT_CHECKED
    draft = replace(draft, mac2_check=unasked)
    if not response.ok or len(response.data) != 2 * _MAC_BYTES:
        # 9406: a later transaction of the same type took the proof's place. The log has
        # shown that the money moved, so the record is kept and says that it has no TAC.
        tap.record = replace(draft, flags=draft.flags | RecordFlag.TAC_MISSING)
        return Signal.GOOD
    tap.proof, tac = response.data[:_MAC_BYTES], response.data[_MAC_BYTES:]
    tap.record = replace(draft, flags=draft.flags | RecordFlag.RECOVERED, tac=tac)
    device = tap.context.device
    checkable = (draft.terminal, draft.psam_sequence) == (device.terminal, tap.psam_sequence)
    return Signal.CHECKABLE if checkable and not draft.is_load else Signal.GOOD


def ask_check(tap: Learned) -> Action:
    """The card's MAC2, of this PSAM's own transaction."""
    return ToPsam(commands.psam_credit(tap.proof))


def take_check(tap: Learned, reply: Reply) -> Signal:
    """Only 9302 is a forgery. Any other word but 9000 means that the PSAM lost or used up its half;
    the TAC still proves the tap in the back office.
    """
    response = response_of(reply)
    if response.sw == StatusWord.PURSE_MAC_WRONG:
        return tap.refuse(TapOutcome.CARD_FORGED, Signal.FORGED)
    if response.ok:
        tap.record = replace(known(tap.record), mac2_check=Mac2Check.HELD)
    return Signal.GOOD


def _answers_request(tap: Learned) -> bool:
    context, torn = tap.context, known(tap.intent)
    return torn.request_id == context.request.request_id or decisions.is_second_try(
        torn.draft, context.role, context.device.terminal, context.request, context.time
    )


def ask_store_recovery(tap: Learned) -> Action:
    """The record, under the torn request and perhaps under this one too."""
    other_id = known(tap.intent).request_id != tap.context.request.request_id
    also_answers = other_id and _answers_request(tap)
    return StoreRecord(tap.tap, TapOutcome.RECOVERED, known(tap.record), also_answers)


def take_store_recovery(tap: Learned, reply: Reply) -> Signal:
    """The end of this visit when the torn tap was what it came for."""
    assert isinstance(reply, TransactionRecord)
    if not _answers_request(tap):
        return Signal.GOOD
    tap.result = TapResult(TapOutcome.RECOVERED, reply)
    return Signal.ANSWERED


def ask_void(tap: Learned) -> Action:
    """The purse never moved."""
    return StoreVoid(tap.tap)


def take_void(tap: Learned, reply: Reply) -> Signal:
    """On with the visit, unless it was this visit's own tap that the card refused."""
    assert reply is None
    return Signal.GOOD if tap.refusal is None else Signal.REFUSED


def ask_lapse(tap: Learned) -> Action:
    """Nobody can say any more whether the purse moved."""
    return StoreEnd(tap.tap, TapState.LAPSED, TapOutcome.UNRESOLVED)


def take_lapse(tap: Learned, reply: Reply) -> Signal:
    """On with the visit, unless it asks for that very tap."""
    assert reply is None
    if known(tap.intent).request_id == tap.context.request.request_id:
        return tap.refuse(TapOutcome.UNRESOLVED)
    return Signal.GOOD


def ask_forge(tap: Learned) -> Action:
    """The card's MAC does not hold."""
    return StoreEnd(tap.tap, TapState.FORGED, TapOutcome.CARD_FORGED)


def take_forge(_: Learned, reply: Reply) -> Signal:
    """The end."""
    assert reply is None
    return Signal.REFUSED


STEPS: Steps = {
    State.PROVING: (ask_proof, take_proof),
    State.CHECKING_PROOF: (ask_check, take_check),
    State.STORING_RECOVERY: (ask_store_recovery, take_store_recovery),
    State.VOIDING: (ask_void, take_void),
    State.LAPSING: (ask_lapse, take_lapse),
    State.FORGING: (ask_forge, take_forge),
}
