"""The chain of one card: which transaction follows which, and what is missing between (V10, V11).

Decides the order of a card's proven movements and which gaps that opens and closes. Leaves where a
late one belongs to `placing`, and finding the cards that need it to `bucket`: a card whose
movements join without a seam never comes here. A card may have any number of movements, gaps and
loose movements: the cost is n log n in all of them together.

The order is found by links to the movement before, else by balances that join, else by time. None
of them stands under the TAC of a debit, so none is trusted with money: a wrong guess can misplace
a price, never lose a fen (`chain` says why). Three guesses are mended later:
`placing` looks for a late movement's place in the whole stretch where it can have been, `_gather`
brings missing counters to the money that misses them, `_cancel` drops gaps that turn out to be
none once every movement is known. What is not mended: when several movements of both kinds come
late on different days, one of them can be taken for the latest. Its card then keeps an open gap
without missing counters, priced at exactly the difference. `_cancel` also means that altered
balances which cancel out over a complete chain are not reported.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from settlement.reconciliation.chain import FRESH, Card, CardMove, CounterKind, Gap, Loose, Point
from settlement.reconciliation.placing import NEW, OTHER, Slot, assign, by_counter, slots_of


@dataclass(frozen=True, slots=True)
class Continuation:
    """The card afterwards, the gaps that closed, and the numbers of movements without a place."""

    card: Card
    filled: tuple[Gap, ...]
    unplaced: tuple[int, ...]


def continue_card(
    card: Card,
    movements: Sequence[CardMove],
    loose: Sequence[Loose],
    day: date,
    taken_back: Sequence[Loose] = (),
) -> Continuation:
    """Put the movements of a settlement day, links and loose ones, into a card's chain.
    `taken_back` were loose on earlier days, and are posted no more.

    No two movements may share kind and counter. A movement whose counter lies behind and in no
    open gap has no place: the chain goes on without it, and it is loose.
    """
    slots = slots_of(card, day)
    unplaced = [
        movement
        for kind in CounterKind
        for movement in assign(slots, kind, [each for each in movements if each.kind is kind])
    ]
    holes: list[Gap] = []
    reached, time = FRESH, card.time
    for slot in slots:
        pieces, reached, last_time = _thread(slot, reached)
        holes += pieces
        if slot.right is None and last_time is not None:
            time = last_time
    lost = [
        Loose(movement.counter, movement.before_fen - movement.after_fen, day)
        for movement in unplaced
    ]
    held = [each for gap in card.gaps for each in gap.loose]
    standing = _without([*held, *loose, *lost], taken_back)
    laid = _lay_loose(_cancel(_gather(holes)), standing, card.gaps)
    gaps, gap_count = _number(laid, card.gap_count)
    still_open = {gap.number for gap in gaps}
    return Continuation(
        Card(reached, time, gaps, gap_count),
        tuple(gap for gap in card.gaps if gap.number not in still_open),
        tuple(sorted(movement.number for movement in unplaced)),
    )


def _thread(slot: Slot, reached: Point) -> tuple[list[Gap], Point, datetime | None]:
    """Order the movements put here: what is missing between them, where the chain then
    stands, and the time of the last one. `reached` is where it stands before this slot.
    """
    point = _at_least(slot.left, reached)
    bound = None if slot.right is None else _at_least(slot.right, point)
    ordered = list(_merge(point, bound, slot.movements))
    time = ordered[-1][0].time if ordered else None
    seams: list[tuple[Point, Point, datetime | None]] = []
    began_fen = point.balance_fen
    for movement, next_other in ordered:
        if slot.is_past and movement.before_fen != point.balance_fen:
            # Elsewhere in the whole part of the chain: what came before it ends here.
            seams.append((point, replace(point, balance_fen=began_fen), movement.time))
            began_fen = movement.before_fen
            point = replace(point, balance_fen=began_fen)
        before = _point_before(point, movement, next_other)
        seams.append((point, before, movement.time))
        point = before.move(movement.kind, movement.counter + 1, movement.after_fen)
    if bound is not None:
        right = replace(
            _at_least(bound, point),
            balance_fen=began_fen if slot.is_past else bound.balance_fen,
        )
        seams.append((point, right, slot.right_time))
        point = right
    gaps = [
        replace(slot.gap, left=left, right=right, right_time=right_time, loose=())
        for left, right, right_time in seams
        if left != right
    ]
    # The first piece goes on being the gap it was; further ones are new gaps.
    return gaps[:1] + [replace(gap, number=NEW) for gap in gaps[1:]], point, time


def _at_least(point: Point, floor: Point) -> Point:
    """The point with no counter below the floor's."""
    return Point(
        point.balance_fen, max(point.offline, floor.offline), max(point.online, floor.online)
    )


