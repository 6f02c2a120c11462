"""The chain of one card: which transaction follows which, and what is missing between (V10, V11).

Decides the order of a card's proven movements, where late ones belong, and which gaps that opens
and closes. Leaves finding the cards that need it to `bucket`: a card whose movements join without
a seam never comes here.

The order is found by links to the movement before, else by balances that join, else by time. None
of them stands under the TAC of a debit, so none is trusted with money: a wrong guess can misplace
a price, never lose a fen (`chain` says why). Three guesses are mended later:
`_assign` looks for a late movement's place in the whole stretch where it can have been, `_gather`
brings missing counters to the money that misses them, `_cancel` drops gaps that turn out to be
none once every movement is known. What is not mended: when several movements of both kinds come
late on different days, one of them can be taken for the latest. Its card then keeps an open gap
without missing counters, priced at exactly the difference. `_cancel` also means that altered
balances which cancel out over a complete chain are not reported.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from settlement.reconciliation.chain import FRESH, Card, CardMove, CounterKind, Gap, Loose, Point


@dataclass(frozen=True, slots=True)
class Continuation:
    """The card afterwards, the gaps that closed, and the numbers of movements without a place."""

    card: Card
    filled: tuple[Gap, ...]
    unplaced: tuple[int, ...]


def continue_card(
    card: Card, movements: Sequence[CardMove], loose: Sequence[Loose], day: date
) -> Continuation:
    """Put the movements of a settlement day, links and loose ones, into a card's chain.

    No two movements may share kind and counter. A movement whose counter lies behind and in no
    open gap has no place: the chain goes on without it, and it is loose.
    """
    slots = _slots(card, day)
    unplaced = [
        movement
        for kind in CounterKind
        for movement in _assign(slots, kind, [each for each in movements if each.kind is kind])
    ]
    holes: list[Gap] = []
    reached, time = FRESH, card.time
    for slot in slots:
        pieces, reached, last_time = slot.thread(reached)
        holes += pieces
        if slot.right is None and last_time is not None:
            time = last_time
    lost = [
        Loose(movement.counter, movement.before_fen - movement.after_fen, day)
        for movement in unplaced
    ]
    held = [each for gap in card.gaps for each in gap.loose]
    laid = _lay_loose(_cancel(_gather(holes)), sorted([*held, *loose, *lost]), card.gaps)
    gaps, gap_count = _number(laid, card.gap_count)
    still_open = {gap.number for gap in gaps}
    return Continuation(
        Card(reached, time, gaps, gap_count),
        tuple(gap for gap in card.gaps if gap.number not in still_open),
        tuple(sorted(movement.number for movement in unplaced)),
    )


_NEW = -1  # number of a gap that has none yet


@dataclass(slots=True)
class _Slot:
    """Where movements can be put: an open gap, the end of the chain (no right side), or the past.

    The past is any place where the chain is whole already, so its balance is not known. What moved
    nothing on the whole, a late metro entry, say, fits there without a trace.
    """

    left: Point
    right: Point | None
    right_time: datetime | None
    gap: Gap
    is_past: bool = False
    movements: tuple[CardMove, ...] = ()

    def misses(self, kind: CounterKind, counter: int) -> bool:
        """Whether that very counter is known to be missing here."""
        return self.right is not None and (
            self.left.counter(kind) <= counter < self.right.counter(kind)
        )

    def follows(self, movement: CardMove) -> bool:
        """Whether the movement's link to one of the other kind points here."""
        other = movement.previous
        if other is None or other is movement.kind:
            return False
        after = movement.previous_counter + 1
        if self.is_past:
            return after < self.left.counter(other)
        return self.left.counter(other) <= after and (
            self.right is None or after <= self.right.counter(other)
        )

    def meets(self, kind: CounterKind, following: "_Slot") -> bool:
        """Whether no movement of that kind stands between this slot and the following one."""
        return self.right is not None and (self.right.counter(kind) == following.left.counter(kind))

    def fit(self, movement: CardMove) -> int:
        """How many sides agree with the movement's balances."""
        own = [each for each in self.movements if each.kind is movement.kind]
        ends = {each.after_fen for each in own[-1:]}
        if self.is_past:
            is_older = self.right_time is None or movement.time <= self.right_time
            moves_nothing = movement.before_fen == movement.after_fen
            return int(movement.before_fen in ends or (is_older and moves_nothing))
        joins = movement.before_fen in ends | {self.left.balance_fen}
        ends_right = self.right is not None and movement.after_fen == self.right.balance_fen
        return joins + ends_right

    def thread(self, reached: Point) -> tuple[list[Gap], Point, datetime | None]:
        """Order the movements put here: what is missing between them, where the chain then
        stands, and the time of the last one. `reached` is where it stands before this slot.
        """
        point = _at_least(self.left, reached)
        bound = None if self.right is None else _at_least(self.right, point)
        ordered = list(_merge(point, bound, self.movements))
        time = ordered[-1][0].time if ordered else None
        seams: list[tuple[Point, Point, datetime | None]] = []
        began_fen = point.balance_fen
        for movement, next_other in ordered:
            if self.is_past and movement.before_fen != point.balance_fen:
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
                balance_fen=began_fen if self.is_past else bound.balance_fen,
            )
            seams.append((point, right, self.right_time))
            point = right
        gaps = [
            replace(self.gap, left=left, right=right, right_time=right_time, loose=())
            for left, right, right_time in seams
            if left != right
        ]
        # The first piece goes on being the gap it was; further ones are new gaps.
        return gaps[:1] + [replace(gap, number=_NEW) for gap in gaps[1:]], point, time


