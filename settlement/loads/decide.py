"""The loads of one purse, matched: what the host allowed, what kiosks recorded, what the card said.

Decides how each stands, from signed bytes alone. Records are one load when they agree in what the
TAC signs, whatever else differs in them; they are the load of an entry when purse, counter, amount,
terminal and time are the same. Leaves reading log and records to `settlement.reports.loads`, and
billing to whoever posts.

A purse uses up one online counter a load, so there is at most one load at each place of its life,
however often it was tried. What a card says later decides about what came before: MAC1 says the
counter and the balance (the load host verified it), a TAC says the counter. A card that comes with
the same counter again has not been loaded since. But MAC1 has no clock in it: a kiosk may hold one
back and send it after the load it was superseded by. So an earlier try is void only until the card
shows that its counter moved; if allowed loads that differ could have moved it, none is picked.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from settlement.counters import COUNTER_CYCLE, unwrap
from settlement.intake.load_log import LoggedLoad
from settlement.loads.standings import LoadEvidence, LoadStanding

#: The last digits of a card number are the factor of its keys: what a TAC binds of it. The digits
#: before are the record's word.
FACTOR_DIGITS = 16
#: Application, and factor of the card.
Purse = tuple[int, str]
#: Online counter, amount, terminal, time: what a TAC says of a load within its purse.
_Signed = tuple[int, int, str, datetime]


@dataclass(frozen=True, slots=True)
class RecordedLoad:
    """A load as records tell it: what the card signed, or would have. `known_on` is the first day
    on which the office had one of them, `balance_before_fen` what the card had before it, as far as
    its TAC says so (0 says nothing).
    """

    application: int
    card_number: str
    online_counter: int
    amount_fen: int
    terminal: str
    time: datetime
    is_proven: bool
    known_on: date
    record_ids: tuple[str, ...]
    balance_before_fen: int = 0

    @property
    def signed(self) -> _Signed:
        """What of it stands under the TAC, within its purse."""
        return (self.online_counter, self.amount_fen, self.terminal, self.time)


@dataclass(frozen=True, slots=True)
class JudgedLoad:
    """A load and how it stands. `known_on` is the first day on which the office could know of it.
    `count` is more than one only for loads of which nothing is known but that the card's counter
    moved by so many.
    """

    standing: LoadStanding
    evidence: LoadEvidence
    card_number: str
    application: int
    counter: int
    logged: LoggedLoad | None
    recorded: RecordedLoad | None
    known_on: date
    count: int = 1

    @property
    def is_matched(self) -> bool:
        """Whether log, record and card agree about it."""
        if self.standing is LoadStanding.VOID:
            return self.recorded is None
        return self.standing is LoadStanding.CONFIRMED and self.recorded is not None

    @property
    def amount_fen(self) -> int:
        """What was allowed or recorded; 0 where neither is there."""
        if self.logged is not None:
            return self.logged.load.amount_fen
        return 0 if self.recorded is None else self.recorded.amount_fen


def purse_of(application: int, card_number: str) -> Purse:
    """Which purse moved, by what is under its TACs."""
    return application, card_number[-FACTOR_DIGITS:]


def merge_records(records: Iterable[RecordedLoad]) -> tuple[RecordedLoad, ...]:
    """One for each load: copies, and records that differ in bytes the card did not sign, are one
    load. It is proven when one of them is.
    """
    found: dict[tuple[Purse, _Signed], RecordedLoad] = {}
    for each in records:
        key = purse_of(each.application, each.card_number), each.signed
        held = found.get(key)
        if held is None:
            found[key] = each
            continue
        better = min(held, each, key=lambda one: (not one.is_proven, one.card_number))
        found[key] = RecordedLoad(
            better.application,
            better.card_number,
            *each.signed,
            held.is_proven or each.is_proven,
            min(held.known_on, each.known_on),
            tuple(sorted({*held.record_ids, *each.record_ids})),
            better.balance_before_fen,
        )
    return tuple(found.values())


def judge_purse(
    logged: Sequence[LoggedLoad], recorded: Sequence[RecordedLoad], log_reaches: date | None
) -> tuple[JudgedLoad, ...]:
    """The loads of one purse in the order of its counter. `logged` stands in the order of the log,
    `recorded` is merged; `log_reaches` is the day up to which the log is there, None without any.
    """
    places = _places(logged, recorded)
    stated = [at for at, place in places.items() if place.logged or place.is_proven]
    newest = max(stated, default=0)
    last_logged = max((at for at, place in places.items() if place.logged), default=-1)
    judged: list[JudgedLoad] = []
    before: int | None = None  # the last place that the log knows, and loads proven since
    proven_since = 0
    for at in sorted(places):
        place = places[at]
        if place.logged:
            if before is not None and (missing := at - before - 1 - proven_since):
                judged.append(_unseen(places[before].logged[-1], place.logged[0], missing))
            before, proven_since = at, 0
        else:
            proven_since += place.is_proven
        is_covered = last_logged > at
        judged += _of_host(place, places.get(at + 1), is_used=at < newest, by_log=is_covered)
        for each in place.without_entry:
            judged.append(_never_allowed(each, log_reaches, is_covered=is_covered))
    return tuple(judged)


@dataclass(slots=True)
class _Place:
    """What is known of one place in a purse's life: entries in the order of the log, and records,
    which are merged, by what stands under the TAC.
    """

    logged: list[LoggedLoad] = field(default_factory=list)
    entries: dict[_Signed, LoggedLoad] = field(default_factory=dict)
    records: dict[_Signed, RecordedLoad] = field(default_factory=dict)

    def allow(self, entry: LoggedLoad) -> None:
        """One more try; of two that are alike to the second the last one counts."""
        self.logged.append(entry)
        self.entries[_signed(entry)] = entry

    @property
    def is_proven(self) -> bool:
        """Whether a TAC says that this counter was used up."""
        return any(each.is_proven for each in self.records.values())

    def record_of(self, entry: LoggedLoad) -> RecordedLoad | None:
        """The record that tells of an entry."""
        signed = _signed(entry)
        return self.records.get(signed) if self.entries[signed] is entry else None

    @property
    def least_fen(self) -> int:
        """What the card had at least when it came here, by every MAC1 and TAC of this place."""
        stated = [each.load.balance_before_fen for each in self.logged]
        signed = [each.balance_before_fen for each in self.records.values() if each.is_proven]
        return max((*stated, *signed), default=0)

    @property
    def without_entry(self) -> Iterable[RecordedLoad]:
        """Records of loads that no entry allows."""
        return [each for signed, each in self.records.items() if signed not in self.entries]


def _signed(entry: LoggedLoad) -> _Signed:
    load = entry.load
    return (load.online_counter, load.amount_fen, load.terminal, load.time)


def _places(logged: Sequence[LoggedLoad], recorded: Sequence[RecordedLoad]) -> Mapping[int, _Place]:
    told = sorted(recorded, key=lambda each: (not each.is_proven, each.time))
    counters = [*(each.load.online_counter for each in logged), *(o.online_counter for o in told)]
    places: dict[int, _Place] = defaultdict(_Place)
    # No purse is loaded so often that half a cycle lies between two loads looked at together.
    for entry in logged:
        places[unwrap(entry.load.online_counter, counters[0])].allow(entry)
    for record in told:
        places[unwrap(record.online_counter, counters[0])].records[record.signed] = record
    return dict(places)


def _of_host(
    place: _Place, following: _Place | None, *, is_used: bool, by_log: bool
) -> list[JudgedLoad]:
    """What became of the loads that were allowed for one counter."""
    judged = []
    if place.is_proven:
        for each in place.logged:
            record = place.record_of(each)
            if record is not None and record.is_proven:
                judged.append(_judged(each, place, LoadStanding.CONFIRMED, LoadEvidence.TAC))
            else:
                judged.append(_judged(each, place, LoadStanding.VOID, LoadEvidence.OTHER_TAC))
        return judged
    if is_used:
        evidence = LoadEvidence.LATER_MAC1 if by_log else LoadEvidence.LATER_TAC
        return _of_moved_counter(place, following, evidence)
    void = (LoadStanding.VOID, LoadEvidence.LATER_MAC1)
    judged += [_judged(each, place, *void) for each in place.logged[:-1]]
    for each in place.logged[-1:]:
        is_recorded = place.record_of(each) is not None
        standing = LoadStanding.RECORDED if is_recorded else LoadStanding.ALLOWED_ONLY
        judged.append(_judged(each, place, standing, LoadEvidence.NONE))
    return judged


def _of_moved_counter(
    place: _Place, following: _Place | None, evidence: LoadEvidence
) -> list[JudgedLoad]:
    """One of the loads allowed for this counter came about: a balance only falls until the next
    load, so those that leave less than the card then had are not the one.
    """
    least_fen = 0 if following is None else following.least_fen

    def is_feasible(entry: LoggedLoad) -> bool:
        return entry.load.balance_before_fen + entry.load.amount_fen >= least_fen

    feasible = [each for each in place.logged if is_feasible(each)]
    if not feasible:
        return [_judged(each, place, LoadStanding.UNEXPLAINED, evidence) for each in place.logged]
    is_one = len({(each.load.amount_fen, each.load.terminal) for each in feasible}) == 1
    judged = []
    for each in place.logged:
        standing = LoadStanding.VOID
        if is_one and each is feasible[-1]:
            standing = LoadStanding.CONFIRMED
        elif not is_one and is_feasible(each):
            standing = LoadStanding.SEVERAL_CLAIM
        judged.append(_judged(each, place, standing, evidence))
    return judged


def _judged(
    entry: LoggedLoad, place: _Place, standing: LoadStanding, evidence: LoadEvidence
) -> JudgedLoad:
    load, record = entry.load, place.record_of(entry)
    return JudgedLoad(
        standing,
        evidence,
        load.card_number,
        load.application,
        load.online_counter,
        entry,
        record,
        entry.logged_on if record is None else min(entry.logged_on, record.known_on),
    )


def _never_allowed(
    record: RecordedLoad, log_reaches: date | None, *, is_covered: bool
) -> JudgedLoad:
    """A record of a load that is in no entry. The log is written before the card is loaded: it says
    so for certain once it has a later load of the card, or reaches beyond the day of the record.
    """
    is_covered |= log_reaches is not None and log_reaches > record.known_on
    standing = LoadStanding.LOG_AWAITED
    if is_covered:
        is_proven = record.is_proven
        standing = LoadStanding.NEVER_ALLOWED if is_proven else LoadStanding.CLAIMED_ONLY
    evidence = LoadEvidence.TAC if record.is_proven else LoadEvidence.NONE
    return JudgedLoad(
        standing,
        evidence,
        record.card_number,
        record.application,
        record.online_counter,
        None,
        record,
        record.known_on,
    )


def _unseen(before: LoggedLoad, after: LoggedLoad, missing: int) -> JudgedLoad:
    """Loads between one that the host allowed and the next, of which neither log nor records know:
    the card's counter says that there were so many.
    """
    load = before.load
    return JudgedLoad(
        LoadStanding.NEVER_ALLOWED,
        LoadEvidence.LATER_MAC1,
        load.card_number,
        load.application,
        load.online_counter % COUNTER_CYCLE + 1,
        None,
        None,
        after.logged_on,
        missing,
    )
