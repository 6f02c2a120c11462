"""Clearing (清分): from the tallies of all buckets to sums and totals.

Decides which sums and totals a run reports. Leaves what a tally moves to `ledger.movements`,
posting to `ledger.entries`, dispositions to `reconciliation`. Everything is a sum of integers over
tallies, so neither the number of buckets nor the order in which they were done can show.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass

from cardcore.records.kinds import RecordKind
from settlement.clearing.openings import OpeningTally
from settlement.clearing.proof import FloatFigures, sum_figures
from settlement.clearing.tally import BucketResult, DiscountRow, Tally
from settlement.dispositions import Disposition, Note, Reason
from settlement.ledger.accounts import Account
from settlement.ledger.movements import Gross, Sums, cards_side, participants_side, sum_up
from settlement.seal import Sealable, canonical_json
from settlement.sectors.fares import NOT_A_FARE, class_name


@dataclass(frozen=True, slots=True)
class AcceptedTotals:
    """What accepted records come to: those of a participant, an application or a sector."""

    taps: int  # debits, entries among them
    tariff_fen: int
    charged_fen: int
    loads: int
    load_fen: int

    def __add__(self, other: "AcceptedTotals") -> "AcceptedTotals":
        return AcceptedTotals(*map(int.__add__, astuple(self), astuple(other)))


@dataclass(frozen=True, slots=True)
class ReasonTotals:
    """Records of one reason, in count and in money (I9), less those released from it."""

    reason: Reason
    records: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class RunTotals:
    """The totals of a run, under the names of the command line's JSON.

    Counts and money are the run's own; float, balances, gaps and openings that no chain begins with
    are the city's as they stand after it. `charged_fen` and `tariff_fen` are those of accepted
    debits, `late` counts accepted records of an earlier business day, `notes` accepted records by
    note. A record of a closed day that is decided again is no new record: it counts where it is
    now and, with a minus, where it was, so that days add up. `loads_by_log` are loads that were
    posted and of which there is no record: they are no records, and their money is in the float.
    """

    records: int
    accepted: int
    duplicates: int
    suspended: int
    claims: int
    rejected: int
    late: int
    gaps_open: int
    charged_fen: int
    tariff_fen: int
    claims_fen: int
    float_fen: int
    card_balance_fen: int
    open_gap_fen: int
    openings_apart_fen: int
    net_sum_fen: int
    loads_by_log: int
    loads_by_log_fen: int
    notes: Mapping[str, int]
    float_proof: FloatFigures

    def document(self) -> dict[str, Sealable]:
        """The totals as they go into JSON and under the output hash."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return document | {"float_proof": self.float_proof.document()}


@dataclass(frozen=True, slots=True)
class Clearing:
    """A run, cleared: both sides' money, reports and totals."""

    buckets: Mapping[int, Sums]  # the cards' side
    participants: Mapping[int, Sums]  # the participants' side
    operators: Mapping[int, AcceptedTotals]
    applications: Mapping[int, AcceptedTotals]
    sectors: Mapping[int, AcceptedTotals]
    classes: tuple[DiscountRow, ...]
    reasons: tuple[ReasonTotals, ...]
    totals: RunTotals


def clear(results: Sequence[BucketResult]) -> Clearing:
    """Reduce the results of a run's buckets, in whatever order they come."""
    ordered = sorted(results, key=lambda each: each.bucket)
    tallies = [tally for result in ordered for tally in result.tallies]
    openings = [opening for result in ordered for opening in result.openings]
    buckets = {each.bucket: cards_side(_sums((*each.tallies, *each.openings))) for each in ordered}
    participants = participants_side(_sums((*tallies, *openings)))
    return Clearing(
        buckets,
        participants,
        _accepted(tallies, lambda each: each.operator),
        _accepted(tallies, lambda each: each.application),
        _accepted(tallies, lambda each: each.sector),
        _classes(tallies),
        _reasons(tallies),
        _totals(ordered, tallies, buckets, participants),
    )


def output_hash(outputs: Iterable[tuple[str, str]], totals: RunTotals) -> str:
    """SHA-256 over the hashes of all output files, sorted, and the totals as canonical JSON.

    The same files in any order, cleared by any number of workers, give the same hash (I10).
    """
    content = hashlib.sha256()
    for name, sha256 in sorted(outputs):
        content.update(f"{sha256} {name}\n".encode())
    content.update(canonical_json(totals.document()))
    return content.hexdigest()


