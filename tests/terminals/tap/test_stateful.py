"""Any order of taps, tears and power cuts at several terminals of one journal conserves money."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from terminals.link.connection import CardConnection, InProcessConnection
from terminals.taps import Fare, TapOutcome, TapRequest, TapResult
from tests.terminals.equipment import NOON, ROLES, a_card, a_request, a_terminal, an_open_journal
from tests.terminals.faults import PowerCutError, TornConnection, check_money, cut_power_at

CARDS, LIFETIME = 2, timedelta(days=30)
role_names = st.sampled_from(sorted(ROLES))
amounts = st.integers(0, 900)
steps = st.sampled_from(
    [
        f"{step} {part}"
        for step in ("intent", "record", "void")
        for part in ("before", "written", "durable")
    ]
)


class Morning(RuleBasedStateMachine):
    """Two cards, every kind of terminal, one journal that is closed and opened at every tap."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.cards = [a_card(number) for number in range(CARDS)]
        self.now = NOON
        self.count = 0
        self.torn: tuple[str, int, TapRequest] | None = None
        self.answers: dict[str, tuple[str, TapRequest, TapResult]] = {}

    def _request(self, role: str, amount: int) -> TapRequest:
        self.count += 1
        amount = 0 if role == "entry" else amount
        return a_request(f"request {self.count}", role, Fare(amount, amount))

    def _tap(
        self, role: str, card: CardConnection, request: TapRequest, step: str = ""
    ) -> TapResult | None:
        with an_open_journal(self.folder, cut_power_at(step)) as journal:
            try:
                result = a_terminal(role, journal).tap(card, request, self.now)
            except PowerCutError:
                return None
        if result.outcome.done:
            self.answers[request.request_id] = (role, request, result)
        return result

    @rule(minutes=st.integers(1, 600))
    def time_passes(self, minutes: int) -> None:
        self.now = min(self.now + timedelta(minutes=minutes), NOON + LIFETIME)

    @rule(role=role_names, which=st.integers(0, CARDS - 1), amount=amounts)
    def tap(self, role: str, which: int, amount: int) -> None:
        request = self._request(role, amount)
        assert self._tap(role, InProcessConnection(self.cards[which]), request) is not None

    @rule(
        role=role_names,
        which=st.integers(0, CARDS - 1),
        amount=amounts,
        index=st.integers(0, 8),
        after=st.booleans(),
    )
    def tear(self, role: str, which: int, amount: int, index: int, after: bool) -> None:  # noqa: FBT001
        request = self._request(role, amount)
        result = self._tap(role, TornConnection(self.cards[which], index, after), request)
        if result is not None and result.outcome is TapOutcome.CARD_REMOVED:
            self.torn = (role, which, request)

    @rule(role=role_names, which=st.integers(0, CARDS - 1), amount=amounts, step=steps)
    def lose_power(self, role: str, which: int, amount: int, step: str) -> None:
        request = self._request(role, amount)
        if self._tap(role, InProcessConnection(self.cards[which]), request, step) is None:
            self.torn = (role, which, request)

    @precondition(lambda self: self.torn is not None)
    @rule()
    def try_the_torn_request_again(self) -> None:
        assert self.torn is not None
        role, which, request = self.torn
        result = self._tap(role, InProcessConnection(self.cards[which]), request)
        assert result is not None
        assert result.outcome is not TapOutcome.REQUEST_DIFFERS

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def ask_an_answered_request_again(self, data: st.DataObject) -> None:
        role, request, first = self.answers[data.draw(st.sampled_from(sorted(self.answers)))]
        untouched = self.cards[0]
        before = untouched.image()
        assert self._tap(role, InProcessConnection(untouched), request) == first
        assert untouched.image() == before

    @invariant()
    def no_card_has_two_open_taps(self) -> None:
        with an_open_journal(self.folder) as journal:
            rows = journal.query("SELECT card_number FROM taps WHERE state = 1")
        assert len(rows) == len(set(rows)) <= CARDS

    def teardown(self) -> None:
        """Every card comes once more; then the journal and the cards agree to the fen."""
        self.now += timedelta(hours=1)
        for card in self.cards:
            last = self._tap("shop", InProcessConnection(card), self._request("shop", 0))
            assert last is not None
            assert last.outcome is TapOutcome.APPROVED
        with an_open_journal(self.folder) as journal:
            check_money(journal, *self.cards)
            open_taps = journal.query("SELECT count(*) FROM taps WHERE state <> 2 AND state <> 3")
            assert open_taps == [(0,)]
        shutil.rmtree(self.folder)


TestMorning = Morning.TestCase
TestMorning.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
