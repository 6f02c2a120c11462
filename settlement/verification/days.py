"""Every closed day again: its run computed anew, its entries posted anew, its seal made anew.

Decides what is wrong with a closed day, by comparing what is stored with what follows from the
files it settled. Leaves the files to `files` and sums over single records to `records`. Each day is
computed from the stored outputs of the days before it, which were found right, or named as damaged,
by then.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cardcore.money import yuan
from cardcore.text import Text
from settlement.city import City
from settlement.clearing.tally import DiscountRow
from settlement.days.closing import (
    ClearingState,
    ClosedDay,
    ClosePlan,
    encode_seal,
    plan_close,
    signed_plan,
)
from settlement.days.run import GapRow, RunInputs, StoredRun
from settlement.engine import Engine, WorkerLostError
from settlement.errors import StoredBytesError, reason_of
from settlement.intake.refusals import refusals_end
from settlement.ledger.accounts import Account, AccountKind
from settlement.ledger.entries import ChainEnd, Entry, chain_end, entry_content, posting_content
from settlement.ledger.positions import Position
from settlement.registry.book import Change, RegistryEnd
from settlement.rulings.log import end_at
from settlement.seal import digest
from settlement.service.gathering import closed_inputs
from settlement.service.runs import compute_run, damaged_outputs
from settlement.store import days as day_store
from settlement.store.files import load_refusals
from settlement.store.registry import load_changes
from settlement.store.rulings import load_log
from settlement.verification.findings import (
    FROM_NO_FILE,
    REBUILD,
    RESTORE,
    Findings,
    Invariant,
    OnProgress,
    column,
    file_at,
    numbered_row,
    row_of,
)
from settlement.verification.float_proof import verify_float
from settlement.verification.records import verify_records
from settlement.watching import be_silent

_DayRow = Position | GapRow | DiscountRow


def verify_days(
    city: City, engine: Engine, scratch: Path, findings: Findings, on_progress: OnProgress
) -> int:
    """Check every closed day, in order; returns how many there are."""
    days = day_store.load_closed_days(city.database)
    entries = day_store.load_entries(city.database)
    changes, log = load_changes(city.database), load_log(city.database)
    refusals = load_refusals(city.database)
    previous: ClosedDay | None = None
    end = ChainEnd()
    for done, day in enumerate(days):
        on_progress("days", done, len(days))
        posted = tuple(each for each in entries if each.settlement_day <= day.settlement_day)
        state = ClearingState(
            previous,
            (),
            end,
            _registry_end(day, changes),
            end_at(log, day.audit_entries or 0),
            refusals_end(refusals[: day.refused_files or 0]),
        )
        plan = _plan_again(city, day, state, posted, engine, scratch, findings)
        of_day = [each for each in posted if each.settlement_day == day.settlement_day]
        if plan is not None:
            _compare_day(city, day, plan, of_day, findings)
        end = chain_end(of_day if plan is None else plan.entries, end)
        previous = day
    _verify_ledger(entries, days, findings)
    on_progress("days", len(days), len(days))
    return len(days)


def _registry_end(day: ClosedDay, changes: Sequence[Change]) -> RegistryEnd:
    """Where the registry's chain stood when the day was closed, by the changes as they are now."""
    count = day.registry_changes or 0
    if not 0 < count <= len(changes):
        return RegistryEnd(count)
    return RegistryEnd(count, changes[count - 1].hash)