def _sums(moving: Iterable[Tally | OpeningTally]) -> dict[Account, Gross]:
    return sum_up(movement for each in moving for movement in each.movements)


def _accepted(
    tallies: Iterable[Tally], group_of: Callable[[Tally], int]
) -> dict[int, AcceptedTotals]:
    """Accepted movements of purses, summed up by group. Nothing else is a tap or a load."""
    sums: dict[int, list[int]] = {}
    for tally in tallies:
        if tally.disposition != Disposition.ACCEPTED or not RecordKind(tally.kind).moves_purse:
            continue
        row = sums.setdefault(group_of(tally), [0, 0, 0, 0, 0])
        if tally.is_load:
            row[3] += tally.records
            row[4] += tally.amount_fen
        else:
            row[0] += tally.records
            row[1] += tally.tariff_fen
            row[2] += tally.amount_fen
    return {code: AcceptedTotals(*sums[code]) for code in sorted(sums)}


def _classes(tallies: Iterable[Tally]) -> tuple[DiscountRow, ...]:
    sums: dict[tuple[int, int], list[int]] = {}
    for tally in tallies:
        if tally.disposition != Disposition.ACCEPTED or tally.fare_class == NOT_A_FARE:
            continue
        row = sums.setdefault((tally.operator, tally.fare_class), [0, 0, 0, 0])
        row[0] += tally.records
        row[1] += tally.tariff_fen
        row[2] += tally.amount_fen - tally.excess_fen
        row[3] += tally.known_discount_fen
    return tuple(
        DiscountRow(operator, class_name(code), *sums[operator, code])
        for operator, code in sorted(sums)
    )


def _reasons(tallies: Iterable[Tally]) -> tuple[ReasonTotals, ...]:
    sums: dict[int, list[int]] = {}
    for tally in _of_records(tallies):
        row = sums.setdefault(tally.reason, [0, 0])
        row[0] += tally.records
        row[1] += tally.amount_fen
    return tuple(ReasonTotals(Reason(reason), *sums[reason]) for reason in sorted(sums))


def _of_records(tallies: Iterable[Tally]) -> list[Tally]:
    return [each for each in tallies if not each.by_log]


def _totals(
    results: Sequence[BucketResult],
    tallies: Sequence[Tally],
    buckets: Mapping[int, Sums],
    participants: Mapping[int, Sums],
) -> RunTotals:
    of_records = _of_records(tallies)
    counts = dict.fromkeys(Disposition, 0)
    for tally in of_records:
        counts[Disposition(tally.disposition)] += tally.records
    accepted = [each for each in of_records if each.disposition == Disposition.ACCEPTED]
    by_log = [each for each in tallies if each.by_log]
    debits = [each for each in accepted if not each.is_load]
    sides = (*buckets.values(), *participants.values())
    return RunTotals(
        records=sum(counts.values()),
        accepted=counts[Disposition.ACCEPTED],
        duplicates=counts[Disposition.DUPLICATE],
        suspended=counts[Disposition.SUSPENDED],
        claims=counts[Disposition.CLAIM],
        rejected=counts[Disposition.REJECTED],
        late=sum(each.records for each in accepted if each.late),
        gaps_open=sum(each.gap_count for each in results),
        charged_fen=sum(each.amount_fen for each in debits),
        tariff_fen=sum(each.tariff_fen for each in debits),
        claims_fen=sum(
            each.amount_fen for each in of_records if each.disposition == Disposition.CLAIM
        ),
        float_fen=sum(each.worth_before_fen + each.moved_fen for each in results),
        card_balance_fen=sum(each.balance_fen for each in results),
        open_gap_fen=sum(each.gap_fen for each in results),
        openings_apart_fen=sum(each.apart_fen for each in results),
        net_sum_fen=sum(gross.net_fen for sums in sides for gross in sums.values()),
        loads_by_log=sum(each.records for each in by_log),
        loads_by_log_fen=sum(each.amount_fen for each in by_log),
        notes={
            note.name.lower(): sum(each.records for each in accepted if each.notes & note)
            for note in Note
            if note.name is not None
        },
        float_proof=sum_figures(each.figures for each in results),
    )
