"""Random commands against the card and against a model that keeps plain lists. Tears included."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cardcore.errors import PowerLossError
from cardcore.layouts.transit import TransitRecord
from tests.cardcore.chip.reference_terminal import Outcome
from tests.cardcore.transit_cards import TRIP, a_card, a_terminal, an_image

LIMIT, OVERDRAFT = 100_000, 800
AMOUNTS = st.one_of(st.integers(0, 2_000), st.sampled_from([LIMIT, LIMIT + 1, 2**32 - 1]))
OK = b"\x90\x00"


class Model:
    """What a purse is, in the words of a ledger."""

    def __init__(self) -> None:
        self.balance = 0
        self.counters = {"load": 0, "purchase": 0}
        self.log: list[tuple[int, int, int]] = []  # newest first: counter, amount, type
        self.proofs: dict[str, tuple[int, int, bytes]] = {}
        self.trips: list[bytes] = []
        self.rides = {1: TransitRecord(0x2701).encode(), 2: TransitRecord(0x2702).encode()}

    def refusal(self, amount: int, kind: int) -> bytes:
        if kind == 2:
            return OK if self.balance + amount <= LIMIT else b"\x94\x02"
        return OK if amount <= self.balance + OVERDRAFT else b"\x94\x01"

    def done(self, amount: int, kind: int, mac: bytes, tac: bytes) -> None:
        side = "load" if kind == 2 else "purchase"
        counter = self.counters[side]
        self.counters[side] += 1
        self.balance += amount if kind == 2 else -amount
        self.log = [(counter, amount, kind), *self.log][:10]
        self.proofs[side] = (counter, kind, mac + tac)


class CardMachine(RuleBasedStateMachine):
    @initialize()
    def issue(self) -> None:
        self.card = a_card(an_image(overdraft_limit_fen=OVERDRAFT))
        self.terminal = a_terminal(self.card)
        self.model = Model()
        self.sequence = 0

    def settle(self, amount: int, kind: int, outcome: Outcome, records: list[Any]) -> None:
        assert outcome.sw == self.model.refusal(amount, kind)
        if outcome.sw == OK:
            side = "load" if kind == 2 else "purchase"
            assert outcome.counter == self.model.counters[side]
            assert outcome.balance_before == self.model.balance + OVERDRAFT
            self.model.done(amount, kind, outcome.mac2, outcome.tac)
            self.keep(records)

    def keep(self, records: list[tuple[str, bytes]]) -> None:
        for place, record in records:
            if place == "00F0":
                self.model.trips = [record, *self.model.trips][:30]
            else:
                self.model.rides[int(place[:2])] = record

    @rule(amount=AMOUNTS)
    def load(self, amount: int) -> None:
        self.settle(amount, 2, self.terminal.load(amount), [])

    @rule(amount=AMOUNTS)
    def purchase(self, amount: int) -> None:
        self.sequence += 1
        self.settle(amount, 6, self.terminal.purchase(amount, self.sequence), [])

    @rule(amount=AMOUNTS, modes=st.lists(st.sampled_from(["01D0", "02D0", "00F0"]), max_size=4))
    def ride(self, amount: int, modes: list[str]) -> None:
        self.sequence += 1
        records = self.records(modes)
        outcome = self.terminal.purchase(amount, self.sequence, records=records)
        self.settle(amount, 9, outcome, records)

    def records(self, modes: list[str]) -> list[tuple[str, bytes]]:
        """Records that differ from all before."""
        made = []
        for mode in modes:
            self.sequence += 1
            if mode == "00F0":
                made.append((mode, TRIP.encode()[:-4] + self.sequence.to_bytes(4, "big")))
            else:
                ride = TransitRecord(0x2700 + int(mode[:2]), transaction_serial=self.sequence)
                made.append((mode, ride.encode()))
        return made

    @rule(amount=st.integers(0, 100), load=st.booleans())
    def forge(self, amount: int, *, load: bool) -> None:
        kind = 2 if load else 6
        spoilt = self.terminal.load if load else self.terminal.purchase
        outcome = spoilt(amount, spoil=True)
        expected = self.model.refusal(amount, kind)
        assert outcome.sw == (b"\x93\x02" if expected == OK else expected)

    @rule(amount=st.integers(0, 100), write=st.integers(0, 20), part=st.integers(0, 40))
    def tear(self, amount: int, write: int, part: int) -> None:
        """Pull the card out somewhere in a ride; the next visit must learn what became of it."""
        self.sequence += 1
        records = self.records(["01D0", "00F0"])
        left = write

        def supply(length: int) -> int | None:
            nonlocal left
            left -= 1
            return None if left >= 0 else min(part, length)

        self.card.memory.power = supply
        before = self.card.generation
        try:
            outcome = self.terminal.purchase(amount, self.sequence, records=records)
        except PowerLossError:
            self.card.memory.power = None
            self.card.reset()
            self.terminal.select()
            counter = self.model.counters["purchase"]
            proof, sw = self.terminal.prove(9, counter)
            assert (sw == OK) == (self.card.generation == before + 1)
            if sw == OK:
                self.model.done(amount, 9, proof[:4], proof[4:])
                self.keep(records)
        else:
            self.card.memory.power = None
            self.settle(amount, 9, outcome, records)

    @rule()
    def leave_and_come_back(self) -> None:
        self.card.reset()
        self.terminal.select()

    @rule()
    def keep_as_an_image(self) -> None:
        self.card = a_card(self.card.image())
        self.terminal = a_terminal(self.card)

    @rule(noise=st.binary(max_size=40))
    def say_anything(self, noise: bytes) -> None:
        before = self.card.image()
        answer = self.card.transmit(noise)
        assert len(answer) >= 2
        assert self.card.image() == before
        self.terminal.select()

    @precondition(lambda self: hasattr(self, "model"))
    @invariant()
    def card_and_model_agree(self) -> None:
        model, terminal = self.model, self.terminal
        assert terminal.balance() == model.balance + OVERDRAFT
        for number, (counter, amount, kind) in enumerate(model.log, start=1):
            record = terminal.record(0x18, number)[0]
            assert (record[:2], record[5:9], record[9]) == (
                counter.to_bytes(2, "big"), amount.to_bytes(4, "big"), kind,
            )  # fmt: skip
        assert terminal.record(0x18, len(model.log) + 1)[1] == b"\x6a\x83"
        for number, trip in enumerate(model.trips[:4], start=1):
            assert terminal.record(0x1E, number)[0] == trip
        assert terminal.record(0x1E, len(model.trips) + 1)[1] == b"\x6a\x83"
        for number, ride in model.rides.items():
            assert terminal.record(0x1A, number)[0] == ride
        for counter, kind, proof in model.proofs.values():
            assert terminal.prove(kind, counter) == (proof, OK)
            assert terminal.prove(kind, counter + 1)[1] == b"\x94\x06"


TestCardMachine = CardMachine.TestCase
TestCardMachine.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


@given(st.lists(st.binary(max_size=60), max_size=12))
def test_any_bytes_get_a_status_word_and_change_nothing(commands: list[bytes]) -> None:
    card = a_card()
    before = card.image()
    for command in commands:
        answer = card.transmit(command)
        assert 2 <= len(answer) <= 258
    assert card.image() == before


HEADERS = [
    "00A40400", "00A40000", "00B09500", "00B00000", "00B201D4", "00B20104", "00840000", "805C0002",
    "80500002", "80500102", "80500302", "80520000", "80540100", "80DC01D0", "80DC00F0", "805A0009",
]  # fmt: skip


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(HEADERS),
            st.binary(max_size=3),
            st.one_of(
                st.binary(max_size=140), st.sampled_from([bytes(11), bytes(15), TRIP.encode()])
            ),
            st.sampled_from([b"", b"\x00", b"\x04", b"\x0f", b"\x10"]),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_near_commands_get_a_status_word_and_never_money(
    commands: list[tuple[str, bytes, bytes, bytes]],
) -> None:
    """Real headers with bytes changed, and data of any length: without keys nothing is written."""
    card = a_card()
    terminal = a_terminal(card)
    terminal.load(500)
    before = card.image()
    for header, change, data, le in commands:
        raw = bytearray(bytes.fromhex(header))
        raw[4 - len(change) :] = change
        body = bytes((len(data),)) + data if data else b""
        answer = card.transmit(bytes(raw) + body + le)
        assert 2 <= len(answer) <= 258
        assert answer[-2] in (0x90, 0x67, 0x69, 0x6A, 0x6B, 0x6C, 0x6D, 0x6E, 0x93, 0x94)
    assert card.image() == before


def test_only_the_loss_of_power_is_an_exception() -> None:
    card = a_card()
    terminal = a_terminal(card)

    def no_power(_: int) -> int | None:
        raise PowerLossError("no field")

    card.memory.power = no_power
    before = card.image()
    with pytest.raises(PowerLossError):
        terminal.load(1)
    card.memory.power = None
    card.reset()
    assert card.image() == before
