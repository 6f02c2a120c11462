"""Where in a card's chain a late movement belongs (V10, V11).

Decides which of the places of a chain each movement gets: by its link to the movement before, else
by balances that join, else by time. Leaves what is missing in a place afterwards to `continuity`.

A movement may have been in any place of a *stretch*: between two movements of its kind nothing says
where others of that kind stand. A card may have any number of places, so a stretch is never walked
for a movement: places are found by what they are asked for (`_Search`), and those that are passed
are never looked at again. The whole costs n log n for n places and movements.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from settlement.reconciliation.chain import FRESH, Card, CardMove, CounterKind, Gap, Point

#: Number of a gap that has none yet.
NEW = -1
OTHER = {CounterKind.DEBIT: CounterKind.LOAD, CounterKind.LOAD: CounterKind.DEBIT}


@dataclass(slots=True)
class Slot:
    """Where movements can be put: an open gap, the end of the chain (no right side), or the past.

    The past is any place where the chain is whole already, so its balance is not known. What moved
    nothing on the whole, a late metro entry, say, fits there without a trace.
    """

    left: Point
    right: Point | None
    right_time: datetime | None
    gap: Gap
    is_past: bool = False
    movements: list[CardMove] = field(default_factory=list)

    def fit(self, movement: CardMove, own_fen: int) -> int:
        """How many sides agree with the movement's balances, behind one of its kind here that left
        `own_fen`.
        """
        if self.is_past:
            is_older = self.right_time is None or movement.time <= self.right_time
            moves_nothing = movement.before_fen == movement.after_fen
            return int(movement.before_fen == own_fen or (is_older and moves_nothing))
        joins = movement.before_fen in {own_fen, self.left.balance_fen}
        ends_right = self.right is not None and movement.after_fen == self.right.balance_fen
        return joins + ends_right

    def reaches(self, time: datetime) -> bool:
        """Whether the movement behind this place came at that time or later."""
        return self.right_time is not None and time <= self.right_time


def slots_of(card: Card, day: date) -> list[Slot]:
    """The places of a chain, from left to right: no counter ever falls on the way."""
    slots = []
    for gap in card.gaps:
        if not gap.is_hole:
            continue
        # Where counters are missing their movements may also have been in the whole part of the
        # chain before it or behind it, as long as they moved nothing on the whole.
        aside = replace(gap, number=NEW)
        slots.append(Slot(gap.left, gap.left, gap.right_time, aside, is_past=True))
        slots.append(Slot(gap.left, gap.right, gap.right_time, gap))
        slots.append(Slot(gap.right, gap.right, None, aside, is_past=True))
    fresh = Gap(NEW, day, FRESH, FRESH, None)
    if card.time is not None:
        slots.append(Slot(card.point, card.point, card.time, fresh, is_past=True))
    return [*slots, Slot(card.point, None, None, fresh)]


def assign(
    slots: Sequence[Slot], kind: CounterKind, movements: Iterable[CardMove]
) -> list[CardMove]:
    """Give every movement of one kind its slot, in the order of its counter; return the rest."""
    ordered = sorted(movements, key=by_counter)
    if not ordered:
        return []
    end = len(slots) - 1
    following = slots[end].left.counter(kind)  # no movement of that kind stands from here on
    firsts, lasts = _stretches(slots, kind)
    search = _Search(slots, kind)
    unplaced: list[CardMove] = []
    own_fen: int | None = None  # what the last movement placed left, in the slot `leftmost`
    missing = leftmost = 0
    for movement in ordered:
        counter, known = movement.counter, end
        if counter < following:
            # Counters only rise, here and along the chain: one walk finds what misses each.
            while missing < end and _end(slots[missing], kind) <= counter:
                missing += 1
            if missing == end or counter < slots[missing].left.counter(kind):
                unplaced.append(movement)
                continue
            known = missing
        # Never further left than a movement with a lower counter.
        first = max(firsts[known], leftmost)
        chosen = search.choose(
            movement, first, lasts[known], own_fen if first == leftmost else None
        )
        # Which of the stretch's slots misses which counter was a guess until now.
        for slot in slots[first:chosen]:
            assert slot.right is not None  # only the last slot is open
            slot.left = slot.left.lowered(kind, counter)
            slot.right = slot.right.lowered(kind, counter)
        taken = slots[chosen]
        taken.left = taken.left.lowered(kind, counter)
        taken.movements.append(movement)
        leftmost, own_fen = chosen, movement.after_fen
    return unplaced


def by_counter(movement: CardMove) -> int:
    """In what order movements of one kind came."""
    return movement.counter


def _end(slot: Slot, kind: CounterKind) -> int:
    assert slot.right is not None
    return slot.right.counter(kind)


def _stretches(slots: Sequence[Slot], kind: CounterKind) -> tuple[list[int], list[int]]:
    """First and last slot of each slot's stretch, in which no movement of that kind stands."""
    firsts, lasts = [0] * len(slots), [len(slots) - 1] * len(slots)
    for i in range(1, len(slots)):
        meets = _end(slots[i - 1], kind) == slots[i].left.counter(kind)
        firsts[i] = firsts[i - 1] if meets else i
    for i in range(len(slots) - 2, -1, -1):
        lasts[i] = lasts[i + 1] if firsts[i + 1] == firsts[i] else i
    return firsts, lasts


