"""One tap as a state machine without I/O: it says what to do next and is told what came of it.

Decides how a tap walks from state to state. Leaves the order of states to `flow`, what is said in
each to `steps`, the bytes to `commands`, the judgements to `decisions`, and all doing to
`terminal`.

A caller repeats ``session.answer(do(session.action()))`` until the action is a `Finish`. A fault
(the card is gone, the PSAM is broken) ends the session where it stands: what the journal holds by
then is enough for the card's next visit.
"""

from cardcore.errors import DecodeError
from terminals.tap.actions import Action, Finish, Reply, TapContext
from terminals.tap.flow import TRANSITIONS, Signal, State
from terminals.tap.learned import Learned
from terminals.tap.steps import STEPS
from terminals.taps import TapOutcome, TapResult


class Session:
    """A tap under way. What it has learned is in one place, where it stands is `state`."""

    def __init__(self, context: TapContext) -> None:
        assert context.purses, "a role takes a purse"
        self.state = State.SELECTING
        self._learned = Learned(context, context.psam_sequence)
        self._asked = self._ask()

    @property
    def psam_sequence(self) -> int | None:
        """The last number that the PSAM gave, to this tap or an earlier one."""
        return self._learned.psam_sequence

    def action(self) -> Action:
        """What has to be done now. Asking twice changes nothing."""
        if self.state is not State.DONE:
            assert self._asked is not None, self.state
            return self._asked
        result, refusal = self._learned.result, self._learned.refusal
        if result is None:
            assert refusal is not None
            return Finish(TapResult(refusal))
        return Finish(result)

    def answer(self, reply: Reply) -> None:
        """Take what came of the action and move on, over steps where there is nothing to ask."""
        self._move(self._take(reply))
        self._asked = self._ask()
        while self.state is not State.DONE and self._asked is None:
            self._move(self._take(None))
            self._asked = self._ask()

    def _ask(self) -> Action | None:
        if self.state is State.DONE:
            return None
        ask, _ = STEPS[self.state]
        return ask(self._learned)

    def _take(self, reply: Reply) -> Signal:
        _, take = STEPS[self.state]
        try:
            return take(self._learned, reply)
        except DecodeError:
            return self._learned.refuse(TapOutcome.CARD_UNREADABLE)

    def _move(self, signal: Signal) -> None:
        following = TRANSITIONS[self._learned.context.role.flow][self.state].get(signal)
        assert following is not None, (self.state, signal)
        self.state = following