def _plan_again(
    city: City,
    day: ClosedDay,
    state: ClearingState,
    posted: Sequence[Entry],
    engine: Engine,
    scratch: Path,
    findings: Findings,
) -> ClosePlan | None:
    """What closing the day must have stored, from its files; None when that cannot be known."""
    where = Text(f"清算日 {day.settlement_day}", f"day {day.settlement_day}")
    run = day_store.load_run(city.database, day.run_id)
    if run is None:
        text = Text(f"已缺失；{where.zh} 由它关闭", f"is gone; {where.en} was closed on it")
        findings.add(Invariant.I8, row_of("runs", day.run_id), text)
        return None
    for path in damaged_outputs(city.run_folder(run.settlement_day, run.run_id), run):
        at = file_at(Text("清分输出", "run output"), path.relative_to(city.folder))
        findings.add(Invariant.I10, at, Text("被改动", "was changed"), REBUILD)
    inputs = closed_inputs(city, day, run)
    _compare_inputs(city, day, inputs, findings)
    folder = scratch / "run"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        report = compute_run(city, inputs, folder, engine, be_silent)
    except WorkerLostError:
        raise  # nothing was found out about the stored bytes
    except Exception as error:  # noqa: BLE001 - damaged bytes may fail anywhere; that is a finding
        why = reason_of(error)
        text = Text(f"无法重新计算：{why.zh}", f"cannot be computed again: {why.en}")
        remedy = REBUILD if isinstance(error, StoredBytesError) else RESTORE
        findings.add(Invariant.I10, where, text, remedy)
        return None
    _compare_run(run, report.run, findings)
    verify_records(city, folder, inputs, posted, findings)
    verify_float(city, folder, inputs, report.run, posted, findings)
    plan = plan_close(
        report, inputs, state, day.closed_at, day.closed_by, day.confirmed_by, day.set_aside
    )
    # Whether the signature holds stands in `seals`.
    return signed_plan(plan, day.key_version, day.signature)


