"""The statement of settled days: totals, operators, fare classes, positions, as people and JSON
read them. Decides how days add up; every figure comes from the runs and the ledger.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from cardcore.applets.catalogue import APPLICATIONS
from settlement.city import City
from settlement.clearing.proof import FloatFigures
from settlement.clearing.totals import AcceptedTotals
from settlement.day_seals import SignedSeal
from settlement.days.run import StoredRun
from settlement.dispositions import Disposition, Note
from settlement.ledger.accounts import HOLDER_DUE, AccountKind
from settlement.sectors.catalogue import read_rules, rule_of
from settlement.sectors.fares import NOT_A_FARE, class_name
from settlement.service.computation import ComputationOutcome, read_outcome
from settlement.store.days import load_days, load_newest_seal, load_run
from settlement.store.registry import load_participants

#: Counts and money that add up over days; the others are the city's as they stand at the end.
SUMMED = (
    "records", "accepted", "duplicates", "suspended", "claims", "rejected", "late",
    "charged_fen", "tariff_fen", "claims_fen", "net_sum_fen",
    "loads_by_log", "loads_by_log_fen",
)  # fmt: skip
STANDING = ("gaps_open", "float_fen", "card_balance_fen", "open_gap_fen", "openings_apart_fen")
_NOTHING = FloatFigures().document()


@dataclass(frozen=True, slots=True)
class OperatorLine:
    """What an operator's accepted taps come to."""

    taps: int
    tariff_fen: int
    charged_fen: int


@dataclass(frozen=True, slots=True)
class Statement:
    """Several closed days as one."""

    totals: dict[str, Any]
    operators: dict[str, OperatorLine]
    loads: dict[str, int]  # load agent to fen
    suspense: dict[str, int]  # whose money is held, and how much, until somebody decides
    holder_due_fen: int  # charged above known tariffs
    centres: dict[str, int]  # centre of another issuer to what it owes for its cards
    classes: dict[str, int]
    days: dict[date, str]  # settlement day to output hash
    applications: dict[str, AcceptedTotals]
    sectors: dict[str, AcceptedTotals]
    newest_seal: SignedSeal | None  # of the city: whoever keeps the statement is a witness of it


def read_statement(city: City, days: Sequence[date]) -> Statement:
    """The statement of closed days, in order. Days that are not closed are left out."""
    runs = []
    for closed in load_days(city.database, days):
        run = load_run(city.database, closed.run_id)
        assert run is not None, closed  # the database refers to it
        runs.append(run)
    return read_run_statement(city, runs)


def read_run_statement(city: City, runs: Sequence[StoredRun]) -> Statement:
    """The statement of runs, one a day and in order: of a day that is cleared, and not yet closed,
    too.
    """
    outcomes = [
        read_outcome(city.run_folder(run.settlement_day, run.run_id), run.outputs) for run in runs
    ]
    hashes = {run.settlement_day: run.output_hash for run in runs}
    names = _names(city, outcomes)
    operators: dict[str, OperatorLine] = {}
    loads: Counter[str] = Counter()
    suspense: Counter[str] = Counter()
    centres: Counter[str] = Counter()
    holder_due_fen = 0
    for outcome in outcomes:
        for code, line in outcome.clearing.operators.items():
            name = names[code]
            loads[name] += line.load_fen
            if line.taps or line.charged_fen:
                before = operators.get(name, OperatorLine(0, 0, 0))
                operators[name] = OperatorLine(
                    before.taps + line.taps,
                    before.tariff_fen + line.tariff_fen,
                    before.charged_fen + line.charged_fen,
                )
        clearing = outcome.clearing
        for sums in (*clearing.buckets.values(), *clearing.participants.values()):
            for account, gross in sums.items():
                if account.kind is AccountKind.SUSPENSE and account.participant is not None:
                    suspense[names[account.participant]] -= gross.net_fen
                elif account.kind is AccountKind.CENTRE and account.participant is not None:
                    centres[names[account.participant]] += gross.net_fen
                elif account == HOLDER_DUE:
                    holder_due_fen -= gross.net_fen
    return Statement(
        _totals(outcomes, hashes),
        dict(sorted(operators.items(), key=lambda item: -item[1].tariff_fen)),
        {name: amount for name, amount in loads.items() if amount},
        {name: amount for name, amount in suspense.items() if amount},
        holder_due_fen,
        {name: amount for name, amount in centres.items() if amount},
        _classes(outcomes),
        hashes,
        _broken_down([each.clearing.applications for each in outcomes], _application_name),
        _broken_down([each.clearing.sectors for each in outcomes], _sector_name),
        load_newest_seal(city.database, city.scheme.name),
    )


def _broken_down(
    days: Sequence[Mapping[int, AcceptedTotals]], name_of: Callable[[int], str]
) -> dict[str, AcceptedTotals]:
    """The accepted movements of all days by what is behind a number."""
    found: dict[int, AcceptedTotals] = {}
    for day in days:
        for code, totals in day.items():
            found[code] = found[code] + totals if code in found else totals
    return {name_of(code): found[code] for code in sorted(found)}


def _application_name(code: int) -> str:
    return APPLICATIONS[code].name if code in APPLICATIONS else f"application_{code}"


def _sector_name(number: int) -> str:
    return rule_of(read_rules(), number).name


def _names(city: City, outcomes: Sequence[ComputationOutcome]) -> dict[int, str]:
    """What the registry calls the operators of these days; two of one name get their codes too."""
    codes = {
        code
        for outcome in outcomes
        for code in {*outcome.clearing.operators, *outcome.clearing.participants}
    }
    held = {each.code: each.name for each in load_participants(city.database, codes)}
    count = Counter(held.values())
    return {code: name if count[name] == 1 else f"{name} {code}" for code, name in held.items()}


def _totals(outcomes: Sequence[ComputationOutcome], hashes: dict[date, str]) -> dict[str, Any]:
    documents = [outcome.clearing.totals.document() for outcome in outcomes]
    totals: dict[str, Any] = {
        name: sum(int(str(document[name])) for document in documents) for name in SUMMED
    }
    for name in STANDING:
        totals[name] = documents[-1][name] if documents else 0
    totals["float_proof"] = documents[-1]["float_proof"] if documents else _NOTHING
    notes: Counter[str] = Counter()
    for outcome in outcomes:
        notes.update(outcome.clearing.totals.notes)
    totals["notes"] = {name: count for name, count in notes.items() if count}
    totals["output_hash"] = list(hashes.values())[-1] if hashes else ""
    return totals


def _classes(outcomes: Sequence[ComputationOutcome]) -> dict[str, int]:
    """Accepted fares by class. A transfer that was given without its mark stands apart: it is the
    auditor's list, not a class of passenger.
    """
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        for bucket in outcome.buckets:
            for tally in bucket.tallies:
                if tally.disposition != Disposition.ACCEPTED or tally.fare_class == NOT_A_FARE:
                    continue
                unmarked = tally.notes & Note.TRANSFER_MARK_MISSING
                name = "transfer_unmarked" if unmarked else class_name(tally.fare_class)
                counts[name] += tally.records
    return dict(counts.most_common())
