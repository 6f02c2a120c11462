"""What one tap has learned so far, and what a step of it looks like.

Decides the memory that the steps share, and nothing else. Leaves which step follows which to
`flow`, and walking from one to the next to `session`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cardcore.apdu import ResponseApdu
from cardcore.layouts.transit import LogRecord, TransitRecord
from cardcore.records.kinds import Mac2Check
from cardcore.records.record import TransactionRecord
from terminals.tap.actions import Action, Reply, TapContext
from terminals.tap.commands import Initialised
from terminals.tap.face import CardFace
from terminals.tap.flow import Signal, State
from terminals.taps import Intent, TapOutcome, TapResult


@dataclass(slots=True)
class Learned:
    """Everything a tap has learned of card, PSAM and journal. What a step needs of an earlier one
    is there when `flow` comes to it.
    """

    context: TapContext
    psam_sequence: int | None
    purse: int = 0  # which of the context's purses the card is asked for
    face: CardFace | None = None
    intent: Intent | None = None
    newest_log: LogRecord | None = None
    log_number: int = 1
    transit: TransitRecord | None = None
    sequence_broken: bool = False
    initialised: Initialised | None = None
    mac: bytes = b""  # MAC1 for the card (debits) or MAC2 (loads)
    proof: bytes = b""  # the card's MAC2 for the PSAM
    mac2_check: Mac2Check = Mac2Check.NOT_ASKED
    tac: bytes = b""
    record: TransactionRecord | None = None
    tap: int = 0
    refusal: TapOutcome | None = None
    result: TapResult | None = None

    def refuse(self, outcome: TapOutcome, signal: Signal = Signal.REFUSED) -> Signal:
        """End the tap with a refusal, by way of `signal`."""
        self.refusal = outcome
        return signal


Fact = TypeVar("Fact")
#: What is asked in a state; None where there is nothing to ask, and the step goes on by itself.
Ask = Callable[[Learned], Action | None]
#: What the reply to it means. Replies of another kind than was asked for are bugs.
Take = Callable[[Learned, Reply], Signal]
Steps = Mapping[State, tuple[Ask, Take]]


def known(fact: Fact | None) -> Fact:
    """What an earlier step has learned; that it did is for `flow` to see to."""
    assert fact is not None
    return fact


def response_of(reply: Reply) -> ResponseApdu:
    """The answer of card or PSAM."""
    assert isinstance(reply, ResponseApdu), reply
    return reply
