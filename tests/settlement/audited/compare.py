"""Both settlements of a block of worlds, compared record by record, and with what truly happened.

A difference names the seed, the day and the record, so that one world can be settled again alone.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cardcore.records.record import FIELD
from cardcore.records.tac import tac_message
from settlement.dispositions import Disposition as ProductDisposition
from settlement.dispositions import Note as ProductNote
from settlement.dispositions import Reason as ProductReason
from settlement.service.computation import ComputationOutcome
from tests.settlement.audited.making import make_world
from tests.settlement.audited.product import Decided, Product
from tests.settlement.audited.world import DAYS, World, settlement_day
from tests.support.audit.auditor import Auditor
from tests.support.audit.books import books_of, purses_of
from tests.support.audit.words import Disposition, Entry, Note

_NOTES = {ProductNote[each.name]: each for each in Note}


class DisagreementError(AssertionError):
    """Product and auditor do not say the same of a world."""

    def __init__(self, seed: int, day: int, lines: Sequence[str]) -> None:
        text = "\n  ".join(lines)
        again = f"python -m tests.settlement.audited.soak_worlds --seed {seed}"
        super().__init__(f"seed {seed}, day {day}\n  {text}\n  again: {again}")
        self.seed = seed


@dataclass
class Compared:
    """What a comparison went over."""

    worlds: int = 0
    records: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    lies: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Compared") -> None:
        """Both together."""
        self.worlds += other.worlds
        self.records += other.records
        self.reasons += other.reasons
        self.lies += other.lies


def compare_block(seeds: Sequence[int], folder: Path, *, buckets: int = 1) -> Compared:
    """Settle the worlds of some seeds of one scheme twice. Raises `DisagreementError`."""
    worlds = [make_world(seed) for seed in seeds]
    product = Product(folder, worlds, buckets=buckets)
    auditors = {world.seed: Auditor() for world in worlds}
    for day in range(DAYS):
        files = product.files(day)
        again = {
            world.seed: auditors[world.seed].may_be_judged_otherwise(
                settlement_day(day), world.known(day)
            )
            for world in worlds
        }
        outcome = product.settle(day, sorted(key for keys in again.values() for key in keys))
        decisions = product.decisions()
        for world in worlds:
            entries = auditors[world.seed].settle(
                settlement_day(day), world.known(day), files[world.seed], again[world.seed]
            )
            _compare_records(world, day, entries, decisions)
        assert not decisions, f"{len(decisions)} decisions about no record of these worlds"
        _compare_sums(outcome, list(auditors.values()))
    for world in worlds:
        _compare_with_truth(world, auditors[world.seed])
    return _counted(worlds, auditors)


def _compare_records(
    world: World,
    day: int,
    entries: dict[tuple[int, int], Entry],
    decisions: dict[tuple[int, int], Decided],
) -> None:
    lines: list[str] = []
    for key, entry in entries.items():
        decided = decisions.pop(key, None)
        if decided is None:
            lines.append(f"{key}: {entry.reason}, and no decision")
        elif differing := list(_differences(entry, decided)):
            lines += [f"{key} {_about(entry)}: {each}" for each in differing]
    if lines:
        raise DisagreementError(world.seed, day, lines)


def _differences(entry: Entry, decided: Decided) -> Iterator[str]:
    """Auditor first."""
    reason = ProductReason(decided.reason).name
    if reason != entry.reason:
        yield f"{entry.reason} / {reason}"
    disposition = ProductDisposition(decided.disposition)
    expected = _DISPOSITIONS[entry.reason.disposition]
    if disposition is not expected:
        yield f"{expected.name} / {disposition.name}"
    if not entry.is_booked or reason != entry.reason:
        return
    if entry.payee != decided.operator:
        yield f"for {entry.payee} / {decided.operator}"
    if entry.sector not in {None, decided.sector}:
        yield f"sector {entry.sector} / {decided.sector}"
    if entry.sound.amount_fen != decided.amount_fen:
        yield f"{entry.sound.amount_fen} fen / {decided.amount_fen}"
    notes = {ours for theirs, ours in _NOTES.items() if theirs in ProductNote(decided.notes)}
    if notes != entry.notes:
        yield f"notes {sorted(entry.notes)} / {sorted(notes)}"


_DISPOSITIONS = {
    Disposition.ACCEPTED: ProductDisposition.ACCEPTED,
    Disposition.DUPLICATE: ProductDisposition.DUPLICATE,
    Disposition.SUSPENDED: ProductDisposition.SUSPENDED,
    Disposition.CLAIM: ProductDisposition.CLAIM,
    Disposition.REJECTED: ProductDisposition.REJECTED,
}


def _about(entry: Entry) -> str:
    if entry.record is None:
        return "damaged"
    record = entry.sound
    return (
        f"{record.kind.name} {record.card_number}/{record.application} {record.amount_fen} fen "
        f"{record.terminal} #{record.psam_sequence} {record.time:%m-%d %H:%M} from "
        f"{entry.participant}"
    )


def _compare_sums(outcome: ComputationOutcome, auditors: Sequence[Auditor]) -> None:
    """I3 and I9, over all worlds of the run."""
    totals = outcome.clearing.totals
    books = books_of(entry for each in auditors for entry in each.decided.values())
    assert totals.float_fen == books.float_fen, (totals.float_fen, books.float_fen)
    assert totals.net_sum_fen == 0


def _compare_with_truth(world: World, auditor: Auditor) -> None:
    """Nothing is booked that no card signed, nothing twice; and each purse adds up exactly."""
    booked = [entry for entry in auditor.decided.values() if entry.is_booked]
    true = {_signed_part(data) for data in world.truth}
    found = [_signed_part(entry.data) for entry in booked]
    assert len(found) == len(set(found)), f"seed {world.seed}: a movement is booked twice"
    assert set(found) <= true, f"seed {world.seed}: a movement is booked that never was"
    for purse, statement in purses_of(booked).items():
        assert not statement.difference_fen, f"seed {world.seed}: {purse} does not add up"


def _signed_part(data: bytes) -> tuple[bytes, ...]:
    """Which purse, what its card signed, and how."""
    number, tac, application = (FIELD[name].offset for name in ("card_number", "tac", "application"))
    factor = data[number + 2 : number + 10]
    return factor, data[application : application + 1], tac_message(data), data[tac : tac + 4]


def _counted(worlds: Sequence[World], auditors: dict[int, Auditor]) -> Compared:
    found = Compared(worlds=len(worlds))
    for world in worlds:
        decided = auditors[world.seed].decided.values()
        found.records += len(decided)
        found.reasons.update(entry.reason.name for entry in decided)
        found.lies += world.lies
    return found
