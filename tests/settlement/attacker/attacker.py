"""An attacker as a machine: it owns a collector with its buses, clocks and PSAMs, a load agent, a
stolen card and a card of a partner's city. It changes, copies, withholds, reorders and invents
records and files, and tries to be paid more than the cards signed, or to be billed less.

After every close the books are held against `truth`; at the end everything that is true is sent as
it was written, and must have moved, once.
"""

import shutil
import tempfile
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cardcore.records.kinds import RecordFlag
from settlement.days.closing import ClosedDay
from settlement.ledger.accounts import AccountKind, parse_account
from settlement.registry.book import Dated, since_ever
from settlement.registry.rows import CardNumbersRow, HotlistRow, TerminalRow
from settlement.service.receive import receive_file
from settlement.service.registering import change_row, register_rows
from tests.settlement.attacker.changes import (
    CHANGES,
    SOLD_BUS,
    STRAY,
    UNSIGNED,
    Change,
    Piece,
    changed,
)
from tests.settlement.attacker.truth import Movement, Truth
from tests.settlement.attacks.town import (
    AGENT,
    AGENT_HOST,
    BUS,
    BUS_COLLECTOR,
    CENTRE,
    GUEST_CITY,
    GUEST_ISSUER,
    METRO,
    METRO_COLLECTOR,
    PARTNERS,
    SENDERS,
    Card,
    Terminal,
    Town,
    altered,
    at,
    build_town,
    guest_signed,
)
from tests.settlement.device_files import (
    ACTION,
    BUS_TERMINAL,
    DAY,
    KIOSK,
    METRO_TERMINAL,
    key_service,
)
from tests.settlement.load_logs import Host, register_host

#: How far the attacker's clocks are wrong, in days.
SKEWS = (0, 0, 0, -2, -1, 1, 3)
CARDS = 3
#: Beside them a card of a partner, whose number ends in the digits of our first card.
GUEST, GUEST_START = CARDS, "08885840"
AMOUNTS = st.sampled_from([1, 160, 200, 5_000])


