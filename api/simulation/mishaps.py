"""What goes wrong in a virtual city on purpose, and what became of each.

Decides how a dishonest collector makes up a record, and which copy of a record tells of a mishap.
Leaves saying where they happen to the plan, and judging them to settlement.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from api.simulation.plan import Plan, PlannedTap
from cardcore.records.batch import decode_header, encode_batch, read_records, read_registers
from cardcore.records.record import RECORD_BYTES, TransactionRecord, decode_record, encode_record
from cardcore.text import Text
from settlement.city import City
from settlement.reports.history import explain
from settlement.reports.told import Decision
from terminals.taps import TapResult

#: A made-up record gets a serial of its own, far from any that its terminal will reach.
_FORGED_SERIALS = 900_000


class Mishap(Enum):
    """A kind of mishap, for people."""

    FORGED = Text("伪造", "forged")
    REPLAYED = Text("重放", "replayed")
    TORN = Text("断续", "torn")
    HOTLISTED = Text("挂失卡", "hotlisted")


@dataclass(frozen=True, slots=True)
class Became:
    """One record with a mishap, and what settlement decided of it."""

    mishap: Mishap
    record_id: str
    amount_fen: int
    decision: Decision


def forge(record: TransactionRecord, amount_fen: int) -> TransactionRecord:
    """What a collector makes of a true record to be paid more: all agrees but the card's TAC."""
    return replace(
        record,
        amount_fen=amount_fen,
        tariff_fen=amount_fen,
        balance_before_fen=record.balance_after_fen + amount_fen,
        terminal_serial=record.terminal_serial + _FORGED_SERIALS,
    )


def with_forgeries(
    data: bytes, forged_fen: Mapping[str, int], sign: Callable[[bytes], bytes]
) -> bytes:
    """A batch file with one made-up record more for each that it holds of `forged_fen`, signed
    again: a sender answers for its files, and can sign what it likes.
    """
    if not forged_fen:
        return data
    header, body = decode_header(data), read_records(data)
    records = [body[at : at + RECORD_BYTES] for at in range(0, len(body), RECORD_BYTES)]
    true = {record.id: record for record in map(decode_record, records)}
    made_up = [
        encode_record(forge(true[record_id], amount_fen))
        for record_id, amount_fen in forged_fen.items()
        if record_id in true
    ]
    if not made_up:
        return data
    records += made_up
    header = replace(header, record_count=len(records))
    return encode_batch(header, records, read_registers(data), sign)


def mishaps_of(plan: Plan, tap: PlannedTap, result: TapResult) -> dict[Mishap, str]:
    """The mishaps of one tap, with the record that tells of each."""
    record, found = result.record, dict[Mishap, str]()
    if record is None:
        return found
    if tap.forged_fen:
        found[Mishap.FORGED] = forge(record, tap.forged_fen).id
    if tap.copies:
        found[Mishap.REPLAYED] = record.id
    if tap.torn and tap.amount_fen:
        found[Mishap.TORN] = record.id
    since = plan.lost.get(tap.card)
    if since is not None:
        days = (plan.scheme.business_day(tap.time) - since).days
        if days >= plan.scheme.hotlist_grace_days:
            found[Mishap.HOTLISTED] = record.id
    return found


def what_became(city: City, records: Mapping[Mishap, str]) -> tuple[Became, ...]:
    """What became of each mishap's record, in the order of `Mishap`."""
    found = []
    for mishap in Mishap:
        if mishap not in records:
            continue
        # Accepted copies stand first: of a record that came twice the last one is the other.
        copies = explain(city, records[mishap]).copies
        copy = copies[-1 if mishap is Mishap.REPLAYED else 0]
        assert copy.record is not None, copy  # it was made by a terminal, or like one
        assert copy.decision is not None, copy  # its day is closed
        found.append(Became(mishap, records[mishap], copy.record.amount_fen, copy.decision))
    return tuple(found)