def _at_least(point: Point, floor: Point) -> Point:
    """The point with no counter below the floor's."""
    return Point(
        point.balance_fen, max(point.offline, floor.offline), max(point.online, floor.online)
    )


def _slots(card: Card, day: date) -> list[_Slot]:
    """The places of a chain, from left to right."""
    slots = []
    for gap in card.gaps:
        if not gap.is_hole:
            continue
        # Where counters are missing their movements may also have been in the whole part of the
        # chain before it or behind it, as long as they moved nothing on the whole.
        aside = replace(gap, number=_NEW)
        slots.append(_Slot(gap.left, gap.left, gap.right_time, aside, is_past=True))
        slots.append(_Slot(gap.left, gap.right, gap.right_time, gap))
        slots.append(_Slot(gap.right, gap.right, None, aside, is_past=True))
    fresh = Gap(_NEW, day, FRESH, FRESH, None)
    if card.time is not None:
        slots.append(_Slot(card.point, card.point, card.time, fresh, is_past=True))
    return [*slots, _Slot(card.point, None, None, fresh)]


def _assign(
    slots: Sequence[_Slot], kind: CounterKind, movements: Sequence[CardMove]
) -> list[CardMove]:
    """Give every movement of one kind its slot, in the order of its counter; return the rest."""
    following = slots[-1].left.counter(kind)  # no movement of that kind stands from here on
    unplaced, leftmost = [], 0
    for movement in sorted(movements, key=_by_counter):
        counter, last = movement.counter, len(slots) - 1
        if counter < following:
            missing = [i for i, each in enumerate(slots) if each.misses(kind, counter)]
            if not missing:
                unplaced.append(movement)
                continue
            last = missing[0]
        # The stretch between two movements of that kind: nothing of it stands between these
        # slots. But never further left than a movement with a lower counter.
        first = last
        while first > leftmost and slots[first - 1].meets(kind, slots[first]):
            first -= 1
        while last < len(slots) - 1 and slots[last].meets(kind, slots[last + 1]):
            last += 1
        chosen = first + _choose(slots[first : last + 1], movement)
        # Which of the stretch's slots misses which counter was a guess until now.
        taken = slots[chosen]
        taken.left = taken.left.lowered(kind, counter)
        for slot in slots[first:chosen]:
            assert slot.right is not None  # only the last slot is open
            if taken.right is not None:
                taken.right = taken.right.raised(kind, slot.right.counter(kind))
            slot.left = slot.left.lowered(kind, counter)
            slot.right = slot.right.lowered(kind, counter)
        taken.movements += (movement,)
        leftmost = chosen
    return unplaced


def _choose(slots: Sequence[_Slot], movement: CardMove) -> int:
    """Which of several possible places: by its link, else by balances, else by time."""
    linked = [i for i, slot in enumerate(slots) if slot.follows(movement)]
    if linked:
        # A link into the whole part of the chain counts where no gap answers to it.
        return next((i for i in linked if not slots[i].is_past), linked[-1])
    fits = [slot.fit(movement) for slot in slots]
    best = [i for i, fit in enumerate(fits) if fit == max(fits)]
    best = [i for i in best if not slots[i].is_past] or best
    for i in best:
        right_time = slots[i].right_time
        if right_time is not None and movement.time <= right_time:
            return i
    return best[-1]


