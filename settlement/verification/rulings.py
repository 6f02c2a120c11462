"""What closed days applied of what people ruled: everything, once, in order, and nothing else.

Decides what is wrong with a day's rulings and with what its review says of them. That the rulings
are ones, signed by two people, is found by the check of the audit log; what became of the records
by the day computed again.
"""

from collections.abc import Mapping

from cardcore.text import Text
from settlement.city import City
from settlement.days.closing import ClosedDay
from settlement.days.rulings import AppliedRuling, Verdicts, applied, ruled_records
from settlement.dispositions import Verdict
from settlement.reconciliation.inputs import file_number
from settlement.rulings.ruling import Ruling
from settlement.service.review import Review
from settlement.service.ruling.payouts import paid_out
from settlement.store import days as day_store
from settlement.store.rulings import load_book
from settlement.verification.findings import Findings, Invariant


def verify_applied(city: City, findings: Findings) -> int:
    """Check which rulings each closed day applied; returns how many there are that a day applies.

    Each is applied by one day, in their order, at the latest by the second that was closed after it
    was made, unless its file was set aside then.
    """
    book = load_book(city.database)
    made = {each.number: each for each in book.rulings()}
    left = {each.number for each in applied(made.values(), {})}
    count, due = len(left), set[int]()
    for day in day_store.load_closed_days(city.database):
        run = day_store.load_run(city.database, day.run_id)
        if run is None:
            continue  # found where the days are computed again
        where = Text(f"{day.settlement_day} 的裁定", f"rulings of day {day.settlement_day}")
        rulings = [made[each.number] for each in run.rulings if each.number in left]
        paid_fen = paid_out(city, rulings, book, day.settlement_day)
        right = {each.number: each for each in applied(rulings, paid_fen)}
        for there in run.rulings:
            _compare(there, right.get(there.number), where, findings)
        numbers = [each.number for each in run.rulings]
        if numbers != sorted(set(numbers)):
            text = Text("未按作出的次序执行", "were not applied in the order they were made")
            findings.add(Invariant.I4, where, text)
        left -= set(numbers)
        for number in sorted(due & left):
            if not _waits_for_a_file(made[number], day):
                text = Text(f"跳过了第 {number} 号裁定", f"passed over ruling {number}")
                findings.add(Invariant.I4, where, text)
        due = {number for number in left if number <= (day.audit_entries or 0)}
    return count


def _waits_for_a_file(ruling: Ruling, day: ClosedDay) -> bool:
    aside = {file_number(each.content_hash) for each in day.set_aside}
    return any(file in aside for file, _ in ruled_records(ruling))


def _compare(
    there: AppliedRuling, due: AppliedRuling | None, where: Text, findings: Findings
) -> None:
    number = there.number
    if there == due:
        return
    if due is None:
        text = Text(
            f"执行了第 {number} 号裁定，而审计日志中没有它，或此前已执行",
            f"applied ruling {number}, which the audit log does not have, or another day applied",
        )
    elif there.digest != due.digest:
        text = Text(
            f"第 {number} 号裁定的内容已被改动",
            f"ruling {number} says something else than when it was applied",
        )
    else:
        text = Text(
            f"第 {number} 号裁定退付 {there.paid_out_fen} 分，应为 {due.paid_out_fen} 分",
            f"ruling {number} pays out {there.paid_out_fen} fen, must be {due.paid_out_fen}",
        )
    findings.add(Invariant.I4, where, text)


def verify_verdicts(
    review: Review,
    verdicts: Verdicts,
    is_suspended: Mapping[tuple[int, int], bool],
    where: Text,
    findings: Findings,
) -> None:
    """A review says of a record what people ruled of it, of every one that was suspended still and
    of no other. `is_suspended` has the records of earlier days that either names.
    """
    said = {
        (file, row): each.verdict
        for file, rows in review.items()
        for row, each in rows.items()
        if each.verdict is not None
    }
    for key in sorted(said.keys() | verdicts.keys()):
        right = verdicts.get(key) if is_suspended.get(key, False) else None
        if said.get(key) is not right:
            file, row = key
            found, expected = _said(said.get(key)), _said(right)
            text = Text(
                f"文件 {file:016x}… 第 {row} 行记为“{found.zh}”，应为“{expected.zh}”",
                f"row {row} of file {file:016x}... says: {found.en}; must be: {expected.en}",
            )
            findings.add(Invariant.I4, where, text)


def _said(verdict: Verdict | None) -> Text:
    return _SAID[verdict]


_SAID: Mapping[Verdict | None, Text] = {
    None: Text("未裁定", "not ruled on"),
    Verdict.RELEASE: Text("放行", "released"),
    Verdict.RETURN: Text("退还", "returned"),
}
