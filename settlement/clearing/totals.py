"""Clearing (清分): from the tallies of all buckets to shares, sums and totals.

Decides who is owed what for the accepted records and which totals a run reports. Leaves posting
to `ledger`, dispositions to `reconciliation`. Everything is a sum of integers over tallies, so
neither the number of buckets nor the order in which they were done can show.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cardcore.money import split_fen
from settlement.clearing.tally import BucketResult, DiscountRow, Tally
from settlement.dispositions import Disposition, Note, Reason
from settlement.ledger.entries import Sums
from settlement.seal import Sealable, canonical_json
from settlement.sectors.fares import NOT_A_FARE, class_name


@dataclass(frozen=True, slots=True)
class OperatorTotals:
    """What a participant's accepted records come to."""

    taps: int  # debits, entries among them
    tariff_fen: int
    charged_fen: int
    loads: int
    load_fen: int


@dataclass(frozen=True, slots=True)
class ReasonTotals:
    """Records of one reason, in count and in money (I9), less those released from it."""

    reason: Reason
    records: int
    amount_fen: int


@dataclass(frozen=True, slots=True)
class RunTotals:
    """The totals of a run, under the names of the command line's JSON.

    Counts and money are the run's own; float, balances and gaps are the city's as they stand
    after it. `charged_fen` and `tariff_fen` are those of accepted debits, `late` counts accepted
    records of an earlier business day, `notes` accepted records by note. A record of a closed day
    that is decided again is no new record: it counts where it is now and, with a minus, where it
    was, so that days add up.
    """

    records: int
    accepted: int
    duplicates: int
    suspended: int
    rejected: int
    late: int
    gaps_open: int
    charged_fen: int
    tariff_fen: int
    float_fen: int
    card_balance_fen: int
    open_gap_fen: int
    net_sum_fen: int
    notes: Mapping[str, int]

    def document(self) -> dict[str, Sealable]:
        """The totals as they go into JSON and under the output hash."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Clearing:
    """A run, cleared: both sides' money, reports and totals."""

    buckets: Mapping[int, Sums]  # the cards' side
    participants: Mapping[int, Sums]  # the participants' side
    operators: Mapping[int, OperatorTotals]
    classes: tuple[DiscountRow, ...]
    reasons: tuple[ReasonTotals, ...]
    totals: RunTotals


def share_out(operator: int, amount_fen: int) -> dict[int, int]:
    """The shares of an accepted debit by participant; they always sum to the amount (I5).

    Transport: the operator who carried the passenger gets the whole charge.

    >>> share_out(201, 380)
    {201: 380}
    """
    return dict(zip((operator,), split_fen(amount_fen, (1,)), strict=True))