def _merge(
    point: Point, bound: Point | None, movements: Sequence[CardMove]
) -> Iterator[tuple[CardMove, int | None]]:
    """Movements of both kinds in one order, each with the counter at which the other kind is
    known to go on after it (None when nothing is known).
    """
    queues = {
        kind: sorted((each for each in movements if each.kind is kind), key=_by_counter)
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
        movement, other = heads[kind], _OTHER[kind]
        if other in heads:
            next_other: int | None = heads[other].counter
        else:
            next_other = None if bound is None else bound.counter(other)
        yield movement, next_other
        taken[kind] += 1
        point = point.move(kind, movement.counter + 1, movement.after_fen)


_OTHER = {CounterKind.DEBIT: CounterKind.LOAD, CounterKind.LOAD: CounterKind.DEBIT}


def _by_counter(movement: CardMove) -> int:
    return movement.counter


def _next_kind(point: Point, heads: dict[CounterKind, CardMove]) -> CounterKind:
    """Which of two heads comes first: by a link, else by the balance, else by time."""
    for kind in CounterKind:
        head, other = heads[kind], _OTHER[kind]
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
    for gap in gaps:
        kind = _missing_without_money(gap)
        owners = [] if kind is None else _owners(gathered, gap, kind)
        if kind is None or not owners:
            gathered.append(gap)
            continue
        first, end = gap.left.counter(kind), gap.right.counter(kind)
        counter, number = first, gap.number
        for index in range(owners[0], len(gathered)):
            each = gathered[index]
            left, right = each.left.raised(kind, counter), each.right
            if index in owners and counter < end:
                # One for each jump, and what is left over for the last.
                counter = end if index == owners[-1] else counter + 1
                if each.number == _NEW:
                    each, number = replace(each, number=number), _NEW
            gathered[index] = replace(each, left=left, right=right.raised(kind, counter))
    return gathered


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


def _owners(gaps: Sequence[Gap], empty: Gap, kind: CounterKind) -> list[int]:
    """The gaps since the last movement of that kind whose money such a movement explains."""
    first = empty.left.counter(kind)
    sign = 1 if kind is CounterKind.LOAD else -1
    return [
        index
        for index, gap in enumerate(gaps)
        if gap.left.counter(kind) == gap.right.counter(kind) == first
        and sign * (gap.right.balance_fen - gap.left.balance_fen) > 0
    ]


def _lay_loose(holes: Sequence[Gap], loose: Sequence[Loose], before: Sequence[Gap]) -> list[Gap]:
    """Put every loose movement into the hole that misses its counter; the others stand by
    themselves. What they explain to the last counter and fen is no gap.
    """
    inside: dict[int, list[Loose]] = {}
    alone: dict[tuple[CounterKind, int], list[Loose]] = {}
    for each in loose:
        for index, hole in enumerate(holes):
            if hole.left.counter(each.kind) <= each.counter < hole.right.counter(each.kind):
                inside.setdefault(index, []).append(each)
                break
        else:
            alone.setdefault((each.kind, each.counter), []).append(each)
    numbers = {
        (gap.loose[0].kind, gap.loose[0].counter): gap.number for gap in before if not gap.is_hole
    }
    laid = [replace(hole, loose=tuple(inside.get(index, ()))) for index, hole in enumerate(holes)]
    for (kind, counter), group in alone.items():
        place = FRESH.move(kind, counter, 0)
        opened = min(each.day for each in group)
        number = numbers.get((kind, counter), _NEW)
        laid.append(Gap(number, opened, place, place, None, tuple(group)))
    return [gap for gap in laid if not gap.is_explained]


def _number(gaps: Sequence[Gap], gap_count: int) -> tuple[tuple[Gap, ...], int]:
    """Give new gaps their numbers, in chain order."""
    numbered = []
    for gap in sorted(gaps, key=lambda each: (each.left.offline, each.left.online)):
        if gap.number == _NEW:
            numbered.append(replace(gap, number=gap_count))
            gap_count += 1
        else:
            numbered.append(gap)
    return tuple(numbered), gap_count
