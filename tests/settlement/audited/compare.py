"""Both settlements of a block of worlds, compared record by record, and with what truly happened.

A difference names the seed, the day and the record, so that one world can be settled again alone.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cardcore.records.record import decode_record
from cardcore.records.tac import tac_message
from settlement.dispositions import Disposition as ProductDisposition
from settlement.dispositions import Note as ProductNote
from settlement.dispositions import Reason as ProductReason
from settlement.dispositions import Verdict
from settlement.ledger.accounts import HOLDER_DUE, AccountKind
from settlement.service.computation import ComputationOutcome
from tests.settlement.audited.making import make_world
from tests.settlement.audited.product import Decided, Product, StatedPurse
from tests.settlement.audited.world import SETTLED, World, settlement_day
from tests.support.audit.auditor import Auditor
from tests.support.audit.books import books_of, purses_of
from tests.support.audit.known import NOBODYS, OURS, Known
from tests.support.audit.people import rulings_of
from tests.support.audit.words import Disposition, Entry, Note, Purse, Reason

K = TypeVar("K")
_NOTES = {ProductNote[each.name]: each for each in Note}
_VERDICTS = {Reason.RELEASED: Verdict.RELEASE, Reason.RETURNED: Verdict.RETURN}
_SUSPENDED = {each for each in Reason if each.disposition is Disposition.SUSPENDED}


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
    notes: Counter[str] = field(default_factory=Counter)
    #: What became of records under numbers of partners.
    guests: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Compared") -> None:
        """Both together."""
        self.worlds += other.worlds
        self.records += other.records
        self.reasons += other.reasons
        self.lies += other.lies
        self.notes += other.notes
        self.guests += other.guests

    def shares(self) -> str:
        """What the worlds held, as people read it."""
        lines = [f"{self.worlds} worlds, {self.records} records"]
        for title, counts in (
            ("reasons", self.reasons), ("reasons of guests", self.guests), ("notes", self.notes),
            ("lies", self.lies),
        ):  # fmt: skip
            lines.append(title)
            lines += [f"  {count:8}  {name}" for name, count in counts.most_common()]
        return "\n".join(lines) + "\n"


def compare_block(seeds: Sequence[int], folder: Path, *, buckets: int = 1) -> Compared:
    """Settle the worlds of some seeds of one scheme twice. Raises `DisagreementError`."""
    worlds = [make_world(seed) for seed in seeds]
    product = Product(folder, worlds, buckets=buckets)
    auditors = {world.seed: Auditor() for world in worlds}
    sums, held = _Sums(), Counter[str]()
    for day in SETTLED:
        files = product.files(day)
        again = {
            world.seed: auditors[world.seed].may_be_judged_otherwise(
                settlement_day(day), world.known(day)
            )
            for world in worlds
        }
        rulings = {
            world.seed: rulings_of(
                world.seed, auditors[world.seed], day, is_last=day == SETTLED[-1]
            )
            for world in worlds
        }
        held.update(
            auditors[seed].decided[key].reason.name
            for seed, each in rulings.items()
            for key in each
        )
        outcome = product.settle(
            day,
            {
                key: auditors[seed].decided[key].is_booked
                for seed, keys in again.items()
                for key in keys
            },
            {key: _VERDICTS[word] for each in rulings.values() for key, word in each.items()},
        )
        decisions = product.decisions()
        for world in worlds:
            entries = auditors[world.seed].settle(
                settlement_day(day),
                world.known(day),
                files[world.seed],
                again[world.seed],
                rulings[world.seed],
            )
            _compare_records(world, day, entries, decisions)
        assert not decisions, f"{len(decisions)} decisions about no record of these worlds"
        sums.compare(outcome, list(auditors.values()))
    purses = product.purses()
    _same("purses of guests", [], [each for each in purses if each.city != OURS])
    for world in worlds:
        _compare_nothing_held(world, auditors[world.seed])
        _compare_with_truth(world, auditors[world.seed])
        _compare_purses(world, auditors[world.seed], purses)
    compared = _counted(worlds, auditors)
    compared.reasons += held  # until people ruled
    return compared


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
    if entry.centre != decided.centre:
        yield f"of {entry.centre} / {decided.centre}"
    if entry.sound.amount_fen != decided.amount_fen:
        yield f"{entry.sound.amount_fen} fen / {decided.amount_fen}"
    notes = {ours for theirs, ours in _NOTES.items() if theirs in ProductNote(decided.notes)}
    if entry.is_load:  # has no tariff
        notes.discard(Note.OVERCHARGED)
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


_SIDES = {AccountKind.SUSPENSE: "held", AccountKind.CENTRE: "owed"}


class _Sums:
    """What the days of a product add up to."""

    def __init__(self) -> None:
        self._net_fen: Counter[tuple[str, int | None]] = Counter()
        self._counts: Counter[str] = Counter()
        self._claims_fen = 0
        self._holders_fen = 0

    def compare(self, outcome: ComputationOutcome, auditors: Sequence[Auditor]) -> None:
        """I3, I9 and every position, over all worlds of the run so far."""
        totals = outcome.clearing.totals
        entries = [entry for each in auditors for entry in each.decided.values()]
        books = books_of(entries)
        for accounts in outcome.clearing.buckets.values():
            gross = accounts.get(HOLDER_DUE)
            self._holders_fen += gross.credit_fen - gross.debit_fen if gross else 0
        _same("held for holders", books.holders_fen, self._holders_fen)
        for accounts in outcome.clearing.participants.values():
            for account, gross in accounts.items():
                side = _SIDES.get(account.kind, "paid")
                self._net_fen[side, account.participant] += gross.credit_fen - gross.debit_fen
        positions = {("paid", code): fen for code, fen in books.paid_fen.items()}
        positions |= {("held", code): fen for code, fen in books.held_fen.items()}
        positions |= {("owed", code): -fen for code, fen in books.centres_fen.items()}
        _same("positions", +Counter(positions), +self._net_fen)
        _same("owed by", +Counter(_negated(positions)), +Counter(_negated(self._net_fen)))
        for each in Disposition:
            self._counts[each.value] += getattr(totals, each.value)
        counted = Counter(entry.reason.disposition.value for entry in entries)
        _same("dispositions", counted, +self._counts)
        self._claims_fen += totals.claims_fen
        _same("claims", books.claims_fen, self._claims_fen)
        _same("float", books.float_fen, totals.float_fen)
        _same(
            "float in cards and gaps",
            books.float_fen,
            totals.card_balance_fen + totals.open_gap_fen,
        )
        _same("sum of postings", 0, totals.net_sum_fen)


def _same(what: str, ours: object, theirs: object) -> None:
    assert ours == theirs, f"{what}: {ours} / {theirs}"


def _negated(amounts: Mapping[K, int]) -> dict[K, int]:
    return {key: -fen for key, fen in amounts.items()}


def _compare_nothing_held(world: World, auditor: Auditor) -> None:
    """R13: no dead end. Once people have ruled, nothing is left on anybody's suspense account."""
    held = [each for each in auditor.decided.values() if each.reason in _SUSPENDED]
    assert not held, f"seed {world.seed}: {[_about(each) for each in held]} held"