class _Row:
    """Some slots from left to right, by index; and among them those whose right time is known."""

    __slots__ = ("_slots", "_timed", "_tree", "indices")

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self.indices: list[int] = []
        self._timed: list[int] = []
        self._tree: list[datetime] = []

    def add(self, index: int) -> None:
        self.indices.append(index)
        if self._slots[index].right_time is not None:
            self._timed.append(index)

    def last(self, first: int, last: int) -> int | None:
        """The last one between two indices."""
        place = bisect_right(self.indices, last) - 1
        return self.indices[place] if place >= 0 and self.indices[place] >= first else None

    def reaching(self, time: datetime, first: int, last: int) -> int | None:
        """The first one between two indices whose right time is not before `time`."""
        place = bisect_left(self._timed, first)
        if place == len(self._timed) or self._timed[place] > last:
            return None
        found = self._leftmost(time, place)
        return (
            self._timed[found] if found < len(self._timed) and self._timed[found] <= last else None
        )

    def _leftmost(self, time: datetime, place: int) -> int:
        """The place from that one on whose time is not before `time`; beyond the end if none is."""
        tree = self._tree or self._grow()
        size = len(tree) // 2
        node = size + place
        while tree[node] < time:
            while node & 1:  # a right child: what comes next lies beside one of those above
                node >>= 1
            if not node:
                return size
            node += 1
        while node < size:
            node *= 2
            node += tree[node] < time
        return node - size

    def _grow(self) -> list[datetime]:
        """Every node the latest time of the two below it, the times themselves at the bottom."""
        size = 1 << (len(self._timed) - 1).bit_length()
        times = [self._slots[i].right_time or datetime.min for i in self._timed]  # noqa: DTZ901 - a wall clock
        tree = [datetime.min] * size + times  # noqa: DTZ901
        tree += [datetime.min] * (2 * size - len(tree))  # noqa: DTZ901
        for node in range(size - 1, 0, -1):
            tree[node] = max(tree[2 * node], tree[2 * node + 1])
        self._tree = tree
        return tree


