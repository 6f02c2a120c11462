"""The card is pulled out of the field at every write, before, inside and after its bytes."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from cardcore.chip.card import Card
from cardcore.errors import PowerLossError
from tests.cardcore.chip.reference_terminal import Outcome, ReferenceTerminal
from tests.cardcore.transit_cards import RIDE, TRIP, a_card, a_terminal


class Cut:
    """A power supply that fails at one write, with that many bytes of it done."""

    def __init__(self, write: int, part: str) -> None:
        self.left, self.part = write, part

    def __call__(self, length: int) -> int | None:
        self.left -= 1
        if self.left >= 0:
            return None
        return {"before": 0, "inside": length // 2, "last byte": length - 1, "after": length}[
            self.part
        ]


class Meter:
    """A power supply that never fails and counts the writes."""

    def __init__(self) -> None:
        self.writes = 0

    def __call__(self, _: int) -> int | None:
        self.writes += 1
        return None


def load(terminal: ReferenceTerminal) -> Outcome:
    return terminal.load(700)


def purchase(terminal: ReferenceTerminal) -> Outcome:
    return terminal.purchase(300, 9)


def composite(terminal: ReferenceTerminal) -> Outcome:
    """Two trips, the ride of the metro and that of the bus, in one transaction."""
    bus = replace(RIDE, record_id=0x2702)
    return terminal.purchase(
        300,
        9,
        records=[
            ("01D0", RIDE.encode()),
            ("00F0", TRIP.encode()),
            ("02D0", bus.encode()),
            ("00F0", replace(TRIP, amount_fen=1).encode()),
        ],
    )


Step = Callable[[ReferenceTerminal], Outcome]
STEPS: list[Step] = [load, purchase, composite]
PARTS = ["before", "inside", "last byte", "after"]


def start() -> Card:
    card = a_card()
    assert a_terminal(card).load(1_000).sw == b"\x90\x00"
    return card


def images(step: Step) -> tuple[bytes, bytes, int]:
    """The image before the step, after it, and how many writes it takes."""
    card, meter = start(), Meter()
    old = card.image()
    card.memory.power = meter
    assert step(a_terminal(card)).sw == b"\x90\x00"
    return old, card.image(), meter.writes


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_torn_card_is_in_the_old_state_or_the_new_one(step: Step, part: str) -> None:
    old, new, writes = images(step)
    seen = set()
    for write in range(writes):
        card = start()
        assert card.image() == old
        terminal = a_terminal(card)
        card.memory.power = Cut(write, part)
        with pytest.raises(PowerLossError):
            step(terminal)
        with pytest.raises(PowerLossError):
            card.transmit(bytes.fromhex("805C000204"))
        stored = card.image()
        card.memory.power = None
        card.reset()
        assert card.image() in (old, new), f"write {write}"
        # A card kept as an image while it is torn comes back in the same state.
        assert a_card(stored).image() == card.image()
        seen.add(card.image())
    assert seen == {old, new}


@pytest.mark.parametrize("step", STEPS)
def test_a_repair_may_be_torn_as_well(step: Step) -> None:
    old, new, writes = images(step)
    for write in range(writes):
        for repair in range(writes):
            card = start()
            terminal = a_terminal(card)
            card.memory.power = Cut(write, "inside")
            with pytest.raises(PowerLossError):
                step(terminal)
            card.memory.power = Cut(repair, "inside")
            try:
                card.reset()
            except PowerLossError:
                card.memory.power = None
                card.reset()
            assert card.image() in (old, new)


def test_a_torn_commit_finished_or_not_never_moves_the_generation_twice() -> None:
    old, new, writes = images(composite)
    assert a_card(new).generation == a_card(old).generation + 1
    assert writes == 2 * len(range(9)) + 2  # 8 cells and the generation, log and cells; the mark


def test_the_next_visit_finds_out_what_became_of_a_torn_debit() -> None:
    _, _, writes = images(composite)
    states = set()
    for write in range(writes):
        card = start()
        terminal = a_terminal(card)
        card.memory.power = Cut(write, "inside")
        with pytest.raises(PowerLossError):
            composite(terminal)
        card.memory.power = None
        card.reset()
        terminal.select()
        proof, sw = terminal.prove(9, 0)
        trips, rides = terminal.record(0x1E, 1), terminal.record(0x1A, 1)
        if terminal.balance() == 700:
            # All of it happened: the proof is what DEBIT would have answered.
            assert (len(proof), sw) == (8, b"\x90\x00")
            assert rides == (RIDE.encode(), b"\x90\x00")
            assert trips[0] == replace(TRIP, amount_fen=1).encode()
            again = a_card(an_untorn_image())
            assert proof == a_terminal(again).prove(9, 0)[0]
        else:
            assert terminal.balance() == 1_000
            assert (proof, sw) == (b"", b"\x94\x06")
            assert trips[1] == b"\x6a\x83"
            assert rides[0] != RIDE.encode()
        states.add(sw)
    assert len(states) == 2


def an_untorn_image() -> bytes:
    card = start()
    assert composite(a_terminal(card)).sw == b"\x90\x00"
    return card.image()