def _compare_with_truth(world: World, auditor: Auditor) -> None:
    """Nothing is booked that no card signed, but what its statements prove (R4); nothing twice; and
    each purse adds up exactly.
    """
    booked = [entry for entry in auditor.decided.values() if entry.is_booked]
    known = world.known(SETTLED[-1])
    true = {_signed_part(known, data) for data in world.truth}
    signed = [entry for entry in booked if Note.STATEMENT_PROVEN not in entry.notes]
    found = [_signed_part(known, entry.data) for entry in signed]
    assert len(found) == len(set(found)), f"seed {world.seed}: a movement is booked twice"
    assert set(found) <= true, f"seed {world.seed}: a movement is booked that never was"
    for purse, statement in purses_of(booked).items():
        assert not statement.difference_fen, f"seed {world.seed}: {purse} does not add up"


def _compare_purses(
    world: World, auditor: Auditor, stated: Mapping[Purse, Sequence[StatedPurse]]
) -> None:
    """R5 of every purse but two kinds: one that was told under two numbers or issuers is two to the
    product; loads that a wrong clock dates against their counters are placed as they come.
    """
    booked = [entry for entry in auditor.decided.values() if entry.is_booked]
    told: dict[Purse, set[tuple[str, bytes]]] = {}
    for entry in booked:
        told.setdefault(entry.purse, set()).add((entry.sound.card_number, entry.sound.issuer))
    lines = []
    for purse, statement in purses_of(booked).items():
        segments = (
            (each.kind, each.price_fen, each.loads_missing)
            for each in statement.segments
            if each.kind != "none"
        )
        ours = StatedPurse.of(statement.stated_fen, statement.tail_fen, segments)
        is_plain = len(told[purse]) == 1 and statement.is_in_order
        if is_plain and [ours] != stated.get(purse):
            lines.append(f"{purse}: {ours} / {stated.get(purse)}")
    if lines:
        raise DisagreementError(world.seed, SETTLED[-1], lines)


def _signed_part(known: Known, data: bytes) -> tuple[object, ...]:
    """Which purse of whose card, what it signed, and how."""
    record = decode_record(data)
    number, day = record.card_number, known.business_day(record.time)
    city = known.city_of(record.application, record.issuer, number, day)
    return city, number[-16:], record.application, tac_message(data), record.tac


def _counted(worlds: Sequence[World], auditors: dict[int, Auditor]) -> Compared:
    found = Compared(worlds=len(worlds))
    for world in worlds:
        decided = auditors[world.seed].decided.values()
        found.records += len(decided)
        found.reasons.update(entry.reason.name for entry in decided)
        found.lies += world.lies
        found.guests.update(
            each.reason.name for each in decided if each.city not in {OURS, NOBODYS}
        )
        found.notes.update(note.name for entry in decided for note in entry.notes)
    return found