def clear(results: Sequence[BucketResult]) -> Clearing:
    """Reduce the results of a run's buckets, in whatever order they come."""
    ordered = sorted(results, key=lambda each: each.bucket)
    tallies = [tally for result in ordered for tally in result.tallies]
    buckets = {each.bucket: _card_side(each.tallies) for each in ordered}
    participants = _participant_side(tallies)
    return Clearing(
        buckets,
        participants,
        _operators(tallies),
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


def _card_side(tallies: Iterable[Tally]) -> Sums:
    """What the cards of a bucket lost and gained, by disposition only."""
    sums: Counter[str] = Counter()
    for tally in tallies:
        sums[_sum_name(tally)] += abs(tally.float_fen)
    return Sums(**sums)


def _sum_name(tally: Tally) -> str:
    """Which of the `Sums` a tally that moves money belongs to."""
    name = "load_fen" if tally.is_load else "debit_fen"
    if tally.is_release:
        return f"released_{name}"
    return f"suspended_{name}" if tally.disposition == Disposition.SUSPENDED else name


def _participant_side(tallies: Iterable[Tally]) -> dict[int, Sums]:
    """What each participant is owed, owes, and has held in suspense, by share and by reason."""
    sums: dict[int, Counter[str]] = {}
    for tally in tallies:
        shares_fen = {tally.operator: abs(tally.amount_fen)}
        if tally.disposition == Disposition.ACCEPTED:
            if not tally.is_load:
                shares_fen = share_out(tally.operator, tally.amount_fen)
        elif Reason(tally.reason).disposition is not Disposition.SUSPENDED or (
            # A load that no chain proves may never have happened: nothing to hold.
            tally.is_load and not tally.chained
        ):
            continue
        for code, share_fen in shares_fen.items():
            sums.setdefault(code, Counter())[_sum_name(tally)] += share_fen
    return {code: Sums(**sums[code]) for code in sorted(sums)}


def _operators(tallies: Iterable[Tally]) -> dict[int, OperatorTotals]:
    sums: dict[int, list[int]] = {}
    for tally in tallies:
        if tally.disposition != Disposition.ACCEPTED:
            continue
        row = sums.setdefault(tally.operator, [0, 0, 0, 0, 0])
        if tally.is_load:
            row[3] += tally.records
            row[4] += tally.amount_fen
        else:
            row[0] += tally.records
            row[1] += tally.tariff_fen
            row[2] += tally.amount_fen
    return {code: OperatorTotals(*sums[code]) for code in sorted(sums)}


def _classes(tallies: Iterable[Tally]) -> tuple[DiscountRow, ...]:
    sums: dict[tuple[int, int], list[int]] = {}
    for tally in tallies:
        if tally.disposition != Disposition.ACCEPTED or tally.fare_class == NOT_A_FARE:
            continue
        row = sums.setdefault((tally.operator, tally.fare_class), [0, 0, 0])
        row[0] += tally.records
        row[1] += tally.tariff_fen
        row[2] += tally.amount_fen
    return tuple(
        DiscountRow(operator, class_name(code), *sums[operator, code])
        for operator, code in sorted(sums)
    )


def _reasons(tallies: Iterable[Tally]) -> tuple[ReasonTotals, ...]:
    sums: dict[int, list[int]] = {}
    for tally in tallies:
        row = sums.setdefault(tally.reason, [0, 0])
        row[0] += tally.records
        row[1] += tally.amount_fen
    return tuple(ReasonTotals(Reason(reason), *sums[reason]) for reason in sorted(sums))


def _totals(
    results: Sequence[BucketResult],
    tallies: Sequence[Tally],
    buckets: Mapping[int, Sums],
    participants: Mapping[int, Sums],
) -> RunTotals:
    counts = dict.fromkeys(Disposition, 0)
    for tally in tallies:
        counts[Disposition(tally.disposition)] += tally.records
    accepted = [each for each in tallies if each.disposition == Disposition.ACCEPTED]
    debits = [each for each in accepted if not each.is_load]
    sides_fen = sum(each.float_decrease_fen for each in buckets.values()) - sum(
        each.float_decrease_fen for each in participants.values()
    )
    return RunTotals(
        records=sum(counts.values()),
        accepted=counts[Disposition.ACCEPTED],
        duplicates=counts[Disposition.DUPLICATE],
        suspended=counts[Disposition.SUSPENDED],
        rejected=counts[Disposition.REJECTED],
        late=sum(each.records for each in accepted if each.late),
        gaps_open=sum(each.gap_count for each in results),
        charged_fen=sum(each.amount_fen for each in debits),
        tariff_fen=sum(each.tariff_fen for each in debits),
        float_fen=sum(each.worth_before_fen for each in results)
        + sum(each.float_fen for each in tallies),
        card_balance_fen=sum(each.balance_fen for each in results),
        open_gap_fen=sum(each.gap_fen for each in results),
        net_sum_fen=sides_fen,
        notes={
            note.name.lower(): sum(each.records for each in accepted if each.notes & note)
            for note in Note
            if note.name is not None
        },
    )