class Attacker(RuleBasedStateMachine):
    """What it can do, and what must hold whatever it does."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.is_sound = True

    @initialize()
    def build(self) -> None:
        sold = Dated(TerminalRow(SOLD_BUS, BUS, "bus"))
        numbers = since_ever(CardNumbersRow(GUEST_CITY, GUEST_START, GUEST_ISSUER))
        self.town: Town = build_town(self.folder / "city", sold, *PARTNERS, *numbers)
        self.town.keys = key_service(partners=(GUEST_CITY,))
        self.truth = Truth(
            owners={
                terminal: [(date.min, owner)]
                for terminal, owner in (
                    (BUS_TERMINAL, BUS), (SOLD_BUS, BUS), (METRO_TERMINAL, METRO), (KIOSK, AGENT),
                )
            }
        )  # fmt: skip
        self.second_bus = Terminal(SOLD_BUS, BUS, 1, "4" * 20)
        self.stray = Terminal(STRAY, METRO, 1, "5" * 20)
        self.cards = [self.town.card(number) for number in range(CARDS)]
        self.cards.append(Card(f"{GUEST_START}{0:012}", 20_000))
        self.stolen: set[int] = set()
        self.pool: list[Piece] = []
        self.honest: list[Movement] = []
        self.sequences = dict.fromkeys(SENDERS, 0)
        #: Files made and not sent yet: (sender, sequence, pieces).
        self.held: list[tuple[int, int, list[Piece]]] = []
        #: Files sent, by sender and sequence, and up to which they are complete.
        self.sent: dict[tuple[int, int], list[Piece]] = {}
        self.complete = dict.fromkeys(SENDERS, 0)

        self.ticks = 0
        self.host = Host()
        register_host(self.town.city)
        #: Loads in the order of the host's log.
        self.logged: list[Movement] = []
        for card in range(CARDS):
            self.load(card, 20_000)
            self.ride_the_attacker_s_bus(card, 160, 0)
        self._send_true(AGENT_HOST, [each for each in self.truth.movements if each.is_load])

    @property
    def today(self) -> int:
        return (self.town.now.date() - DAY).days

    # What truly happens.

    def _moment(self, day: int) -> datetime:
        """Later than whatever happened before on the same day."""
        self.ticks += 1
        return at("06:00", day) + timedelta(seconds=self.ticks)

    def _happens(
        self, record: bytes, card: int, terminal: str, amount_fen: int, day: date
    ) -> Movement:
        is_load = terminal == KIOSK
        movement = Movement(record, card, is_load, amount_fen, terminal, day, card == GUEST)
        self.truth.movements.append(movement)
        self.pool.append(Piece(record, movement))
        return movement

    def _pays(self, card: int, terminal: Terminal, amount_fen: int, day: int) -> Movement:
        moment = self._moment(day)
        self.truth.has_true_clocks &= day == self.today
        claims = {"issuer": bytes.fromhex(GUEST_ISSUER)} if card == GUEST else {}
        record = self.cards[card].pay(terminal, amount_fen, moment, **claims)
        record = guest_signed(record) if card == GUEST else record
        return self._happens(record, card, terminal.number, amount_fen, moment.date())

    @rule(card=st.integers(0, CARDS - 1), amount_fen=st.sampled_from([1_000, 20_000]))
    def load(self, card: int, amount_fen: int) -> None:
        if card in self.stolen:
            return
        moment = self._moment(self.today)
        record = self.cards[card].load(self.town.kiosk, amount_fen, moment)
        self.host.allow_record(record)
        self.logged.append(self._happens(record, card, KIOSK, amount_fen, moment.date()))

    def _spends(self, card: int, amount_fen: int) -> Card | None:
        return self.cards[card] if self.cards[card].balance_fen >= amount_fen else None

    @rule(card=st.integers(0, CARDS - 1), amount_fen=AMOUNTS, skew=st.sampled_from(SKEWS))
    def ride_the_attacker_s_bus(self, card: int, amount_fen: int, skew: int) -> None:
        if self._spends(card, amount_fen):
            self._pays(card, self.town.bus, amount_fen, self.today + skew)

    @rule(amount_fen=AMOUNTS)
    def ride_the_attacker_s_bus_as_a_guest(self, amount_fen: int) -> None:
        self.ride_the_attacker_s_bus(GUEST, amount_fen, 0)

    @rule(card=st.integers(0, CARDS - 1), amount_fen=AMOUNTS)
    def ride_the_bus_that_is_sold(self, card: int, amount_fen: int) -> None:
        if self._spends(card, amount_fen):
            movement = self._pays(card, self.second_bus, amount_fen, self.today)
            if self.truth.owner(SOLD_BUS, movement.day) == METRO:
                self.honest.append(movement)

    @rule(card=st.integers(0, CARDS - 1), amount_fen=AMOUNTS, is_stray=st.booleans())
    def ride_the_metro(self, card: int, amount_fen: int, *, is_stray: bool) -> None:
        """The attacker listens to the network: it has a copy."""
        if self._spends(card, amount_fen):
            gate = self.stray if is_stray else self.town.gate
            self.honest.append(self._pays(card, gate, amount_fen, self.today))

    @rule(card=st.integers(0, CARDS - 1))
    def steal(self, card: int) -> None:
        """It is on the list from the next day on."""
        if card not in self.stolen:
            self.stolen.add(card)
            row = HotlistRow(self.cards[card].number, 1)
            listed = Dated(row, self.town.now.date() + timedelta(days=1))
            register_rows(self.town.city, [listed], ACTION)

    @precondition(lambda self: len(self.truth.owners[SOLD_BUS]) == 1)
    @rule()
    def sell_the_bus(self) -> None:
        """From the next day on it is the metro's."""
        day = self.town.now.date() + timedelta(days=1)
        change_row(
            self.town.city, ("terminal", SOLD_BUS), {"participant": METRO}, day, None, ACTION
        )
        self.truth.owners[SOLD_BUS].append((day, METRO))

    @precondition(lambda self: STRAY not in self.truth.owners)
    @rule()
    def register_the_stray(self) -> None:
        register_rows(self.town.city, [Dated(TerminalRow(STRAY, METRO, "gate"))], ACTION)
        self.truth.owners[STRAY] = [(date.min, METRO)]

    # What the attacker writes and sends.

    @precondition(lambda self: self.pool)
    @rule(
        sender=st.sampled_from([BUS_COLLECTOR, BUS_COLLECTOR, AGENT_HOST]),
        picks=st.lists(st.tuples(st.integers(0, 12), CHANGES), min_size=1, max_size=6),
        is_held=st.sampled_from([False, False, False, False, True]),
    )
    def send(self, sender: int, picks: list[tuple[int, Change]], *, is_held: bool) -> None:
        """Anything it holds, changed or as it is, in any order, as often as it likes. Or it makes
        a file and holds it back, so that those after it have to wait.
        """
        pieces = []
        for index, (name, value) in picks:
            piece = self.pool[-1 - index % len(self.pool)]
            if name:
                piece = changed(piece, name, value)
                self.pool.append(piece)
            pieces.append(piece)
        self.sequences[sender] += 1
        file = (sender, self.sequences[sender], pieces)
        if is_held:
            self.held.append(file)
        else:
            self._send(*file)

    @precondition(lambda self: self.pool)
    @rule(index=st.integers(0, 12), changes=st.lists(UNSIGNED, min_size=2, max_size=8))
    def flood(self, index: int, changes: list[Change]) -> None:
        """One record, again and again, each time with something else that nobody signed."""
        piece = self.pool[-1 - index % len(self.pool)]
        is_load = piece.origin is not None and piece.origin.is_load
        sender = AGENT_HOST if is_load else BUS_COLLECTOR
        self.sequences[sender] += 1
        pieces = [changed(piece, name, value) for name, value in changes]
        self._send(sender, self.sequences[sender], pieces)

    @precondition(lambda self: self.pool)
    @rule(index=st.integers(0, 12))
    def claim_a_torn_tap(self, index: int) -> None:
        """As if the card had been torn away before it gave its TAC."""
        piece = self.pool[-1 - index % len(self.pool)]
        bare = altered(altered(piece.record, "tac", bytes(8)), "flags", RecordFlag.TAC_MISSING)
        self.sequences[BUS_COLLECTOR] += 1
        self._send(BUS_COLLECTOR, self.sequences[BUS_COLLECTOR], [Piece(bare, None)])

    @precondition(lambda self: self.held)
    @rule(index=st.integers(0, 5))
    def send_what_was_held(self, index: int) -> None:
        self._send(*self.held.pop(index % len(self.held)))

    @precondition(lambda self: self.host.filed < len(self.host.entries))
    @rule()
    def the_load_host_sends_its_log(self) -> None:
        """It tells what its agent holds back."""
        file = self.host.file(self.town.now.replace(tzinfo=None))
        answer = receive_file(self.town.city, file, self.town.keys, self.town.now)
        assert answer.answer.is_kept, answer
        for each in self.logged:
            each.is_logged = True

    @precondition(lambda self: self.honest)
    @rule()
    def the_metro_sends_what_it_has(self) -> None:
        self._send_true(METRO_COLLECTOR, self.honest)
        self.honest = []

    def _send_true(self, sender: int, movements: list[Movement]) -> None:
        self.sequences[sender] += 1
        pieces = [Piece(each.record, each) for each in movements]
        self._send(sender, self.sequences[sender], pieces)

    def _send(self, sender: int, sequence: int, pieces: list[Piece]) -> None:
        records = [piece.record for piece in pieces]
        answer = self.town.send(sender, records, sequence=sequence)
        assert answer.answer.is_kept, answer
        self.sent[sender, sequence] = pieces
        while (sender, self.complete[sender] + 1) in self.sent:
            self.complete[sender] += 1
            for piece in self.sent[sender, self.complete[sender]]:
                self._comes_in(SENDERS[sender], piece)

    def _comes_in(self, participant: int, piece: Piece) -> None:
        movement = piece.origin
        if movement is None:
            return
        if self.truth.may_deliver(participant, movement.terminal, movement.day):
            movement.is_known |= True
            movement.is_due |= piece.is_judgeable

    # What the office makes of it.

    @rule()
    def close(self) -> None:
        """Everything that is ready is closed, and the next day comes."""
        last = None
        while isinstance(closed := self.town.close_next(), ClosedDay):
            last = closed
        self.town.now += timedelta(days=1)
        self._check(last)

    def _check(self, closed: ClosedDay | None) -> None:
        self.is_sound = False
        self.truth.confirm_loads()
        known = [each for each in self.truth.movements if each.is_known]
        due = [each for each in self.truth.movements if each.is_due]
        money = self.town.money()
        assert sum(money.values()) == 0, money
        accounts = {parse_account(text): amount_fen for text, amount_fen in money.items()}
        guests_fen = sum(each.amount_fen for each in known if each.is_guest)
        billed = held = paid = owed = 0
        for account, amount_fen in accounts.items():
            if account.kind is AccountKind.OPERATOR:
                assert account.participant is not None
                # What a guest paid is nobody's before its centre answers.
                own = [each for each in known if not each.is_guest]
                most_fen = self.truth.debits_fen(account.participant, own)
                assert 0 <= -amount_fen <= most_fen, (account.text, -amount_fen, most_fen)
                paid -= amount_fen
            elif account.kind is AccountKind.LOAD_AGENT:
                assert account.participant is not None
                most_fen = self.truth.loads_fen(account.participant, known)
                assert 0 <= amount_fen <= most_fen, (account.text, amount_fen, most_fen)
                billed += amount_fen
            elif account.kind is AccountKind.SUSPENSE:
                assert account.participant in {BUS, METRO, AGENT}, account
                held -= amount_fen
            elif account.kind is AccountKind.CENTRE:
                assert account.participant == CENTRE, account
                assert 0 <= amount_fen <= guests_fen, (amount_fen, guests_fen)
                owed += amount_fen
            else:
                assert account.kind is AccountKind.CARD_FLOAT, account
        # No holder's money moves twice.
        debits_fen = sum(m.amount_fen for m in known if not m.is_load)
        assert paid + held - owed <= debits_fen - guests_fen
        # Nothing that is true and came stays behind, once a day is closed.
        if closed is not None:
            assert sum(m.amount_fen for m in due if not m.is_load) <= paid + held
            assert sum(m.amount_fen for m in due if m.is_guest) <= owed
            assert sum(m.amount_fen for m in due if m.is_load) <= billed
            totals = self.town.totals(closed)
            assert totals["float_fen"] == billed - paid - held + owed
            if known == due and self.truth.has_true_clocks:
                self._check_proof(totals["float_proof"])
        self.is_sound = True

    def _check_proof(self, proof: Mapping[str, int]) -> None:
        """The exact part of the proof of the float stands on signed bytes alone."""
        missing = proof["missing_debits_fen"], proof["missing_loads_fen"]
        assert missing == self.truth.missing_fen(), proof
        assert proof["contradictions"] == 0, proof

    def teardown(self) -> None:
        try:
            if self.is_sound and hasattr(self, "cards"):
                self._end()
        finally:
            if hasattr(self, "town"):
                self.town.city.close()
            shutil.rmtree(self.folder)

    def _end(self) -> None:
        """All that is true is sent by whoever may, and its days come: everybody is paid."""
        while self.held:
            self._send(*self.held.pop())
        if self.host.filed < len(self.host.entries):
            self.the_load_host_sends_its_log()
        if STRAY not in self.truth.owners:
            self.register_the_stray()
        for sender, participant in SENDERS.items():
            own = [
                each
                for each in self.truth.movements
                if self.truth.owner(each.terminal, each.day) == participant
            ]
            self._send_true(sender, own)
        self.town.now += timedelta(days=max(SKEWS) + 1)
        self._check(self.town.close(self.town.now.date()))
        money = self.town.money()
        guests_fen = sum(each.amount_fen for each in self.truth.movements if each.is_guest)
        assert money.get(f"centre/{CENTRE}", 0) == guests_fen, money
        for participant in SENDERS.values():
            mine = [money.get(f"{kind}/{participant}", 0) for kind in ("operator", "suspense")]
            assert -sum(mine) == self.truth.debits_fen(participant, self.truth.movements), money
        assert money.get(f"load_agent/{AGENT}", 0) == self.truth.loads_fen(
            AGENT, self.truth.movements
        )
