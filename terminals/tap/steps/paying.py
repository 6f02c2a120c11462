"""Paying and loading: from INITIALIZE to the record in the journal.

Decides what is asked of the purse, of the PSAM or load host, and of the journal, and in what case
the intent stays open: whenever the card left it in doubt whether its purse moved.
"""

from dataclasses import replace

from cardcore.apdu import StatusWord
from cardcore.crypto import suite_algorithm
from cardcore.records.kinds import Mac2Check, RecordKind
from cardcore.records.record import TransactionRecord
from terminals.errors import PsamFaultError
from terminals.partners.ports import HostAnswer, LoadQuestion
from terminals.tap import commands, decisions
from terminals.tap.actions import Action, Reply, StoreIntent, StoreRecord, ToCard, ToPsam
from terminals.tap.commands import Initialised
from terminals.tap.decisions import Seen
from terminals.tap.flow import Flow, Signal, State
from terminals.tap.learned import Learned, Steps, known, response_of
from terminals.taps import TapOutcome, TapResult

TAC_BYTES = 4


def ask_initialise(tap: Learned) -> Action:
    """What the purse holds, and that it is to move."""
    context = tap.context
    return ToCard(
        commands.initialise(
            context.role.transaction_type,
            context.device.key_index,
            context.request.fare.charged_fen,
            context.device.terminal,
        )
    )


def take_initialise(tap: Learned, reply: Reply) -> Signal:
    """Whether the purse can, and whether there is a partner for its algorithm."""
    response, load = response_of(reply), tap.context.role.kind is RecordKind.LOAD
    if not response.ok:
        return tap.refuse(decisions.refuse_purse_word(response.sw))
    answer = tap.initialised = Initialised.decode(response.data, load=load)
    if suite_algorithm(answer.algorithm) is None:
        return tap.refuse(TapOutcome.CARD_KEY_UNKNOWN)
    if not load and answer.balance_fen < tap.context.request.fare.charged_fen:
        # The card would lend the rest out of its overdraft; a city's purse lends nothing.
        return tap.refuse(TapOutcome.INSUFFICIENT_FUNDS)
    return Signal.GOOD


def ask_authorise(tap: Learned) -> Action:
    """MAC1 of a debit from the PSAM, MAC2 of a load from the load host."""
    context, answer, face = tap.context, known(tap.initialised), known(tap.face)
    if context.role.flow is not Flow.LOAD:
        return ToPsam(
            commands.psam_initialise(
                answer,
                context.request.fare.charged_fen,
                context.role.transaction_type,
                context.time,
                face.factor,
            )
        )
    return LoadQuestion(
        application=context.purses[tap.purse].application,
        card_number=face.card_number,
        funding=decisions.funding_of(context.request),
        factor=face.factor,
        key_version=answer.key_version,
        random=answer.random,
        online_counter=answer.counter,
        balance_before_fen=answer.balance_fen,
        amount_fen=context.request.fare.charged_fen,
        terminal=context.device.terminal,
        time=context.time,
        mac1=answer.mac1,
    )


def take_authorise(tap: Learned, reply: Reply) -> Signal:
    """The MAC for the card, and the PSAM's sequence number, which is 0 in a load."""
    if isinstance(reply, HostAnswer):
        tap.mac, tap.psam_sequence = reply.mac2, 0
        return Signal.GOOD if reply.refusal is None else tap.refuse(reply.refusal)
    response = response_of(reply)
    if response.sw in decisions.PSAM_KNOWS_NO_KEY:
        return tap.refuse(TapOutcome.CARD_KEY_UNKNOWN)
    if not response.ok or len(response.data) != 8:
        raise PsamFaultError("INIT_SAM_FOR_PURCHASE", response.sw)
    tap.psam_sequence = int.from_bytes(response.data[:4], "big")
    tap.mac = response.data[4:]
    return Signal.GOOD


def ask_store_intent(tap: Learned) -> Action:
    """The record as it will be, durable before the card is told."""
    context = tap.context
    seen = Seen(
        application=context.purses[tap.purse].application,
        face=known(tap.face),
        log=tap.newest_log,
        transit=tap.transit,
        answer=known(tap.initialised),
        psam_sequence=known(tap.psam_sequence),
        sequence_broken=tap.sequence_broken,
    )
    tap.record = decisions.draft_record(
        context.role, context.device, context.request, seen, context.time
    )
    return StoreIntent(tap.record)


def take_store_intent(tap: Learned, reply: Reply) -> Signal:
    """The tap's number."""
    assert isinstance(reply, int)
    tap.tap = reply
    return Signal.GOOD


def ask_commit(tap: Learned) -> Action:
    """The command that moves money."""
    moment = tap.context.time
    if tap.context.role.flow is Flow.LOAD:
        return ToCard(commands.credit(moment, tap.mac))
    return ToCard(commands.debit(known(tap.psam_sequence), moment, tap.mac))


def take_commit(tap: Learned, reply: Reply) -> Signal:
    """TAC and, of a debit, MAC2. Only a word that a card gives before it has written anything
    says that the purse did not move.
    """
    response = response_of(reply)
    if response.sw in decisions.UNTOUCHED_WORDS:
        return tap.refuse(decisions.refuse_purse_word(response.sw), Signal.UNDONE)
    load = tap.context.role.flow is Flow.LOAD
    if not response.ok or len(response.data) != (TAC_BYTES if load else 2 * TAC_BYTES):
        return tap.refuse(TapOutcome.CARD_REFUSED)
    tap.tac, tap.proof = response.data[:TAC_BYTES], response.data[TAC_BYTES:]
    return Signal.GOOD


def ask_verify(tap: Learned) -> Action:
    """The card's MAC2."""
    return ToPsam(commands.psam_credit(tap.proof))


def take_verify(tap: Learned, reply: Reply) -> Signal:
    """Whether the card that was debited is a true one."""
    response = response_of(reply)
    if response.sw == StatusWord.PURSE_MAC_WRONG:
        return tap.refuse(TapOutcome.CARD_FORGED, Signal.FORGED)
    if not response.ok:
        raise PsamFaultError("CREDIT_SAM_FOR_PURCHASE", response.sw)
    tap.mac2_check = Mac2Check.HELD
    return Signal.GOOD


def ask_store_record(tap: Learned) -> Action:
    """The finished record: the draft, what the card signed, and what the PSAM said to its MAC2."""
    record = replace(known(tap.record), tac=tap.tac, mac2_check=tap.mac2_check)
    return StoreRecord(tap.tap, TapOutcome.APPROVED, record, also_answers=False)


def take_store_record(tap: Learned, reply: Reply) -> Signal:
    """The record with its serial."""
    assert isinstance(reply, TransactionRecord)
    tap.result = TapResult(TapOutcome.APPROVED, reply)
    return Signal.GOOD


STEPS: Steps = {
    State.INITIALISING: (ask_initialise, take_initialise),
    State.AUTHORISING: (ask_authorise, take_authorise),
    State.STORING_INTENT: (ask_store_intent, take_store_intent),
    State.COMMITTING: (ask_commit, take_commit),
    State.VERIFYING: (ask_verify, take_verify),
    State.STORING_RECORD: (ask_store_record, take_store_record),
}