def _merge(
    point: Point, bound: Point | None, movements: Sequence[CardMove]
) -> Iterator[tuple[CardMove, int | None]]:
    """Movements of both kinds in one order, each with the counter at which the other kind is
    known to go on after it (None when nothing is known).
    """
    queues = {
        kind: sorted((each for each in movements if each.kind is kind), key=by_counter)
        for kind in CounterKind
    }
    taken = dict.fromkeys(CounterKind, 0)
    for _ in range(len(movements)):
        heads = {
            kind: queues[kind][taken[kind]]
            for kind in CounterKind
            if taken[kind] < len(queues[kind])
        }
        kind = _next_kind(point, heads) if len(heads) == len(CounterKind) else next(iter(heads))
        movement, other = heads[kind], OTHER[kind]
        if other in heads:
            next_other: int | None = heads[other].counter
        else:
            next_other = None if bound is None else bound.counter(other)
        yield movement, next_other
        taken[kind] += 1
        point = point.move(kind, movement.counter + 1, movement.after_fen)


def _next_kind(point: Point, heads: dict[CounterKind, CardMove]) -> CounterKind:
    """Which of two heads comes first: by a link, else by the balance, else by time."""
    for kind in CounterKind:
        head, other = heads[kind], OTHER[kind]
        if head.previous is other:
            # The head follows that movement of the other kind at once.
            waits = head.previous_counter >= heads[other].counter
            return other if waits else kind
        if head.previous is kind and head.previous_counter == point.counter(kind) - 1:
            return kind  # nothing of the other kind came between
    joins = [kind for kind in CounterKind if heads[kind].before_fen == point.balance_fen]
    if len(joins) == 1:
        return joins[0]
    return (
        CounterKind.DEBIT
        if heads[CounterKind.DEBIT].time < heads[CounterKind.LOAD].time
        else CounterKind.LOAD
    )


def _point_before(point: Point, movement: CardMove, next_other: int | None) -> Point:
    """The point just before a movement, as the movement itself tells it.

    Its link can say how many of the other kind came before, and is believed as far as a later
    movement of that kind bears it out.
    """
    before = point.move(movement.kind, movement.counter, movement.before_fen)
    other = movement.previous
    if other is None or other is movement.kind or next_other is None:
        return before
    after = movement.previous_counter + 1
    if point.counter(other) < after <= next_other:
        return before.move(other, after, movement.before_fen)
    return before


def _gather(gaps: Sequence[Gap]) -> list[Gap]:
    """Bring missing counters to the money that misses them.

    A debit does not tell the load counter, nor a load the debit counter. So a lost load shows
    twice: the balance jumps up between two debits, and at the next load a counter is missing where
    no money is. The two are one gap; the same holds for a lost debit between loads.
    """
    gathered: list[Gap] = []
    owners = {kind: _Owners() for kind in CounterKind}
    for gap in gaps:
        kind = _missing_without_money(gap)
        if kind is None or not owners[kind].owe(gap.left.counter(kind)):
            for each in CounterKind:
                owners[each].see(len(gathered), gap, each)
            gathered.append(gap)
            continue
        number = gap.number
        for index, end in owners[kind].share(gap.right.counter(kind)):
            owner = gathered[index]
            if owner.number == NEW:
                owner, number = replace(owner, number=number), NEW
            gathered[index] = replace(owner, right=owner.right.raised(kind, end))
    return _in_order(gathered)


class _Owners:
    """The gaps since the last movement of one kind whose money such a movement explains."""

    def __init__(self) -> None:
        self._indices: deque[int] = deque()
        self._counter = 0  # the chain has come so far in that kind

    def owe(self, counter: int) -> bool:
        """Whether there are any where that counter comes next."""
        return bool(self._indices) and self._counter == counter

    def see(self, index: int, gap: Gap, kind: CounterKind) -> None:
        """The chain goes on with that gap."""
        left, right = gap.left.counter(kind), gap.right.counter(kind)
        if right != self._counter:
            self._indices.clear()
            self._counter = right
        sign = 1 if kind is CounterKind.LOAD else -1
        if left == right and sign * (gap.right.balance_fen - gap.left.balance_fen) > 0:
            self._indices.append(index)

    def share(self, end: int) -> Iterator[tuple[int, int]]:
        """Who takes the counters up to `end`: each one, and what is left over the last. Each with
        the end of its own share; who takes none stays for the counters after them.
        """
        while self._indices and self._counter < end:
            index = self._indices.popleft()
            self._counter = self._counter + 1 if self._indices else end
            yield index, self._counter
        self._counter = end


