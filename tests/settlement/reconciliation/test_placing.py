"""Places of a chain, against a model that walks every stretch for every movement."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from settlement.reconciliation.chain import Card, CardMove, CounterKind, Gap, Point
from settlement.reconciliation.placing import NEW, OTHER, Slot, assign, slots_of

DAY = date(2018, 9, 3)
MORNING = datetime.fromisoformat("2018-09-03T06:00")
moments = st.integers(0, 6).map(lambda minutes: MORNING + timedelta(minutes=minutes))


@st.composite
def cards(draw: st.DrawFn) -> Card:
    """A card with gaps from left to right: no counter falls."""
    counters, gaps = [0, 0], []
    for number in range(draw(st.integers(0, 8))):
        ends = []
        for rises in (draw(st.booleans()), True):
            counters = [each + draw(st.integers(0, 2)) * rises for each in counters]
            ends.append(Point(draw(st.integers(0, 3)), *counters))
        gaps.append(Gap(number, DAY, ends[0], ends[1], draw(moments)))
    counters = [each + draw(st.integers(0, 1)) for each in counters]
    end = Point(draw(st.integers(0, 3)), *counters)
    return Card(end, draw(st.none() | moments), tuple(gaps), len(gaps))


movements = st.lists(
    st.builds(
        CardMove,
        number=st.just(0),
        kind=st.sampled_from(CounterKind),
        counter=st.integers(0, 20),
        before_fen=st.integers(0, 3),
        after_fen=st.integers(0, 3),
        time=moments,
        previous=st.sampled_from([None, *CounterKind]),
        previous_counter=st.integers(0, 20),
    ),
    unique_by=lambda each: (each.kind, each.counter),
    max_size=12,
)


@given(cards(), movements)
def test_every_movement_gets_the_place_that_a_walk_along_the_chain_finds(
    card: Card, drawn: list[CardMove]
) -> None:
    told = [replace(each, number=number) for number, each in enumerate(drawn)]
    slots, walked = slots_of(card, DAY), slots_of(card, DAY)
    for kind in CounterKind:
        own = [each for each in told if each.kind is kind]
        assert assign(slots, kind, own) == walk(walked, kind, own)
        assert slots == walked


def walk(slots: Sequence[Slot], kind: CounterKind, own: Sequence[CardMove]) -> list[CardMove]:
    """The rule as it reads, at the price of every place for every movement."""
    following, unplaced, leftmost = slots[-1].left.counter(kind), [], 0
    for movement in sorted(own, key=lambda each: each.counter):
        last = len(slots) - 1
        if movement.counter < following:
            missing = [i for i, each in enumerate(slots[:-1]) if _misses(each, movement)]
            if not missing:
                unplaced.append(movement)
                continue
            last = missing[0]
        first = last
        while first > leftmost and _meet(slots[first - 1], slots[first], kind):
            first -= 1
        while last < len(slots) - 1 and _meet(slots[last], slots[last + 1], kind):
            last += 1
        leftmost = _best(slots, range(first, last + 1), movement)
        for slot in slots[first:leftmost]:
            assert slot.right is not None
            slot.left = slot.left.lowered(kind, movement.counter)
            slot.right = slot.right.lowered(kind, movement.counter)
        taken = slots[leftmost]
        taken.left = taken.left.lowered(kind, movement.counter)
        taken.movements.append(movement)
    return unplaced


def _misses(slot: Slot, movement: CardMove) -> bool:
    assert slot.right is not None
    kind = movement.kind
    return slot.left.counter(kind) <= movement.counter < slot.right.counter(kind)


def _meet(slot: Slot, following: Slot, kind: CounterKind) -> bool:
    return slot.right is not None and slot.right.counter(kind) == following.left.counter(kind)


def _best(slots: Sequence[Slot], stretch: range, movement: CardMove) -> int:
    linked = [i for i in stretch if _answers(slots[i], movement)]
    if linked:
        return next((i for i in linked if not slots[i].is_past), linked[-1])
    fits = {i: _fit(slots[i], movement) for i in stretch}
    best = [i for i in stretch if fits[i] == max(fits.values())]
    best = [i for i in best if not slots[i].is_past] or best
    return next((i for i in best if slots[i].reaches(movement.time)), best[-1])


def _answers(slot: Slot, movement: CardMove) -> bool:
    other = OTHER[movement.kind]
    if movement.previous is not other:
        return False
    after = movement.previous_counter + 1
    if slot.is_past:
        return after < slot.left.counter(other)
    return slot.left.counter(other) <= after and (
        slot.right is None or after <= slot.right.counter(other)
    )


def _fit(slot: Slot, movement: CardMove) -> int:
    own = [each.after_fen for each in slot.movements if each.kind is movement.kind]
    if own:
        return slot.fit(movement, own[-1])
    elsewhere_fen = -1  # no balance
    return slot.fit(movement, elsewhere_fen)


def test_a_place_beside_a_gap_is_no_part_of_it() -> None:
    gap = Gap(4, DAY, Point(5, 1, 0), Point(3, 2, 0), MORNING)
    card = Card(Point(3, 2, 0), MORNING, (gap,), 5)
    assert [(each.is_past, each.gap.number) for each in slots_of(card, DAY)] == [
        (True, NEW), (False, 4), (True, NEW), (True, NEW), (False, NEW),
    ]  # fmt: skip
