"""One tap as a state machine without I/O: it says what to do next and is told what came of it.

Decides what is said to card, PSAM, load host and journal in each state of `flow`, and which signal
an answer is. Leaves the order of states to `flow`, the bytes to `commands`, the judgements to
`decisions`, and all doing to `terminal`.

A caller repeats ``session.answer(do(session.action()))`` until the action is a `Finish`. A fault
(the card is gone, the PSAM is broken) ends the session where it stands: what the journal holds by
then is enough for the card's next visit.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from cardcore.apdu import ResponseApdu, StatusWord
from cardcore.crypto import suite_algorithm
from cardcore.errors import DecodeError
from cardcore.layouts.transit import (
    LOG_RECORDS,
    RECORD_METRO,
    CardProperties,
    LogRecord,
    PublicInformation,
    TransitRecord,
)
from cardcore.records.record import RecordFlag, RecordKind, TransactionRecord
from terminals.errors import PsamFaultError
from terminals.partners.ports import HostAnswer, LoadQuestion
from terminals.tap import commands, decisions
from terminals.tap.actions import (
    Action,
    FindIntent,
    Finish,
    Reply,
    StoreEnd,
    StoreIntent,
    StoreRecord,
    StoreVoid,
    TapContext,
    ToCard,
    ToPsam,
)
from terminals.tap.commands import Initialised
from terminals.tap.decisions import Seen, Verdict
from terminals.tap.flow import TRANSITIONS, Flow, Signal, State
from terminals.taps import Intent, TapOutcome, TapResult, TapState

TAC_BYTES = 4


class Session:
    """A tap under way. Everything it has learned is in its fields; its place is `state`."""

    _public: PublicInformation
    _properties: CardProperties
    _answer: Initialised
    _mac: bytes  # MAC1 for the card (debits) or MAC2 (loads)
    _proof: bytes  # the card's MAC2 for the PSAM
    _record: TransactionRecord
    _tap: int

    def __init__(self, context: TapContext) -> None:
        self.state = State.SELECTING
        self.psam_sequence = context.psam_sequence
        self._context = context
        self._intent: Intent | None = None
        self._newest_log: LogRecord | None = None
        self._log_number = 1
        self._transit: TransitRecord | None = None
        self._sequence_broken = False
        self._refusal: TapOutcome | None = None
        self._result: TapResult | None = None

    def action(self) -> Action:
        """What has to be done now. Asking twice changes nothing."""
        if self.state is State.DONE:
            if self._result is None:
                assert self._refusal is not None
                return Finish(TapResult(self._refusal))
            return Finish(self._result)
        return self._STEPS[self.state][0](self)

    def answer(self, reply: Reply) -> None:
        """Take what came of the action and move on."""
        try:
            signal = self._STEPS[self.state][1](self, reply)
        except DecodeError:
            signal = self._refuse(TapOutcome.CARD_UNREADABLE)
        following = TRANSITIONS[self._context.role.flow][self.state].get(signal)
        assert following is not None, (self.state, signal)
        self.state = following

    # Part 1: knowing the card.

    def _ask_select(self) -> Action:
        return ToCard(commands.select())

    def _take_select(self, reply: Reply) -> Signal:
        response = _response(reply)
        if not response.ok:
            return self._refuse(decisions.refuse_selection(response.sw))
        self._public = commands.public_information(response.data)
        return Signal.GOOD

    def _ask_find(self) -> Action:
        return FindIntent(self._public.card_number)

    def _take_find(self, reply: Reply) -> Signal:
        assert reply is None or isinstance(reply, Intent)
        self._intent = reply
        if self._context.torn_card not in {None, self._public.card_number}:
            # This request already stands for another card's open tap.
            return self._refuse(TapOutcome.REQUEST_DIFFERS)
        return Signal.GOOD

    def _ask_log(self) -> Action:
        return ToCard(commands.read_log(self._log_number))

    def _take_log(self, reply: Reply) -> Signal:
        response = _response(reply)
        if not response.ok and response.sw != StatusWord.RECORD_NOT_FOUND:
            return self._refuse(TapOutcome.CARD_UNREADABLE)
        log = LogRecord.decode(response.data) if response.ok else None
        if self._log_number == 1:
            self._newest_log = log
        if self._intent is None:
            return Signal.GOOD
        verdict = decisions.judge_torn_tap(self._intent.draft, log)
        self._tap = self._intent.tap
        if verdict is Verdict.MOVED:
            return Signal.MOVED
        if verdict is Verdict.NOT_MOVED:
            return Signal.NOT_MOVED
        self._log_number += 1
        return Signal.OLDER if self._log_number <= LOG_RECORDS else Signal.UNKNOWN

    # Part 2: settling a torn tap.

    def _torn(self) -> Intent:
        assert self._intent is not None
        return self._intent

    def _ask_proof(self) -> Action:
        draft = self._torn().draft
        return ToCard(commands.prove(draft.transaction_type, draft.counter))

    def _take_proof(self, reply: Reply) -> Signal:
        response, draft = _response(reply), self._torn().draft
        if not response.ok or len(response.data) != 8:
            # 9406: a later transaction of the same type took the proof's place. The log has
            # shown that the money moved, so the record is kept and says that it has no TAC.
            self._record = replace(draft, flags=draft.flags | RecordFlag.TAC_MISSING)
            return Signal.GOOD
        self._proof, tac = response.data[:4], response.data[4:]
        self._record = replace(draft, flags=draft.flags | RecordFlag.RECOVERED, tac=tac)
        device = self._context.device
        checkable = (draft.terminal, draft.psam_sequence) == (device.terminal, self.psam_sequence)
        return Signal.CHECKABLE if checkable and not draft.is_load else Signal.GOOD

    def _ask_check(self) -> Action:
        return ToPsam(commands.psam_credit(self._proof))

    def _take_check(self, reply: Reply) -> Signal:
        # Anything but 9302 means that the PSAM lost or used up its half; the TAC still proves the
        # tap in the back office.
        forged = _response(reply).sw == StatusWord.PURSE_MAC_WRONG
        return self._refuse(TapOutcome.CARD_FORGED, Signal.FORGED) if forged else Signal.GOOD

    def _answers_request(self) -> bool:
        context, torn = self._context, self._torn()
        return torn.request_id == context.request.request_id or decisions.is_second_try(
            torn.draft, context.role, context.device.terminal, context.request, context.time
        )

    def _ask_store_recovery(self) -> Action:
        other_id = self._torn().request_id != self._context.request.request_id
        also_answers = other_id and self._answers_request()
        return StoreRecord(self._tap, TapOutcome.RECOVERED, self._record, also_answers)

    def _take_store_recovery(self, reply: Reply) -> Signal:
        assert isinstance(reply, TransactionRecord)
        if not self._answers_request():
            return Signal.GOOD
        self._result = TapResult(TapOutcome.RECOVERED, reply)
        return Signal.ANSWERED

    def _ask_void(self) -> Action:
        return StoreVoid(self._tap)

    def _take_void(self, reply: Reply) -> Signal:
        assert reply is None
        return Signal.GOOD if self._refusal is None else Signal.REFUSED

    def _ask_lapse(self) -> Action:
        return StoreEnd(self._tap, TapState.LAPSED, TapOutcome.UNRESOLVED)

    def _take_lapse(self, reply: Reply) -> Signal:
        assert reply is None
        if self._torn().request_id == self._context.request.request_id:
            return self._refuse(TapOutcome.UNRESOLVED)
        return Signal.GOOD

    def _ask_forge(self) -> Action:
        return StoreEnd(self._tap, TapState.FORGED, TapOutcome.CARD_FORGED)

    def _take_forge(self, reply: Reply) -> Signal:
        assert reply is None
        return Signal.REFUSED

    # Part 3: the tap itself.

    def _ask_properties(self) -> Action:
        return ToCard(commands.read_properties())

    def _take_properties(self, reply: Reply) -> Signal:
        response = _response(reply)
        if not response.ok:
            return self._refuse(TapOutcome.CARD_UNREADABLE)
        self._properties = CardProperties.decode(response.data)
        context = self._context
        refusal = decisions.refuse_card(
            self._public, self._properties, context.device, context.time.date()
        )
        return Signal.GOOD if refusal is None else self._refuse(refusal)

    def _ask_transit(self) -> Action:
        return ToCard(commands.read_transit())

    def _take_transit(self, reply: Reply) -> Signal:
        response, role = _response(reply), self._context.role
        if not response.ok:
            return self._refuse(TapOutcome.CARD_UNREADABLE)
        self._transit = TransitRecord.decode(response.data)
        if self._transit.record_id != RECORD_METRO:
            return self._refuse(TapOutcome.CARD_UNREADABLE)
        broken = decisions.broken_sequence(role.kind, self._transit)
        self._sequence_broken = broken is not None
        if broken is not None and not role.sequence_exempt:
            return self._refuse(broken)
        return Signal.GOOD

    def _ask_initialise(self) -> Action:
        context = self._context
        return ToCard(
            commands.initialise(
                context.role.transaction_type,
                context.device.key_index,
                context.request.fare.charged_fen,
                context.device.terminal,
            )
        )

    def _take_initialise(self, reply: Reply) -> Signal:
        response, load = _response(reply), self._context.role.kind is RecordKind.LOAD
        if not response.ok:
            return self._refuse(decisions.refuse_purse_word(response.sw))
        self._answer = Initialised.decode(response.data, load=load)
        if suite_algorithm(self._answer.algorithm) is None:
            return self._refuse(TapOutcome.CARD_KEY_UNKNOWN)
        if not load and self._answer.balance_fen < self._context.request.fare.charged_fen:
            # The card would go into overdraft; a city's purse lends nothing.
            return self._refuse(TapOutcome.INSUFFICIENT_FUNDS)
        return Signal.GOOD

    def _ask_authorise(self) -> Action:
        context, answer = self._context, self._answer
        if context.role.flow is not Flow.LOAD:
            return ToPsam(
                commands.psam_initialise(
                    answer,
                    context.request.fare.charged_fen,
                    context.role.transaction_type,
                    context.time,
                    self._public.factor,
                )
            )
        return LoadQuestion(
            factor=self._public.factor,
            key_version=answer.key_version,
            random=answer.random,
            online_counter=answer.counter,
            balance_before_fen=answer.balance_fen,
            amount_fen=context.request.fare.charged_fen,
            terminal=context.device.terminal,
            time=context.time,
            mac1=answer.mac1,
        )

    def _take_authorise(self, reply: Reply) -> Signal:
        if isinstance(reply, HostAnswer):
            self._mac, self.psam_sequence = reply.mac2, 0
            return Signal.GOOD if reply.refusal is None else self._refuse(reply.refusal)
        response = _response(reply)
        if response.sw in decisions.PSAM_KNOWS_NO_KEY:
            return self._refuse(TapOutcome.CARD_KEY_UNKNOWN)
        if not response.ok or len(response.data) != 8:
            raise PsamFaultError("INIT_SAM_FOR_PURCHASE", response.sw)
        self.psam_sequence = int.from_bytes(response.data[:4], "big")
        self._mac = response.data[4:]
        return Signal.GOOD

    def _ask_write_transit(self) -> Action:
        context = self._context
        assert self._transit is not None
        record = decisions.transit_record(
            context.role, context.device, context.request, self._answer, self._transit,
            context.time,
        )  # fmt: skip
        return ToCard(commands.write_transit(record))

    def _ask_write_trip(self) -> Action:
        context = self._context
        record = decisions.trip_record(
            context.role, context.device, context.request, self._answer, context.time
        )
        return ToCard(commands.write_trip(record))

    def _take_write(self, reply: Reply) -> Signal:
        return Signal.GOOD if _response(reply).ok else self._refuse(TapOutcome.CARD_REFUSED)

    def _ask_store_intent(self) -> Action:
        context = self._context
        assert self.psam_sequence is not None
        seen = Seen(
            public=self._public,
            card_kind=self._properties.card_kind,
            log=self._newest_log,
            transit=self._transit,
            answer=self._answer,
            psam_sequence=self.psam_sequence,
            sequence_broken=self._sequence_broken,
        )
        self._record = decisions.draft_record(
            context.role, context.device, context.request, seen, context.time
        )
        return StoreIntent(self._record)

    def _take_store_intent(self, reply: Reply) -> Signal:
        assert isinstance(reply, int)
        self._tap = reply
        return Signal.GOOD

    def _ask_commit(self) -> Action:
        if self._context.role.flow is Flow.LOAD:
            return ToCard(commands.credit(self._context.time, self._mac))
        assert self.psam_sequence is not None
        return ToCard(commands.debit(self.psam_sequence, self._context.time, self._mac))

    def _take_commit(self, reply: Reply) -> Signal:
        response = _response(reply)
        if response.sw in decisions.UNTOUCHED_WORDS:
            return self._refuse(decisions.refuse_purse_word(response.sw), Signal.UNDONE)
        load = self._context.role.flow is Flow.LOAD
        if not response.ok or len(response.data) != (TAC_BYTES if load else 2 * TAC_BYTES):
            return self._refuse(TapOutcome.CARD_REFUSED)
        self._record = replace(self._record, tac=response.data[:TAC_BYTES])
        self._proof = response.data[TAC_BYTES:]
        return Signal.GOOD

    def _take_verify(self, reply: Reply) -> Signal:
        response = _response(reply)
        if response.sw == StatusWord.PURSE_MAC_WRONG:
            return self._refuse(TapOutcome.CARD_FORGED, Signal.FORGED)
        if not response.ok:
            raise PsamFaultError("CREDIT_SAM_FOR_PURCHASE", response.sw)
        return Signal.GOOD

    def _ask_store_record(self) -> Action:
        return StoreRecord(self._tap, TapOutcome.APPROVED, self._record, also_answers=False)

    def _take_store_record(self, reply: Reply) -> Signal:
        assert isinstance(reply, TransactionRecord)
        self._result = TapResult(TapOutcome.APPROVED, reply)
        return Signal.GOOD

    def _refuse(self, outcome: TapOutcome, signal: Signal = Signal.REFUSED) -> Signal:
        self._refusal = outcome
        return signal

    #: What is asked and how the reply is taken, state by state.
    _STEPS: ClassVar[
        dict[State, tuple[Callable[["Session"], Action], Callable[["Session", Reply], Signal]]]
    ] = {
        State.SELECTING: (_ask_select, _take_select),
        State.FINDING: (_ask_find, _take_find),
        State.READING_LOG: (_ask_log, _take_log),
        State.PROVING: (_ask_proof, _take_proof),
        State.CHECKING_PROOF: (_ask_check, _take_check),
        State.STORING_RECOVERY: (_ask_store_recovery, _take_store_recovery),
        State.VOIDING: (_ask_void, _take_void),
        State.LAPSING: (_ask_lapse, _take_lapse),
        State.FORGING: (_ask_forge, _take_forge),
        State.READING_PROPERTIES: (_ask_properties, _take_properties),
        State.READING_TRANSIT: (_ask_transit, _take_transit),
        State.INITIALISING: (_ask_initialise, _take_initialise),
        State.AUTHORISING: (_ask_authorise, _take_authorise),
        State.WRITING_TRANSIT: (_ask_write_transit, _take_write),
        State.WRITING_TRIP: (_ask_write_trip, _take_write),
        State.STORING_INTENT: (_ask_store_intent, _take_store_intent),
        State.COMMITTING: (_ask_commit, _take_commit),
        State.VERIFYING: (_ask_check, _take_verify),
        State.STORING_RECORD: (_ask_store_record, _take_store_record),
    }


def _response(reply: Reply) -> ResponseApdu:
    assert isinstance(reply, ResponseApdu), reply
    return reply