class _Search:
    """The slots by what movements of one kind are looked for: counters of the other, balances."""

    def __init__(self, slots: Sequence[Slot], kind: CounterKind) -> None:
        self._slots = slots
        self._other = OTHER[kind]
        self._gaps, self._pasts, self._ends = _Row(slots), _Row(slots), _Row(slots)
        self._by_left: dict[int, _Row] = {}
        self._by_right: dict[int, _Row] = {}
        self._by_both: dict[tuple[int, int], _Row] = {}
        self._rights: list[int] = []  # of gaps, in counters of the other kind
        for index, slot in enumerate(slots):
            if slot.is_past:
                self._pasts.add(index)
                if slot.right_time is None:
                    self._ends.add(index)
                continue
            left_fen = slot.left.balance_fen
            self._gaps.add(index)
            self._by_left.setdefault(left_fen, _Row(slots)).add(index)
            if slot.right is None:
                continue
            right_fen = slot.right.balance_fen
            self._by_right.setdefault(right_fen, _Row(slots)).add(index)
            self._by_both.setdefault((left_fen, right_fen), _Row(slots)).add(index)
            self._rights.append(slot.right.counter(self._other))

    def choose(self, movement: CardMove, first: int, last: int, own_fen: int | None) -> int:
        """Which place of several: by its link, else by balances, else by time. `own_fen` is what
        one of its kind left that is in the first of them already.
        """
        if first == last:
            return first
        linked = self._linked(movement, first, last)
        if linked is not None:
            return linked
        head = None if own_fen is None else first
        rest = first if own_fen is None else first + 1
        fit, rows = self._best(movement, rest, last)
        own_fit = -1 if own_fen is None else self._slots[first].fit(movement, own_fen)
        is_past = head is not None and self._slots[first].is_past
        if max(fit, 0 if is_past else own_fit) <= 0:
            # No gap answers to its balances; the whole part of the chain may.
            place = first if is_past and own_fit > 0 else None
            found = self._in_past(movement, place, rest, last)
            if found is not None:
                return found
        if head is not None and (is_past or own_fit < fit):
            head = None
        elif own_fit > fit:
            rows = []
        found = _earliest(self._slots, rows, movement, head, rest, last)
        assert found is not None  # the end of the chain, or what misses the counter, is no past
        return found

    def _linked(self, movement: CardMove, first: int, last: int) -> int | None:
        """The place that the movement's link to one of the other kind points to."""
        if movement.previous is not self._other:
            return None
        after, gaps = movement.previous_counter + 1, self._gaps.indices
        place = bisect_left(self._rights, after, lo=bisect_left(gaps, first))
        if gaps[place] <= last and self._slots[gaps[place]].left.counter(self._other) <= after:
            return gaps[place]
        # A link into the whole part of the chain counts where no gap answers to it.
        past = self._pasts.last(first, last)
        if past is not None and after < self._slots[past].left.counter(self._other):
            return past
        return None

    def _best(self, movement: CardMove, first: int, last: int) -> tuple[int, list[_Row]]:
        """How well the balances of the best gaps agree, and those gaps; -1 where there is none."""
        before_fen, after_fen = movement.before_fen, movement.after_fen
        both = self._by_both.get((before_fen, after_fen))
        if both is not None and both.last(first, last) is not None:
            return 2, [both]
        one = [self._by_left.get(before_fen), self._by_right.get(after_fen)]
        rows = [row for row in one if row is not None and row.last(first, last) is not None]
        if rows:
            return 1, rows
        return (-1 if self._gaps.last(first, last) is None else 0), [self._gaps]

    def _in_past(self, movement: CardMove, head: int | None, first: int, last: int) -> int | None:
        """The place in the whole part of the chain that fits."""
        if movement.before_fen != movement.after_fen:
            return head
        if head is not None and self._slots[head].reaches(movement.time):
            return head
        found = self._pasts.reaching(movement.time, first, last)
        if found is None:
            found = self._ends.last(first, last)
        return head if found is None else found


def _earliest(
    slots: Sequence[Slot],
    rows: Iterable[_Row],
    movement: CardMove,
    head: int | None,
    first: int,
    last: int,
) -> int | None:
    """Of the slots of these rows, and `head` before them: the first one that the movement's time
    reaches, else the last one.
    """
    if head is not None and slots[head].reaches(movement.time):
        return head
    found = [row.reaching(movement.time, first, last) for row in rows]
    reaching = [each for each in found if each is not None]
    if reaching:
        return min(reaching)
    return max((each for row in rows if (each := row.last(first, last)) is not None), default=head)
