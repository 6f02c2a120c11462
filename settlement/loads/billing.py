"""Which loads a run bills by the log alone, and which entries wait for the card's word (R6).

Decides it for one purse, by the standings of `decide`. A load that the card has confirmed without a
record that proves it is due: its money is posted although no file of its agent came, or none that a
card had signed. Whatever else is open moves nothing and is carried to the next run, together with
the loads just behind it: what the card had then tells which of several tries came about. Leaves
posting to reconciliation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from settlement.counters import COUNTER_CYCLE
from settlement.intake.load_log import LoggedLoad
from settlement.loads.decide import JudgedLoad, RecordedLoad, judge_purse, merge_records
from settlement.loads.standings import LoadStanding

_OPEN = frozenset(
    {
        LoadStanding.ALLOWED_ONLY,
        LoadStanding.RECORDED,
        LoadStanding.SEVERAL_CLAIM,
        LoadStanding.UNEXPLAINED,
    }
)


@dataclass(frozen=True, slots=True)
class OpenEntry:
    """An entry of the log as a run finds or leaves it. The money of a settled one is posted, by a
    record or by the log; a confirmed one is due as soon as somebody answers for its terminal on
    that day.
    """

    logged: LoggedLoad
    is_payable: bool = True
    is_settled: bool = False
    is_confirmed: bool = False

    @property
    def counter(self) -> int:
        """Where in the life of its purse."""
        return self.logged.load.online_counter


@dataclass(frozen=True, slots=True)
class PurseBill:
    """What is posted now, and what waits."""

    due: tuple[OpenEntry, ...]
    waiting: tuple[OpenEntry, ...]


def bill_purse(entries: Sequence[OpenEntry], recorded: Iterable[RecordedLoad]) -> PurseBill:
    """The loads of one purse that are due, each once. `entries` stand in the order of the log."""
    told = [*recorded, *(_record_of(each.logged) for each in entries if each.is_settled)]
    judged = judge_purse([each.logged for each in entries], merge_records(told), None)
    found = {each.logged: each for each in judged if each.logged is not None}
    after = [_after(each, found[each.logged]) for each in entries]
    due = tuple(
        each
        for each, before in zip(after, entries, strict=True)
        if each.is_settled and each.is_confirmed and not before.is_settled
    )
    places = {each.counter for each in after if _is_open(each, found[each.logged])}
    carried = places | {place % COUNTER_CYCLE + 1 for place in places}
    return PurseBill(due, tuple(each for each in after if each.counter in carried))


def _after(entry: OpenEntry, judged: JudgedLoad) -> OpenEntry:
    if entry.is_settled:
        return entry
    if judged.standing is not LoadStanding.CONFIRMED:
        return replace(entry, is_confirmed=False)
    if judged.recorded is not None and judged.recorded.is_proven:
        return replace(entry, is_settled=True, is_confirmed=False)
    return replace(entry, is_settled=entry.is_payable, is_confirmed=True)


def _is_open(entry: OpenEntry, judged: JudgedLoad) -> bool:
    return not entry.is_settled and (entry.is_confirmed or judged.standing in _OPEN)


def _record_of(logged: LoggedLoad) -> RecordedLoad:
    """What is posted counts as proven."""
    load = logged.load
    return RecordedLoad(
        load.application,
        load.card_number,
        load.online_counter,
        load.amount_fen,
        load.terminal,
        load.time,
        True,
        logged.logged_on,
        (),
        load.balance_before_fen,
    )