def _in_order(gaps: Sequence[Gap]) -> list[Gap]:
    """The gaps with no counter below that of one before."""
    reached, ordered = FRESH, []
    for gap in gaps:
        left = _at_least(gap.left, reached)
        reached = _at_least(gap.right, left)
        ordered.append(replace(gap, left=left, right=reached))
    return ordered


def _cancel(gaps: list[Gap]) -> list[Gap]:
    """Nothing, where no counter is missing and the prices cancel: every movement is known, and
    only their order was guessed wrongly.
    """
    is_complete = all(
        gap.left.counter(kind) == gap.right.counter(kind) for gap in gaps for kind in CounterKind
    )
    cancels = sum(gap.left.balance_fen - gap.right.balance_fen for gap in gaps) == 0
    return [] if is_complete and cancels else gaps


def _missing_without_money(gap: Gap) -> CounterKind | None:
    """The kind of which counters are missing in a gap without money, if it is one kind only."""
    missing = [kind for kind in CounterKind if gap.left.counter(kind) != gap.right.counter(kind)]
    if gap.left.balance_fen == gap.right.balance_fen and len(missing) == 1:
        return missing[0]
    return None


def _without(loose: Sequence[Loose], taken_back: Sequence[Loose]) -> list[Loose]:
    """Loose movements less those that are posted no more. One that lies in no hole any more has
    filled it: then the one of the same amount goes that takes its place, or the hole is told as
    money that left the card.
    """
    left = sorted(loose)
    for each in taken_back:
        alike = [one for one in left if one.amount_fen == each.amount_fen]
        if alike:
            left.remove(min(alike, key=lambda one: (one.counter != each.counter, one)))
        else:
            left.append(replace(each, amount_fen=-each.amount_fen))
    return sorted(left)


def _lay_loose(holes: Sequence[Gap], loose: Sequence[Loose], before: Sequence[Gap]) -> list[Gap]:
    """Put every loose movement into the hole that misses its counter; the others stand by
    themselves. What they explain to the last counter and fen is no gap.
    """
    inside: dict[int, list[Loose]] = {}
    alone: dict[tuple[CounterKind, int], list[Loose]] = {}
    # Holes stand in the order of their counters, of both kinds.
    ends = {kind: [hole.right.counter(kind) for hole in holes] for kind in CounterKind}
    for each in loose:
        index = bisect_right(ends[each.kind], each.counter)
        if index < len(holes) and holes[index].left.counter(each.kind) <= each.counter:
            inside.setdefault(index, []).append(each)
        else:
            alone.setdefault((each.kind, each.counter), []).append(each)
    laid = [replace(hole, loose=tuple(inside.get(index, ()))) for index, hole in enumerate(holes)]
    laid += _stand_alone(alone, before)
    return [gap for gap in laid if not gap.is_explained]


def _stand_alone(
    alone: Mapping[tuple[CounterKind, int], Sequence[Loose]], before: Sequence[Gap]
) -> list[Gap]:
    """Loose movements that lie in no hole, by kind and counter."""
    numbers = {
        (gap.loose[0].kind, gap.loose[0].counter): gap.number for gap in before if not gap.is_hole
    }
    gaps = []
    for (kind, counter), group in alone.items():
        place = FRESH.move(kind, counter, 0)
        opened = min(each.day for each in group)
        number = numbers.get((kind, counter), NEW)
        gaps.append(Gap(number, opened, place, place, None, tuple(group)))
    return gaps


def _number(gaps: Sequence[Gap], gap_count: int) -> tuple[tuple[Gap, ...], int]:
    """Give new gaps their numbers, in chain order."""
    numbered = []
    for gap in sorted(gaps, key=lambda each: (each.left.offline, each.left.online)):
        if gap.number == NEW:
            numbered.append(replace(gap, number=gap_count))
            gap_count += 1
        else:
            numbered.append(gap)
    return tuple(numbered), gap_count
