"""What closing a settlement day (日终关闭) stores.

Decides everything a closed day consists of, and the document under its seal. Leaves keeping it to
the store. Entries are posted at close and not before.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from settlement.clearing.tally import DiscountRow
from settlement.day_seals import SignedSeal
from settlement.days.aside import Faults, SetAside, aside_content, leave_out
from settlement.days.opening import files_until
from settlement.days.run import GapRow, RunInputs, RunReport
from settlement.intake.answers import FileRow
from settlement.intake.refusals import RefusalsEnd
from settlement.ledger.entries import ChainEnd, Entry, chain_end, post_day
from settlement.ledger.positions import Position, net_positions
from settlement.people.actions import Actor
from settlement.registry.book import RegistryEnd
from settlement.rulings.log import LOG_START, RulingsEnd
from settlement.seal import GENESIS, Sealable, canonical_json, digest

#: The sealed document: since 3 it says which day of the city it is, since 4 where the audit log and
#: the refusals stood. Days of format 1 say neither who closed them nor where the registry stood.
FORMAT = 4


@dataclass(frozen=True, slots=True)
class ClosedDay:
    """A closed day. Its seal covers everything that was stored with it."""

    settlement_day: date
    number: int  # the city's first closed day is 1
    run_id: str
    output_hash: str
    ledger_root: str
    previous_seal: str
    seal: str
    key_version: int  # of the key that signed the seal
    signature: str  # 128 hexadecimal digits; "" until the key service has signed
    closed_at: datetime
    # None for a day that was closed before anybody was asked.
    closed_by: Actor | None
    confirmed_by: Actor | None  # the second of two, where two closed the day together
    registry_changes: int | None  # so many changes the registry's chain had then
    set_aside: tuple[SetAside, ...]  # files that were ready, and could not be judged
    audit_entries: int | None  # so many entries the audit log had then
    refused_files: int | None  # so many files had been refused by then


@dataclass(frozen=True, slots=True)
class ClearingState:
    """What the store holds at the moment of deciding."""

    last_closed: ClosedDay | None
    ready: tuple[FileRow, ...]
    ledger_end: ChainEnd
    registry_end: RegistryEnd
    rulings_end: RulingsEnd = LOG_START
    refusals_end: RefusalsEnd = field(default_factory=RefusalsEnd)


@dataclass(frozen=True, slots=True)
class ClosePlan:
    """Everything closing a day stores, in one transaction."""

    day: ClosedDay
    label: str  # of the key that signs the seal: the city's scheme
    document: Sealable
    files: tuple[FileRow, ...]
    entries: tuple[Entry, ...]
    positions: tuple[Position, ...]
    gaps: tuple[GapRow, ...]
    discounts: tuple[DiscountRow, ...]


def plan_close(
    report: RunReport,
    inputs: RunInputs,
    state: ClearingState,
    closed_at: datetime,
    closed_by: Actor | None,
    confirmed_by: Actor | None = None,
    set_aside: tuple[SetAside, ...] = (),
) -> ClosePlan:
    """The closed day: entries, positions and the document under its seal, not signed yet.
    `closed_by` is None only where a day of format 1 is made again, `confirmed_by` where one closed
    it alone.
    """
    previous, ledger_end = state.last_closed, state.ledger_end
    run = report.run
    assert run.run_id == inputs.run_id
    paid_out_fen = {each.number: each.paid_out_fen for each in run.rulings if each.paid_out_fen}
    entries = post_day(
        run.settlement_day, report.buckets, report.participants, ledger_end, paid_out_fen
    )
    positions = net_positions(entries)
    root = chain_end(entries, ledger_end).hash
    previous_seal = GENESIS if previous is None else previous.seal
    number = next_number(state)
    document: Sealable = {
        **_who(closed_by, confirmed_by, state),
        **_without(set_aside),
        "number": number,
        "settlement_day": run.settlement_day,
        "closed_at": closed_at,
        "previous_seal": previous_seal,
        "run_id": run.run_id,
        "inputs": inputs.content(),
        "file_rows": [[row.file.content_hash, row.row_hash] for row in inputs.files],
        "outputs": [list(each) for each in run.outputs],
        "output_hash": run.output_hash,
        "totals": run.totals,
        "ledger_root": root,
        **_rows(positions, report),
    }
    day = ClosedDay(
        settlement_day=run.settlement_day,
        number=number,
        run_id=run.run_id,
        output_hash=run.output_hash,
        ledger_root=root,
        previous_seal=previous_seal,
        seal=digest(document),
        key_version=0,
        signature="",
        closed_at=closed_at,
        closed_by=closed_by,
        confirmed_by=confirmed_by,
        registry_changes=None if closed_by is None else state.registry_end.changes,
        set_aside=set_aside,
        audit_entries=None if closed_by is None else state.rulings_end.count,
        refused_files=None if closed_by is None else state.refusals_end.count,
    )
    return ClosePlan(
        day,
        inputs.scheme,
        document,
        inputs.files,
        entries,
        positions,
        report.gaps,
        report.discounts,
    )


def next_number(state: ClearingState) -> int:
    """The number of the day that is closed next."""
    return 1 if state.last_closed is None else state.last_closed.number + 1


def signed_plan(plan: ClosePlan, key_version: int, signature: str) -> ClosePlan:
    """The plan with what the key service signed."""
    return replace(plan, day=replace(plan.day, key_version=key_version, signature=signature))


def signed_seal(label: str, day: ClosedDay) -> SignedSeal:
    """The seal of a closed day, as whoever is told of it can check it."""
    return SignedSeal(
        label, day.key_version, day.number, day.settlement_day, day.seal, day.signature
    )


def encode_seal(plan: ClosePlan) -> bytes:
    """The sealed document of a day as the office keeps it beside the database."""
    signed = signed_seal(plan.label, plan.day).document()
    content: Sealable = {"document": plan.document, "seal": plan.day.seal, "signed": signed}
    return canonical_json(content) + b"\n"


def still_follows(plan: ClosePlan, state: ClearingState) -> bool:
    """Whether a plan can be kept: no day was closed since, and each of its files waits still. One
    that came in meanwhile waits for the next day.
    """
    last_seal = GENESIS if state.last_closed is None else state.last_closed.seal
    waiting = {row.file.content_hash for row in state.ready}
    files = {row.file.content_hash for row in plan.files}
    return plan.day.previous_seal == last_seal and files <= waiting


def is_current(inputs: RunInputs, state: ClearingState, faults: Faults) -> bool:
    """Whether a run still stands on the last closed day and exactly the files of its day ready
    now, without those that were set aside for their faults.
    """
    last_run = None if state.last_closed is None else state.last_closed.run_id
    files = files_until(leave_out(state.ready, faults)[0], inputs.settlement_day)
    ready = tuple(row.file.content_hash for row in files)
    return (last_run, ready) == (inputs.previous_run, inputs.file_hashes)


def _who(
    closed_by: Actor | None, confirmed_by: Actor | None, state: ClearingState
) -> dict[str, Sealable]:
    """What a document says since format 2. The last links of the registry, of the audit log and of
    refusals stand under the seal, so none of them can be written anew behind a closed day.
    """
    if closed_by is None:
        return {"format": 1}
    second: dict[str, Sealable] = (
        {} if confirmed_by is None else {"confirmed_by": confirmed_by.code}
    )
    return second | {
        "format": FORMAT,
        "closed_by": closed_by.code,
        "registry": [state.registry_end.changes, state.registry_end.hash],
        "audit_log": state.rulings_end.content(),
        "refusals": state.refusals_end.content(),
    }


def _rows(positions: tuple[Position, ...], report: RunReport) -> dict[str, Sealable]:
    """What a document says of the rows that are kept with the day."""
    return {
        "positions": [
            [each.account, each.gross_debit_fen, each.gross_credit_fen, each.net_fen]
            for each in positions
        ],
        "gaps": digest([_gap_content(each) for each in report.gaps]),
        "discounts": [
            [
                each.operator,
                each.fare_class,
                each.record_count,
                each.tariff_fen,
                each.charged_fen,
                each.known_discount_fen,
            ]
            for each in report.discounts
        ],
    }


def _without(set_aside: tuple[SetAside, ...]) -> dict[str, Sealable]:
    """What a document says of files the day went on without, if there were any."""
    return {"set_aside": [aside_content(each) for each in set_aside]} if set_aside else {}


def _gap_content(gap: GapRow) -> Sealable:
    return {name: getattr(gap, name) for name in gap.__slots__}
