"""Random days of every kind of record: what is posted is the sum of what is told of each record."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cardcore.errors import RecordFormatError
from cardcore.keys import ProofReason
from cardcore.records.kinds import ExternalScheme, RecordKind, Sector, TransactionType
from cardcore.records.payloads import (
    CardLockedPayload,
    EntitlementPayload,
    ExternalPayload,
    HirePayload,
    HireReturnedPayload,
    LoanPayload,
    ReturnPayload,
    VisitPayload,
)
from cardcore.records.record import (
    COUNTER_NOT_READ,
    TransactionRecord,
    decode_record,
    encode_record,
)
from settlement.dispositions import Disposition, Note, Reason
from settlement.engine.local import LocalEngine
from settlement.ledger.accounts import AccountKind, parse_account
from settlement.ledger.entries import ChainEnd, Entry, EntryKind, post_day
from settlement.registry.rows import HotlistRow, TerminalRow
from settlement.reports.told import Decision
from settlement.reports.wording import record_postings
from settlement.service.computation import ComputationOutcome
from tests.settlement.reconciliation.random_worlds import HOTLIST, worlds
from tests.settlement.reconciliation.run_inputs import (
    BUS,
    BUS_OPERATOR,
    DAY,
    TERMINALS,
    Desk,
    Proven,
    Verdict,
    debit,
)
from tests.settlement.sectors.skating import NUMBER, one_sector_more

#: Which sector a bus works for: one that shares out, one that keeps, one nobody knows.
SECTORS = (Sector.TRANSIT, NUMBER, Sector.MERCHANT, 99)
#: Below many a fare: what is charged above it is held for the holder.
KNOWN_TARIFFS = {(BUS_OPERATOR, RecordKind.PURCHASE): 100, (BUS_OPERATOR, RecordKind.EXIT): 0}
BUSES = tuple(f"0000000000b{number}" for number in range(2, 6))
PAYLOADS = {
    RecordKind.VISIT: VisitPayload("S1", 777, 500, 200, 77),
    RecordKind.LOAN: LoanPayload("B1", DAY),
    RecordKind.RETURN: ReturnPayload("B1", 3),
    RecordKind.ENTITLEMENT: EntitlementPayload(1, 2, DAY),
    RecordKind.HIRE: HirePayload("00" * 8, 1, 777),
    RecordKind.HIRE_RETURNED: HireReturnedPayload(
        "00" * 8, 1, "00" * 6, 1, datetime.combine(DAY, time())
    ),
    RecordKind.CARD_LOCKED: CardLockedPayload(5),
    RecordKind.EXTERNAL: ExternalPayload(ExternalScheme.QR_CODE, "00" * 32, 1, "00" * 16, 8),
}
Key = tuple[int, int]
Told = Counter[tuple[EntryKind, str]]


def event(kind: RecordKind, serial: int, amount_fen: int) -> TransactionRecord:
    """Something in which no purse moves, whatever amount it writes down."""
    return debit(
        kind=kind,
        sector=SECTORS[serial % len(SECTORS)],
        balance_before_fen=0,
        balance_after_fen=0,
        amount_fen=amount_fen,
        transaction_type=TransactionType.NONE,
        offline_counter=COUNTER_NOT_READ,
        psam_sequence=serial,
        terminal_serial=10_000 + serial,
        tac=bytes(kind.evidence.cryptogram_bytes),
        payload=PAYLOADS[kind].encode(),
    )


def elsewhere(row: Proven) -> Proven:
    """The same record of another purse and of a bus of another sector, always the same ones."""
    data, proof = row
    try:
        record = decode_record(data)
    except RecordFormatError:
        return row
    record = replace(record, application=int(record.card_number) % 2)
    if record.terminal == BUS:
        record = replace(record, terminal=BUSES[record.terminal_serial % len(BUSES)])
    return encode_record(record), proof


@st.composite
def days(draw: st.DrawFn) -> list[list[list[Proven]]]:
    found = [[[elsewhere(row) for row in file] for file in files] for files in draw(worlds())]
    kinds = draw(st.lists(st.sampled_from(list(PAYLOADS)), max_size=6))
    proofs = st.sampled_from(ProofReason)
    for serial, kind in enumerate(kinds):
        record = event(kind, serial, draw(st.sampled_from([0, 777])))
        files = found[draw(st.integers(0, len(found) - 1))]
        files[0].append((encode_record(record), draw(proofs)))
    return found


def decision_of(verdict: Verdict) -> Decision:
    return Decision(
        Disposition(verdict.disposition),
        Reason(verdict.reason),
        Note(verdict.notes),
        verdict.late,
        verdict.fare_class,
        verdict.operator,
        verdict.sector,
        verdict.excess_fen,
        0,
    )


def tell(
    records: Mapping[Key, TransactionRecord],
    before: Mapping[Key, Decision],
    now: Mapping[Key, Decision],
) -> Told:
    told: Told = Counter()
    for key, decided in now.items():
        if key not in records:
            assert decided.reason is Reason.FORMAT_WRONG
            continue
        money = record_postings(records[key], before.get(key), decided)
        if not records[key].kind.moves_purse:
            assert money == {}
        for account, amount_fen in money.items():
            is_cards = parse_account(account).participant is None
            told[EntryKind.COLLECT if is_cards else EntryKind.DISTRIBUTE, account] += amount_fen
    return told


def post(day: date, outcome: ComputationOutcome) -> tuple[Entry, ...]:
    clearing = outcome.clearing
    return post_day(day, clearing.buckets, clearing.participants, ChainEnd())


def posted(entries: Iterable[Entry]) -> Told:
    found: Told = Counter()
    for entry in entries:
        for posting in entry.postings:
            account = parse_account(posting.account)
            if account.kind is not AccountKind.CLEARING:
                assert account.participant in {None, entry.participant}
                found[entry.kind, posting.account] += posting.amount_fen
    return found


def without_zeros(sums: Told) -> Mapping[tuple[EntryKind, str], int]:
    return {key: amount_fen for key, amount_fen in sums.items() if amount_fen}


def decoded(desk: Desk, files: Sequence[Sequence[Proven]]) -> dict[Key, TransactionRecord]:
    found: dict[Key, TransactionRecord] = {}
    for rows in files:
        file = int(desk.hash_of(rows)[:16], 16)
        for number, (data, _) in enumerate(rows):
            try:
                found[file, number] = decode_record(data)
            except RecordFormatError:
                continue
    return found


def test_every_kind_in_which_no_purse_moves_is_among_them() -> None:
    assert set(PAYLOADS) == {kind for kind in RecordKind if not kind.moves_purse}


@settings(max_examples=10)
@given(days(), st.sampled_from([1, 2]), st.sampled_from([{}, KNOWN_TARIFFS]))
def test_the_entries_of_random_days_are_what_is_told_of_their_records(
    found: list[list[list[Proven]]], buckets: int, known_tariffs: dict[tuple[int, RecordKind], int]
) -> None:
    hotlist = [HotlistRow(card, version) for card, version in HOTLIST.items()]
    records: dict[Key, TransactionRecord] = {}
    decided: dict[Key, Decision] = {}
    with tempfile.TemporaryDirectory() as name, one_sector_more(Path(name) / "sectors"):
        sectors = zip(BUSES, SECTORS, strict=True)
        buses = [TerminalRow(bus, BUS_OPERATOR, "bus", None, sector) for bus, sector in sectors]
        desk = Desk(
            Path(name),
            buckets=buckets,
            terminals=[*TERMINALS, *buses],
            hotlist=hotlist,
            engine=LocalEngine(1),
            known_tariffs=known_tariffs,
        )
        for number, files in enumerate([*found, []]):
            # On the last day every key has come: what waits is decided again.
            waiting = [key for key, each in decided.items() if each.reason.waits]
            review = dict.fromkeys(waiting, ProofReason.PROVEN) if not files else {}
            day = DAY + timedelta(days=number)
            outcome = desk.run(*files, day=day, review=review)
            records |= decoded(desk, files)
            now = {key: decision_of(each) for key, each in desk.verdicts().items()}
            assert without_zeros(posted(post(day, outcome))) == without_zeros(
                tell(records, decided, now)
            )
            decided |= now