def _compare_inputs(city: City, day: ClosedDay, inputs: RunInputs, findings: Findings) -> None:
    """Name what the day is made of that is not what was sealed."""
    path = city.seal_path(day.settlement_day)
    if inputs.run_id != day.run_id:
        text = Text(
            f"由其文件、登记簿与前一清分得 {inputs.run_id}",
            f"its files, its registry or the run before it give run {inputs.run_id}",
        )
        where = Text(f"清算日 {day.settlement_day}", f"day {day.settlement_day}")
        findings.add(Invariant.I8, where, text)
    try:
        document = json.loads(path.read_bytes())["document"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # the bytes of the sealed document are compared as a whole
    if digest(document) != day.seal:
        return
    sealed = dict(document["file_rows"])
    held = {row.file.content_hash: row.file.row_hash for row in inputs.files}
    for content_hash in sorted(sealed.keys() | held.keys()):
        if sealed.get(content_hash) != held.get(content_hash):
            text = Text(
                f"不是 {day.settlement_day} 封存时的行",
                f"is not the row that was sealed with day {day.settlement_day}",
            )
            findings.add(Invariant.I8, row_of("files", content_hash), text)


def _compare_run(stored: StoredRun, again: StoredRun, findings: Findings) -> None:
    where = row_of("runs", stored.run_id)
    for name in ("run_id", "settlement_day", "review_sha256", "totals", "output_hash"):
        found, right = getattr(stored, name), getattr(again, name)
        findings.expect_equal(Invariant.I10, where, column(name), found, right)
    expected = dict(again.outputs)
    for path, sha256 in stored.outputs:
        right = expected.pop(path, None)
        findings.expect_equal(Invariant.I10, where, column(path), sha256, right)
    for path in expected:
        text = Text(f"其输出中没有 {path}", f"{path} is not among its outputs")
        findings.add(Invariant.I10, where, text)


def _compare_day(
    city: City, day: ClosedDay, plan: ClosePlan, of_day: Sequence[Entry], findings: Findings
) -> None:
    where = row_of("days", day.settlement_day)
    for each in fields(ClosedDay):
        stored, right = getattr(day, each.name), getattr(plan.day, each.name)
        findings.expect_equal(Invariant.I8, where, column(each.name), stored, right)
    path = city.seal_path(day.settlement_day)
    try:
        is_sealed = path.read_bytes() == encode_seal(plan)
    except OSError:
        is_sealed = False
    if not is_sealed:
        text = Text("不是该日封存的文件", "is not the sealed document of its day")
        at = file_at(Text("封存文件", "seal file"), path.relative_to(city.folder))
        findings.add(Invariant.I8, at, text, REBUILD)
    _compare_rows(column("entries"), _heads(of_day), _heads(plan.entries), findings)
    _compare_rows(column("postings"), _postings(of_day), _postings(plan.entries), findings)
    stored_rows: tuple[Sequence[_DayRow], ...] = (
        day_store.load_positions(city.database, day.settlement_day),
        day_store.load_gaps(city.database, day.settlement_day),
        day_store.load_discounts(city.database, day.settlement_day),
    )
    expected_rows: tuple[Sequence[_DayRow], ...] = (plan.positions, plan.gaps, plan.discounts)
    names = ("positions", "gaps", "discounts")
    for name, stored, right in zip(names, stored_rows, expected_rows, strict=True):
        _compare_rows(
            Text(f"{day.settlement_day} 的 {name}", f"{name} of {day.settlement_day}"),
            {_row_key(each): each for each in stored},
            {_row_key(each): each for each in right},
            findings,
        )


def _heads(entries: Sequence[Entry]) -> dict[int, object]:
    return {each.number: (entry_content(each), each.previous_hash, each.hash) for each in entries}


def _postings(entries: Sequence[Entry]) -> dict[tuple[int, int], object]:
    return {
        (entry.number, each.line): (
            posting_content(entry.number, each),
            each.previous_hash,
            each.hash,
        )
        for entry in entries
        for each in entry.postings
    }


def _row_key(row: _DayRow) -> tuple[object, ...]:
    match row:
        case Position():
            return (row.account,)
        case GapRow():
            return (row.issuer, row.card_number, row.application, row.gap)
        case DiscountRow():
            return (row.operator, row.fare_class)


def _compare_rows(
    table: Text, stored: Mapping[Any, object], right: Mapping[Any, object], findings: Findings
) -> None:
    for key in sorted(stored.keys() | right.keys()):
        where = Text(f"{table.zh} 表第 {key} 行", f"{table.en}, row {key}")
        if key not in stored:
            findings.add(Invariant.I8, where, Text("已缺失", "is gone"))
        elif key not in right:
            findings.add(Invariant.I8, where, FROM_NO_FILE)
        elif stored[key] != right[key]:
            what = Text("内容", "what stands there")
            findings.expect_equal(Invariant.I8, where, what, stored[key], right[key])


def _verify_ledger(entries: Sequence[Entry], days: Sequence[ClosedDay], findings: Findings) -> None:
    balances: dict[str, int] = {}
    for entry in entries:
        amount_fen = sum(posting.amount_fen for posting in entry.postings)
        if amount_fen or not entry.postings:
            amount = yuan(amount_fen)
            text = Text(f"借贷相差 {amount}", f"is out of balance by {amount}")
            findings.add(Invariant.I1, numbered_row("entries", entry.number), text)
        for posting in entry.postings:
            account = posting.account
            balances[account] = balances.get(account, 0) + posting.amount_fen
    if sum(balances.values()):
        amount = yuan(sum(balances.values()))
        text = Text(f"合计 {amount}，不为零", f"sum to {amount}, not to zero")
        findings.add(Invariant.I2, Text("全部账户", "all accounts"), text)
    closed = {day.settlement_day for day in days}
    for day in days:
        account = Account(AccountKind.CLEARING, day=day.settlement_day).text
        if balances.get(account, 0):
            amount = yuan(balances[account])
            text = Text(f"余额 {amount}，不为零", f"stands at {amount}, not at zero")
            findings.add(Invariant.I7, Text(f"账户 {account}", f"account {account}"), text)
    for entry in entries:
        if entry.settlement_day not in closed:
            text = Text(
                f"属于 {entry.settlement_day}，而该日未关闭",
                f"belongs to {entry.settlement_day}, which is not closed",
            )
            findings.add(Invariant.I8, numbered_row("entries", entry.number), text)


def verify_positions(city: City, findings: Findings) -> int:
    """The nets of every closed day sum to zero, and each is its debit less its credit."""
    days = day_store.load_closed_days(city.database)
    for day in days:
        positions = day_store.load_positions(city.database, day.settlement_day)
        net_fen = sum(each.net_fen for each in positions)
        where = Text(f"{day.settlement_day} 的轧差", f"positions of {day.settlement_day}")
        if net_fen:
            amount = yuan(net_fen)
            text = Text(f"净额合计 {amount}，不为零", f"nets sum to {amount}, not to zero")
            findings.add(Invariant.I6, where, text)
        for each in positions:
            right = each.gross_debit_fen - each.gross_credit_fen
            at = Text(f"{where.zh}，{each.account}", f"{where.en}, {each.account}")
            net = Text("净额（分）", "net in fen")
            findings.expect_equal(Invariant.I6, at, net, each.net_fen, right)
    return len(days)
